//! Runs the jobs of our workflows as Actions does: every `run:` step in a shell of
//! its own with the environment that the workflow gives it, and the steps of our
//! own action in place. Actions of others are replaced by what they do to files;
//! `gh` and `cargo` are replaced by scripts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::expression::{Context, Status};
use super::machine::{Machine, outputs};
use crate::support::Server;

/// The repository of the sandbox's world, in which the workflows run.
pub(super) const REPOSITORY: &str = "acme/shop";

/// One step as it ran.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) name: String,
    /// The exit code; `None` if it was skipped.
    pub(super) code: Option<i32>,
    pub(super) log: String,
    pub(super) summary: String,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// One job as it ran.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Value,
    /// The environment whose approval it waits for.
    pub(super) environment: Option<String>,
    pub(super) failed: bool,
    pub(super) skipped: bool,
}

impl Job {
    /// Returns the last step of this name that ran.
    pub(super) fn step(&self, name: &str) -> &Step {
        let mut found = self.steps.iter().rev();
        found
            .find(|step| step.name == name && step.code.is_some())
            .unwrap_or_else(|| panic!("{name} did not run: {:#?}", self.steps))
    }

    /// Returns the step in which preview-gc ran.
    pub(super) fn program(&self) -> &Step {
        self.step("Run preview-gc")
    }

    pub(super) fn summary(&self) -> String {
        self.steps.iter().map(|step| &*step.summary).collect()
    }

    pub(super) fn log(&self) -> String {
        self.steps.iter().map(|step| &*step.log).collect()
    }
}

/// What starts a workflow.
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) payload: Value,
}

impl Event {
    /// A schedule: its event describes neither repository nor branch.
    pub(super) fn schedule() -> Self {
        Self {
            name: "schedule",
            payload: json!({"schedule": "17 4 * * 1"}),
        }
    }

    pub(super) fn dispatch(inputs: &Value) -> Self {
        let repository = json!({"default_branch": "main", "private": true});
        Self {
            name: "workflow_dispatch",
            payload: json!({"inputs": inputs, "repository": repository}),
        }
    }

    pub(super) fn closed(number: u32) -> Self {
        let repository = json!({"default_branch": "main", "private": true});
        Self {
            name: "pull_request_target",
            payload: json!({"action": "closed", "pull_request": {"number": number},
                "repository": repository}),
        }
    }
}

/// Actions for one repository, with the sandbox in place of the providers.
pub(super) struct Actions {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) secrets: Value,
    pub(super) variables: Value,
    /// The commit or tag at which the workflows use our action.
    pub(super) action_ref: RefCell<String>,
    /// Replaces the time of the sandbox's world.
    pub(super) now: RefCell<Option<String>>,
    /// Whether the program is interrupted once its journal has an intent.
    pub(super) cancel: Cell<bool>,
    runs: Cell<u32>,
}

/// Converts what the parser gives to JSON.
fn json_of(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => json!(text),
        Yaml::Integer(number) => json!(number),
        Yaml::Boolean(value) => json!(value),
        Yaml::Array(items) => items.iter().map(json_of).collect(),
        Yaml::Hash(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                let key = key.as_str().expect("a key is text");
                (key.to_owned(), json_of(value))
            });
            Value::Object(fields.collect())
        }
        Yaml::Null => Value::Null,
        Yaml::Alias(_) | Yaml::BadValue => panic!("not understood: {yaml:?}"),
    }
}

/// Reads a file of `.github`.
pub(super) fn read(name: &str) -> Value {
    let path = crate::support::path("../.github").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    json_of(&YamlLoader::load_from_str(&text).unwrap()[0])
}

fn make_program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let mut command = Command::new("chmod");
    assert!(command.arg("+x").arg(path).status().unwrap().success());
}

pub(super) fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to.join(from.file_name().unwrap())).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `gh`, answering from the files of this folder.
const GH: &str = r#"#!/usr/bin/env bash
set -eu
[ -n "${GH_TOKEN:-}" ] || { echo "gh: no token" >&2; exit 4; }
store="STORE"
option() {
  local name=$1; shift
  while [ $# -gt 0 ]; do
    if [ "$1" = "$name" ]; then echo "$2"; return; fi
    shift
  done
}
filter=$(option --jq "$@")
answer() {
  [ -f "$1" ] || { echo "gh: Not Found (HTTP 404)" >&2; exit 1; }
  jq -r "${filter:-.}" "$1"
}
case "$1 $2" in
  "api repos/acme/shop") answer "$store/repository.json" ;;
  "api repos/acme/shop/environments/"*) answer "$store/environment.json" ;;
  "api repos/acme/shop/actions/artifacts?name="*)
    name=${2##*name=}
    [ -f "$store/artifacts.json" ] || exit 1
    jq --arg name "${name%%&*}" '.artifacts |= map(select(.name == $name))' "$store/artifacts.json" ;;
  "api repos/acme/shop/actions/runs/"*) answer "$store/runs/${2##*/}.json" ;;
  "api repos/"*"/commits/"*) answer "$store/commits/${2##*/}.json" ;;
  "run download") cp -R "$store/artifacts/$3/$(option --name "$@")/." "$(option --dir "$@")/" ;;
  "release view") [ -d "$store/releases/$3" ] ;;
  "release download") cp "$store/releases/$3/$(option --pattern "$@")" . ;;
  "attestation verify") grep -qxF -- "$*" "$store/attested" ;;
  *) echo "gh: not known here: $*" >&2; exit 9 ;;
esac
"#;

/// `cargo build`, which gives the program that is tested.
const CARGO: &str = r#"#!/usr/bin/env bash
set -eu
while [ $# -gt 0 ]; do
  if [ "$1" = --target-dir ]; then target=$2; fi
  shift
done
mkdir -p "$target/release"
cp "PROGRAM" "$target/release/preview-gc"
echo built >> "STORE/built"
"#;

impl Actions {
    /// Starts a sandbox with the demo world, and a repository with its policy.
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(arguments);
        let known = |name: &str| {
            let mut all = server.environment.iter();
            let (_, value) = all.find(|(known, _)| known == name).unwrap();
            value.clone()
        };
        let ids = [
            "CLOUDFLARE_ACCOUNT_ID",
            "CLOUDFLARE_ZONE_ID",
            "NEON_PROJECT_ID",
        ];
        let mut variables: Map<String, Value> = ids
            .iter()
            .map(|name| ((*name).to_owned(), json!(known(name))))
            .collect();
        variables.insert("PREVIEW_GC_ENABLED".to_owned(), json!("true"));
        let actions = Self {
            secrets: json!({"CLOUDFLARE_API_TOKEN": "secret-cloudflare", "NEON_API_KEY": "secret-neon"}),
            variables: Value::Object(variables),
            action_ref: RefCell::new("main".to_owned()),
            now: RefCell::new(None),
            cancel: Cell::new(false),
            runs: Cell::new(100),
            folder,
            server,
        };
        for folder in ["bin", "runs", "artifacts", "caches", "commits", "releases"] {
            std::fs::create_dir(actions.path(folder)).unwrap();
        }
        let store = actions.folder.path().display().to_string();
        let program = env!("CARGO_BIN_EXE_preview-gc");
        make_program(&actions.path("bin/gh"), &GH.replace("STORE", &store));
        let cargo = CARGO.replace("STORE", &store).replace("PROGRAM", program);
        make_program(&actions.path("bin/cargo"), &cargo);
        actions.write(
            "repository.json",
            &json!({"default_branch": "main", "private": true}),
        );
        actions.write("artifacts.json", &json!({"artifacts": []}));
        let reviewer = json!({"type": "User", "reviewer": {"login": "maintainer"}});
        let rule = json!({"type": "required_reviewers", "reviewers": [reviewer]});
        actions.write("environment.json", &json!({"protection_rules": [rule]}));
        actions
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path(name), value.to_string()).unwrap();
    }

    /// Runs all jobs of a workflow; every environment is approved.
    pub(super) fn run(&self, workflow: &str, event: &Event) -> BTreeMap<String, Job> {
        let run = self.begin(event);
        let jobs = read(workflow)["jobs"].as_object().unwrap().clone();
        let mut done = BTreeMap::new();
        let mut needs = json!({});
        let mut waiting: Vec<_> = jobs.keys().cloned().collect();
        while !waiting.is_empty() {
            let ready = |name: &String| {
                let job = &jobs[name];
                let needed = job["needs"].as_str().map(str::to_owned);
                needed.is_none_or(|needed| done.contains_key(&needed))
            };
            let next = waiting
                .iter()
                .position(ready)
                .expect("jobs wait in a circle");
            let name = waiting.remove(next);
            let job = self.job(workflow, &name, event, run, &needs);
            needs[&name] = json!({"outputs": job.outputs});
            done.insert(name, job);
        }
        done
    }

    /// Begins a run and returns its number.
    pub(super) fn begin(&self, event: &Event) -> u32 {
        let run = self.runs.get() + 1;
        self.runs.set(run);
        let head = match event.name {
            // Such a run has the branch of the pull request as its head.
            "pull_request_target" => "patch-1",
            _ => "main",
        };
        let about = json!({"event": event.name, "head_branch": head,
            "head_repository": {"id": 7}, "repository": {"id": 7}});
        self.write(&format!("runs/{run}.json"), &about);
        run
    }

    /// Runs one job.
    pub(super) fn job(
        &self,
        workflow: &str,
        name: &str,
        event: &Event,
        run: u32,
        needs: &Value,
    ) -> Job {
        self.job_of(&read(workflow)["jobs"][name], name, event, run, needs)
    }

    /// Runs a job with our action as its only step.
    pub(super) fn use_action(&self, with: &Value) -> Job {
        let event = Event::dispatch(&json!({}));
        let step = json!({"uses": "<owner>/<repository>/.github/actions/preview-gc@<commit>",
            "with": with});
        let checkout = json!({"uses": read("workflows/ci.yml")["jobs"]["test"]["steps"][0]["uses"],
            "with": {"persist-credentials": "false"}});
        let run = self.begin(&event);
        self.job_of(
            &json!({"steps": [checkout, step]}),
            "one",
            &event,
            run,
            &json!({}),
        )
    }

    fn job_of(&self, job: &Value, name: &str, event: &Event, run: u32, needs: &Value) -> Job {
        let workspace = self.path(&format!("workspace-{run}-{name}"));
        let temp = self.path(&format!("temp-{run}-{name}"));
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::create_dir_all(&temp).unwrap();
        self.write(&format!("event-{run}.json"), &event.payload);
        let inputs = event.payload.get("inputs").cloned().unwrap_or(json!({}));
        let context = Context {
            values: json!({
                "github": {"event": event.payload, "event_name": event.name, "repository": REPOSITORY,
                    "token": "secret-job", "ref_name": "main", "run_id": run},
                "inputs": inputs, "secrets": self.secrets, "vars": self.variables, "needs": needs,
                "runner": {"temp": temp, "os": "Linux", "arch": "X64"}, "steps": {}, "matrix": {},
            }),
            status: Status::Success,
        };
        let environment = job["environment"].as_str().map(str::to_owned);
        // The default branch of `if` is that everything it needs succeeded.
        let condition = job["if"].as_str();
        if !context.holds(condition.or(Some("true"))) {
            return Job {
                steps: Vec::new(),
                outputs: json!({}),
                environment,
                failed: false,
                skipped: true,
            };
        }
        let machine = Machine {
            actions: self,
            run,
            name: name.to_owned(),
            workspace,
            temp,
            event: event.name,
        };
        let mut steps = Vec::new();
        let context = machine.steps(&job["steps"], context, &mut steps);
        let outputs = outputs(&job["outputs"], &context);
        Job {
            steps,
            outputs,
            environment,
            failed: context.status == Status::Failure,
            skipped: false,
        }
    }

    /// Returns the files of an artifact of the newest run that has it.
    pub(super) fn artifact(&self, name: &str) -> BTreeMap<String, String> {
        let newest = (0..=self.runs.get()).rev().find_map(|run| {
            let folder = self.path(&format!("artifacts/{run}/{name}"));
            folder.is_dir().then_some(folder)
        });
        let folder = newest.unwrap_or_else(|| panic!("no run has the artifact {name}"));
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect()
    }

    /// Returns whether the world has a resource of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap();
        resources.iter().any(|one| one["name"] == name)
    }
}
