//! What resources contain: says how much it is where it keeps one from being deleted,
//! and deletes it first if the rules have `empty = true`.

use futures::future::join_all;
use tokio::time::Instant;

use super::Sweep;
use super::answer::SendResult;
use crate::format::{moment, size};
use crate::gc::Outcome;
use crate::kind::{Contents, NextPage, Object, PageOf};
use crate::survey::Findings;
use crate::wire::ApiError;

/// Maximum number of pages that are read of what a resource contains.
const PAGES: usize = 10;

/// Number of objects that are deleted side by side.
const AT_ONCE: usize = 8;

/// What was read of the contents of a resource.
struct ContentsRead {
    objects: Vec<Object>,
    /// Whether that is all of it.
    complete: bool,
}

impl ContentsRead {
    /// In words: how many objects, and how large they are together.
    fn text(&self) -> String {
        let number = self.objects.len();
        let noun = if number == 1 { "object" } else { "objects" };
        let more = if self.complete { "" } else { "more than " };
        let bytes = size(self.objects.iter().map(|object| object.bytes).sum());
        format!("{more}{number} {noun} ({bytes})")
    }
}

impl Sweep<'_, '_> {
    /// Returns how much the resource of a step contains, where its kind is only
    /// deleted empty and this can be read.
    pub(super) async fn contents(&self, step: usize) -> Option<String> {
        let contents = self.kind(step)?.contents()?;
        let listed = self.list_contents(contents, step).await.ok()?;
        Some(listed.text())
    }

    /// Deletes everything that the resource of a step contains, and returns how
    /// much that was.
    ///
    /// Every object has to be older than the end of what the resource belonged to:
    /// a newer one was written by somebody who still uses it. Nothing is deleted
    /// before all of them were seen.
    ///
    /// # Errors
    ///
    /// Why something is still in it. After [`SendResult::Interrupted`] a later try
    /// goes on.
    pub(super) async fn empty(
        &self,
        view: &Findings<'_>,
        step: usize,
        needs: &str,
        not_after: Instant,
    ) -> Result<String, SendResult> {
        let cannot = |why: String| SendResult::Refused(Outcome::FailedForGood, why);
        let Some(contents) = self.kind(step).and_then(|kind| kind.contents()) else {
            return Err(cannot("its kind cannot be emptied".to_owned()));
        };
        let listed = match self.list_contents(contents, step).await {
            Ok(listed) => listed,
            Err(error) => {
                let why = format!("what it contains could not be read: {error}");
                return Err(SendResult::Refused(Outcome::FailedForNow, why));
            }
        };
        if !listed.complete {
            let holds = listed.text();
            return Err(cannot(format!(
                "it holds {holds}, too much to be deleted one by one: set a lifecycle rule that \
                 expires its objects, and a later run can delete it"
            )));
        }
        if let Some(why) = self.is_written_to(view, step, &listed.objects) {
            return Err(cannot(why));
        }
        let id = &self.ids[step];
        let mut deleted = 0;
        for objects in listed.objects.chunks(AT_ONCE) {
            let answers = join_all(objects.iter().map(async |object| {
                let call = contents.delete_object(id, &object.key);
                let answer = self.send_one(step, &call, needs, not_after).await;
                (object, answer)
            }));
            let mut failed = None;
            for (object, answer) in answers.await {
                match answer {
                    SendResult::Accepted | SendResult::NotThere(_) => deleted += 1,
                    answer => failed = failed.or(Some((object, answer))),
                }
            }
            if let Some((object, answer)) = failed {
                return Err(interrupted(deleted, listed.objects.len(), object, answer));
            }
        }
        Ok(listed.text())
    }

    /// What the journal says of a step whose resource is emptied first.
    pub(super) fn emptied(&self, step: usize) -> Option<String> {
        let contents = self.kind(step)?.contents()?;
        let objects = contents.page(&self.ids[step], &PageOf::First);
        let empties = self.steps[step].empty;
        empties.then(|| format!("DELETE {}/* (everything in it)", objects.path))
    }

    /// Returns why the contents of a step's resource must stay: somebody may have
    /// written to it after it died.
    fn is_written_to(
        &self,
        view: &Findings<'_>,
        step: usize,
        objects: &[Object],
    ) -> Option<String> {
        // The plan may be older than the last event, and the other way round.
        let now = view.find(&self.ids[step]);
        let now = now.and_then(|(_, judgement)| judgement.verdict.death()?.dead_since);
        let Some(dead_since) = self.steps[step].dead_since.min(now) else {
            return Some(
                "it is not known since when it is garbage, so nobody can say whether what it \
                 holds was written later: empty it by hand"
                    .to_owned(),
            );
        };
        let newest = objects.iter().find_map(|object| match object.changed_at {
            None => Some(format!("when {} was written is not known", object.key)),
            Some(at) if at > dead_since => Some(format!(
                "{} was written at {}, after {}, when it became garbage",
                object.key,
                moment(at),
                moment(dead_since)
            )),
            Some(_) => None,
        });
        newest.map(|why| format!("somebody may still use what it holds: {why}"))
    }

    async fn list_contents(
        &self,
        contents: &dyn Contents,
        step: usize,
    ) -> Result<ContentsRead, String> {
        let (mut objects, mut page) = (Vec::new(), PageOf::First);
        for _ in 0..PAGES {
            let call = contents.page(&self.ids[step], &page);
            let body = self.finishing.send(&call).await;
            let body = body.map_err(|error: ApiError| error.to_string())?;
            let read = contents.read(&body);
            let read = read.map_err(|error| self.survey.client.redact(&error.0))?;
            objects.extend(read.objects);
            page = match read.next {
                NextPage::After(cursor) => PageOf::Cursor(cursor),
                NextPage::Last | NextPage::More | NextPage::Pages(_) => {
                    let complete = true;
                    return Ok(ContentsRead { objects, complete });
                }
            };
        }
        let complete = false;
        Ok(ContentsRead { objects, complete })
    }
}

/// What it means that one object of `all` was not deleted after others were.
fn interrupted(deleted: usize, all: usize, object: &Object, answer: SendResult) -> SendResult {
    let so_far = format!("{deleted} of {all} objects in it were deleted");
    match answer {
        // The next try reads again what is garbage, and goes on.
        SendResult::NotSent(error) | SendResult::Throttled(error) if deleted > 0 => {
            SendResult::Interrupted(format!("{so_far}: {error}"))
        }
        SendResult::Withheld(why) if deleted > 0 => {
            SendResult::Refused(Outcome::FailedForNow, format!("{so_far}: {why}"))
        }
        SendResult::NotSent(_) | SendResult::Throttled(_) | SendResult::Withheld(_) => {
            answer.of_another_request()
        }
        SendResult::Refused(outcome, why) | SendResult::Denied(outcome, why) => {
            SendResult::Refused(outcome, format!("{so_far}; {} was not: {why}", object.key))
        }
        SendResult::Premature(why)
        | SendResult::Lost(why)
        | SendResult::CutOff(why)
        | SendResult::Interrupted(why)
        | SendResult::NotThere(why) => {
            let why = format!("{so_far}; {} perhaps not: {why}", object.key);
            SendResult::Refused(Outcome::FailedForNow, why)
        }
        SendResult::Accepted => SendResult::Accepted,
    }
}
