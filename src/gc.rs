//! Mark, plan and brakes: pure functions from evidence to verdicts, from
//! verdicts to steps, and from both to a refusal.

pub mod brakes;
mod links;
pub mod mark;
pub mod outcome;
pub mod plan;
pub mod sealed;
pub mod ticks;
pub mod verdict;

pub use brakes::{Brake, brakes};
pub use mark::{Judgement, Jurisdiction, Marking, mark};
pub use outcome::Outcome;
pub use plan::{Plan, plan};
pub use sealed::SealedPlan;
pub use verdict::Verdict;
