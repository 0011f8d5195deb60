//! `[[rule]]`.

mod advice;
mod claim;
mod death;
mod never_matches;

use super::Reader;
use super::names::Templates;
use crate::model::KindRef;
use crate::model::code::Code;
use crate::policy::fields::{At, Fields};
use crate::policy::keys::rule as keys;
use crate::policy::rule::{Action, MatchSubject, Missing, Patterns, Rule, Where};
use crate::policy::template::{Anchor, Names};

/// What a rule matches: the templates of claims and the texts that they are
/// matched against.
#[derive(Default)]
struct Matched {
    subject: Option<MatchSubject>,
    /// The templates as they are written, and as they are understood.
    texts: Vec<At<String>>,
    templates: Vec<Templates>,
    /// The names of the resources, where the claim is in an attribute.
    names: Vec<Patterns>,
}

impl Reader<'_> {
    pub(super) fn rule(
        &mut self,
        mut fields: Fields<'_>,
        names: &Names,
    ) -> (Option<Rule>, Option<At<String>>) {
        let span = fields.span();
        let id = fields.text(&keys::ID, &mut self.mistakes);
        let id = fields.require(&keys::ID, id, &mut self.mistakes);
        let words = fields.texts(&keys::KIND, &mut self.mistakes);
        let words = fields.require(&keys::KIND, words, &mut self.mistakes);
        let kinds = words
            .as_ref()
            .map(|words| self.kinds(words))
            .unwrap_or_default();
        let place = self.place(&mut fields, &kinds);
        let matched = self.matched(&mut fields, names, &kinds, &place);
        let except = self.except(&mut fields, names, &kinds);
        let (conditions, timing) =
            self.conditions(&mut fields, &keys::WHERE, &kinds, &matched.templates);
        let death = self.death(&mut fields);
        let missing = self.choice(&mut fields, &keys::MISSING);
        let born = self.choice(&mut fields, &keys::BORN);
        let even_open = fields.flag(&keys::EVEN_OPEN, &mut self.mistakes);
        let with = self.with(&mut fields, &kinds);
        let grace = fields
            .duration(&keys::GRACE, &mut self.mistakes)
            .map(|grace| grace.value);
        let action = self.action(&mut fields, &kinds);
        let backup = self.backup(&mut fields, &kinds);
        let empty = self.empty(
            &mut fields,
            &kinds,
            death
                .as_ref()
                .is_some_and(|death| !death.value.ages.is_empty()),
        );
        let texts = &matched.texts;
        self.check_foreign_numbers(texts, &kinds);
        // A glob beside a claim is no name of a record.
        if matched.names.is_empty() {
            self.check_always_protected(texts, &kinds, &place, &conditions);
        }
        if let Some(death) = &death {
            self.check_age_of_open(texts, death, even_open);
            self.check_redeployed(death, &kinds);
        }
        if missing == Some(Missing::Dead) {
            self.check_missing_branches(texts);
        }
        if let Some(death) = &death {
            self.check_clock(death, &kinds);
            self.check_target(death, &kinds);
            // A template with a mistake of its own is not reported twice.
            if matched.templates.len() == texts.len() {
                for (text, (template, _)) in texts.iter().zip(&matched.templates) {
                    self.check_event(text, template, &death.value, &timing);
                }
            }
        }
        fields.end(&mut self.mistakes);
        let rule = id.clone().map(|id| Rule {
            id: id.value.into(),
            kinds,
            place,
            subject: matched.subject.unwrap_or(MatchSubject::Name),
            templates: matched.templates,
            names: matched.names,
            except,
            conditions,
            timing,
            death: death.map(|death| death.value).unwrap_or_default(),
            with,
            missing: missing.unwrap_or_default(),
            born: born.unwrap_or_default(),
            even_open: even_open.unwrap_or_default(),
            grace,
            action,
            backup,
            empty,
            location: self.location(&span),
            span: self.span(&span),
        });
        (rule, id)
    }

    fn except(
        &mut self,
        fields: &mut Fields<'_>,
        names: &Names,
        kinds: &[KindRef],
    ) -> Vec<Patterns> {
        let except = fields.texts(&keys::EXCEPT, &mut self.mistakes);
        let except = except.unwrap_or_default();
        self.check_except(&except);
        self.hosts(&except, kinds);
        let patterns = except.iter();
        patterns
            .filter_map(|text| self.pattern(text, names))
            .collect()
    }

    /// The templates of a rule, and what they are matched against.
    fn matched(
        &mut self,
        fields: &mut Fields<'_>,
        names: &Names,
        kinds: &[KindRef],
        place: &Where,
    ) -> Matched {
        let branch_span = fields.value_span(keys::BRANCH.name);
        let name_span = fields.value_span(keys::NAME.name);
        let claim = self.claim(fields, names, kinds);
        let name = fields.texts(&keys::NAME, &mut self.mistakes);
        let branch = fields.texts(&keys::BRANCH, &mut self.mistakes);
        let (subject, texts) = match (name, branch) {
            (Some(_), Some(_)) => {
                self.mistakes.error(
                    Code::NameAndBranch,
                    branch_span.unwrap_or_else(|| fields.span()),
                    "a rule matches `name` or `branch`, not both",
                    "the second of the two",
                    Some("write two rules".to_owned()),
                );
                (MatchSubject::Name, None)
            }
            (name, None) => {
                let name = fields.require_with(
                    keys::NAME.name,
                    name,
                    "such as name = \"{service}-preview-{pr}\"",
                    &mut self.mistakes,
                );
                (MatchSubject::Name, name)
            }
            (None, branch) => {
                if let Some(span) = branch_span {
                    self.check_branch(span, kinds);
                }
                (MatchSubject::Branch, branch)
            }
        };
        let texts = texts.unwrap_or_default();
        if subject == MatchSubject::Name {
            self.hosts(&texts, kinds);
        }
        if let Some(claim) = claim {
            return self.claimed(claim, subject, &texts, names);
        }
        if subject == MatchSubject::Name
            && let Some(span) = name_span
            && self.is_named_by_id(span, kinds)
        {
            return Matched::default();
        }
        let literal_project = place
            .projects
            .as_ref()
            .is_some_and(|projects| !projects.is_empty());
        let anchor = if subject == MatchSubject::Branch && literal_project {
            Anchor::Project
        } else {
            Anchor::Itself
        };
        let templates = texts
            .iter()
            .filter_map(|text| {
                let usable = !self.is_foreign(text, kinds);
                usable.then(|| self.template(text, names, kinds, anchor))?
            })
            .collect();
        Matched {
            subject: Some(subject),
            texts,
            templates,
            ..Matched::default()
        }
    }

    pub(super) fn check_branch(&mut self, span: std::ops::Range<usize>, kinds: &[KindRef]) {
        let without = kinds.iter().find(|kind| kind.branch.is_none());
        if let Some(kind) = without {
            self.mistakes.error(
                Code::KindHasNoBranch,
                span,
                format!("a {} has no git branch", kind.noun),
                "`branch` does not apply",
                Some("match its `name` with {branch} or {slug:…} instead".to_owned()),
            );
        }
    }

    /// The kinds that go with what the rule deletes, whatever they are called.
    fn with(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Vec<KindRef> {
        let span = fields.value_span(keys::WITH.name);
        let words = fields
            .texts(&keys::WITH, &mut self.mistakes)
            .unwrap_or_default();
        let with = self.kinds(&words);
        let belongs = |one: &&KindRef| {
            kinds.iter().any(|kind| {
                one.0.belongs_to == Some(kind.name()) || one.0.satellite_of.contains(&kind.name())
            })
        };
        let stranger = with.iter().find(|one| !belongs(one));
        if let (Some(stranger), Some(span), false) = (stranger, span, kinds.is_empty()) {
            self.mistakes.error(
                Code::WithDoesNotBelong,
                span,
                format!(
                    "a {} does not belong to what this rule is about",
                    stranger.0.noun
                ),
                "`with` lists kinds that go with the rule's own",
                Some(
                    "a Worker takes worker_domain, worker_route and worker_preview along, and \
                     container_application and workflow after it"
                        .to_owned(),
                ),
            );
        }
        with
    }

    fn backup(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> bool {
        let span = fields.value_span(keys::BACKUP.name);
        let backup = fields
            .flag(&keys::BACKUP, &mut self.mistakes)
            .unwrap_or(false);
        let cannot = kinds.iter().find(|kind| !kind.backup && !kind.expires);
        if let (true, Some(kind), Some(span)) = (backup, cannot, span) {
            self.mistakes.error(
                Code::NoBackup,
                span,
                format!("there is no backup of a {kind}"),
                "only of kinds that hold something which can be fetched, or that can expire",
                None,
            );
        }
        backup
    }

    fn empty(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef], has_age: bool) -> bool {
        let span = fields.value_span(keys::EMPTY.name);
        let empty = fields
            .flag(&keys::EMPTY, &mut self.mistakes)
            .unwrap_or(false);
        if let (true, true, Some(span)) = (empty, has_age, span.clone()) {
            self.mistakes.error(
                Code::CannotBeEmptied,
                span,
                "a rule with an age empties nothing".to_owned(),
                "an age does not say since when nobody writes any more: use an event alone, such \
                 as dead-when = \"closed\"",
                None,
            );
        }
        let cannot = kinds.iter().find(|kind| !kind.emptied);
        if let (true, Some(kind), Some(span)) = (empty, cannot, span) {
            self.mistakes.error(
                Code::CannotBeEmptied,
                span,
                format!("a {kind} is never emptied before it is deleted"),
                "only of kinds that cannot be deleted while they hold something: buckets",
                None,
            );
        }
        empty
    }

    fn action(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Action {
        let span = fields.value_span(keys::ACTION.name);
        let action = self.choice(fields, &keys::ACTION);
        let action = action.unwrap_or_default();
        let cannot = kinds.iter().find(|kind| !kind.expires);
        if let (Action::Expire, Some(kind), Some(span)) = (action, cannot, span) {
            self.mistakes.error(
                Code::CannotExpire,
                span,
                format!("a {} cannot expire", kind.noun),
                "only Neon branches can",
                Some("use \"delete\" or \"report\"".to_owned()),
            );
        }
        action
    }
}

#[cfg(test)]
mod tests;
