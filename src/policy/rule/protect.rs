//! `protect` entries.

use std::sync::Arc;

use super::super::Location;
use super::super::template::Captures;
use super::{Condition, Patterns, Span, Where, branch, covered};
use crate::model::{KindRef, PullRequestNumber, Resource};

/// Something that is kept whatever the rules say.
#[derive(Debug, Clone)]
pub struct Protect {
    /// The pull request whose resources it covers, whatever they are called.
    pub pull_request: Option<PullRequestNumber>,
    /// The kinds that it is about; all without any.
    pub kinds: Option<Vec<KindRef>>,
    /// Where it applies.
    pub place: Where,
    /// The names; all without any.
    pub(in crate::policy) names: Option<Vec<Patterns>>,
    /// The file that the names come from, if they come from one.
    pub(in crate::policy) names_file: Option<NamesFile>,
    /// The git branches that they carry; all without any.
    pub(in crate::policy) branches: Option<Vec<Patterns>>,
    /// Conditions on attributes.
    pub conditions: Vec<Condition>,
    /// The owner's reason.
    pub reason: Arc<str>,
    /// Where it stands.
    pub location: Location,
    /// The bytes of its file that it takes.
    pub span: Span,
}

/// A file of names, with a name in each of these lines.
#[derive(Debug, Clone)]
pub(in crate::policy) struct NamesFile {
    /// Its path, as the policy writes it.
    pub(in crate::policy) path: Box<str>,
    /// The number of each line, and its name.
    pub(in crate::policy) lines: Vec<(usize, Box<str>)>,
}

/// Whether a `protect` entry covers a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The answer lacks the attribute that it asks about.
    CannotTell(&'static str),
}

impl Protect {
    /// Whether the entry is about resources of this kind and name, wherever
    /// they are and whatever else they have.
    pub fn names(&self, kind: KindRef, name: &str) -> bool {
        let kinds = self.kinds.as_ref();
        self.pull_request.is_none()
            && kinds.is_none_or(|kinds| kinds.contains(&kind))
            && self.branches.is_none()
            && self
                .names
                .as_ref()
                .is_none_or(|names| covered(names, name, kind))
    }

    /// Returns the names in its file that none of these resources has, each with its
    /// place.
    pub fn unused_lines(&self, resources: &[Resource]) -> Vec<String> {
        let Some((file, names)) = self.names_file.as_ref().zip(self.names.as_ref()) else {
            return Vec::new();
        };
        let covered_ones: Vec<_> = resources
            .iter()
            .filter(|one| self.covers(one) != Coverage::No)
            .collect();
        let lines = file.lines.iter().zip(names);
        let unused = lines.filter(|(_, name)| {
            let mut ones = covered_ones.iter();
            ones.all(|one| !covered(std::slice::from_ref(*name), &one.name, one.kind))
        });
        unused
            .map(|((line, name), _)| format!("{}:{line} ({name})", file.path))
            .collect()
    }

    /// Whether it covers a resource by what the resource is. An entry about a pull
    /// request covers nothing by itself: what belongs to it is the judge's to say.
    pub fn covers(&self, resource: &Resource) -> Coverage {
        let kinds = self.kinds.as_ref();
        if self.pull_request.is_some()
            || kinds.is_some_and(|kinds| !kinds.contains(&resource.kind))
            || !self.place.covers(resource)
            || self
                .names
                .as_ref()
                .is_some_and(|names| !covered(names, &resource.name, resource.kind))
        {
            return Coverage::No;
        }
        let mut coverage = Coverage::Yes;
        if let Some(branches) = &self.branches {
            match branch(resource) {
                Ok(text) if covered(branches, text, resource.kind) => {}
                Ok(_) => return Coverage::No,
                // An entry about branches does not apply to kinds without them.
                Err(_) if resource.kind.branch.is_none() => return Coverage::No,
                Err(key) => coverage = Coverage::CannotTell(key),
            }
        }
        for condition in &self.conditions {
            match condition.holds(resource, &Captures::default()) {
                Some(true) => {}
                Some(false) => return Coverage::No,
                None => coverage = Coverage::CannotTell(condition.key),
            }
        }
        coverage
    }
}
