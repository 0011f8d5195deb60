//! `dead-when` of a rule.

use toml::Spanned;
use toml::de::DeValue;

use super::super::Reader;
use crate::model::code::Code;
use crate::policy::fields::{self, At, Fields};
use crate::policy::keys::{death, rule};
use crate::policy::rule::{Age, AgeClock, DeathCondition, Newer, Per};
use crate::policy::spelling;
use crate::policy::words;

impl Reader<'_> {
    pub(super) fn death(&mut self, fields: &mut Fields<'_>) -> Option<At<DeathCondition>> {
        let value = fields.take(&rule::DEAD_WHEN);
        let value = fields.require(&rule::DEAD_WHEN, value, &mut self.mistakes)?;
        let mut death = DeathCondition::default();
        match value.get_ref() {
            DeValue::Array(items) => {
                if items.is_empty() {
                    fields::wrong(
                        "dead-when",
                        value,
                        "at least one condition",
                        &mut self.mistakes,
                    );
                }
                for item in items {
                    self.one_death(item, &mut death);
                }
            }
            _ => self.one_death(value, &mut death),
        }
        Some(At::new(death, value.span()))
    }

    fn one_death(&mut self, value: &Spanned<DeValue<'_>>, death: &mut DeathCondition) {
        match value.get_ref() {
            DeValue::String(text) => {
                let events = rule::DEAD_WHEN.form.0.0;
                let event = events.iter().find(|(word, _)| *word == text.as_ref());
                match event {
                    Some((_, event)) => death.events.push(*event),
                    None => self.mistakes.error(
                        Code::EventUnknown,
                        value.span(),
                        format!("`dead-when` cannot be {text:?}"),
                        "unknown event",
                        Some(spelling::suggestion(text, &words::of(events))),
                    ),
                }
            }
            DeValue::Table(table) => {
                let mut fields = Fields::of(rule::DEAD_WHEN.form.1, table, value.span());
                self.condition_of_death(&mut fields, death);
                fields.end(&mut self.mistakes);
            }
            _ => fields::wrong(
                "dead-when",
                value,
                "an event such as \"closed\", { older-than = … }, { newer = … } or a list of them",
                &mut self.mistakes,
            ),
        }
    }

    /// Reads `{ older-than = "30d" }`, `{ newer = 3 }` or `{ without-label = "x" }`.
    fn condition_of_death(&mut self, fields: &mut Fields<'_>, death: &mut DeathCondition) {
        let spans = death::TABLE.one_of.iter().map(|key| fields.value_span(key));
        let spans: Vec<_> = spans.flatten().collect();
        let age = fields.duration(&death::OLDER_THAN, &mut self.mistakes);
        let clock = self.choice(fields, &death::CLOCK);
        let newer = fields.whole(&death::NEWER, &mut self.mistakes);
        let per = self.choice(fields, &death::PER);
        let label = fields.text(&death::WITHOUT_LABEL, &mut self.mistakes);
        let gone = fields.value_span(death::TARGET_GONE.name);
        let target_gone = fields.flag(&death::TARGET_GONE, &mut self.mistakes);
        if spans.len() != 1 {
            self.mistakes.error(
                Code::KeyMissing,
                spans.last().cloned().unwrap_or_else(|| fields.span()),
                "this `dead-when` has not exactly one of `older-than`, `newer`, `without-label` and \
                 `target-gone`",
                "a table is one condition",
                Some(
                    "such as { older-than = \"30d\", clock = \"created\" }; a list has several"
                        .to_owned(),
                ),
            );
            return;
        }
        death.target_gone |= target_gone == Some(true);
        if let (Some(false), Some(span)) = (target_gone, gone) {
            self.mistakes.error(
                Code::TargetUnknown,
                span,
                "`target-gone = false` is no condition".to_owned(),
                "only true is one",
                Some("leave it out".to_owned()),
            );
        }
        death.ages.extend(age.map(|age| Age {
            longer_than: age.value,
            clock: clock.unwrap_or(AgeClock::Created),
        }));
        if let Some(newer) = newer {
            self.newer(newer, per, death);
        }
        if let Some(label) = label {
            if death.without_label.is_some() || label.value.trim().is_empty() {
                self.mistakes.error(
                    Code::NewerMalformed,
                    label.span,
                    "`without-label` names one label",
                    "empty, or the second of them",
                    Some("write the label that previews need, such as \"preview\"".to_owned()),
                );
                return;
            }
            death.without_label = Some(label.value.into());
        }
    }

    fn newer(&mut self, count: At<u64>, per: Option<Per>, death: &mut DeathCondition) {
        let (message, help) = if death.newer.is_some() {
            (
                "`newer` stands twice in this `dead-when`",
                "keep one of them",
            )
        } else if count.value == 0 {
            (
                "`newer = 0` would delete the newest as well",
                "write how many of the newest are kept, 1 or more",
            )
        } else {
            death.newer = Some(Newer {
                count: usize::try_from(count.value).unwrap_or(usize::MAX),
                per: per.unwrap_or_default(),
            });
            return;
        };
        let help = Some(help.to_owned());
        let code = Code::NewerMalformed;
        self.mistakes.error(code, count.span, message, "here", help);
    }
}
