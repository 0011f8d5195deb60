//! A finished run as plain data, and renderers that are pure functions of it.
//! Nothing here makes a decision.
//!
//! [`Report`] is the internal model. [`json`] owns the public, versioned
//! document, and [`format`](mod@format) lists the output formats.

mod assemble;
pub mod brief;
mod conceal;
pub mod csv;
pub mod dangling;
pub mod escape;
pub mod explain;
pub mod format;
pub(crate) mod groups;
pub mod headroom;
pub mod json;
pub mod listing;
pub mod markdown;
pub mod metrics;
pub mod outcomes;
pub(crate) mod overview;
pub mod partly_protected;
pub mod plan;
mod pull_request;
mod row;
pub mod style;
pub mod table;
mod unknown_bindings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};

use crate::evidence::Evidence;
use crate::gc::verdict::{Protection, Unmatched, Verdict, VerdictName};
use crate::gc::{Brake, Outcome};
use crate::model::{BuiltInProtection, KindRef, PullRequestNumber};
use crate::policy::{Location, RefusedMatch};
use crate::sweep::Swept;
use crate::wire::{ClockSkew, QuotaUse};

pub use assemble::ReportInput;
pub use dangling::Dangling;
pub use headroom::HeadroomUse;
pub use partly_protected::PartlyProtected;
pub use pull_request::{PullRequestLine, PullRequestState};
pub use row::{NextSweep, OtherMatch, Relation, Row, RowReference};
pub use unknown_bindings::UnknownBindingType;

/// The report of one run, from which every output format is rendered.
#[derive(Debug, Clone)]
pub struct Report {
    /// The start of the run. Every verdict is evaluated at this time.
    pub now: DateTime<Utc>,
    /// How the clocks of the machine and the providers differ, if they do.
    pub clock_skew: Option<ClockSkew>,
    /// Whether all data that the verdicts need could be read.
    pub complete: bool,
    /// The requests for data and how complete their answers were.
    pub evidence: Vec<Evidence>,
    /// Every resource with its verdict, except those that are concealed.
    pub resources: Vec<Row>,
    /// Number of resources that [`conceal`](Report::conceal) removed.
    pub concealed: usize,
    /// Brakes that would stop a sweep.
    pub brakes: Vec<Brake>,
    /// Requests sent and left, sorted by the provider's key.
    pub quota: Vec<QuotaUse>,
    /// Resource counts against the providers' limits.
    pub headroom: Vec<HeadroomUse>,
    /// Counts.
    pub summary: Summary,
    /// Rules that match no name.
    pub unused_rules: Vec<RuleAt>,
    /// `protect` entries that cover nothing that exists.
    pub unused_protects: Vec<Location>,
    /// `protect` entries that cover nothing of what was listed, and may be about
    /// something else.
    pub idle_protects: Vec<Location>,
    /// Names in files of `protect` entries that nothing has, each with its place.
    pub unused_names: Vec<String>,
    /// Types of bindings that this version does not know.
    pub unknown_bindings: Vec<UnknownBindingType>,
    /// Host names that point at something which is gone.
    pub dangling: Vec<Dangling>,
    /// Pull requests with protected resources beside garbage.
    pub partly_protected: Vec<PartlyProtected>,
    /// Whether only what is approved in the tracking issue is deleted.
    pub approved_only: bool,
    /// Issues that carry the marker of the tracking issue but were written by
    /// another account, in words for people.
    pub ignored_issues: Vec<String>,
    /// The selection (`--pr`, `--kind`) of the run, if it covers a part only.
    pub focus: Option<Focus>,
    /// The pull request of `--pr` in every repository of the run, as far as it was read.
    pub focused: Vec<PullRequestLine>,
    /// Origins that were listed completely, as [`Row::origin`] names them.
    pub listed: BTreeSet<String>,
    /// Start of the next scheduled run, if known.
    pub next_run: Option<DateTime<Utc>>,
    /// The result of the sweep; `None` for an audit.
    pub swept: Option<Swept>,
    /// The address of GitHub's pages; `None` if its API is a simulated one.
    pub web: Option<String>,
}

/// Counts of a run.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Resources with a verdict.
    pub resources: usize,
    /// Number of resources by verdict.
    pub verdicts: BTreeMap<VerdictName, usize>,
    /// Number of resources that a sweep would delete now.
    pub would_delete: usize,
    /// Garbage that waits for a later run.
    pub deferred: usize,
    /// Garbage that a sweep would not delete because of something that stays, in part
    /// counted among the deferred.
    pub blocked: usize,
    /// The deletions that the largest group of garbage needs in one run, where that
    /// is more than `--max-deletions` allows; else 0.
    pub needs_at_once: usize,
    /// Garbage whose rule has `action = "report"`.
    pub report_only: usize,
}

/// The selection of a run that covers a part only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Focus {
    /// `--pr`
    PullRequest(PullRequestNumber),
    /// `--kind`
    Kinds(Vec<KindRef>),
    /// Both.
    Both(PullRequestNumber, Vec<KindRef>),
}

/// The selection in words for people.
impl fmt::Display for Focus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |kinds: &[KindRef]| {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            names.join(", ")
        };
        match self {
            Self::PullRequest(number) => write!(f, "pull request #{number}"),
            Self::Kinds(kinds) => f.write_str(&names(kinds)),
            Self::Both(number, kinds) => write!(f, "{} of pull request #{number}", names(kinds)),
        }
    }
}

/// A rule and its position in the policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAt {
    /// The owner's name for the rule.
    pub id: String,
    /// The file and the line.
    pub location: Location,
}

impl Report {
    /// Returns why nothing of the pull request of `--pr` is garbage, if that is why.
    pub(crate) fn about_focus(&self) -> Option<String> {
        let number = match &self.focus {
            Some(Focus::PullRequest(number) | Focus::Both(number, _)) => *number,
            _ => return None,
        };
        let lines = self.resources.iter();
        let mut lines = lines.filter_map(|row| row.pull_request.as_ref());
        let missing = |line: &&PullRequestLine| line.state == PullRequestState::Missing;
        let missing = || self.focused.iter().find(missing);
        let line = lines.find(|line| line.number == number);
        let Some(line) = line.or_else(missing) else {
            return Some(format!(
                "No resource in this scope belongs to pull request #{number}."
            ));
        };
        Some(match line.state {
            PullRequestState::Open => format!("Pull request #{number} is still open."),
            PullRequestState::Missing => format!(
                "There is no pull request #{number} in {}.",
                line.repository.full_name()
            ),
            PullRequestState::Unknown => format!("Pull request #{number} could not be read."),
            PullRequestState::Merged(_) | PullRequestState::Closed(_) => return None,
        })
    }

    /// Says why a rule matches no resource, as far as that is known. It says no
    /// name and no value: the log may be public, and no rule matches them.
    pub fn why_unused(&self, rule: &RuleAt) -> String {
        let conditions = self.resources.iter().filter_map(|row| {
            let Verdict::Unmatched(Unmatched::Refused(refusals)) = &row.verdict else {
                return None;
            };
            let of_rule =
                |one: &&RefusedMatch| *one.rule == *rule.id && one.location == rule.location;
            let refusal = refusals.iter().find(of_rule)?;
            Some(&*refusal.condition)
        });
        let conditions: Vec<&str> = conditions.collect();
        match conditions.first() {
            None => format!("rule {rule} matches no existing resource"),
            Some(first) => {
                let names = match conditions.len() {
                    1 => "1 existing name".to_owned(),
                    count => format!("{count} existing names"),
                };
                format!(
                    "rule {rule} matches no existing resource: its template matches {names}, but \
                     its condition {first} does not hold"
                )
            }
        }
    }
}

impl fmt::Display for RuleAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.location)
    }
}

impl Report {
    /// Adds the result of a sweep and the final use of the quotas.
    pub fn add(&mut self, swept: Swept, quota: Vec<QuotaUse>) {
        self.swept = Some(swept);
        self.quota = assemble::by_provider(quota);
    }

    /// Removes what no rule matches, for a public place. The counts stay.
    pub fn conceal(&mut self) {
        conceal::conceal(self);
    }

    /// Returns a copy with only the resources that have these keys.
    #[must_use]
    pub fn only(&self, keys: &BTreeSet<String>) -> Self {
        let mut part = self.clone();
        part.resources.retain(|row| keys.contains(&row.key));
        part.summary.resources = part.resources.len();
        part.summary.verdicts = assemble::verdicts(&part.resources);
        part
    }

    /// Returns what could not be read, for people. What was not even asked for,
    /// because something else failed, is not said again: a zone that cannot be
    /// looked up hides several listings.
    pub fn gaps(&self) -> impl Iterator<Item = &Evidence> {
        let mut known = BTreeSet::new();
        self.evidence
            .iter()
            .filter(|evidence| !evidence.complete && evidence.needed)
            .filter(move |evidence| {
                let gap = evidence.gap.as_deref().unwrap_or_default();
                known.insert(gap) || evidence.requests > 0
            })
    }

    /// Returns whether a sweep deleted a resource or set it to expire.
    pub fn is_done(&self, row: &Row) -> bool {
        self.done().any(|key| key == row.key)
    }

    /// Returns the keys of the resources that a sweep deleted or set to expire.
    fn done(&self) -> impl Iterator<Item = &str> {
        let steps = self.swept.iter().flat_map(|swept| &swept.steps);
        let done = steps.filter(|step| {
            use Outcome::{Expired, ExpiryRemoved};
            step.outcome.is_gone() || matches!(step.outcome, Expired | ExpiryRemoved)
        });
        done.map(|step| &*step.key)
    }

    /// Returns the resources that are still there after a sweep; after an audit
    /// all of them.
    pub fn left(&self) -> Vec<&Row> {
        let done: BTreeSet<&str> = self.done().collect();
        let along: BTreeSet<&str> = self.gone_along().map(|row| &*row.key).collect();
        let rows = self.resources.iter();
        rows.filter(|row| !done.contains(&*row.key) && !along.contains(&*row.key))
            .collect()
    }

    /// Returns the resources that a provider deleted with one that a sweep deleted: the
    /// DNS record of a custom domain.
    pub fn gone_along(&self) -> impl Iterator<Item = &Row> {
        let steps = self.swept.iter().flat_map(|swept| &swept.steps);
        let gone = steps.filter(|step| step.outcome.is_gone());
        let gone: BTreeSet<&str> = gone.map(|step| &*step.key).collect();
        let managers: Vec<&Row> = self
            .resources
            .iter()
            .filter(|row| row.kind.manages.is_some() && gone.contains(&*row.key))
            .collect();
        self.resources.iter().filter(move |row| {
            let Verdict::Protected(protection) = &row.verdict else {
                return false;
            };
            let is_managed = matches!(
                protection,
                Protection::BuiltIn(BuiltInProtection::Managed) | Protection::ManagedBy(_)
            );
            is_managed
                && managers.iter().any(|manager| {
                    manager.kind.manages == Some(row.kind.name())
                        && manager.name.eq_ignore_ascii_case(&row.name)
                })
        })
    }

    /// Returns the headroom without what a sweep deleted.
    pub fn headroom_left(&self) -> Vec<HeadroomUse> {
        let done: BTreeSet<&str> = self.done().collect();
        let mut headroom = self.headroom.clone();
        let gone = self.resources.iter();
        for row in gone.filter(|row| done.contains(&*row.key)) {
            for one in headroom.iter_mut().filter(|one| one.counts(row)) {
                one.used = one.used.saturating_sub(1);
                one.garbage = one.garbage.saturating_sub(1);
            }
        }
        headroom
    }

    /// Returns the address of a pull request at GitHub.
    pub fn pull_request_address(&self, line: &PullRequestLine) -> Option<String> {
        let web = self.web.as_ref()?;
        let (repository, number) = (line.repository.full_name(), line.number);
        Some(format!("{web}/{repository}/pull/{number}"))
    }

    /// Returns the address of a resource's page at its provider.
    pub fn dashboard_address(&self, row: &Row) -> Option<String> {
        self.web.as_ref()?;
        row.dashboard.clone()
    }

    /// Returns whether resources are left that a sweep should or may have to
    /// delete. Garbage whose rule only reports does not count.
    pub fn leaves_something(&self) -> bool {
        let mut rows = self.resources.iter();
        rows.any(|row| {
            let concerns = match &row.verdict {
                Verdict::Garbage(death) => !death.report_only,
                Verdict::Grace(_) | Verdict::Unknown(_) => true,
                Verdict::Live(_)
                | Verdict::Protected(_)
                | Verdict::InUse(_)
                | Verdict::Unmatched(_) => false,
            };
            concerns && !self.is_done(row)
        })
    }

    /// Returns the number of garbage resources.
    pub fn garbage(&self) -> usize {
        self.count(VerdictName::Garbage)
    }

    /// Returns the number of resources with a verdict.
    pub fn count(&self, verdict: VerdictName) -> usize {
        self.summary.verdicts.get(&verdict).copied().unwrap_or(0)
    }
}
