//! Policies: what an owner says about names, as validated values that know
//! where in the owner's file they stand.
//!
//! Reading a file and judging a resource are kept apart: [`Policies::read`] turns text
//! into [`Policies`] or into every mistake at once; [`Rule::read`] says what a
//! name claims; whether a claim is dead is not decided here.

mod automaton;
pub mod characters;
pub mod diagnostic;
mod fields;
mod glob;
mod keys;
mod limits;
pub mod nearest;
pub mod overlap;
mod read;
mod rule;
mod rules;
pub mod schema;
pub mod slug;
mod spelling;
pub mod template;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Severity, render};
pub use rule::{
    Action, Age, AgeClock, Born, CREATED_AFTER_OPENED, Condition, Coverage, DeathCondition,
    DeathEvent, ENDED_AFTER_CREATED, MatchSubject, Missing, Newer, Per, PlaceName, Protect,
    RefusedMatch, Rule, RuleMatch, Span, Timing, Where,
};
pub use rules::Rules;

use crate::limits::LimitValues;
use crate::model::{Claim, KindRef, Provenance, Repository, Resource, ScopeTable};

/// A policy file's text and the path by which its owner knows it.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// The path, as shown.
    pub path: String,
    /// The text of the file.
    pub text: String,
}

impl PolicySource {
    /// The line, counted from 1, of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        let upto = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + upto.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Where something stands in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The path of the file.
    pub path: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The kinds and places that a policy may name.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// The kinds.
    pub kinds: &'a [KindRef],
    /// The tables of `[scope]`.
    pub scopes: &'a [ScopeTable],
}

/// What a policy takes from outside its file.
#[derive(Clone, Copy)]
pub struct PolicyContext<'a> {
    /// The value of a `$NAME` in `[scope]`.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The repository of files that name none.
    pub repository: Option<&'a Repository>,
    /// Reads the file that a policy names, by the policy's own path and the name
    /// relative to it; or why it cannot be read.
    pub names_file: &'a dyn Fn(&str, &str) -> Result<String, String>,
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
    /// The path of the file.
    pub path: Arc<str>,
    /// Whose pull requests the numbers are.
    pub repository: Repository,
    /// Whether the file itself says so.
    pub repository_written: bool,
    /// The host of the forge that has the repository: `github.com`, or that of
    /// an Enterprise Server.
    pub forge: Arc<str>,
    /// Whose resources it is about.
    pub scope: ScopeWritten,
    /// The label of a pull request that keeps everything which belongs to it.
    pub keep_label: Box<str>,
    /// How slugs are made of git branches, by the owner's name.
    pub slugs: template::Slugs,
    /// What is kept whatever the rules say.
    pub protects: Vec<Protect>,
    /// The rules of the file.
    pub rules: Rules,
}

impl Policy {
    /// Whether a verdict depends on what a match of one of its rules says that the
    /// resource belongs to.
    pub fn asks_about(&self, rule: &Rule, reading: &RuleMatch) -> bool {
        let by_label = matches!(reading.claim, Claim::PullRequest(_));
        by_label || rule.asks_about_match(reading)
    }

    /// Whether any verdict may depend on GitHub.
    pub fn asks_github(&self) -> bool {
        let mut rules = self.rules.iter().filter(|rule| !rule.kinds.is_empty());
        rules.any(|rule| rule.asks_github() || rule.has_pull_request())
    }

    /// What its rules take a resource for, with each rule's index. What the
    /// provider recorded is stronger than the name: a resource of another
    /// repository is none of ours, and a number that was recorded together with
    /// this repository takes the place of the one in the name. A number that was
    /// recorded without a repository only has to agree, and so does a git branch
    /// where the name says one.
    pub fn read(&self, resource: &Resource) -> Vec<(usize, RuleMatch)> {
        let mut readings = self.rules.read(resource);
        let Some(recorded) = resource.recorded.as_ref() else {
            return readings;
        };
        if self.is_foreign(recorded) {
            return Vec::new();
        }
        let number = recorded.pull_request.map(Claim::PullRequest);
        let branch = recorded.branch.clone().map(Claim::Branch);
        // A name that is made from a branch called `pr-7` has no number.
        let in_name = |branch: &str| resource.name.contains(branch);
        let is_in_name = recorded.branch.as_deref().is_some_and(in_name);
        let first_of_rule: BTreeMap<usize, RuleMatch> = readings.iter().rev().cloned().collect();
        if let Some(number) = number.as_ref().filter(|_| recorded.repository.is_some()) {
            readings.retain(|(_, reading)| {
                reading.claim == *number || !matches!(reading.claim, Claim::PullRequest(_))
            });
        }
        for claim in number.into_iter().chain(branch) {
            let is_branch = matches!(claim, Claim::Branch(_));
            for (rule, reading) in &first_of_rule {
                let names_branch = matches!(reading.claim, Claim::Branch(_) | Claim::Slug { .. });
                let mut known = readings.iter().filter(|(other, _)| other == rule);
                if (is_branch && !names_branch && !is_in_name)
                    || known.any(|(_, known)| known.claim == claim)
                {
                    continue;
                }
                let reading = RuleMatch {
                    claim: claim.clone(),
                    only_agrees: is_branch || recorded.repository.is_none(),
                    ..reading.clone()
                };
                readings.push((*rule, reading));
            }
        }
        readings
    }

    /// The kinds whose creation times show which pull request a number belongs to,
    /// also for kinds without creation times.
    pub fn dated_kinds(&self) -> BTreeSet<KindRef> {
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| rule.is_born_in_time() && rule.asks_about_numbers());
        let kinds = rules.flat_map(|rule| rule.kinds.iter().copied());
        kinds.filter(|kind| kind.created).collect()
    }

    /// The repository that the provider recorded, where it is another than the
    /// one whose numbers this file's names hold and a rule would match the name.
    pub fn other_repository<'r>(&self, resource: &'r Resource) -> Option<&'r str> {
        let recorded = resource.recorded.as_ref()?;
        let foreign = self.is_foreign(recorded) && !self.rules.read(resource).is_empty();
        recorded.repository.as_deref().filter(|_| foreign)
    }

    /// Whether a provider recorded another repository.
    pub fn is_foreign(&self, recorded: &Provenance) -> bool {
        let repository = recorded.repository.as_deref();
        repository.is_some_and(|repository| !self.is_this_repository(repository))
    }

    /// Whether `owner/name`, or an address at this forge, is this repository.
    fn is_this_repository(&self, text: &str) -> bool {
        let text = text.trim_end_matches('/').trim_end_matches(".git");
        let (host, path) = match text.split_once("://") {
            Some((_, rest)) => match rest.split_once('/') {
                Some((host, path)) => (Some(host), path),
                None => return false,
            },
            // `git@github.com:owner/name`
            None => match text.split_once(':') {
                Some((host, path)) => (Some(host), path),
                None => (None, text),
            },
        };
        let host = host.map(|host| host.rsplit('@').next().unwrap_or(host));
        let here = host.is_none_or(|host| {
            let host = host.split(':').next().unwrap_or(host);
            let host = host.strip_prefix("www.").unwrap_or(host);
            host.eq_ignore_ascii_case(&self.forge)
        });
        here && path
            .trim_start_matches('/')
            .eq_ignore_ascii_case(self.repository.full_name())
    }
}

/// All policy files of a run.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The files, in the order in which they were given.
    pub files: Vec<Policy>,
    /// The limits, which come from one place.
    pub limits: LimitValues,
}

/// Policies that can be used, and what is odd about them.
#[derive(Debug)]
pub struct Loaded {
    /// All policies of the run.
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
        sources: &[PolicySource],
        vocabulary: &Vocabulary<'_>,
        environment: &PolicyContext<'_>,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        read::read(sources, vocabulary, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, PlaceSort, PullRequestNumber};
    use crate::providers;

    /// Reads the text of one file of acme/shop.
    pub(super) fn read(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
        let kinds = providers::vocabulary();
        let vocabulary = Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        };
        let repository = Repository::parse("acme/shop");
        let environment = PolicyContext {
            lookup: &|_| None,
            repository: repository.as_ref(),
            names_file: &|policy, name| match name {
                "live.txt" => Ok("\u{feff}api-production\r\n\n  web-* \n".to_owned()),
                "addresses.txt" => Ok("www.acme.example\nhttps://shop.acme.example/\n".to_owned()),
                "empty.txt" => Ok("\n \n".to_owned()),
                // A file with the lines that its name tells.
                _ if name.starts_with('\n') => Ok(name[1..].to_owned()),
                _ => Err(format!("no {name} beside {policy}")),
            },
        };
        let source = PolicySource {
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
        let errors = mistakes
            .into_iter()
            .filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.message).collect()
    }

    pub(super) fn kind(name: &str) -> KindRef {
        providers::by_name(name).unwrap().about()
    }

    /// A resource of which little more is known than its name.
    pub(super) fn resource(kind_name: &str, name: &str) -> Resource {
        let kind = kind(kind_name);
        let place = match kind.place {
            PlaceSort::Account => Place::Account("account".to_owned()),
            PlaceSort::Zone => Place::Zone {
                id: "0123456789abcdef0123456789abcdef".to_owned(),
                name: "example.com".to_owned(),
                account: "account".to_owned(),
            },
            PlaceSort::Project => Place::Project("project".to_owned()),
            PlaceSort::Repository => Place::Repository("acme/shop".to_owned()),
        };
        Resource::new(kind, &Arc::new(place), name.into(), name.into())
    }

    #[test]
    fn recorded_provenance_overrides_the_name() {
        let policy = policy(
            r#"
[[rule]]
id = "previews"
kind = "worker_preview"
name = "pr-{pr}"
dead-when = "closed"
"#,
        );
        let claims = |number: Option<u32>, repository: Option<&str>| -> Vec<String> {
            let mut preview = resource("worker_preview", "pr-7");
            preview.recorded = Some(Provenance {
                repository: repository.map(Into::into),
                pull_request: number.and_then(PullRequestNumber::new),
                branch: None,
            });
            let readings = policy.read(&preview).into_iter();
            readings
                .map(|(_, reading)| reading.claim.to_string())
                .collect()
        };
        let (seven, nine) = ("pull request #7", "pull request #9");
        assert_eq!(claims(None, None), [seven]);
        assert_eq!(claims(Some(7), None), [seven], "both say the same");
        // A number without a repository may be that of another one.
        assert_eq!(claims(Some(9), None), [seven, nine]);
        for ours in [
            "acme/shop",
            "Acme/Shop",
            "https://github.com/acme/shop",
            "https://www.github.com/Acme/Shop.git",
            "git@github.com:acme/shop.git",
            "ssh://git@github.com/acme/shop",
        ] {
            assert_eq!(claims(Some(9), Some(ours)), [nine], "{ours}");
            assert_eq!(claims(None, Some(ours)), [seven], "{ours}");
        }
        for foreign in [
            "https://github.com/bigacme/shop",
            "https://github.com/acme/show",
            "https://gitlab.com/acme/shop",
            "https://github.com.evil.example/acme/shop",
            "https://github.com/x/acme/shop",
            "bigacme/shop",
            "shop",
            "",
        ] {
            for number in [None, Some(7), Some(9)] {
                assert!(claims(number, Some(foreign)).is_empty(), "{foreign}");
            }
        }
    }

    #[test]
    fn a_git_branch_that_the_provider_recorded_has_to_agree_with_the_name() {
        let policy = policy(
            r#"
[[rule]]
id = "previews"
kind = "neon_branch"
name = "preview/{branch}"
dead-when = "closed"
"#,
        );
        let claims = |recorded: &str| -> Vec<String> {
            let mut branch = resource("neon_branch", "preview/feat");
            branch.recorded = Some(Provenance {
                branch: Some(recorded.into()),
                ..Provenance::default()
            });
            let readings = policy.read(&branch).into_iter();
            readings
                .map(|(_, reading)| reading.claim.to_string())
                .collect()
        };
        assert_eq!(claims("feat"), ["git branch feat"]);
        // A tool that shortens names recorded the whole one.
        assert_eq!(
            claims("feat/checkout"),
            ["git branch feat", "git branch feat/checkout"]
        );
        let mut branch = resource("neon_branch", "preview/feat");
        branch.recorded = Some(Provenance {
            branch: Some("feat/checkout".into()),
            ..Provenance::default()
        });
        let agrees = policy.read(&branch).into_iter();
        let agrees: Vec<_> = agrees.map(|(_, reading)| reading.only_agrees).collect();
        assert_eq!(agrees, [false, true]);
    }
}
