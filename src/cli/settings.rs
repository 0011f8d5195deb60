//! What was typed and set, as what it means: limits, policies, places.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;

use super::Failure;
use super::args::{CommonArgs, LimitArgs, StandIn};
use super::connect::Variables;
use super::session::wants_colour;
use crate::gc::brakes::BrakeLimits;
use crate::kinds;
use crate::model::{KindRef, PlaceSort, Repository};
use crate::policy::{
    Environment, LimitsWritten, Loaded, Policies, Policy, Source, Vocabulary, parse_duration,
    render,
};
use crate::wire::Allotment;

/// The policy of `--sandbox` alone.
const DEMO_POLICY: &str = include_str!("../../policies/demo.toml");

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) grace: TimeDelta,
    pub(super) grace_on_close: TimeDelta,
    pub(super) max_deletions: usize,
    pub(super) brake: BrakeLimits,
    pub(super) allotment: Allotment,
    /// How old a listing may be when a deletion rests on it.
    pub(super) reread_after: Duration,
    pub(super) plan_age: TimeDelta,
    pub(super) deadline: Duration,
    pub(super) reference_reads: usize,
}

impl Limits {
    /// A flag (or its variable) before the policy before the default.
    pub(super) fn of(flags: &LimitArgs, written: &LimitsWritten) -> Result<Self, Failure> {
        let grace = duration("--grace", flags.grace.as_deref())?
            .or(written.grace)
            .unwrap_or(TimeDelta::hours(24));
        let on_close = duration("--grace-on-close", flags.grace_on_close.as_deref())?
            .or(written.grace_on_close)
            .unwrap_or(TimeDelta::zero());
        let deadline = duration("--deadline", flags.deadline.as_deref())?
            .or(written.deadline)
            .unwrap_or(TimeDelta::minutes(20));
        let reread_after = duration("--reread-after", flags.reread_after.as_deref())?
            .or(written.reread_after)
            .unwrap_or(TimeDelta::seconds(30));
        let plan_age = duration("--plan-age", flags.plan_age.as_deref())?
            .or(written.plan_age)
            .unwrap_or(TimeDelta::hours(24));
        let share = |flag: &str, value: Option<f64>| match value {
            Some(value) if !(0.0..=1.0).contains(&value) => Err(Failure::Usage(format!(
                "{flag} must be a number from 0 to 1, not {value}"
            ))),
            value => Ok(value),
        };
        let quota_share = share("--quota-share", flags.quota_share)?
            .or(written.quota_share)
            .unwrap_or(0.5);
        if quota_share <= 0.0 {
            return Err(Failure::Usage(
                "--quota-share must be more than 0, or nothing could be asked".to_owned(),
            ));
        }
        let whole = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Ok(Self {
            grace,
            grace_on_close: on_close,
            max_deletions: whole(flags.max_deletions.or(written.max_deletions).unwrap_or(50)),
            brake: BrakeLimits {
                count: flags.brake_count.or(written.brake_count).unwrap_or(200),
                share: share("--brake-share", flags.brake_share)?
                    .or(written.brake_share)
                    .unwrap_or(0.6),
                floor: flags.brake_floor.or(written.brake_floor).unwrap_or(20),
            },
            allotment: Allotment {
                share: quota_share,
                reserve: flags
                    .quota_reserve
                    .or(written.quota_reserve)
                    .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            },
            reread_after: reread_after.to_std().unwrap_or_default(),
            plan_age,
            deadline: deadline.to_std().unwrap_or_default(),
            reference_reads: whole(
                flags
                    .reference_reads
                    .or(written.reference_reads)
                    .unwrap_or(500),
            ),
        })
    }
}

fn duration(flag: &str, text: Option<&str>) -> Result<Option<TimeDelta>, Failure> {
    let read = |text: &str| {
        parse_duration(text).ok_or_else(|| {
            Failure::Usage(format!(
                "{flag} {text:?} is not a duration; write a whole number and s, m, h, d or w"
            ))
        })
    };
    text.map(read).transpose()
}

/// The policy files of a run.
pub(super) fn policies(
    arguments: &CommonArgs,
    variables: &Variables,
) -> Result<(Vec<Source>, Loaded), Failure> {
    let sources = sources(arguments)?;
    let repository = repository(arguments, variables)?;
    let kinds = kinds::vocabulary();
    let environment = Environment {
        lookup: &|name| variables.get(name),
        repository: repository.as_ref(),
    };
    match Policies::read(&sources, &vocabulary(&kinds), &environment) {
        Ok(loaded) => {
            same_repository(arguments, &loaded.policies)?;
            Ok((sources, loaded))
        }
        Err(mistakes) => {
            let colour = wants_colour(arguments.color, std::io::stderr().is_terminal());
            Err(Failure::Policy(render(&mistakes, &sources, colour)))
        }
    }
}

/// The kinds that policies may name.
pub(super) fn vocabulary(kinds: &[KindRef]) -> Vocabulary<'_> {
    Vocabulary { kinds }
}

/// The repository of policies that name none.
fn repository(
    arguments: &CommonArgs,
    variables: &Variables,
) -> Result<Option<Repository>, Failure> {
    let typed = arguments.repository.clone();
    let origin = if typed.is_some() {
        "--repository"
    } else {
        "GITHUB_REPOSITORY"
    };
    let Some(text) = typed.or_else(|| variables.get("GITHUB_REPOSITORY")) else {
        return Ok(None);
    };
    Repository::parse(&text).map(Some).ok_or_else(|| {
        Failure::Usage(format!(
            "{origin} {text:?} is not a repository; write owner/name"
        ))
    })
}

/// What a policy writes is not overridden by accident.
fn same_repository(arguments: &CommonArgs, policies: &Policies) -> Result<(), Failure> {
    let Some(typed) = arguments.repository.as_deref().and_then(Repository::parse) else {
        return Ok(());
    };
    for file in &policies.files {
        if file.repository_written && file.repository != typed {
            return Err(Failure::Usage(format!(
                "--repository {typed} differs from {}, which {} writes; change one of them",
                file.repository, file.path
            )));
        }
    }
    Ok(())
}

fn sources(arguments: &CommonArgs) -> Result<Vec<Source>, Failure> {
    let path = match (&arguments.policies, arguments.sandbox()) {
        (Some(path), _) => path.clone(),
        (None, Some(StandIn::Demo)) => {
            return Ok(vec![Source {
                path: "policies/demo.toml".to_owned(),
                text: DEMO_POLICY.to_owned(),
            }]);
        }
        (None, _) => PathBuf::from("policies"),
    };
    let cannot = |path: &Path, error: &std::io::Error| {
        Failure::Usage(format!(
            "cannot read policies from {}: {error}; name a file or folder with --policies",
            path.display()
        ))
    };
    let about = std::fs::metadata(&path).map_err(|error| cannot(&path, &error))?;
    let mut files = Vec::new();
    if about.is_dir() {
        let entries = std::fs::read_dir(&path).map_err(|error| cannot(&path, &error))?;
        for entry in entries {
            let file = entry.map_err(|error| cannot(&path, &error))?.path();
            if file.extension().is_some_and(|end| end == "toml") && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(Failure::Usage(format!(
                "there is no policy (*.toml) in {}; see policies/schemes for some to copy",
                path.display()
            )));
        }
    } else {
        files.push(path);
    }
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
            Ok(Source {
                path: path.display().to_string(),
                text,
            })
        })
        .collect()
}

/// The places of one policy file, before zones are looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) account: Option<String>,
    pub(super) zones: Vec<String>,
    pub(super) projects: Vec<String>,
}

impl Scope {
    /// What the file writes, else what the environment names, else what its
    /// rules name; never a guess.
    pub(super) fn of(policy: &Policy, variables: &Variables) -> Self {
        let named =
            |sort: PlaceSort, list: &dyn Fn(&crate::policy::Rule) -> Option<Vec<String>>| {
                let rules = policy.rules.iter();
                let there = rules.filter(|rule| rule.kinds.iter().any(|kind| kind.0.place == sort));
                let all: BTreeSet<String> = there.filter_map(list).flatten().collect();
                all.into_iter().collect::<Vec<_>>()
            };
        Self {
            account: policy
                .scope
                .account
                .clone()
                .or_else(|| variables.get("CLOUDFLARE_ACCOUNT_ID"))
                .or_else(|| variables.get("CF_ACCOUNT_ID")),
            zones: policy
                .scope
                .zones
                .clone()
                .or_else(|| variables.list("CLOUDFLARE_ZONE_ID"))
                .unwrap_or_else(|| named(PlaceSort::Zone, &|rule| rule.place.zones.clone())),
            projects: policy
                .scope
                .projects
                .clone()
                .or_else(|| variables.list("NEON_PROJECT_ID"))
                .unwrap_or_else(|| named(PlaceSort::Project, &|rule| rule.place.projects.clone())),
        }
    }

    /// Whether the places that a policy's rules need are named at all.
    pub(super) fn check(&self, policy: &Policy, needed: &BTreeSet<KindRef>) -> Result<(), Failure> {
        for kind in needed {
            let missing = match kind.0.place {
                PlaceSort::Account | PlaceSort::Zone if self.account.is_none() => Some(
                    "the Cloudflare account: set CLOUDFLARE_ACCOUNT_ID or [scope] cloudflare.account",
                ),
                PlaceSort::Zone if self.zones.is_empty() => {
                    Some("the zone: set CLOUDFLARE_ZONE_ID or [scope] cloudflare.zones")
                }
                PlaceSort::Project if self.projects.is_empty() => {
                    Some("the Neon project: set NEON_PROJECT_ID or [scope] neon.projects")
                }
                PlaceSort::Account
                | PlaceSort::Zone
                | PlaceSort::Project
                | PlaceSort::Repository => None,
            };
            if let Some(missing) = missing {
                return Err(Failure::Usage(format!(
                    "{} has rules for {kind} and nothing names {missing}",
                    policy.path
                )));
            }
        }
        Ok(())
    }
}

/// The kinds that the rules of a policy read.
pub(super) fn needed(policy: &Policy) -> BTreeSet<KindRef> {
    policy
        .rules
        .iter()
        .flat_map(|rule| rule.kinds.iter().copied())
        .collect()
}
