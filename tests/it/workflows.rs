//! The scripts of the action, run as Actions runs them: with the inputs in the
//! environment, against the sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A script of the action.
fn script(name: &str) -> Command {
    let path = crate::support::path("../.github/actions/preview-gc").join(name);
    let mut command = Command::new("bash");
    command.arg(path).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs the program by the action's script, with these inputs.
fn run(folder: &Path, inputs: &[(&str, &str)]) -> Output {
    let mut command = script("run.sh");
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PROGRAM", env!("CARGO_BIN_EXE_preview-gc"))
        .env("CI", "true")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", folder.join("output"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"))
        .env("PREVIEW_GC_JOURNAL", folder.join("journal"))
        .envs(inputs.iter().copied());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn outputs(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("output")).unwrap_or_default()
}

#[test]
fn arguments_on_every_line_count() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [
        ("INPUT_COMMAND", "sweep"),
        ("INPUT_FORMAT", "markdown"),
        ("INPUT_ARGS", "--sandbox\n--dry-run\n"),
    ];
    let output = run(folder.path(), &inputs);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!folder.path().join("journal").exists(), "it only plans");
    // Without that line it deletes.
    let inputs = [
        ("INPUT_COMMAND", "sweep"),
        ("INPUT_DELETE", "true"),
        ("INPUT_ARGS", "--sandbox"),
    ];
    let output = run(folder.path(), &inputs);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        outputs(folder.path()).contains("deleted=14"),
        "{}",
        outputs(folder.path())
    );
}

#[test]
fn quotes_keep_spaces_and_one_that_is_not_closed_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("my policies.toml");
    std::fs::copy(crate::support::path("../policies/demo.toml"), &policy).unwrap();
    let args = format!("--sandbox --policies=\"{}\"", policy.display());
    let inputs = [("INPUT_COMMAND", "audit"), ("INPUT_ARGS", &*args)];
    let output = run(folder.path(), &inputs);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let inputs = [
        ("INPUT_COMMAND", "sweep"),
        ("INPUT_ARGS", "--sandbox \"--dry-run"),
    ];
    let output = run(folder.path(), &inputs);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("::error"), "{}", said(&output));
    assert_eq!(
        outputs(folder.path()).matches("deleted=").count(),
        1,
        "only the audit ran"
    );
}

#[test]
fn a_sweep_without_consent_is_refused_and_an_input_that_is_no_truth_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = ("INPUT_COMMAND", "sweep");
    let sandbox = ("INPUT_ARGS", "--sandbox");
    let output = run(folder.path(), &[sweep, sandbox, ("INPUT_DELETE", "false")]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let output = run(folder.path(), &[sweep, sandbox, ("INPUT_DRY_RUN", "yes")]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("--dry-run must be true or false"),
        "{}",
        said(&output)
    );
}

/// A `gh` that answers with these artifacts, and whose downloads have one journal.
fn fake_gh(folder: &Path, artifacts: &str) -> PathBuf {
    let program = folder.join("gh");
    let text = format!(
        "#!/usr/bin/env bash\n\
         if [ \"$1\" = api ]; then cat <<'EOF'\n{artifacts}\nEOF\n\
         exit \"${{GH_EXIT:-0}}\"; fi\n\
         echo \"from $3\" > \"${{*: -1}}/run.journal.jsonl\"\n\
         echo \"$3\" >> \"{}/downloaded\"\n",
        folder.display()
    );
    std::fs::write(&program, text).unwrap();
    let mut command = Command::new("chmod");
    assert!(command.arg("+x").arg(&program).status().unwrap().success());
    folder.to_owned()
}

#[test]
fn only_journals_of_the_own_default_branch_are_fetched() {
    let artifact = |run: u32, branch: &str, head: u32, day: u32| {
        format!(
            r#"{{"expired":false,"created_at":"2026-05-{day:02}T00:00:00Z","workflow_run":{{"id":{run},"head_branch":"{branch}","head_repository_id":{head},"repository_id":1}}}}"#
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let artifacts = [
        artifact(12, "main", 1, 3),
        artifact(11, "main", 1, 2),
        // A fork's own `main`, and another branch.
        artifact(13, "main", 2, 4),
        artifact(14, "patch-1", 1, 5),
    ];
    let answer = format!("{{\"artifacts\":[{}]}}", artifacts.join(","));
    let path = fake_gh(folder.path(), &answer);
    let journal = folder.path().join("journal");
    let fetch = |exit: &str| {
        let system = std::env::var("PATH").unwrap_or_default();
        script("fetch-journal.sh")
            .env("PATH", format!("{}:{system}", path.display()))
            .env("GH_EXIT", exit)
            .env("ARTIFACT", "preview-gc-journal")
            .env("DEFAULT_BRANCH", "main")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("PREVIEW_GC_JOURNAL", &journal)
            .output()
            .unwrap()
    };
    let output = fetch("0");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let downloaded = std::fs::read_to_string(folder.path().join("downloaded")).unwrap();
    assert_eq!(downloaded, "11\n12\n", "the newest comes last");
    let text = std::fs::read_to_string(journal.join("run.journal.jsonl")).unwrap();
    assert_eq!(text, "from 12\n");
    // What could not be asked for is not absent.
    let output = fetch("1");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("actions: read"), "{}", said(&output));
}

#[test]
fn no_backup_is_in_the_journals_of_an_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let line = r#"{"entry":"intent","copy":{"held":{"secret":"canary"},"implied":[{"copy":{"held":"canary"}}]}}"#;
    let text = format!("{line}\n{{\"entry\":\"outcome\"}}\n{{\"entry\":\"in");
    std::fs::write(journal.join("1.journal.jsonl"), text).unwrap();
    std::fs::write(journal.join("reads.json"), "{}").unwrap();
    std::fs::write(journal.join("other"), "canary").unwrap();
    let kept = folder.path().join("kept");
    let mut command = script("keep-journal.sh");
    command
        .env("PREVIEW_GC_JOURNAL", &journal)
        .env("KEPT", &kept);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = std::fs::read_to_string(kept.join("1.journal.jsonl")).unwrap();
    assert_eq!(
        text,
        "{\"entry\":\"intent\",\"copy\":{\"implied\":[{\"copy\":{}}]}}\n{\"entry\":\"outcome\"}\n"
    );
    assert!(kept.join("reads.json").exists() && !kept.join("other").exists());
}

/// Until something is published under a name, anybody could register that name and
/// be given the tokens.
#[test]
fn the_workflow_that_init_writes_runs_nothing_from_a_registry() {
    let text = include_str!("../../src/cli/init/workflow.yml");
    for word in ["npx", "npm ", "pipx", "docker", "cargo install"] {
        assert!(!text.contains(word), "{word}");
    }
    let uses = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- uses: "));
    let uses: Vec<_> = uses.collect();
    assert_eq!(uses.len(), 2, "{uses:?}");
    assert!(uses[0].starts_with("actions/checkout@"));
    // No account can be called so.
    assert!(uses[1].starts_with("<owner>/<repository>/"));
}
