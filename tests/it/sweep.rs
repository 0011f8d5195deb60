//! Complete sweeps in process and in virtual time, against the sandbox.

mod buckets;
mod cases;
mod databases;
mod journal;
mod outcomes;
mod rechecks;
mod runs;
mod satellites;
mod stage;
