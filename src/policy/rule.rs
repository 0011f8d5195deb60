//! Rules and how they match a resource.

mod backup;
mod condition;
mod death;
mod pattern;
mod place;
mod protect;

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::condition::Condition;
pub(super) use self::condition::Test;
pub use self::death::{
    Action, Age, AgeClock, Born, CREATED_AFTER_OPENED, DeathCondition, DeathEvent,
    ENDED_AFTER_CREATED, Missing, Newer, Per, Timing,
};
use self::pattern::covered;
pub(crate) use self::pattern::{Pattern, Patterns};
pub use self::place::{PlaceName, Where};
pub(super) use self::protect::NamesFile;
pub use self::protect::{Coverage, Protect};
use super::Location;
use super::template::{Captures, Fits, Template};
use crate::model::{Attribute, BuiltInProtection, Claim, KindRef, Resource};

/// The attributes that may hold a claim: texts that people and tools write
/// freely.
pub(super) const CLAIMABLE: [&str; 2] = ["comment", "tags"];

/// What the templates of a rule are matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchSubject {
    /// The resource's name.
    Name,
    /// The git branch that the resource carries.
    Branch,
    /// A text among its attributes, or each of a list of texts.
    Attribute(&'static str),
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
    pub subject: MatchSubject,
    /// Templates for names with case and for names without.
    pub(super) templates: Vec<(Template, Template)>,
    /// The names that it is about, where its templates are matched against an
    /// attribute.
    pub(super) names: Vec<Patterns>,
    /// Names that it does not match.
    pub(super) except: Vec<Patterns>,
    /// Conditions on attributes.
    pub conditions: Vec<Condition>,
    /// Conditions on times.
    pub timing: Timing,
    /// When a resource is dead.
    pub death: DeathCondition,
    /// Kinds that go with its resources although their own names do not contain
    /// the claim.
    pub with: Vec<KindRef>,
    /// What a missing number means.
    pub missing: Missing,
    /// Whether a resource may have been made outside its pull request's life.
    pub born: Born,
    /// Whether an age takes what belongs to an open pull request or an existing git branch.
    pub even_open: bool,
    /// Its own grace.
    pub grace: Option<TimeDelta>,
    /// What happens to garbage.
    pub action: Action,
    /// Whether what it holds is kept before it is deleted.
    pub backup: bool,
    /// Whether what it holds is deleted first, where the kind is only deleted empty.
    pub empty: bool,
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
    /// The git branch, or the slug of one, that the name says beside a pull
    /// request's number. The pull request must come from it.
    pub head: Option<Claim>,
    /// The time that the name says.
    pub named: Option<DateTime<Utc>>,
    /// The key of a condition that the answer cannot decide.
    pub undetermined: Option<&'static str>,
    /// The backup pattern that the name looks like, where the template does not
    /// spell it out.
    pub backup: Option<&'static str>,
    /// The built-in protection that the rule may override: that of labels which
    /// begin with `_` or say production and which the rule spells out, and that of
    /// production which newer production has replaced.
    pub overrides: Option<BuiltInProtection>,
    /// Whether the claim was recorded without proof that it is this repository's:
    /// it can keep a resource that the name gives up, and decides nothing alone.
    pub only_agrees: bool,
}

/// A rule whose template matches a name, and whose condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedMatch {
    /// The rule.
    pub rule: Box<str>,
    /// Where it stands.
    pub location: Location,
    /// The condition as a policy writes it, with the captures of the name put in.
    pub condition: Box<str>,
    /// What the attribute is instead, where the answer has it.
    pub found: Option<Box<str>>,
}

impl fmt::Display for RefusedMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.condition)?;
        match &self.found {
            Some(found) => write!(f, ", and it is {found}"),
            None => Ok(()),
        }
    }
}

impl Rule {
    /// Reads a resource; nothing when the rule is not about it.
    #[inline]
    pub fn read(&self, resource: &Resource) -> Vec<RuleMatch> {
        self.read_with(resource, &mut |_, _| {})
    }

    /// Returns the condition that fails where the rule would match the name.
    pub fn refusal(&self, resource: &Resource) -> Option<RefusedMatch> {
        let mut failed = None;
        let matches = self.read_with(resource, &mut |condition, captures| {
            failed.get_or_insert_with(|| condition.failure(resource, captures));
        });
        let (condition, found) = failed.filter(|_| matches.is_empty())?;
        Some(RefusedMatch {
            found: found.map(Into::into),
            ..self.refused(condition)
        })
    }

    /// Says that this condition of the rule does not hold.
    pub fn refused(&self, condition: String) -> RefusedMatch {
        RefusedMatch {
            rule: self.id.clone(),
            location: self.location.clone(),
            condition: condition.into(),
            found: None,
        }
    }

    /// Reads a resource, and reports each condition that fails.
    #[inline]
    fn read_with(
        &self,
        resource: &Resource,
        failed: &mut dyn FnMut(&Condition, &Captures),
    ) -> Vec<RuleMatch> {
        if !self.kinds.contains(&resource.kind) || !self.place.covers(resource) {
            return Vec::new();
        }
        let texts = match self.subject {
            MatchSubject::Name => vec![&*resource.name],
            MatchSubject::Branch => match branch(resource) {
                Ok(text) => vec![text],
                Err(undetermined) => return vec![RuleMatch::undetermined(undetermined)],
            },
            MatchSubject::Attribute(_) if !covered(&self.names, &resource.name, resource.kind) => {
                return Vec::new();
            }
            MatchSubject::Attribute(key) => match resource.attribute(key) {
                Some(Attribute::Text(text)) => vec![&**text],
                Some(Attribute::List(texts)) => texts.iter().map(AsRef::as_ref).collect(),
                Some(Attribute::Flag(_)) | None => return vec![RuleMatch::undetermined(key)],
            },
        };
        let mut matches = Vec::new();
        for (template, caseless) in &self.templates {
            let template = if resource.kind.caseless {
                caseless
            } else {
                template
            };
            for text in &texts {
                self.match_template(template, text, resource, &mut matches, failed);
            }
        }
        // What a rule leaves out is left out by its name, whatever it matches.
        let excepted = match self.subject {
            MatchSubject::Branch => texts.first().copied().unwrap_or_default(),
            MatchSubject::Name | MatchSubject::Attribute(_) => &resource.name,
        };
        if !matches.is_empty() && covered(&self.except, excepted, resource.kind) {
            return Vec::new();
        }
        matches
    }

    fn match_template(
        &self,
        template: &Template,
        text: &str,
        resource: &Resource,
        matches: &mut Vec<RuleMatch>,
        failed: &mut dyn FnMut(&Condition, &Captures),
    ) {
        let overrides = match resource.protection {
            Some(fact @ BuiltInProtection::Underscore) => {
                let spelled = self.subject == MatchSubject::Name
                    && self.conditions.iter().any(Condition::is_txt)
                    && template.spells_underscores(&resource.name);
                spelled.then_some(fact)
            }
            Some(fact @ BuiltInProtection::LikeProduction) => {
                // A deployment is called after its environment, which no template of a git
                // branch spells.
                let name = resource.holder.as_ref().unwrap_or(&resource.name);
                let spelled =
                    self.subject == MatchSubject::Name && template.spells_production(name);
                spelled.then_some(fact)
            }
            Some(fact @ BuiltInProtection::PastProduction) => {
                self.collects_past_production().then_some(fact)
            }
            _ => None,
        };
        let ways = match template.fit(text) {
            Fits::Ways(ways) => ways,
            Fits::TooMany => {
                matches.push(RuleMatch::undetermined("name"));
                return;
            }
        };
        for captures in ways {
            let mut undetermined = None;
            let mut fails = false;
            for condition in &self.conditions {
                match condition.holds(resource, &captures) {
                    Some(true) => {}
                    Some(false) => {
                        failed(condition, &captures);
                        fails = true;
                    }
                    None => undetermined = Some(condition.key),
                }
            }
            // A value that certainly fails does not match, whatever else is unknown.
            if fails {
                continue;
            }
            let rule_match = RuleMatch {
                claim: captures.claim(),
                head: captures.branch_beside_number().cloned(),
                named: captures.named,
                undetermined,
                backup: backup::unspelled(template, &resource.name),
                overrides,
                only_agrees: false,
            };
            if !matches.contains(&rule_match) {
                matches.push(rule_match);
            }
        }
    }

    /// Returns the attribute that holds the claim of a resource with this name,
    /// where the rule takes the claim from an attribute.
    pub fn claim_attribute(&self, kind: KindRef, name: &str) -> Option<&'static str> {
        match self.subject {
            MatchSubject::Attribute(key)
                if self.kinds.contains(&kind)
                    && covered(&self.names, name, kind)
                    && !covered(&self.except, name, kind) =>
            {
                Some(key)
            }
            MatchSubject::Name | MatchSubject::Branch | MatchSubject::Attribute(_) => None,
        }
    }

    /// Whether the rule keeps the newest of production, and may take what they
    /// replaced.
    pub fn collects_past_production(&self) -> bool {
        self.death.newer.is_some() && self.conditions.iter().any(Condition::is_production)
    }

    /// Returns whether a condition of the rule may be about production.
    pub fn asks_about_production(&self) -> bool {
        self.conditions.iter().any(Condition::may_be_production)
    }

    /// Returns the conditions as a policy writes them.
    pub fn conditions_written(&self) -> Vec<String> {
        let attributes = self.conditions.iter().map(Condition::written);
        attributes.chain(self.timing.written()).collect()
    }

    /// What the rule takes a name of this kind for, wherever the resource is
    /// and whatever else it has.
    pub(super) fn match_name(&self, kind: KindRef, name: &str) -> Vec<Claim> {
        if self.subject == MatchSubject::Name {
            self.claims_of(kind, name)
        } else {
            Vec::new()
        }
    }

    /// What the rule takes the name, the git branch or the attribute of a resource for,
    /// whatever its conditions say.
    pub(super) fn claims(&self, resource: &Resource) -> Vec<Claim> {
        let kind = resource.kind;
        let texts = match self.subject {
            MatchSubject::Name => return self.claims_of(kind, &resource.name),
            MatchSubject::Branch => branch(resource).into_iter().collect(),
            MatchSubject::Attribute(key) => {
                let covered = covered(&self.names, &resource.name, kind)
                    && !self.excepts(&resource.name, kind);
                match resource.attribute(key).filter(|_| covered) {
                    Some(Attribute::Text(text)) => vec![&**text],
                    Some(Attribute::List(texts)) => texts.iter().map(AsRef::as_ref).collect(),
                    Some(Attribute::Flag(_)) | None => Vec::new(),
                }
            }
        };
        let claims = texts.into_iter();
        claims.flat_map(|text| self.claims_of(kind, text)).collect()
    }

    /// What a rule about git branches takes one for.
    pub fn match_branch(&self, kind: KindRef, branch: &str) -> Vec<Claim> {
        if self.subject == MatchSubject::Branch {
            self.claims_of(kind, branch)
        } else {
            Vec::new()
        }
    }

    fn claims_of(&self, kind: KindRef, text: &str) -> Vec<Claim> {
        if !self.kinds.contains(&kind) {
            return Vec::new();
        }
        let mut claims = Vec::new();
        for (template, caseless) in &self.templates {
            let template = if kind.caseless { caseless } else { template };
            match template.fit(text) {
                Fits::Ways(ways) => claims.extend(ways.iter().map(Captures::claim)),
                Fits::TooMany => claims.push(Claim::Itself),
            }
        }
        claims.dedup();
        if !claims.is_empty() && self.excepts(text, kind) {
            return Vec::new();
        }
        claims
    }

    /// Whether `except` covers a name.
    pub(super) fn excepts(&self, name: &str, kind: KindRef) -> bool {
        covered(&self.except, name, kind)
    }

    /// Returns the names or git branches that it would match for this branch, as
    /// far as the branch decides them.
    pub fn of_branch(&self, branch: &str) -> Vec<String> {
        let templates = self.templates.iter();
        templates
            .flat_map(|(template, _)| template.of_branch(branch))
            .collect()
    }

    /// Returns the beginnings of the names that it matches, in lower case where
    /// names have no case.
    pub(super) fn beginnings(&self, kind: KindRef) -> Vec<String> {
        let of = |(template, caseless): &(Template, Template)| {
            if kind.caseless { caseless } else { template }.beginnings()
        };
        self.templates.iter().flat_map(of).collect()
    }

    /// Whether the verdict depends on what a match says that the resource belongs
    /// to. Where a name has a number and a git branch, they have to agree.
    pub fn asks_about_match(&self, rule_match: &RuleMatch) -> bool {
        rule_match.head.is_some() || self.asks_about(&rule_match.claim)
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

    /// Whether the verdict depends on how a pull request or run ended, or on
    /// whether there is one at all: what is another repository's takes no one's
    /// place.
    pub fn asks_about_ends(&self) -> bool {
        let by_merge = |age: &Age| age.clock == AgeClock::Merged;
        !self.death.events.is_empty()
            || self.death.newer.is_some()
            || self.death.without_label.is_some()
            || self.death.ages.iter().any(by_merge)
            || self.timing != Timing::default()
    }

    /// Whether the time at which a resource was made may contradict the number in its
    /// name.
    pub fn is_born_in_time(&self) -> bool {
        self.born == Born::InTime
    }

    /// Whether it asks when a resource was made: a pull request's number in a name
    /// is evidence only together with time.
    pub fn asks_about_birth(&self) -> bool {
        self.born == Born::InTime && self.asks_about_ends()
    }

    /// Whether a name that it matches may hold the number of a pull request.
    pub fn asks_about_numbers(&self) -> bool {
        self.templates
            .iter()
            .any(|(template, _)| template.has_pull_request())
    }

    /// Whether any verdict of this rule may depend on GitHub.
    pub fn asks_github(&self) -> bool {
        let of_templates = |(template, _): &(Template, Template)| {
            template.captures_branch() || (template.has_pull_request() && !self.even_open)
        };
        self.asks_about_ends() || self.templates.iter().any(of_templates)
    }

    /// Whether a template captures a pull request's number.
    pub fn has_pull_request(&self) -> bool {
        let mut templates = self.templates.iter();
        templates.any(|(template, _)| template.has_pull_request())
    }

    /// Whether it asks about git branches.
    pub fn asks_about_branches(&self) -> bool {
        self.templates
            .iter()
            .any(|(template, _)| template.captures_branch())
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
            head: None,
            named: None,
            undetermined: Some(key),
            backup: None,
            overrides: None,
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

#[cfg(test)]
mod tests;
