//! The lines of a journal: what they say, and how JSON holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gc::Outcome;
use crate::model::{KindRef, Place, Resource, ResourceId};
use crate::policy::Action;

/// The version of the format.
pub(super) const SCHEMA: u32 = 1;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum JournalEntry {
    /// The first line: a run began.
    Run {
        /// The version of the format.
        schema: u32,
        /// The name of the run.
        run: String,
        /// When it began.
        at: DateTime<Utc>,
        /// The host of GitHub's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        github: Option<String>,
        /// The ids of the repositories whose pull requests decided, by their
        /// full names in lower case.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        repositories: BTreeMap<String, u64>,
    },
    /// A request is about to be sent.
    Intent {
        /// The step, by its index in the plan.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The action.
        action: Action,
        /// The resource.
        resource: JournaledResource,
        /// A snapshot of the resource.
        copy: Box<Snapshot>,
    },
    /// A step has an outcome.
    Outcome {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The outcome.
        outcome: Outcome,
        /// The reason.
        reason: String,
    },
    /// A request is about to be sent that makes the resource of this step again.
    Restoring {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
    },
    /// That request certainly had no effect.
    NotRestored {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The reason.
        reason: String,
    },
    /// The resource that this step deleted was restored.
    Restored {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// Its new id.
        id: String,
        /// Whether its contents have yet to be written.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unfilled: bool,
        /// Whether it was made with the mark that keeps it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        marked: bool,
    },
    /// The "keep" box of the restored resource of this step is checked in the
    /// tracking issue of a repository, or may be: this is written before the request.
    KeepChecked {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The full name of the repository, in lower case.
        repository: String,
        /// The number of the issue.
        issue: u64,
    },
    /// The contents of the restored resource of this step were written.
    Filled {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
    },
    /// A person released the restored resource of this step, so that it may be
    /// deleted again.
    Released {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
    },
}

/// A resource as a journal identifies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JournaledResource {
    /// The host of its provider's API.
    pub host: String,
    /// The kind's name.
    pub kind: String,
    /// The account, zone, project or repository.
    pub place: Place,
    /// Its id.
    pub id: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The name of the resource that contains it.
    #[serde(default, rename = "within", skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<str>>,
    /// The incarnation, which differs if the same name is created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Box<str>>,
}

impl JournaledResource {
    /// Returns a resource as a journal identifies it.
    pub fn of(id: &ResourceId, host: String) -> Self {
        Self {
            host,
            kind: id.kind.name().to_owned(),
            place: Place::clone(&id.place),
            id: id.id.clone(),
            name: id.name.clone(),
            holder: id.holder.clone(),
            incarnation: id.incarnation.clone(),
        }
    }

    /// Returns the identity of the resource, if its kind is known.
    pub fn identity(&self, kinds: &[KindRef]) -> Option<ResourceId> {
        Some(ResourceId {
            kind: *kinds.iter().find(|kind| kind.name() == self.kind)?,
            place: Arc::new(self.place.clone()),
            id: self.id.clone(),
            name: self.name.clone(),
            holder: self.holder.clone(),
            incarnation: self.incarnation.clone(),
        })
    }
}

/// A resource that the provider removes together with another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Implied {
    /// The kind's name, or the name of its user source.
    pub kind: String,
    /// Its id; `None` if only its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
    /// A snapshot of it, with what is deleted with it in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Box<Snapshot>>,
}

/// A snapshot of a resource before it is deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The provider's own representation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Value>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// The id of its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<str>>,
    /// Attributes that only its kind has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// Resources that it used, as far as they were read: kinds with ids or
    /// names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<(String, String)>,
    /// Requests that were sent just before: methods and paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The expiry that is set or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Its contents, if its rule has `backup = true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Value>,
    /// Resources that the provider removes with it, without separate requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implied: Vec<Implied>,
}

impl Snapshot {
    /// Creates the snapshot from a listed resource.
    pub fn of(resource: &Resource) -> Self {
        let original = resource.original.as_deref();
        let attributes = resource.attributes.iter().map(|(key, value)| {
            let value = serde_json::to_value(value).unwrap_or_default();
            ((*key).to_owned(), value)
        });
        Self {
            original: original.and_then(|text| serde_json::from_str(text).ok()),
            created_at: resource.created_at.known(),
            changed_at: resource.changed_at.known(),
            parent: resource.parent.clone(),
            attributes: attributes.collect(),
            uses: Vec::new(),
            before: Vec::new(),
            expires_at: None,
            held: None,
            implied: Vec::new(),
        }
    }
}
