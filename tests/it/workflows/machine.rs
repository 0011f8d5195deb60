//! The machine of one job: runs its steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::expression::{Context, Status};
use super::runner::{Actions, REPOSITORY, Step, copy, read};

/// Evaluates the outputs of a job or action.
pub(super) fn outputs(declared: &Value, context: &Context) -> Value {
    let declared = declared.as_object().cloned().unwrap_or_default();
    let values = declared.into_iter().map(|(name, template)| {
        let template = template.get("value").unwrap_or(&template).clone();
        (name, json!(context.text(template.as_str().unwrap())))
    });
    Value::Object(values.collect())
}

/// The machine of one job.
pub(super) struct Machine<'a> {
    pub(super) actions: &'a Actions,
    pub(super) run: u32,
    pub(super) name: String,
    pub(super) workspace: PathBuf,
    pub(super) temp: PathBuf,
    pub(super) event: &'static str,
}

impl Machine<'_> {
    /// Runs the steps of a job or of a composite action.
    pub(super) fn steps(
        &self,
        steps: &Value,
        mut context: Context,
        done: &mut Vec<Step>,
    ) -> Context {
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
