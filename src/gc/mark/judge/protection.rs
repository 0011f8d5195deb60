//! Resources that stay whatever the rules say.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::super::super::box_key;
use super::super::super::verdict::Protection;
use super::super::JudgeInput;
use super::{Judge, MatchVerdict};
use crate::evidence::Inventory;
use crate::model::{BuiltInProtection, KindName, Place, Resource};
use crate::policy::Coverage;

/// Names that resources of other kinds manage, by managed kind.
pub(in crate::gc::mark) struct Managed {
    by_kind: HashMap<&'static str, (KindName, HashSet<String>)>,
}

impl Managed {
    pub(in crate::gc::mark) fn of(inventory: &Inventory, input: &JudgeInput<'_>) -> Self {
        let mut by_kind = HashMap::new();
        for kind in input.graph.kinds() {
            if let Some(managed) = kind.manages {
                let names = inventory
                    .resources
                    .iter()
                    .filter(|resource| resource.kind == *kind)
                    .map(|resource| resource.name.to_ascii_lowercase())
                    .collect();
                by_kind.insert(managed, (kind.named(), names));
            }
        }
        Self { by_kind }
    }

    fn manager(&self, resource: &Resource) -> Option<KindName> {
        let (manager, names) = self.by_kind.get(resource.kind.name())?;
        names
            .contains(&resource.name.to_ascii_lowercase())
            .then_some(*manager)
    }
}

impl Judge<'_, '_> {
    /// The label or the `protect` entry that keeps everything of a pull request, where
    /// a resource belongs to one by any of its matches, whichever file says so.
    pub(super) fn protected_pull_request(&self, outcomes: &[MatchVerdict]) -> Option<Protection> {
        outcomes.iter().find_map(|outcome| {
            let of = self
                .input
                .policy_scopes
                .get(outcome.matched_by.policy_scope)?;
            let repository = &of.policy.repository;
            let files = self.input.policy_scopes.iter().map(|one| one.policy);
            let files: Vec<_> = files
                .filter(|policy| policy.repository == *repository)
                .collect();
            let roots = self.roots.get(outcome.matched_by.policy_scope);
            let roots = roots.and_then(Option::as_ref).map(|(roots, _)| roots);
            let labelled = outcome.pull_requests.iter().find_map(|number| {
                let pull_request = roots?.pull_requests.get(number)?;
                let mut labels = files.iter().map(|policy| &policy.keep_label);
                let label = labels.find(|label| pull_request.has_label(label))?.clone();
                let number = *number;
                Some(Protection::Labelled { number, label })
            });
            let entries = files.iter().flat_map(|policy| &policy.protects);
            let mut entries = entries.filter_map(|entry| {
                let number = entry.pull_request?;
                outcome
                    .pull_requests
                    .contains(&number)
                    .then(|| Protection::Entry {
                        reason: entry.reason.clone(),
                        location: entry.location.to_string().into(),
                    })
            });
            labelled.or_else(|| entries.next())
        })
    }

    /// Returns when `restore` brought a resource back, if it is not released yet.
    pub(super) fn brought_back(&self, resource: &Resource) -> Option<DateTime<Utc>> {
        let back = &self.input.brought_back;
        let of = |what: &str| {
            let kind = resource.kind.name().to_owned();
            (kind, Place::clone(&resource.place), what.into())
        };
        // Mostly there is none.
        let found = (!back.by_id.is_empty()).then(|| back.by_id.get(&of(&resource.id)));
        let found = found.flatten().copied();
        found.or_else(|| {
            let perhaps = (!back.by_name.is_empty()).then(|| back.by_name.get(&of(&resource.name)));
            perhaps.flatten().copied()
        })
    }

    /// Returns what protects a resource. `overridden` is the built-in protection that
    /// every rule which matches it may override.
    pub(in crate::gc::mark) fn protection(
        &self,
        resource: &Resource,
        overridden: Option<BuiltInProtection>,
    ) -> Option<Protection> {
        for policy_scope in self.input.policy_scopes {
            for entry in &policy_scope.policy.protects {
                let location = || entry.location.to_string().into();
                match entry.covers(resource) {
                    Coverage::No => {}
                    Coverage::Yes => {
                        return Some(Protection::Entry {
                            reason: entry.reason.clone(),
                            location: location(),
                        });
                    }
                    Coverage::CannotTell(key) => {
                        return Some(Protection::UndeterminedEntry {
                            key,
                            location: location(),
                        });
                    }
                }
            }
        }
        if !self.kept.is_empty()
            && let Some(&issue) = self.kept.get(&box_key::of(&resource.identity()))
        {
            return Some(Protection::Checked { issue });
        }
        if let Some(at) = self.brought_back(resource) {
            let name = resource.name.clone();
            return Some(Protection::BroughtBack { at, name });
        }
        let shown = self.inventory.uses.shows_mark(resource);
        let shown = shown.then_some(BuiltInProtection::Marked);
        let built_in = resource.protection.filter(|fact| overridden != Some(*fact));
        let built_in = shown.or(built_in).map(Protection::BuiltIn);
        built_in.or_else(|| self.managed.manager(resource).map(Protection::ManagedBy))
    }
}
