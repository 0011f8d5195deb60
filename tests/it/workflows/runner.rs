//! Runs the jobs of our workflows as Actions does: every `run:` step in a shell of
//! its own with the environment that the workflow gives it, and the steps of our
//! own action in place. Actions of others are replaced by what they do to files;
//! `gh` and `cargo` are replaced by scripts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::expression::{Context, Status};
use crate::support::Server;

/// The repository of the sandbox's world, in which the workflows run.
const REPOSITORY: &str = "acme/shop";

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
        let state = self.server.door("GET", "state", "");
        let resources = state["resources"].as_array().unwrap();
        resources.iter().any(|one| one["name"] == name)
    }
}

/// Evaluates the outputs of a job or action.
fn outputs(declared: &Value, context: &Context) -> Value {
    let declared = declared.as_object().cloned().unwrap_or_default();
    let values = declared.into_iter().map(|(name, template)| {
        let template = template.get("value").unwrap_or(&template).clone();
        (name, json!(context.text(template.as_str().unwrap())))
    });
    Value::Object(values.collect())
}

/// The machine of one job.
struct Machine<'a> {
    actions: &'a Actions,
    run: u32,
    name: String,
    workspace: PathBuf,
    temp: PathBuf,
    event: &'static str,
}

impl Machine<'_> {
    /// Runs the steps of a job or of a composite action.
    fn steps(&self, steps: &Value, mut context: Context, done: &mut Vec<Step>) -> Context {
        for step in steps.as_array().unwrap() {
            let uses = step["uses"].as_str();
            let name = step["name"].as_str().or(uses).unwrap_or("run").to_owned();
            let mut ran = Step {
                name,
                ..Step::default()
            };
            if context.holds(step["if"].as_str()) {
                match uses {
                    None => self.shell(step, &context, &mut ran),
                    Some(uses) if uses.contains("/.github/actions/preview-gc") => {
                        self.action(step, &context, done, &mut ran);
                    }
                    Some(uses) => self.foreign(uses, step, &context, &mut ran),
                }
                if ran.code != Some(0) {
                    context.status = Status::Failure;
                }
            }
            if let Some(id) = step["id"].as_str() {
                context.values["steps"][id] = json!({"outputs": ran.outputs});
            }
            done.push(ran);
        }
        context
    }

    /// Evaluates `with` or `env` of a step.
    fn evaluated(fields: &Value, context: &Context) -> BTreeMap<String, String> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        let text = |value: &Value| match value {
            Value::String(text) => context.text(text),
            other => other.to_string(),
        };
        fields
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }

    /// Runs our own action.
    fn action(&self, step: &Value, context: &Context, done: &mut Vec<Step>, ran: &mut Step) {
        let action = read("actions/preview-gc/action.yml");
        let given = Self::evaluated(&step["with"], context);
        let declared = action["inputs"].as_object().unwrap();
        for name in given.keys() {
            assert!(
                declared.contains_key(name),
                "the action has no input {name}"
            );
        }
        let inputs = declared.iter().map(|(name, input)| {
            let value = given
                .get(name)
                .cloned()
                .unwrap_or_else(|| context.text(input["default"].as_str().unwrap_or_default()));
            (name.clone(), json!(value))
        });
        let mut inner = context.clone();
        inner.values["inputs"] = Value::Object(inputs.collect());
        inner.values["steps"] = json!({});
        let path = crate::support::path("../.github/actions/preview-gc");
        inner.values["github"]["action_path"] = json!(path);
        inner.values["github"]["action_ref"] = json!(*self.actions.action_ref.borrow());
        inner.values["github"]["action_repository"] = json!("preview/gc");
        for secret in ["secrets", "vars"] {
            inner.values[secret] = Value::Null;
        }
        let after = self.steps(&action["runs"]["steps"], inner, done);
        let outputs = outputs(&action["outputs"], &after);
        ran.outputs = serde_json::from_value(outputs).unwrap();
        ran.code = Some(i32::from(after.status == Status::Failure));
    }

    /// Does what an action of others does.
    fn foreign(&self, uses: &str, step: &Value, context: &Context, ran: &mut Step) {
        let with = Self::evaluated(&step["with"], context);
        let (action, commit) = uses.split_once('@').unwrap();
        assert!(commit.len() == 40, "{uses} is not pinned");
        ran.code = Some(0);
        match action {
            "actions/checkout" => {
                assert_eq!(with["persist-credentials"], "false");
                let policies = crate::support::path("../policies/demo.toml");
                std::fs::create_dir_all(self.workspace.join("policies")).unwrap();
                copy(&policies, &self.workspace.join("policies"));
            }
            "actions/create-github-app-token" => {
                ran.outputs
                    .insert("token".to_owned(), "secret-app".to_owned());
            }
            "actions/cache" => {
                let kept = self.actions.path(&format!("caches/{}", with["key"]));
                if kept.is_dir() {
                    copy(&kept, Path::new(&with["path"]));
                    ran.outputs
                        .insert("cache-hit".to_owned(), "true".to_owned());
                }
            }
            "actions/upload-artifact" => self.upload(&with, ran),
            "actions/download-artifact" => {
                let from = self.artifact(&with["name"]);
                copy(&from, &self.workspace);
            }
            _ => panic!("{uses} is not known here"),
        }
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.actions.path(&format!("artifacts/{}/{name}", self.run))
    }

    fn upload(&self, with: &BTreeMap<String, String>, ran: &mut Step) {
        let from = self.workspace.join(&with["path"]);
        let empty = from.is_dir() && std::fs::read_dir(&from).unwrap().next().is_none();
        if !from.exists() || empty {
            let ignored = with
                .get("if-no-files-found")
                .is_some_and(|what| what == "ignore");
            ran.code = Some(i32::from(!ignored));
            return;
        }
        let to = self.artifact(&with["name"]);
        assert!(!to.exists(), "a run has one artifact of each name");
        std::fs::create_dir_all(&to).unwrap();
        copy(&from, &to);
        let list = self.actions.path("artifacts.json");
        let mut all: Value = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
        let second = self.run % 60;
        let artifact = json!({"name": with["name"], "expired": false,
            "created_at": format!("2026-03-02T09:00:{second:02}Z"), "workflow_run": {"id": self.run}});
        all["artifacts"].as_array_mut().unwrap().push(artifact);
        std::fs::write(list, all.to_string()).unwrap();
    }

    /// Runs a `run:` step.
    fn shell(&self, step: &Value, context: &Context, ran: &mut Step) {
        let given = Self::evaluated(&step["env"], context);
        ran.environment = self.environment();
        ran.environment.extend(given);
        let script = self.temp.join("step.sh");
        std::fs::write(&script, context.text(step["run"].as_str().unwrap())).unwrap();
        for file in ["output", "summary", "env"] {
            std::fs::write(self.temp.join(file), "").unwrap();
        }
        let mut command = Command::new("bash");
        if step["shell"] == "bash" {
            command.args(["--noprofile", "--norc", "-eo", "pipefail"]);
        } else {
            command.arg("-e");
        }
        command
            .arg(&script)
            .env_clear()
            .envs(&ran.environment)
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        if self.actions.cancel.get() && step["id"] == "run" {
            self.cancel(&child);
        }
        let output = child.wait_with_output().unwrap();
        ran.code = Some(output.status.code().unwrap_or(-1));
        ran.log = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        ran.summary = std::fs::read_to_string(self.temp.join("summary")).unwrap();
        let outputs = std::fs::read_to_string(self.temp.join("output")).unwrap();
        let outputs = outputs.lines().filter_map(|line| line.split_once('='));
        ran.outputs = outputs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if step["id"].is_null() && ran.name == "Build the program" {
            let built = self.temp.join("preview-gc-program");
            let key = context.values["steps"]["choose"]["outputs"]["cache-key"].as_str();
            copy(
                &built,
                &self.actions.path(&format!("caches/{}", key.unwrap())),
            );
        }
    }

    /// Interrupts the first process of a step, as Actions does when a run is
    /// cancelled.
    fn cancel(&self, child: &std::process::Child) {
        let journal = self.temp.join("preview-gc-journal");
        let has_intent = || {
            let entries = std::fs::read_dir(&journal).into_iter().flatten().flatten();
            let mut texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
            texts.any(|text| text.contains("\"intent\""))
        };
        while !has_intent() {
            std::thread::yield_now();
        }
        let mut kill = Command::new("kill");
        kill.args(["-INT".to_owned(), child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// The environment of every step: that of the machine, and what a person
    /// would set to use the sandbox instead of the providers.
    fn environment(&self) -> BTreeMap<String, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.actions.path("bin").display());
        let file = |name: &str| self.temp.join(name).display().to_string();
        let event = self.actions.path(&format!("event-{}.json", self.run));
        let mut all: BTreeMap<String, String> = [
            ("PATH", path),
            ("HOME", self.actions.folder.path().display().to_string()),
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", self.event.to_owned()),
            ("GITHUB_EVENT_PATH", event.display().to_string()),
            ("GITHUB_JOB", self.name.clone()),
            ("GITHUB_OUTPUT", file("output")),
            ("GITHUB_STEP_SUMMARY", file("summary")),
            ("GITHUB_ENV", file("env")),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_RUN_ID", self.run.to_string()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("RUNNER_ARCH", "X64".to_owned()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", self.temp.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let addresses = self.actions.server.environment.iter();
        let addresses = addresses.filter(|(name, _)| {
            name.ends_with("_URL") || name.ends_with("_HOST") || name == "PREVIEW_GC_NOW"
        });
        all.extend(addresses.cloned());
        if let Some(now) = &*self.actions.now.borrow() {
            all.insert("PREVIEW_GC_NOW".to_owned(), now.clone());
        }
        all
    }
}
