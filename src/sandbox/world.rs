//! World files: the content of the sandbox as JSON.

mod check;
mod origin;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use self::check::check;
use self::origin::FilePosition;
use super::faults::Fault;

/// One resource of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldResource {
    /// The kind, in preview-gc's names (`worker`, `kv_namespace`, …).
    pub kind: String,
    /// Script name, namespace title, FQDN, hostname, route pattern,
    /// deployment id for Pages, environment name.
    pub name: String,
    /// The provider's id; a stable one is generated if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was created; omitted from answers if null or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed; omitted from answers if null or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// Attributes of its kind.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// The Cloudflare account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldAccount {
    /// The 32-digit id.
    #[serde(default)]
    pub id: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A Cloudflare zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldZone {
    /// The 32-digit id.
    #[serde(default)]
    pub id: Option<String>,
    /// The domain name.
    pub name: String,
}

/// Whether a pull request is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorldPullRequestState {
    /// Open, draft or not.
    Open,
    /// Closed or merged.
    Closed,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldPullRequest {
    /// Its number.
    pub number: u32,
    /// Open or closed.
    pub state: WorldPullRequestState,
    /// Whether it was merged.
    #[serde(default)]
    pub merged: bool,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Its title.
    #[serde(default)]
    pub title: Option<String>,
    /// The git branch it comes from.
    pub head_ref: String,
    /// The repository it comes from; null for a fork that was deleted.
    #[serde(default)]
    pub head_repo: Option<String>,
    /// When it was opened; by default 30 days before it ended or changed.
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
    /// When it was closed.
    #[serde(default)]
    pub closed_at: Option<DateTime<Utc>>,
    /// When it was merged; by default when it was closed.
    #[serde(default)]
    pub merged_at: Option<DateTime<Utc>>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Labels that were removed from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlabeled: Vec<Unlabeled>,
}

/// A label that was removed from a pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlabeled {
    /// The label.
    pub label: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// An Actions run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldActionsRun {
    /// Its id.
    pub id: u64,
    /// `queued`, `in_progress`, `completed`, …
    pub status: String,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A whole world.
#[derive(Debug, Clone)]
pub struct World {
    /// `owner/name`
    pub repository: String,
    /// The time at which it is read.
    pub now: DateTime<Utc>,
    /// Pull requests of the repository.
    pub pull_requests: Vec<WorldPullRequest>,
    /// Git branches of the repository.
    pub git_branches: Vec<String>,
    /// Everything else.
    pub resources: Vec<WorldResource>,
    /// Actions runs of the repository.
    pub actions_runs: Vec<WorldActionsRun>,
    /// The zones that are named.
    pub zones: Vec<WorldZone>,
    /// The account, where it is named.
    pub account: Option<WorldAccount>,
    /// Faults from the start.
    pub faults: Vec<Fault>,
}

/// A mistake in a world file, with its position.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: {place}{message}")]
pub struct WorldError {
    file: String,
    line: usize,
    column: usize,
    place: String,
    message: String,
}

/// The file as it is written; comment keys are ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    repository: String,
    now: DateTime<Utc>,
    #[serde(default)]
    pull_requests: Vec<WorldPullRequest>,
    #[serde(default)]
    git_branches: Vec<String>,
    #[serde(default, borrow)]
    resources: Vec<&'a RawValue>,
    #[serde(default)]
    actions_runs: Vec<WorldActionsRun>,
    #[serde(default)]
    zones: Vec<Value>,
    #[serde(default)]
    account: Option<Value>,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default, rename = "id")]
    _id: Option<Value>,
    #[serde(default, rename = "naming")]
    _naming: Option<Value>,
    #[serde(default, rename = "expect")]
    _expect: Option<Value>,
    #[serde(default, rename = "why")]
    _why: Option<Value>,
    #[serde(default, rename = "source")]
    _source: Option<Value>,
    #[serde(default, rename = "notes")]
    _notes: Option<Value>,
    #[serde(default, rename = "ordering")]
    _ordering: Option<Value>,
    #[serde(default, rename = "held_out")]
    _held_out: Option<Value>,
}

impl World {
    /// Reads a world file.
    ///
    /// # Errors
    ///
    /// The first mistake, with its place.
    pub fn read(file: &str, text: &str) -> Result<Self, WorldError> {
        let whole = FilePosition {
            file,
            line: 0,
            column: 0,
            place: String::new(),
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        let read: File<'_> = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| whole.error(&error.path().to_string(), error.inner()))?;
        reader.end().map_err(|error| whole.error("", &error))?;
        if read
            .repository
            .split('/')
            .filter(|part| !part.is_empty())
            .count()
            != 2
        {
            return Err(whole.refuse(
                "repository",
                format!("{:?} is not owner/name", read.repository),
            ));
        }
        let mut resources = Vec::new();
        let mut at = TextCursor::default();
        for (index, raw) in read.resources.iter().enumerate() {
            // The raw value borrows from the text, so the distance is its offset.
            let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
            at.go_to(text, offset);
            resources.push(resource(file, at, index, raw.get())?);
        }
        let zones = read
            .zones
            .into_iter()
            .enumerate()
            .map(|(index, zone)| {
                if let Value::String(name) = zone {
                    return Ok(WorldZone { id: None, name });
                }
                serde_json::from_value(zone)
                    .map_err(|error| whole.refuse(&format!("zones[{index}]"), error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        let account = match read.account {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(WorldAccount {
                id: Some(id),
                name: None,
            }),
            Some(account) => Some(
                serde_json::from_value(account)
                    .map_err(|error| whole.refuse("account", error.to_string()))?,
            ),
        };
        Ok(Self {
            repository: read.repository,
            now: read.now,
            pull_requests: read.pull_requests,
            git_branches: read.git_branches,
            resources,
            actions_runs: read.actions_runs,
            zones,
            account,
            faults: read.faults,
        })
    }
}

/// A place in a text that is read from its beginning to its end.
#[derive(Debug, Clone, Copy, Default)]
struct TextCursor {
    offset: usize,
    line: usize,
    column: usize,
}

impl TextCursor {
    /// Moves on to a later offset.
    fn go_to(&mut self, text: &str, offset: usize) {
        let between = text.get(self.offset..offset).unwrap_or_default();
        match between.rsplit_once('\n') {
            Some((lines, rest)) => {
                self.line += lines.matches('\n').count() + 1;
                self.column = rest.len();
            }
            None => self.column += between.len(),
        }
        self.offset = offset;
    }
}

fn resource(
    file: &str,
    at: TextCursor,
    index: usize,
    raw: &str,
) -> Result<WorldResource, WorldError> {
    let origin = FilePosition {
        file,
        line: at.line,
        column: at.column,
        place: format!("resources[{index}]"),
    };
    let resource: WorldResource = origin.parse(raw)?;
    check(&resource).map_err(|(path, message)| origin.refuse(&path, message))?;
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        World::read("w.json", text).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        let head = "{\n \"repository\": \"a/b\", \"now\": \"2026-01-01T00:00:00Z\",\n";
        let cut = error(&format!("{head} \"resources\": [ {{\"kind\": \"wor"));
        assert!(cut.starts_with("w.json:3:"), "{cut}");
        let binding = error(&format!(
            "{head} \"resources\": [\n  {{\"kind\":\"d1\",\"name\":\"x\"}},\n  \
             {{\"kind\":\"worker\",\"name\":\"x\",\"attributes\":{{\"bindings\":[{{\"type\":\"kv\",\"name\":\"A\",\"target\":\"t\"}}]}}}}]}}"
        ));
        assert!(
            binding.starts_with("w.json:5:3: resources[1].attributes.bindings[0].type:"),
            "{binding}"
        );
        let kind = error(&format!(
            "{head} \"resources\": [{{\"kind\":\"wurker\",\"name\":\"x\"}}]}}"
        ));
        assert!(
            kind.contains("resources[0].kind") && kind.contains("wurker"),
            "{kind}"
        );
        let time = error(&format!(
            "{head} \"resources\": \
             [\n{{\"kind\":\"d1\",\"name\":\"x\",\n\"created_at\":\"yesterday\"}}]}}"
        ));
        assert!(
            time.starts_with("w.json:5:") && time.contains("created_at"),
            "{time}"
        );
        let key = error(&format!("{head} \"resorces\": []}}"));
        assert!(key.contains("resorces"), "{key}");
    }
}
