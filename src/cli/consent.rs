//! Consent to deletions: given in advance, or typed out at a terminal.

use std::io::{IsTerminal as _, Write as _};

use tokio::time::Instant;

use super::RunFailure;
use super::args::SweepArgs;

/// How the deletions are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Not needed: nothing is deleted.
    DryRun,
    /// Given in advance by a flag or a plan file.
    Given,
    /// Asked for at the terminal.
    Ask,
}

/// Returns whether the run is unattended.
pub(super) fn is_unattended() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

impl Consent {
    /// Returns how a sweep with these arguments is confirmed, or refuses it.
    pub(super) fn of(arguments: &SweepArgs) -> Result<Self, RunFailure> {
        if arguments.dry_run {
            return Ok(Self::DryRun);
        }
        if arguments.yes || arguments.plan.is_some() {
            return Ok(Self::Given);
        }
        if !is_person() {
            return Err(RunFailure::Refused(
                "a sweep deletes resources and needs consent, and there is no terminal to ask at \
                 (or CI is set): pass --yes, or --plan FILE with a plan that `preview-gc audit \
                 --out FILE` wrote; --dry-run shows the plan and deletes nothing"
                    .to_owned(),
            ));
        }
        Ok(Self::Ask)
    }
}

/// Returns whether a person is there to answer.
pub(super) fn is_person() -> bool {
    !is_unattended() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal for consent, which has to be typed out before the deadline.
pub(super) async fn agreed(steps: usize, deadline: Instant) -> Result<bool, RunFailure> {
    let wanted = format!("delete {steps}");
    let question = format!("Type \"{wanted}\" to delete, anything else to stop: ");
    let answer = answer(&question, deadline).await?;
    Ok(answer.trim() == wanted)
}

/// Asks at the terminal, and waits for the answer until the deadline. Without an
/// answer the text is empty.
pub(super) async fn answer(question: &str, deadline: Instant) -> Result<String, RunFailure> {
    let mut stderr = std::io::stderr();
    let _ = stderr
        .write_all(question.as_bytes())
        .and_then(|()| stderr.flush());
    // Reads on a separate thread, because it may block forever.
    let (sender, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        let _ = sender.send(read.map(|_| answer));
    });
    match before(deadline, answer).await? {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(RunFailure::Unexpected(format!(
            "cannot read the answer: {error}"
        ))),
        Err(_) => Ok(String::new()),
    }
}

/// Waits for an answer until the deadline.
async fn before<T>(deadline: Instant, answer: impl Future<Output = T>) -> Result<T, RunFailure> {
    let answered = tokio::time::timeout_at(deadline, answer).await;
    answered.map_err(|_| {
        RunFailure::Refused(
            "nobody answered before the deadline of the run, so nothing was done; raise --deadline"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_question_is_open_until_the_deadline() {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(20);
        let late = async {
            tokio::time::sleep(Duration::from_secs(19)).await;
            "y"
        };
        assert_eq!(before(deadline, late).await.ok(), Some("y"));
        let never = before(deadline, std::future::pending::<()>()).await;
        assert!(matches!(never, Err(RunFailure::Refused(_))), "{never:?}");
        assert_eq!(started.elapsed(), Duration::from_secs(20));
    }
}
