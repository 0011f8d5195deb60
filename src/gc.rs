//! Mark, plan and brakes: pure functions from evidence to verdicts, from
//! verdicts to steps, and from both to a refusal.

pub mod brakes;
pub mod mark;
pub mod plan;
pub mod verdict;

pub use brakes::{Brake, brakes};
pub use mark::{Judgement, Jurisdiction, Marking, mark};
pub use plan::{Plan, plan};
pub use verdict::Verdict;
