//! The names that a pattern matches as an automaton, which finds a name that two
//! patterns share.

use std::collections::{HashMap, VecDeque};

/// Characters as ranges, both ends included.
type Ranges = Vec<(char, char)>;

/// A state of each of two automata.
type Pair = (usize, usize);

/// The names that a pattern matches, as a nondeterministic automaton: each edge
/// takes one character, or none.
#[derive(Debug, Default)]
pub(super) struct Graph {
    edges: Vec<Vec<(Option<Ranges>, usize)>>,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            edges: vec![Vec::new()],
        }
    }

    fn last(&self) -> usize {
        self.edges.len() - 1
    }

    fn state(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.last()
    }

    /// Appends a text.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.one(vec![(c, c)]);
        }
    }

    /// Appends an alternative of texts.
    pub(super) fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let from = self.last();
        let mut ends = Vec::new();
        for text in texts {
            let begin = self.state();
            self.edges[from].push((None, begin));
            self.text(text);
            ends.push(self.last());
        }
        let join = self.state();
        for end in ends {
            self.edges[end].push((None, join));
        }
    }

    /// Appends one character of these ranges.
    pub(super) fn one(&mut self, ranges: Ranges) {
        let from = self.last();
        let to = self.state();
        self.edges[from].push((Some(ranges), to));
    }

    /// Appends any number of characters of these ranges, also none.
    pub(super) fn many(&mut self, ranges: Ranges) {
        let from = self.last();
        let to = self.state();
        self.edges[from].push((None, to));
        self.edges[to].push((Some(ranges), to));
    }

    /// Returns a name that both automata accept, if there is one.
    pub(super) fn shared(&self, other: &Self) -> Option<String> {
        let mut before: HashMap<Pair, Option<(Pair, Option<char>)>> =
            HashMap::from([((0, 0), None)]);
        let mut open = VecDeque::from([(0, 0)]);
        let end = (self.last(), other.last());
        while let Some(at) = open.pop_front() {
            if at == end {
                break;
            }
            let mut go = |to: Pair, c: Option<char>| {
                before.entry(to).or_insert_with(|| {
                    open.push_back(to);
                    Some((at, c))
                });
            };
            for (ranges, to) in &self.edges[at.0] {
                match ranges {
                    None => go((*to, at.1), None),
                    Some(ranges) => {
                        for (others, other_to) in &other.edges[at.1] {
                            if let Some(c) =
                                others.as_ref().and_then(|others| common(ranges, others))
                            {
                                go((*to, *other_to), Some(c));
                            }
                        }
                    }
                }
            }
            for (ranges, to) in &other.edges[at.1] {
                if ranges.is_none() {
                    go((at.0, *to), None);
                }
            }
        }
        let mut name = Vec::new();
        let mut at = end;
        while let Some((from, c)) = before.get(&at)? {
            name.extend(*c);
            at = *from;
        }
        Some(name.into_iter().rev().collect())
    }
}

/// Returns a character in both, if possible `x` or `7`.
fn common(one: &Ranges, other: &Ranges) -> Option<char> {
    let mut found = None;
    for &(low, high) in one {
        for &(other_low, other_high) in other {
            let (low, high) = (low.max(other_low), high.min(other_high));
            if low > high {
                continue;
            }
            for plain in ['x', '7'] {
                if (low..=high).contains(&plain) {
                    return Some(plain);
                }
            }
            found = found.or(Some(low));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a glob.
    fn of_glob(glob: &str) -> Graph {
        let mut graph = Graph::new();
        for (index, literal) in glob.split('*').enumerate() {
            if index > 0 {
                graph.many(vec![('\0', char::MAX)]);
            }
            graph.text(literal);
        }
        graph
    }

    fn shared(one: &str, other: &str) -> Option<String> {
        of_glob(one).shared(&of_glob(other))
    }

    #[test]
    fn globs_share_names_or_not() {
        assert_eq!(
            shared("api-*", "*-production").as_deref(),
            Some("api-production")
        );
        assert_eq!(shared("api-*", "web-*"), None);
        assert_eq!(shared("a*b", "ab").as_deref(), Some("ab"));
        assert_eq!(shared("a*bc", "ab"), None);
        assert!(shared("*", "x*y*z").is_some());
    }
}
