//! Policies: what an owner says about names, as validated values that know
//! where in the owner's file they stand.
//!
//! Reading a file and judging a resource are kept apart: [`Policies::read`] turns text
//! into [`Policies`] or into every mistake at once; [`Rule::read`] says what a
//! name claims; whether a claim is dead is not decided here.

pub mod diagnostic;
mod fields;
mod glob;
mod limits;
pub mod overlap;
mod read;
mod rule;
mod rules;
pub mod schema;
pub mod slug;
pub mod template;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Severity, render};
pub(crate) use fields::parse_duration;
pub use limits::LimitsWritten;
pub use rule::{
    Action, Age, AgeClock, Condition, Coverage, Death, Event, Missing, Protect, Reading, Rule,
    Span, Subject, Timing, backup_pattern,
};
pub use rules::Rules;

use crate::model::{Claim, KindRef, Repository, Resource};

/// A policy file's text and the path by which its owner knows it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path, as shown.
    pub path: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// The line, counted from 1, of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        let upto = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + upto.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Where something stands in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The kinds that a policy may name.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// Those.
    pub kinds: &'a [KindRef],
}

/// What a policy takes from outside its file.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The value of a `$NAME` in `[scope]`.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The repository of files that name none.
    pub repository: Option<&'a Repository>,
}

/// Whose resources a file is about; what is none is left to the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeWritten {
    /// The Cloudflare account's id.
    pub account: Option<String>,
    /// The names or ids of the zones.
    pub zones: Option<Vec<String>>,
    /// The ids of the Neon projects.
    pub projects: Option<Vec<String>>,
}

/// One policy file.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its path.
    pub path: Arc<str>,
    /// Whose pull requests the numbers are.
    pub repository: Repository,
    /// Whether the file itself says so.
    pub repository_written: bool,
    /// Whose resources it is about.
    pub scope: ScopeWritten,
    /// How slugs are made of git branches, by the owner's name.
    pub slugs: template::Slugs,
    /// What is kept whatever the rules say.
    pub protects: Vec<Protect>,
    /// Its rules.
    pub rules: Rules,
}

impl Policy {
    /// What its rules take a resource for, with each rule's index. Where the
    /// provider says whose pull request it is, that is one more reading of what
    /// the rules read at all; the number of another repository is none of ours.
    pub fn read(&self, resource: &Resource) -> Vec<(usize, Reading)> {
        let mut readings = self.rules.read(resource);
        let Some((number, whose)) = &resource.says else {
            return readings;
        };
        let ours = |url: &str| {
            let url = url.trim_end_matches('/').trim_end_matches(".git");
            let name = self.repository.full_name();
            let at = url.len().checked_sub(name.len());
            let same = |at| {
                url.get(at..)
                    .is_some_and(|end: &str| end.eq_ignore_ascii_case(name))
            };
            // `bigacme/shop` is not `acme/shop`.
            at.is_some_and(|at| same(at) && url[..at].ends_with(['/', ':']))
        };
        if !whose.as_deref().is_none_or(ours) {
            return Vec::new();
        }
        let said = Claim::PullRequest(*number);
        let rules: BTreeSet<usize> = readings
            .iter()
            .filter(|(_, reading)| reading.claim != said)
            .map(|(rule, _)| *rule)
            .collect();
        let more: Vec<_> = rules
            .into_iter()
            .filter_map(|rule| {
                let (_, reading) = readings.iter().find(|(other, _)| *other == rule)?;
                let claim = said.clone();
                Some((
                    rule,
                    Reading {
                        claim,
                        ..reading.clone()
                    },
                ))
            })
            .collect();
        readings.extend(more);
        readings
    }
}

/// All policy files of a run.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The files, in the order in which they were given.
    pub files: Vec<Policy>,
    /// The limits, which come from one place.
    pub limits: LimitsWritten,
}

/// Policies that can be used, and what is odd about them.
#[derive(Debug)]
pub struct Loaded {
    /// The policies.
    pub policies: Policies,
    /// What is odd about them.
    pub warnings: Vec<Diagnostic>,
}

impl Policies {
    /// Reads policy files.
    ///
    /// # Errors
    ///
    /// Every mistake in all files at once.
    pub fn read(
        sources: &[Source],
        vocabulary: &Vocabulary<'_>,
        environment: &Environment<'_>,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        read::read(sources, vocabulary, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::model::{Place, PlaceSort, PullRequestNumber};

    /// Reads the text of one file of acme/shop.
    pub(super) fn read(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
        let kinds = kinds::vocabulary();
        let vocabulary = Vocabulary { kinds: &kinds };
        let repository = Repository::parse("acme/shop");
        let environment = Environment {
            lookup: &|_| None,
            repository: repository.as_ref(),
        };
        let source = Source {
            path: "preview-gc.toml".to_owned(),
            text: text.to_owned(),
        };
        Policies::read(&[source], &vocabulary, &environment)
    }

    /// The policy of a file without mistakes.
    pub(super) fn policy(text: &str) -> Policy {
        match read(text) {
            Ok(mut loaded) => loaded.policies.files.remove(0),
            Err(mistakes) => panic!("{text}\n{mistakes:?}"),
        }
    }

    /// What is wrong with a file.
    pub(super) fn mistakes(text: &str) -> Vec<String> {
        let mistakes = read(text).err().unwrap_or_default();
        mistakes.into_iter().map(|one| one.message).collect()
    }

    pub(super) fn kind(name: &str) -> KindRef {
        kinds::by_name(name).unwrap().about()
    }

    /// A resource of which little more is known than its name.
    pub(super) fn resource(kind_name: &str, name: &str) -> Resource {
        let kind = kind(kind_name);
        let place = match kind.0.place {
            PlaceSort::Account => Place::Account("account".to_owned()),
            PlaceSort::Zone => Place::Zone {
                id: "zone-id".to_owned(),
                name: "example.com".to_owned(),
                account: "account".to_owned(),
            },
            PlaceSort::Project => Place::Project("project".to_owned()),
            PlaceSort::Repository => Place::Repository("acme/shop".to_owned()),
        };
        Resource::new(kind, &Arc::new(place), name.into(), name.into())
    }

    #[test]
    fn a_number_that_the_provider_says_is_one_more_reading_if_it_is_ours() {
        let policy = policy(
            r#"
[[rule]]
id = "previews"
kind = "worker_preview"
name = "pr-{pr}"
dead-when = "closed"
"#,
        );
        let claims = |says: Option<(u32, Option<&str>)>| -> Vec<String> {
            let mut preview = resource("worker_preview", "pr-7");
            preview.says = says.map(|(number, whose)| {
                (
                    PullRequestNumber::new(number).unwrap(),
                    whose.map(Into::into),
                )
            });
            let readings = policy.read(&preview).into_iter();
            readings
                .map(|(_, reading)| reading.claim.to_string())
                .collect()
        };
        let seven = "pull request #7";
        let both = [seven, "pull request #9"];
        assert_eq!(claims(None), [seven]);
        assert_eq!(claims(Some((7, None))), [seven], "it says the same");
        for (whose, expected) in [
            (None, &both[..]),
            (Some("https://github.com/acme/shop"), &both),
            (Some("https://github.com/Acme/Shop.git"), &both),
            (Some("git@github.com:acme/shop.git"), &both),
            (Some("https://github.com/bigacme/shop"), &[]),
            (Some("https://github.com/acme/show"), &[]),
            (Some("shop"), &[]),
        ] {
            assert_eq!(claims(Some((9, whose))), expected, "{whose:?}");
        }
    }
}
