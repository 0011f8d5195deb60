//! Mark, plan and brakes: pure functions from evidence to verdicts, from
//! verdicts to steps, and from both to a refusal.

pub mod box_key;
pub mod brakes;
pub mod kind_graph;
mod listed;
pub mod mark;
pub mod outcome;
pub mod plan;
pub mod plan_file;
mod reference_index;
pub mod verdict;

pub use brakes::{Brake, brakes};
pub use kind_graph::KindGraph;
pub use listed::version;
pub use mark::{Judgement, Marking, PolicyScope, mark};
pub use outcome::Outcome;
pub use plan::{Plan, by_hand, plan, plan_without};
pub use plan_file::PlanFile;
pub use verdict::Verdict;

/// Evidence and judgements made by hand, for the tests of what is made of them.
#[cfg(test)]
mod samples {
    use std::sync::Arc;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::mark::{JudgeInput, MatchedBy};
    use super::verdict::{Cause, Death};
    use super::{Judgement, KindGraph, Marking, PolicyScope, Verdict};
    use crate::model::{Claim, KindRef, Place, PullRequestNumber, Resource};
    use crate::policy::{Policies, Policy, PolicyContext, PolicySource, Vocabulary};
    use crate::providers;

    /// No kind depends on any other.
    static EMPTY: std::sync::LazyLock<KindGraph> = std::sync::LazyLock::new(KindGraph::default);

    /// The rules of [`policy`], by their place in it.
    pub(super) const PLAIN: usize = 0;
    pub(super) const GENTLE: usize = 1;
    pub(super) const CAREFUL: usize = 2;
    pub(super) const BY_AGE: usize = 3;

    /// One rule that deletes, one that lets expire, one that wants a backup
    /// before, and one that asks about nothing but age.
    pub(super) fn policy() -> Policy {
        let text = r#"
            repository = "acme/shop"

            [[rule]]
            id = "plain"
            kind = ["worker", "neon_branch"]
            name = "plain-{pr}"
            dead-when = "closed"

            [[rule]]
            id = "gentle"
            kind = "neon_branch"
            name = "gentle-{pr}"
            dead-when = "closed"
            action = "expire"

            [[rule]]
            id = "careful"
            kind = "worker"
            name = "careful-{pr}"
            dead-when = "closed"
            backup = true

            [[rule]]
            id = "by-age"
            kind = "worker"
            name = "aged-{pr}"
            dead-when = { older-than = "7d" }
        "#;
        let source = PolicySource {
            path: "samples.toml".to_owned(),
            text: text.to_owned(),
        };
        let vocabulary = Vocabulary {
            kinds: &providers::vocabulary(),
            scopes: &providers::scopes(),
        };
        let environment = PolicyContext {
            lookup: &|_| None,
            repository: None,
            names_file: &|_, _| Err(String::new()),
        };
        let loaded = Policies::read(&[source], &vocabulary, &environment).unwrap();
        loaded.policies.files.into_iter().next().unwrap()
    }

    pub(super) fn policy_scope(policy: &Policy) -> PolicyScope<'_> {
        PolicyScope {
            policy,
            places: [account("a")].into(),
        }
    }

    pub(super) fn kind(name: &str) -> KindRef {
        providers::by_name(name).unwrap().about()
    }

    pub(super) fn account(id: &str) -> Place {
        Place::Account(id.to_owned())
    }

    /// So many minutes after some moment.
    pub(super) fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    /// A resource in the account `a` whose id is its name.
    pub(super) fn resource(of: &str, name: &str) -> Resource {
        Resource::new(kind(of), &Arc::new(account("a")), name.into(), name.into())
    }

    pub(super) fn matched_by(rule: usize, number: u32) -> MatchedBy {
        let number = PullRequestNumber::new(number).unwrap();
        MatchedBy {
            policy_scope: 0,
            rule,
            claim: Claim::PullRequest(number),
            pull_request: Some(number),
        }
    }

    /// Garbage of a rule since its pull request was closed.
    pub(super) fn garbage(rule: usize, number: u32, since: DateTime<Utc>) -> Judgement {
        let number_of = PullRequestNumber::new(number).unwrap();
        Judgement {
            verdict: Verdict::Garbage(Death {
                cause: Cause::Ended {
                    number: number_of,
                    merged: false,
                    at: since,
                },
                dead_since: Some(since),
                grace_ends_at: Some(since),
                report_only: false,
            }),
            matched_by: Some(matched_by(rule, number)),
            ..Judgement::default()
        }
    }

    /// The same, which its rule only reports.
    pub(super) fn reported(rule: usize, number: u32, since: DateTime<Utc>) -> Judgement {
        let mut judgement = garbage(rule, number, since);
        if let Verdict::Garbage(death) = &mut judgement.verdict {
            death.report_only = true;
        }
        judgement
    }

    pub(super) fn marking<'p>(
        judgements: Vec<Judgement>,
        policy_scopes: &'p [PolicyScope<'p>],
    ) -> Marking<'p> {
        Marking {
            judgements,
            questions: Vec::new(),
            satellites: Vec::new(),
            input: JudgeInput {
                policy_scopes,
                graph: &EMPTY,
                grace: TimeDelta::zero(),
                grace_on_close: TimeDelta::zero(),
                only_pull_request: None,
                only_kinds: None,
                brought_back: Arc::default(),
                to_delete: None,
                contradicted: Arc::default(),
                calibrated: Arc::default(),
                now: at(0),
            },
        }
    }
}
