//! What the confirmation of a deletion says: a pure function of what was marked
//! and of what stops or limits a sweep.

use crate::gc::Brake;
use crate::gc::plan_file::PlanFile;
use crate::report::overview;

/// Maximum number of names in the confirmation.
const NAMED: usize = 8;

/// What a session offers to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionProposal {
    /// Nothing, with the reason.
    Nothing(String),
    /// A number of steps to confirm.
    Steps {
        /// The number of steps.
        steps: usize,
        /// What else the user should know: the names, and what stays.
        notes: Vec<String>,
    },
}

impl DeletionProposal {
    /// Creates the proposal to carry out `plan_file`, the plan for the `marked`
    /// resources. `roots_gap` says why roots are missing, if they are, and
    /// `maximum` is `--max-deletions`.
    pub fn of(
        plan_file: &PlanFile,
        marked: usize,
        maximum: usize,
        brakes: &[Brake],
        roots_gap: Option<&str>,
    ) -> Self {
        if let Some(why) = roots_gap {
            return Self::Nothing(format!("nothing can be deleted: {why}"));
        }
        if let Some(brake) = brakes.first() {
            return Self::Nothing(format!(
                "nothing can be deleted in this session, because a brake stops it: {}; {} when you \
                 start again",
                overview::brakes(brakes).join("; "),
                brake.remedy
            ));
        }
        let planned = plan_file.steps.len();
        let steps = planned.min(maximum);
        if steps == 0 {
            return Self::Nothing(
                "what is marked waits for what is not marked, or for --max-deletions".to_owned(),
            );
        }
        let named = plan_file.steps.iter().take(steps.min(NAMED));
        let mut notes: Vec<String> = named
            .map(|step| format!("{} {}", step.kind, step.name))
            .collect();
        if steps > NAMED {
            notes.push(format!("… and {} more", steps - NAMED));
        }
        let waiting = marked.saturating_sub(planned);
        if waiting > 0 {
            notes.push(format!(
                "{waiting} of what is marked stay: what uses them, or a child, is not marked."
            ));
        }
        if planned > maximum {
            notes.push(format!(
                "{} more {} for a later sweep (--max-deletions {maximum}).",
                planned - maximum,
                if planned - maximum == 1 {
                    "waits"
                } else {
                    "wait"
                }
            ));
        }
        Self::Steps { steps, notes }
    }
}
