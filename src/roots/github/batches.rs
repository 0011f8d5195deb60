//! Questions about many items in few requests, in batches whose size follows what
//! the provider answers: how much it answers at once depends on the size of the
//! repository, and no document says how much.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::is_too_much;
use crate::roots::Unanswered;

/// How many items are asked about in one request.
pub(super) struct BatchSize {
    now: AtomicUsize,
    /// The size that it begins with, and grows back to after a refusal.
    first: usize,
    /// The size that it grows to while nothing is refused.
    largest: AtomicUsize,
}

impl BatchSize {
    /// Starts with the first size, and doubles up to the largest.
    pub(super) const fn new(first: usize, largest: usize) -> Self {
        Self {
            now: AtomicUsize::new(first),
            first,
            largest: AtomicUsize::new(largest),
        }
    }

    /// Asks about all items. While the size grows, each batch waits for the answer
    /// to the one before, so that a size that is too large is refused only once; all
    /// others are asked side by side. A batch that is too much is asked again in
    /// halves, and so are all that follow; once a round of requests succeeds, the
    /// size doubles again. An item that is too much by itself has that error.
    pub(super) async fn ask<'i, T, A>(
        &self,
        items: &'i [T],
        ask: impl AsyncFn(&'i [T]) -> Result<A, Unanswered>,
    ) -> Vec<(&'i [T], Result<A, Unanswered>)> {
        let mut answers = Vec::new();
        let mut waiting: VecDeque<&[T]> = VecDeque::new();
        if !items.is_empty() {
            waiting.push_back(items);
        }
        while !waiting.is_empty() {
            let size = self.now.load(Ordering::Relaxed).max(1);
            let batches = self.round(&mut waiting, size);
            let answered = join_all(batches.into_iter().map(|batch| {
                let answer = ask(batch);
                async move { (batch, answer.await) }
            }));
            let mut refused: Vec<&[T]> = Vec::new();
            for (batch, answer) in answered.await {
                match answer {
                    Err(error) if is_too_much(&error) && batch.len() > 1 => refused.push(batch),
                    answer => answers.push((batch, answer)),
                }
            }
            let next = match refused.iter().map(|batch| batch.len()).min() {
                Some(smallest) => {
                    self.largest.store(self.first, Ordering::Relaxed);
                    smallest.div_ceil(2)
                }
                None => (size * 2).min(self.largest.load(Ordering::Relaxed)),
            };
            self.now.store(next, Ordering::Relaxed);
            waiting.extend(refused);
        }
        answers
    }

    /// Takes the batches of the next round: one while the size grows, else all.
    fn round<'i, T>(&self, waiting: &mut VecDeque<&'i [T]>, size: usize) -> Vec<&'i [T]> {
        let grows = self.first <= size && size < self.largest.load(Ordering::Relaxed);
        if !grows {
            return waiting
                .drain(..)
                .flat_map(|items| items.chunks(size))
                .collect();
        }
        let Some(items) = waiting.pop_front() else {
            return Vec::new();
        };
        let (batch, rest) = items.split_at(size.min(items.len()));
        if !rest.is_empty() {
            waiting.push_front(rest);
        }
        vec![batch]
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn too_much() -> Unanswered {
        Unanswered::TooMuch("the query costs too much".to_owned())
    }

    /// The sizes of the batches of each round, where more than `limit` items at
    /// once are too much.
    async fn sizes(size: &BatchSize, items: usize, limit: usize) -> Vec<usize> {
        let items: Vec<usize> = (0..items).collect();
        let asked = RefCell::new(Vec::new());
        let answers = size.ask(&items, async |batch: &[usize]| {
            asked.borrow_mut().push(batch.len());
            if batch.len() > limit {
                return Err(too_much());
            }
            Ok(batch.to_vec())
        });
        let mut answered: Vec<usize> = answers
            .await
            .into_iter()
            .flat_map(|(_, answer)| answer.unwrap())
            .collect();
        answered.sort_unstable();
        assert_eq!(answered, items, "every item has one answer");
        asked.into_inner()
    }

    #[tokio::test]
    async fn batches_shrink_to_what_is_answered_and_grow_again() {
        let size = BatchSize::new(50, 50);
        assert_eq!(sizes(&size, 120, 100).await, [50, 50, 20]);
        // Too much: halves, and halves of these.
        assert_eq!(sizes(&size, 50, 13).await, [50, 25, 25, 13, 12, 13, 12]);
        // The next question begins with what was answered, and more.
        assert_eq!(sizes(&size, 52, 100).await, [26, 26]);
        assert_eq!(sizes(&size, 60, 100).await, [50, 10]);
    }

    #[tokio::test]
    async fn batches_grow_while_nothing_is_too_much() {
        let size = BatchSize::new(50, 150);
        let grown = [50, 100, 150, 150, 150, 150, 50];
        assert_eq!(sizes(&size, 800, 150).await, grown);
        assert_eq!(sizes(&size, 160, 150).await, [150, 10]);
        assert!(
            sizes(&BatchSize::new(50, 150), 0, 150).await.is_empty(),
            "nothing is asked for nothing"
        );
    }

    #[tokio::test]
    async fn a_larger_batch_that_is_too_much_is_tried_once() {
        let size = BatchSize::new(50, 150);
        let asked = sizes(&size, 260, 60).await;
        assert_eq!(asked, [50, 100, 50, 50, 10, 50, 50]);
        assert_eq!(sizes(&size, 200, 60).await, [50, 50, 50, 50]);
    }

    #[tokio::test]
    async fn one_item_that_is_too_much_spoils_no_other() {
        let size = BatchSize::new(4, 4);
        let items = ["a", "b", "bad", "c"];
        let answers = size.ask(&items, async |batch: &[&str]| {
            if batch.contains(&"bad") {
                return Err(too_much());
            }
            Ok(())
        });
        let failed: Vec<_> = answers
            .await
            .into_iter()
            .filter(|(_, answer)| answer.is_err())
            .map(|(batch, _)| batch.to_vec())
            .collect();
        assert_eq!(failed, [["bad"]]);
    }

    #[tokio::test]
    async fn other_errors_are_not_asked_again() {
        let size = BatchSize::new(4, 4);
        let asked = RefCell::new(0);
        let answers = size.ask(&[1, 2], async |_| {
            *asked.borrow_mut() += 1;
            Err::<(), _>(Unanswered::Unbelievable("no".to_owned()))
        });
        assert!(answers.await[0].1.is_err());
        assert_eq!(asked.into_inner(), 1);
    }
}
