//! Every verdict with its reason as people read it.

use crate::gc::samples::at;
use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::model::{BuiltInProtection, Claim, KindName, PullRequestNumber};

const WORKER: KindName = KindName {
    id: "worker",
    noun: "Worker",
};

const CUSTOM_DOMAIN: KindName = KindName {
    id: "worker_domain",
    noun: "custom domain",
};

fn number() -> PullRequestNumber {
    PullRequestNumber::new(7).unwrap()
}

fn death(report_only: bool) -> Death {
    Death {
        cause: Cause::Age {
            longer_than: TimeDelta::days(3),
        },
        dead_since: Some(at(10)),
        grace_ends_at: Some(at(20)),
        report_only,
    }
}

fn grace(grace_ends_at: Option<DateTime<Utc>>) -> Verdict {
    Verdict::Grace(Wait::Grace {
        death: death(false),
        grace_ends_at,
    })
}

#[test]
fn only_what_died_has_a_death_and_a_time_at_which_it_is_ripe() {
    for (verdict, died, grace_ends_at) in [
        (Verdict::Garbage(death(false)), true, Some(at(20))),
        (Verdict::Garbage(death(true)), true, Some(at(20))),
        (grace(Some(at(30))), true, Some(at(30))),
        (grace(None), true, None),
        // The provider removes it by itself, dead or not.
        (
            Verdict::Grace(Wait::Expires { at: at(40) }),
            false,
            Some(at(40)),
        ),
        (Verdict::Live(Alive::Open(number())), false, None),
        (
            Verdict::Protected(Protection::Checked { issue: 1 }),
            false,
            None,
        ),
        (Verdict::Unmatched(Unmatched::NoRule), false, None),
        (Verdict::Unknown(Doubt::Time("created_at")), false, None),
    ] {
        let since = verdict.death().map(|death| death.dead_since);
        assert_eq!(since, died.then_some(Some(at(10))), "{verdict:?}");
        assert_eq!(verdict.grace_ends_at(), grace_ends_at, "{verdict:?}");
    }
}

/// What keeps it, and what an owner has to do if that is wrong.
#[test]
fn a_verdict_says_why_and_what_would_change_it() {
    let protected = Verdict::Protected;
    let where_ = || Arc::from("preview-gc.toml:4");
    let of = || Claim::PullRequest(number());
    for (verdict, why, otherwise) in [
        (
            Verdict::Live(Alive::Open(number())),
            "pull request #7 is open",
            "when the pull request is closed",
        ),
        (
            Verdict::Live(Alive::NotMerged(number())),
            "closed without being merged",
            "dead-when = \"closed\"",
        ),
        (
            Verdict::Live(Alive::Branch("topic".into())),
            "git branch topic exists",
            "when the git branch is gone",
        ),
        (
            Verdict::Live(Alive::Young {
                longer_than: TimeDelta::days(3),
                since: at(0),
            }),
            "not older than 3d",
            "when it is old enough",
        ),
        (
            protected(Protection::Entry {
                reason: "serves customers".into(),
                location: where_(),
            }),
            "serves customers (preview-gc.toml:4)",
            "until the `protect` entry no longer covers it",
        ),
        (
            protected(Protection::UndeterminedEntry {
                key: "parent",
                location: where_(),
            }),
            "could not determine `parent` (preview-gc.toml:4)",
            "until the `protect` entry no longer covers it",
        ),
        (
            protected(Protection::BuiltIn(BuiltInProtection::DefaultBranch)),
            "the project's default branch",
            "no rule can override",
        ),
        (
            protected(Protection::ManagedBy(CUSTOM_DOMAIN)),
            "managed by the custom domain",
            "when the custom domain that manages it is deleted",
        ),
        (
            protected(Protection::Checked { issue: 12 }),
            "\"keep\" is checked in issue #12",
            "until \"keep\" is cleared",
        ),
        (
            protected(Protection::BroughtBack {
                at: at(0),
                name: "app-pr-7".into(),
            }),
            "it is kept until",
            "until a person releases it",
        ),
        (
            protected(Protection::Backup("rollback-*")),
            "looks like a backup (`rollback-*`)",
            "spells the backup's name",
        ),
        (
            Verdict::InUse(ResourceUser {
                kind: WORKER,
                name: "app".into(),
                how: UsageKind::Bound,
                stays: UserStays::Wanted,
            }),
            "used by Worker app",
            "when that resource is gone",
        ),
        (
            Verdict::Unmatched(Unmatched::NoRule),
            "no rule matches this name",
            "template matches its whole name",
        ),
        (
            Verdict::Unmatched(Unmatched::NotOnGitHub(of())),
            "nothing on GitHub matches pull request #7",
            "matches this name",
        ),
        (
            grace(None),
            "no time from which its grace could count",
            "only a rule without a grace deletes it",
        ),
        (
            grace(Some(at(30))),
            "grace until",
            "when its grace has ended",
        ),
        (
            Verdict::Grace(Wait::Expires { at: at(40) }),
            "expires by itself",
            "the provider deletes it",
        ),
        (
            Verdict::Garbage(death(true)),
            "older than 3d; its rule only reports it",
            "if its pull request were open",
        ),
        (
            Verdict::Unknown(Doubt::Missing(of())),
            "so the resource is kept",
            "missing = \"dead\"",
        ),
        (
            Verdict::Unknown(Doubt::Time("created_at")),
            "the answer lacks the time `created_at`",
            "run again",
        ),
        (
            Verdict::Unknown(Doubt::Unread("comment")),
            "`comment` in the answer cannot be read",
            "run again",
        ),
    ] {
        let text = verdict.to_string();
        assert!(text.contains(why), "{text}");
        let advice = verdict.otherwise();
        assert!(advice.contains(otherwise), "{text}: {advice}");
    }
}
