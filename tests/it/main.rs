//! The integration tests, in one program: each module says what it is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that fails should say where"
)]
#![allow(
    clippy::too_many_lines,
    reason = "a test case is read from its beginning to its end"
)]

#[path = "../support/busy_account.rs"]
mod busy_account;
#[path = "../support/in_process.rs"]
mod in_process;
#[path = "../support/mod.rs"]
mod support;

mod audit;
mod audit_command;
mod bindings;
#[cfg(unix)]
mod by_hand;
mod check;
mod check_deep;
mod clone;
mod codes;
mod contract;
mod drain;
mod dropped_fields;
mod faults;
mod first_day;
mod focus;
mod init;
mod layering;
mod manual;
mod notify;
mod oddities;
mod openapi;
mod output;
#[cfg(target_os = "linux")]
mod packaging;
mod pictures;
mod policies;
mod published_names;
mod report_command;
mod requests;
mod safety;
mod scope;
mod secrets;
mod shared_cases;
mod sweep;
mod sweep_command;
mod transcripts;
mod transport;
#[cfg(unix)]
mod workflows;
