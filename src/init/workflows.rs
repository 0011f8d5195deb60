//! Reads what a repository's workflows, scripts and wrangler configurations say
//! about the names of previews.
//!
//! The reader works line by line and runs nothing: keys and assignments become
//! variables, the pull request's number, its head and the run become holes, and
//! commands that create or delete become templates. It needs no YAML parser, so
//! anchors, aliases and depth cost nothing; a construct that it does not know
//! becomes a hole of unknown text, which never proves anything by itself.

mod expressions;
mod sinks;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use expressions::{WorkflowVariables, resolve};

/// A file of the repository.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path from the root of the repository.
    pub path: String,
    /// The text of the file.
    pub text: String,
}

/// The largest file that is read, in bytes.
const LARGEST: usize = 512 * 1024;
/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 8 * 1024;
/// The most templates of one file.
const MOST: usize = 200;

/// A hole of unknown text in a template.
pub const UNKNOWN: &str = "{*}";

/// A name that a workflow makes or deletes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct WorkflowName {
    /// The kind.
    pub kind: &'static str,
    /// The name with `{pr}`, `{branch}`, `{slug}`, `{run}` and `{*}` as holes.
    pub template: String,
    /// The file and line.
    pub location: String,
    /// Whether the command deletes.
    pub deletes: bool,
}

impl WorkflowName {
    /// Whether this name may be what a rule's template spells: the unknown holes
    /// take any text without a hole.
    pub fn covers(&self, template: &str) -> bool {
        let literal: usize = self.template.split(UNKNOWN).map(str::len).sum();
        // `{*}{pr}` says nothing.
        literal > "{pr}".len() + 2
            && self.template.contains("{pr}")
            && covers(&self.template, template)
    }
}

/// Matches part by part with the set of positions that can be reached, so that
/// many holes cost no more than many letters.
fn covers(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(UNKNOWN);
    let first = parts.next().unwrap_or_default();
    let mut reached = vec![false; text.len() + 1];
    if !text.starts_with(first) {
        return false;
    }
    reached[first.len()] = true;
    for part in parts {
        let mut next = vec![false; text.len() + 1];
        let mut open = false;
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            open |= reached[at];
            if open && text[at..].starts_with(part) {
                next[at + part.len()] = true;
            }
            open &= !text[at..].starts_with('{');
        }
        reached = next;
    }
    reached[text.len()]
}

/// What the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFacts {
    /// The names.
    pub made: Vec<WorkflowName>,
    /// What is worth saying about the workflows.
    pub advice: Vec<String>,
    /// The Cloudflare account of the wrangler configurations, if all agree.
    pub account: Option<String>,
    /// Workflow files.
    pub workflows: usize,
    /// Wrangler configurations.
    pub configurations: usize,
}

/// Reads workflows, scripts and wrangler configurations.
pub fn read(files: &[SourceFile]) -> WorkflowFacts {
    let mut facts = WorkflowFacts::default();
    let mut accounts = BTreeSet::new();
    let mut services = BTreeSet::new();
    for file in files {
        if file.text.len() > LARGEST {
            facts
                .advice
                .push(format!("{} is too large to be read", file.path));
        } else if is_configuration(&file.path) {
            facts.configurations += 1;
            let (name, account) = configuration(file);
            services.extend(name);
            accounts.extend(account);
        }
    }
    let mut closes = false;
    let mut opens = None;
    for file in files {
        if file.text.len() > LARGEST || is_configuration(&file.path) {
            continue;
        }
        let is_workflow = [".yml", ".yaml"].iter().any(|end| file.path.ends_with(end));
        facts.workflows += usize::from(is_workflow);
        let made = names(file, &services, &mut facts.advice);
        let creates = made
            .iter()
            .any(|one| !one.deletes && one.template.contains("{pr}"));
        closes |= triggers_on_close(&file.text);
        if is_workflow && creates && file.text.contains("pull_request") {
            opens.get_or_insert(&file.path);
        }
        facts.made.extend(made);
    }
    if let (Some(path), false) = (opens, closes) {
        facts.advice.push(format!(
            "{path} creates previews for pull requests, and no workflow runs when one is closed"
        ));
    }
    facts.made.sort();
    facts.made.dedup();
    facts.account = accounts.pop_first().filter(|_| accounts.is_empty());
    facts
}

fn is_configuration(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "wrangler.toml" | "wrangler.json" | "wrangler.jsonc")
}

/// Whether a workflow has the `closed` type of pull requests.
fn triggers_on_close(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.any(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let in_list = line.starts_with("types:") && line.contains("closed");
        in_list || line == "- closed" || line == "- \"closed\"" || line == "- 'closed'"
    })
}

/// The name and account of a wrangler configuration: TOML and JSON with comments
/// alike, at the top level.
fn configuration(file: &SourceFile) -> (Option<String>, Option<String>) {
    let mut name = None;
    let mut account = None;
    for line in file.text.lines().take(2_000) {
        let line = line.trim();
        // What follows belongs to an environment or a binding.
        if line.starts_with('[') {
            break;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            continue;
        };
        let value = value.trim().trim_end_matches(',');
        let value = value.trim_matches(['"', '\'']).to_owned();
        match key.trim().trim_matches(['"', '\'']) {
            "name" if name.is_none() && super::names::is_plain(&value) => name = Some(value),
            "account_id" if value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()) => {
                account.get_or_insert(value);
            }
            _ => {}
        }
    }
    (name, account)
}

/// A line with its continuation lines, and where it begins.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        if line.len() > LONGEST_LINE {
            continue;
        }
        let trimmed = line.trim_end();
        let (number, mut whole) = open.take().unwrap_or((index + 1, String::new()));
        match trimmed.strip_suffix('\\') {
            Some(part) if whole.len() < LONGEST_LINE => {
                whole.push_str(part);
                whole.push(' ');
                open = Some((number, whole));
            }
            _ => {
                whole.push_str(trimmed);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    lines
}

fn names(
    file: &SourceFile,
    services: &BTreeSet<String>,
    advice: &mut Vec<String>,
) -> Vec<WorkflowName> {
    let mut variables: WorkflowVariables = BTreeMap::new();
    let mut action = String::new();
    let mut made = Vec::new();
    let lines = logical_lines(&file.text);
    // Values may be written below their use: jobs run in any order.
    for (_, line) in &lines {
        expressions::learn(line, &mut variables);
    }
    let mut create: Option<(usize, bool)> = None;
    for (number, line) in &lines {
        let location = format!("{}:{number}", file.path);
        let text = line.trim().trim_start_matches("- ").trim();
        if text.starts_with('#') {
            continue;
        }
        let step = line.trim_start().starts_with("- ");
        if let Some(uses) = text.strip_prefix("uses:") {
            action = String::from(uses.trim().trim_matches(['"', '\'']));
        } else if step {
            action.clear();
        }
        if action.starts_with("neondatabase/create-branch-action") {
            if text.starts_with("uses:") {
                create = Some((*number, false));
            } else if text.starts_with("expires_at:") {
                create = create.map(|(number, _)| (number, true));
            }
        } else if let Some((number, false)) = create.take() {
            advice.push(without_expiry(&file.path, number));
        }
        expressions::learn_here(text, &mut variables);
        let resolved = resolve(text, &variables, 0);
        let found = sinks::find(text, &resolved, &action, services);
        for (kind, template, deletes) in found {
            let template: String = template.chars().take(200).collect();
            if deletes && ignores_failure(text) {
                advice.push(format!("{location} deletes {kind} and ignores a failure"));
            }
            if made.len() < MOST {
                made.push(WorkflowName {
                    kind,
                    template,
                    location: location.clone(),
                    deletes,
                });
            }
        }
    }
    if let Some((number, false)) = create {
        advice.push(without_expiry(&file.path, number));
    }
    if file.text.contains("continue-on-error: true") && made.iter().any(|one| one.deletes) {
        advice.push(format!("{} cleans up with continue-on-error", file.path));
    }
    made
}

fn without_expiry(path: &str, line: usize) -> String {
    format!("{path}:{line} creates Neon branches without expires_at")
}

fn ignores_failure(line: &str) -> bool {
    line.contains("|| true") || line.contains("|| echo") || line.contains("|| :")
}

#[cfg(test)]
mod tests;
