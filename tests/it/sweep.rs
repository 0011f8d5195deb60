//! Complete sweeps in process and in virtual time, against the sandbox.

mod runs;
mod satellites;
mod stage;
