//! What people should hear of although nobody reads every report: GitHub notifies
//! nobody when an issue is edited, so this goes into a comment and to a webhook.

use super::state::HiddenState;
use crate::report::{Report, escape};

/// Maximum number of failures that are named; the others are counted.
const NAMED: usize = 10;

/// The new failures and the brakes of a sweep, one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    lines: Vec<String>,
}

impl Alert {
    /// Returns what is new since the last run, whose state the issue stores. An
    /// audit deletes nothing, so nothing fails in it.
    pub fn of(report: &Report, previous: Option<&HiddenState>) -> Option<Self> {
        let swept = report.swept.as_ref()?;
        let mut lines: Vec<String> = report
            .brakes
            .iter()
            .map(|brake| {
                let (kind, reason) = (brake.kind, brake.advice());
                format!("a brake stopped the sweep on {kind}: {reason}")
            })
            .collect();
        let is_new = |key: &str| previous.and_then(|state| state.failed(key)).is_none();
        let failed: Vec<_> = swept
            .steps
            .iter()
            .filter(|step| step.outcome.is_failure() && is_new(&step.key))
            .collect();
        lines.extend(failed.iter().take(NAMED).map(|step| {
            let (kind, name, outcome) = (&step.kind, &step.name, step.outcome);
            format!("{kind} {name} {outcome}: {}", step.reason)
        }));
        if failed.len() > NAMED {
            lines.push(format!("{} more failures", failed.len() - NAMED));
        }
        (!lines.is_empty()).then_some(Self { lines })
    }

    /// Returns the lines, not yet escaped.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Renders a comment.
    pub fn markdown(&self) -> String {
        let lines = self.lines.iter();
        let lines: Vec<_> = lines
            .map(|line| format!("- {}\n", escape::markdown(line)))
            .collect();
        format!("The last sweep needs attention:\n\n{}", lines.concat())
    }
}
