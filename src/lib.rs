//! preview-gc

#![recursion_limit = "256"]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::print_stdout,
        reason = "a test that fails should say where"
    )
)]

pub mod call;
pub mod cli;
pub mod clock;
pub mod evidence;
pub mod gc;
pub mod github;
pub mod kinds;
pub mod model;
pub mod policy;
pub mod report;
pub mod sandbox;
pub mod scan;
pub mod wire;
