//! The worlds of `tests/cases` over HTTP: an audit of the stand-in's server gives
//! what an audit in process gives. `tests/audit.rs` checks the verdicts.

use crate::support::{Server, cases, in_parallel, report, run};

#[test]
fn every_case_gets_the_same_verdicts_in_process_and_over_http() {
    in_parallel(&cases(), |path| {
        let name = path.display().to_string();
        let policy = path.with_extension("toml").display().to_string();
        let (in_process, code) = report(&run(&[
            "audit",
            "-q",
            "--format",
            "json",
            "--policies",
            &policy,
            &format!("--sandbox={name}"),
        ]));
        assert_eq!(code, 0, "{name}");
        let listed = in_process["resources"].as_array().unwrap();
        assert!(!listed.is_empty(), "{name} lists nothing");
        let server = Server::start(&["--world", &name]);
        let output = server
            .program()
            .args(["audit", "-q", "--format", "json", "--policies", &policy])
            .output()
            .unwrap();
        let (over_http, code) = report(&output);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code, 0, "{name}: {errors}");
        assert_eq!(over_http["resources"], in_process["resources"], "{name}");
    });
}
