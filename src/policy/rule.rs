//! Rules and how they match a resource.

mod condition;
mod protect;

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use self::condition::Condition;
pub(super) use self::condition::Test;
pub use self::protect::{Coverage, Protect};
use super::Location;
use super::glob;
use super::template::{Captures, Fits, Template};
use crate::model::identifier::{host_name, unicode_host_name};
use crate::model::{Attribute, Claim, KindRef, Place, Resource};

/// An event that makes a resource dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its pull request was closed, merged included.
    Closed,
    /// Its pull request was merged.
    Merged,
    /// Its git branch is gone.
    BranchGone,
    /// Its Actions run has completed.
    RunFinished,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::BranchGone => "branch-gone",
            Self::RunFinished => "run-finished",
        })
    }
}

/// From when an age counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeClock {
    /// The resource's creation.
    Created,
    /// Its last change.
    Changed,
    /// The merge of its pull request.
    Merged,
    /// When it was last used.
    Active,
    /// The time that its name says.
    Named,
}

impl fmt::Display for AgeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Merged => "merged",
            Self::Active => "active",
            Self::Named => "named",
        })
    }
}

/// What the templates of a rule are matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The resource's name.
    Name,
    /// The git branch that the resource carries.
    Branch,
}

/// An age that makes a resource dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// It must be older than this, strictly.
    pub longer_than: TimeDelta,
    /// Counted from here.
    pub clock: AgeClock,
}

/// What makes a resource dead: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Death {
    /// Events.
    pub events: Vec<Event>,
    /// Ages.
    pub ages: Vec<Age>,
}

/// The meaning of a number that belongs to nothing known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The resource is kept.
    #[default]
    Keep,
    /// It is dead.
    Dead,
}

/// When a resource must have been made for a number in its name to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Born {
    /// While its pull request was open, or shortly after.
    #[default]
    InTime,
    /// At any time.
    Any,
}

/// What happens to garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is deleted.
    #[default]
    Delete,
    /// It is only reported.
    Report,
    /// It gets an expiry.
    Expire,
    /// An expiry that it was given is removed. No rule says so.
    #[serde(rename = "remove_expiry")]
    RemoveExpiry,
}

/// Conditions on the pull request's times, which its judge checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// The resource was made when the pull request was open already.
    pub created_after_opened: Option<bool>,
    /// The pull request ended after the resource was made.
    pub ended_after_created: Option<bool>,
}

/// A name in `protect` and `except`: a glob, or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Only `*` is special.
    Glob(Box<str>),
    /// As in a rule.
    Template(Template),
    /// For host names: one for their normal form and one for their form in
    /// Unicode, because a part of a label has no normal form. Either of them
    /// covers the name.
    Host(Box<[Self; 2]>),
}

/// A pattern for names with case and one for names without.
pub(crate) type Patterns = (Pattern, Pattern);

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob(glob) => glob::matches(glob, name),
            Self::Host(forms) => {
                let [normal, unicode] = &**forms;
                normal.matches(&host_name(name))
                    || unicode_host_name(name).is_some_and(|name| unicode.matches(&name))
            }
            // Names that cannot be distinguished are kept.
            Self::Template(template) => template.fit(name) != Fits::Ways(Vec::new()),
        }
    }
}

/// The zones and projects where something applies; everywhere without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// Zones by name or id.
    pub zones: Option<Vec<PlaceName>>,
    /// Projects by id.
    pub projects: Option<Vec<PlaceName>>,
}

/// A zone or project that a rule or a `protect` entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceName {
    /// The name or id, in its normal form.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Where {
    fn covers(&self, resource: &Resource) -> bool {
        // What an account holds by project is known by the resource alone.
        let held = || {
            let within = resource.within.as_deref();
            self.projects
                .as_ref()
                .is_none_or(|list| list.iter().any(|one| Some(one.name.as_str()) == within))
        };
        self.reaches(&resource.place)
            && (matches!(&*resource.place, Place::Zone { .. } | Place::Project(_)) || held())
    }

    /// Whether it may cover anything in a place.
    pub fn reaches(&self, place: &Place) -> bool {
        let among = |list: &Option<Vec<PlaceName>>, names: &[&str]| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|one| names.contains(&one.name.as_str())))
        };
        match place {
            Place::Zone { id, name, .. } => among(&self.zones, &[id, name]),
            Place::Project(id) => among(&self.projects, &[id]),
            // A rule for accounts cannot also be one for a zone.
            Place::Account(_) | Place::Repository(_) => self.zones.is_none(),
        }
    }
}

/// A rule: the names that it matches, what they belong to, and when they are
/// dead.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The owner's name for it.
    pub id: Box<str>,
    /// The kinds that it is about.
    pub kinds: Vec<KindRef>,
    /// Where it applies.
    pub place: Where,
    /// What the templates are matched against.
    pub subject: Subject,
    /// Templates for names with case and for names without.
    pub(super) templates: Vec<(Template, Template)>,
    /// Names that it does not match.
    pub(super) except: Vec<Patterns>,
    /// Conditions on attributes.
    pub conditions: Vec<Condition>,
    /// Conditions on times.
    pub timing: Timing,
    /// When a resource is dead.
    pub death: Death,
    /// Kinds that go with its resources although their own names do not contain
    /// the claim.
    pub with: Vec<KindRef>,
    /// What a missing number means.
    pub missing: Missing,
    /// Whether a resource may have been made outside its pull request's life.
    pub born: Born,
    /// Whether an age takes what belongs to an open pull request.
    pub even_open: bool,
    /// Its own grace.
    pub grace: Option<TimeDelta>,
    /// What happens to garbage.
    pub action: Action,
    /// Whether what it holds is kept before it is deleted.
    pub backup: bool,
    /// Where it stands.
    pub location: Location,
    /// The bytes of its file that it takes.
    pub span: Span,
}

/// Bytes of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Index of the file among the sources.
    pub source: usize,
    /// The bytes.
    pub bytes: Range<usize>,
}

/// What a rule takes a name for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMatch {
    /// What the name says it belongs to.
    pub claim: Claim,
    /// The time that the name says.
    pub named: Option<DateTime<Utc>>,
    /// A condition that the answer cannot tell.
    pub undetermined: Option<&'static str>,
    /// Whether the template spells out the backup that the name looks like.
    pub spells_backup: bool,
    /// Whether the claim was recorded without proof that it is this repository's:
    /// it can keep a resource that the name gives up, and decides nothing alone.
    pub only_agrees: bool,
}

impl Rule {
    /// Reads a resource; nothing when the rule is not about it.
    #[inline]
    pub fn read(&self, resource: &Resource) -> Vec<RuleMatch> {
        if !self.kinds.contains(&resource.kind) || !self.place.covers(resource) {
            return Vec::new();
        }
        let text = match self.subject {
            Subject::Name => &*resource.name,
            Subject::Branch => match branch(resource) {
                Ok(text) => text,
                Err(undetermined) => return vec![RuleMatch::undetermined(undetermined)],
            },
        };
        let mut readings = Vec::new();
        for (template, caseless) in &self.templates {
            let template = if resource.kind.caseless {
                caseless
            } else {
                template
            };
            self.read_as(template, text, resource, &mut readings);
        }
        if !readings.is_empty() && covered(&self.except, text, resource.kind) {
            return Vec::new();
        }
        readings
    }

    fn read_as(
        &self,
        template: &Template,
        text: &str,
        resource: &Resource,
        readings: &mut Vec<RuleMatch>,
    ) {
        let spells_backup = || {
            backup_pattern(&resource.name)
                .is_some_and(|pattern| template.spells(pattern.trim_matches('*')))
        };
        let ways = match template.fit(text) {
            Fits::Ways(ways) => ways,
            Fits::TooMany => {
                readings.push(RuleMatch::undetermined("name"));
                return;
            }
        };
        for captures in ways {
            let mut undetermined = None;
            let mut failed = false;
            for condition in &self.conditions {
                match condition.holds(resource, &captures) {
                    Some(true) => {}
                    Some(false) => failed = true,
                    None => undetermined = Some(condition.key),
                }
            }
            // A value that certainly fails does not match, whatever else is unknown.
            if failed {
                continue;
            }
            let reading = RuleMatch {
                claim: captures.claim(),
                named: captures.named,
                undetermined,
                spells_backup: spells_backup(),
                only_agrees: false,
            };
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
    }

    /// What the rule takes a name of this kind for, wherever the resource is
    /// and whatever else it has.
    pub(super) fn read_name(&self, kind: KindRef, name: &str) -> Vec<Claim> {
        if !self.kinds.contains(&kind) || self.subject != Subject::Name {
            return Vec::new();
        }
        let mut claims = Vec::new();
        for (template, caseless) in &self.templates {
            let template = if kind.caseless { caseless } else { template };
            match template.fit(name) {
                Fits::Ways(ways) => claims.extend(ways.iter().map(Captures::claim)),
                Fits::TooMany => claims.push(Claim::Itself),
            }
        }
        claims.dedup();
        if !claims.is_empty() && covered(&self.except, name, kind) {
            return Vec::new();
        }
        claims
    }

    /// Returns the beginnings of the names that it matches, in lower case where
    /// names have no case.
    pub(super) fn beginnings(&self, kind: KindRef) -> Vec<String> {
        let of = |(template, caseless): &(Template, Template)| {
            if kind.caseless { caseless } else { template }.beginnings()
        };
        self.templates.iter().flat_map(of).collect()
    }

    /// Whether the verdict depends on what the name claims to belong to. An age
    /// alone asks nothing about runs, and about numbers only whether the pull
    /// request is open. A branch or slug must always be given by something known,
    /// or the rule does not match the name.
    pub fn asks_about(&self, claim: &Claim) -> bool {
        match claim {
            Claim::Itself => false,
            Claim::Branch(_) | Claim::Slug { .. } => true,
            Claim::PullRequest(_) => self.asks_about_ends() || !self.even_open,
            Claim::Run(_) => self.asks_about_ends(),
        }
    }

    /// Whether the verdict depends on how a pull request or run ended.
    pub fn asks_about_ends(&self) -> bool {
        let by_merge = |age: &Age| age.clock == AgeClock::Merged;
        !self.death.events.is_empty()
            || self.death.ages.iter().any(by_merge)
            || self.timing != Timing::default()
    }

    /// Whether any verdict of this rule may depend on GitHub.
    pub fn asks_github(&self) -> bool {
        let of_templates = |(template, _): &(Template, Template)| {
            template.has_head() || (template.has_pull_request() && !self.even_open)
        };
        self.asks_about_ends() || self.templates.iter().any(of_templates)
    }

    /// Whether it asks about git branches.
    pub fn asks_about_heads(&self) -> bool {
        self.templates
            .iter()
            .any(|(template, _)| template.has_head())
    }

    /// Whether it asks about Actions runs.
    pub fn asks_about_runs(&self) -> bool {
        self.asks_about_ends()
            && self
                .templates
                .iter()
                .any(|(template, _)| template.has_run())
    }

    /// Whether it asks when a resource was last active.
    pub fn asks_about_activity(&self) -> bool {
        let by_activity = |age: &Age| age.clock == AgeClock::Active;
        self.death.ages.iter().any(by_activity)
    }
}

impl RuleMatch {
    fn undetermined(key: &'static str) -> Self {
        Self {
            claim: Claim::Itself,
            named: None,
            undetermined: Some(key),
            spells_backup: false,
            only_agrees: false,
        }
    }
}

/// Returns the git branch that a resource records, or the missing attribute.
fn branch(resource: &Resource) -> Result<&str, &'static str> {
    let key = resource.kind.branch.unwrap_or("branch");
    match resource.attribute(key) {
        Some(Attribute::Text(branch)) => Ok(branch),
        _ => Err(key),
    }
}

fn covered(patterns: &[Patterns], text: &str, kind: KindRef) -> bool {
    let by_host = kind.caseless || kind.begins_with_host;
    patterns.iter().any(|(pattern, caseless)| {
        (!kind.caseless && pattern.matches(text)) || (by_host && caseless.matches(text))
    })
}

/// The backup pattern that a name looks like.
pub fn backup_pattern(name: &str) -> Option<&'static str> {
    if name.starts_with("rollback-") {
        Some("rollback-*")
    } else if name.starts_with("pre-deploy-") {
        Some("pre-deploy-*")
    } else if name.starts_with("emergency-restore-") {
        Some("emergency-restore-*")
    } else if name.contains("_old_") {
        Some("*_old_*")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PullRequestNumber;
    use crate::policy::tests::{kind, policy, resource};

    /// The only rule of a file.
    fn rule(text: &str) -> Rule {
        policy(&format!("[[rule]]\nid = \"one\"\n{text}\n")).rules[0].clone()
    }

    /// A rule for one kind by age alone, with more said of it.
    fn aged(kind: &str, more: &str) -> Rule {
        rule(&format!(
            "kind = \"{kind}\"\ndead-when = {{ older-than = \"1d\" }}\n{more}"
        ))
    }

    /// The only `protect` entry of a file.
    fn protect(text: &str) -> Protect {
        policy(&format!("[[protect]]\nreason = \"ours\"\n{text}\n"))
            .protects
            .remove(0)
    }

    fn with(mut resource: Resource, key: &'static str, value: Attribute) -> Resource {
        resource.attributes.push((key, value));
        resource
    }

    fn list(texts: &[&str]) -> Attribute {
        Attribute::List(texts.iter().map(|text| Box::from(*text)).collect())
    }

    fn text(text: &str) -> Attribute {
        Attribute::Text(text.into())
    }

    #[test]
    fn events_and_clocks_are_shown_as_a_policy_writes_them() {
        for (event, expected) in [
            (Event::Closed, "closed"),
            (Event::Merged, "merged"),
            (Event::BranchGone, "branch-gone"),
            (Event::RunFinished, "run-finished"),
        ] {
            assert_eq!(event.to_string(), expected);
        }
        for (clock, expected) in [
            (AgeClock::Created, "created"),
            (AgeClock::Changed, "changed"),
            (AgeClock::Merged, "merged"),
            (AgeClock::Active, "active"),
            (AgeClock::Named, "named"),
        ] {
            assert_eq!(clock.to_string(), expected);
        }
    }

    #[test]
    fn a_rule_asks_for_what_its_verdict_depends_on() {
        let old = "dead-when = { older-than = \"1d\" }";
        let whatever = "dead-when = { older-than = \"1d\" }\neven-open = true";
        let idle = "dead-when = { older-than = \"1d\", clock = \"active\" }";
        let merged_long = "dead-when = { older-than = \"1d\", clock = \"merged\" }";
        let later = "dead-when = { older-than = \"1d\" }\nwhere = { created-after-opened = true }";
        let closed = "dead-when = \"closed\"";
        let finished = "dead-when = \"run-finished\"";
        let (no, yes) = (false, true);
        // Whether a pull request is open or how it ended, GitHub at all, git
        // branches, runs, activity.
        for (name, when, expected) in [
            ("app-{any}", old, [yes, no, no, no, no]),
            ("app-{pr}", old, [yes, yes, no, no, no]),
            ("app-{pr}", whatever, [no, no, no, no, no]),
            ("app-{run}", old, [yes, no, no, no, no]),
            ("app-{branch}", old, [yes, yes, yes, no, no]),
            ("app-{any}", idle, [yes, no, no, no, yes]),
            ("app-{pr}", merged_long, [yes, yes, no, no, no]),
            ("app-{pr}", later, [yes, yes, no, no, no]),
            ("app-{pr}", closed, [yes, yes, no, no, no]),
            ("app-{branch}", closed, [yes, yes, yes, no, no]),
            ("app-{run}", finished, [yes, yes, no, yes, no]),
        ] {
            let rule = rule(&format!(
                "kind = \"neon_branch\"\nname = \"{name}\"\n{when}"
            ));
            let number = Claim::PullRequest(PullRequestNumber::new(7).unwrap());
            let asked = [
                rule.asks_about(&number),
                rule.asks_github(),
                rule.asks_about_heads(),
                rule.asks_about_runs(),
                rule.asks_about_activity(),
            ];
            assert_eq!(asked, expected, "{name} {when}");
            assert!(!rule.asks_about(&Claim::Itself), "{name} {when}");
            // A name with an unknown branch did not match at all.
            assert!(rule.asks_about(&Claim::Branch("x".into())), "{name} {when}");
        }
    }

    #[test]
    fn conditions_compare_hosts_words_flags_and_lists_each_in_their_way() {
        let of = |kind: &str, condition: &str| {
            aged(
                kind,
                &format!("name = \"app-{{pr}}\"\nwhere = {{ {condition} }}"),
            )
        };
        let host = |name: &str| Attribute::Text(name.into());
        for (kind, condition, key, value, expected) in [
            (
                "dns_record",
                "content = \"Eu.Example.com\"",
                "content",
                host("eu.example.COM."),
                true,
            ),
            (
                "dns_record",
                "content = \"eu.example.com\"",
                "content",
                host("us.example.com"),
                false,
            ),
            (
                "dns_record",
                "content = [\"a.com\", \"b.com\"]",
                "content",
                host("b.com"),
                true,
            ),
            (
                "dns_record",
                "content = \"app-{pr}.com\"",
                "content",
                host("app-7.com"),
                true,
            ),
            (
                "dns_record",
                "content = \"app-{pr}.com\"",
                "content",
                host("app-8.com"),
                false,
            ),
            (
                "dns_record",
                "type = \"CNAME\"",
                "type",
                text("CNAME"),
                true,
            ),
            (
                "dns_record",
                "type = \"CNAME\"",
                "type",
                text("cname"),
                false,
            ),
            (
                "dns_record",
                "proxied = true",
                "proxied",
                Attribute::Flag(true),
                true,
            ),
            (
                "dns_record",
                "proxied = true",
                "proxied",
                Attribute::Flag(false),
                false,
            ),
            (
                "dns_record",
                "proxied = false",
                "proxied",
                Attribute::Flag(false),
                true,
            ),
            (
                "worker",
                "tags = [\"a\", \"b\"]",
                "tags",
                list(&["b", "c", "a"]),
                true,
            ),
            (
                "worker",
                "tags = [\"a\", \"b\"]",
                "tags",
                list(&["a", "c"]),
                false,
            ),
        ] {
            let rule = of(kind, condition);
            let bare = resource(kind, "app-7");
            let readings = rule.read(&with(bare.clone(), key, value));
            assert_eq!(readings.len(), usize::from(expected), "{condition}");
            assert!(
                readings
                    .iter()
                    .all(|reading| reading.undetermined.is_none())
            );
            let undetermined: Vec<_> = rule
                .read(&bare)
                .iter()
                .map(|one| one.undetermined)
                .collect();
            assert_eq!(undetermined, [Some(key)], "{condition}");
        }
    }

    #[test]
    fn a_rule_reads_only_what_is_where_it_applies() {
        let pages = |project: Option<&str>| {
            let mut pages = resource("pages_deployment", "app-7");
            pages.within = project.map(Into::into);
            pages
        };
        for (place, resource, expected) in [
            (
                "zone = \"Example.COM\"",
                resource("dns_record", "app-7"),
                true,
            ),
            (
                "zone = \"0123456789ABCDEF0123456789abcdef\"",
                resource("dns_record", "app-7"),
                true,
            ),
            (
                "zone = [\"a.com\", \"example.com\"]",
                resource("dns_record", "app-7"),
                true,
            ),
            (
                "zone = \"example.org\"",
                resource("dns_record", "app-7"),
                false,
            ),
            (
                "project = \"project\"",
                resource("neon_branch", "app-7"),
                true,
            ),
            (
                "project = \"another\"",
                resource("neon_branch", "app-7"),
                false,
            ),
            ("project = \"shop\"", pages(Some("shop")), true),
            ("project = \"shop\"", pages(Some("docs")), false),
            ("project = \"shop\"", pages(None), false),
        ] {
            let kind = resource.kind.name();
            let rule = aged(kind, &format!("name = \"app-{{pr}}\"\n{place}"));
            let read = rule.read(&resource).len();
            assert_eq!(read, usize::from(expected), "{kind} {place}");
        }
    }

    #[test]
    fn a_name_alone_is_read_by_rules_for_names_of_its_kind() {
        let named = aged(
            "pages_deployment",
            "name = \"app-{pr}\"\nexcept = \"app-9*\"",
        );
        let by_branch = aged("pages_deployment", "branch = \"app-{pr}\"");
        for (rule, sort, name, expected) in [
            (
                &named,
                "pages_deployment",
                "app-7",
                &["pull request #7"][..],
            ),
            (&named, "pages_deployment", "app-97", &[]),
            (&named, "worker", "app-7", &[]),
            (&by_branch, "pages_deployment", "app-7", &[]),
            (&by_branch, "worker", "app-7", &[]),
        ] {
            let claims = rule.read_name(kind(sort), name);
            let claims: Vec<_> = claims.iter().map(Claim::to_string).collect();
            assert_eq!(claims, expected, "{sort} {name}");
        }
    }

    #[test]
    fn a_protect_entry_is_about_the_kinds_and_names_that_it_says() {
        for (entry, worker_api, worker_web, d1_api) in [
            ("kind = \"worker\"\nname = \"api-*\"", true, false, false),
            ("kind = \"worker\"", true, true, false),
            ("name = \"api-*\"", true, false, true),
            // Names say nothing about git branches.
            ("branch = \"*\"", false, false, false),
            ("branch = \"*\"\nname = \"api-*\"", false, false, false),
        ] {
            let entry_read = protect(entry);
            let named = [("worker", "api-x"), ("worker", "web-x"), ("d1", "api-x")]
                .map(|(sort, name)| entry_read.names(kind(sort), name));
            assert_eq!(named, [worker_api, worker_web, d1_api], "{entry}");
        }
    }

    #[test]
    fn a_protect_entry_covers_what_fits_all_that_it_says() {
        let pages = || resource("pages_deployment", "x");
        let worker = || resource("worker", "www");
        let record = |name: &str| resource("dns_record", name);
        let on_main = "kind = \"pages_deployment\"\nbranch = \"main\"";
        let www = "zone = \"example.com\"\nname = \"www*\"";
        let kept = "kind = \"worker\"\nwhere = { tags = \"keep\" }";
        for (entry, resource, expected) in [
            ("kind = \"worker\"", worker(), Coverage::Yes),
            ("kind = \"worker\"", resource("d1", "www"), Coverage::No),
            (www, record("www.example.com"), Coverage::Yes),
            (www, record("WWW.example.com"), Coverage::Yes),
            (www, record("api.example.com"), Coverage::No),
            // What is in no zone is not in this one either.
            (www, worker(), Coverage::No),
            (
                "zone = \"example.org\"\nname = \"www*\"",
                record("www.example.com"),
                Coverage::No,
            ),
            (
                on_main,
                with(pages(), "branch", text("main")),
                Coverage::Yes,
            ),
            (on_main, with(pages(), "branch", text("dev")), Coverage::No),
            (on_main, pages(), Coverage::CannotTell("branch")),
            (
                "branch = \"main\"",
                with(pages(), "branch", text("main")),
                Coverage::Yes,
            ),
            ("branch = \"main\"", worker(), Coverage::No),
            (
                kept,
                with(worker(), "tags", list(&["a", "keep"])),
                Coverage::Yes,
            ),
            (kept, with(worker(), "tags", list(&["a"])), Coverage::No),
            (kept, worker(), Coverage::CannotTell("tags")),
        ] {
            let name = resource.name.clone();
            assert_eq!(protect(entry).covers(&resource), expected, "{entry} {name}");
        }
    }
}
