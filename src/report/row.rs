//! One resource of the report, with all that renderers say about it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{PullRequestLine, RuleAt};
use crate::gc::box_key;
use crate::gc::verdict::{Unmatched, Verdict};
use crate::model::{Attribute, Claim, KindRef, Place, Repository};
use crate::policy::nearest::{Compared, Nearest};

/// One resource of the report.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its kind.
    pub kind: KindRef,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The account, zone, project or repository.
    pub place: Arc<Place>,
    /// The verdict, with what it relies on.
    pub verdict: Verdict,
    /// The reason, in words for people: that of the verdict, and what the plan
    /// and the resource's own expiry add to it.
    pub reason: String,
    /// The rule that matched, and the repository of its policy.
    pub rule: Option<(RuleAt, Repository)>,
    /// The resource that it belongs to, if the rule matched the name of that one.
    pub matched_by_owner: Option<String>,
    /// The claim: the owner according to the name.
    pub claim: Option<Claim>,
    /// The pull request by which the claim was judged.
    pub pull_request: Option<PullRequestLine>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub changed_at: Option<DateTime<Utc>>,
    /// Attributes that only its kind has.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Resources that it uses or belongs to, as far as they were read.
    pub references: Vec<RowReference>,
    /// Names of Workers whose bindings to it are removed before it is deleted,
    /// because they bind each other.
    pub unbinds: Vec<String>,
    /// Why a sweep would not delete it although it is garbage, if that is not the cap.
    pub blocked: Option<String>,
    /// Further matches of the same name.
    pub also_matched_as: Vec<OtherMatch>,
    /// Its key in the tracking issue.
    pub key: String,
    /// The digest of what it is, which the tracking issue stores.
    pub version: String,
    /// A command that deletes it by hand, with what has to go first.
    pub command: String,
    /// Its place in the order of deletion: users before what they use.
    pub order: (usize, usize),
    /// Its page at the provider.
    pub dashboard: Option<String>,
    /// When its own expiry deletes it although its verdict keeps it.
    pub own_expiry: Option<DateTime<Utc>>,
    /// What the next sweep does with it, if it is garbage.
    pub next: Option<NextSweep>,
    /// The rule that comes closest to its name, where none matches it and the
    /// command asks for it.
    pub nearest: Option<Nearest>,
}

/// What the next sweep does with a garbage resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextSweep {
    /// It deletes it.
    Now,
    /// `--max-deletions` leaves it for a later run.
    Later,
    /// Something that stays keeps it from being deleted, or from being deleted yet.
    Blocked,
    /// Its rule only reports it.
    ReportOnly,
}

impl NextSweep {
    /// Returns the name in JSON and CSV.
    pub fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Later => "later",
            Self::Blocked => "blocked",
            Self::ReportOnly => "report_only",
        }
    }
}

impl Row {
    /// Returns what to compare with the rules, if no rule matches its name.
    pub fn compared(&self) -> Option<Compared<'_>> {
        let branch = self.kind.branch.and_then(|key| {
            let found = self.attributes.iter().find(|(name, _)| *name == key);
            match found {
                Some((_, Attribute::Text(branch))) => Some(&**branch),
                _ => None,
            }
        });
        let is_unruled = matches!(self.verdict, Verdict::Unmatched(Unmatched::NoRule));
        is_unruled.then_some(Compared {
            kind: Some(self.kind),
            name: &self.name,
            branch,
        })
    }

    /// Returns whether a sweep may delete it.
    pub fn is_deletable(&self) -> bool {
        self.verdict.is_deletable()
    }

    /// Returns when its owner ended.
    pub fn dead_since(&self) -> Option<DateTime<Utc>> {
        self.verdict.death()?.dead_since
    }

    /// Returns the listing that showed it, as [`box_key::origin`] names it.
    pub fn origin(&self) -> String {
        box_key::origin(self.kind.name(), self.place.id())
    }
}

/// How a resource refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It uses the other one.
    Uses,
    /// The other one is its parent.
    Parent,
}

impl Relation {
    /// Returns the name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uses => "uses",
            Self::Parent => "parent",
        }
    }
}

/// One reference of a resource.
#[derive(Debug, Clone)]
pub struct RowReference {
    /// The relation.
    pub relation: Relation,
    /// The kind of the other resource.
    pub kind: &'static str,
    /// Its name or id.
    pub target: String,
}

/// Another match of a name.
#[derive(Debug, Clone)]
pub struct OtherMatch {
    /// The rule.
    pub rule: String,
    /// The claim of this match.
    pub claim: Claim,
    /// The verdict by this match alone.
    pub verdict: Verdict,
}
