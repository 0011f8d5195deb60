//! `dead-when` of a rule.

use toml::Spanned;
use toml::de::DeValue;

use super::super::Reader;
use crate::model::code::Code;
use crate::policy::fields::{self, At, Fields};
use crate::policy::rule::{Age, AgeClock, Death};
use crate::policy::words;

impl Reader<'_> {
    pub(super) fn death(&mut self, fields: &mut Fields<'_>) -> Option<At<Death>> {
        let value = fields.take("dead-when");
        let value = fields.require(
            "dead-when",
            value,
            "such as dead-when = \"closed\"",
            &mut self.mistakes,
        )?;
        let mut death = Death::default();
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

    fn one_death(&mut self, value: &Spanned<DeValue<'_>>, death: &mut Death) {
        match value.get_ref() {
            DeValue::String(text) => {
                let event = words::EVENTS
                    .iter()
                    .find(|(word, _)| *word == text.as_ref());
                match event {
                    Some((_, event)) => death.events.push(*event),
                    None => self.mistakes.error(
                        Code::EventUnknown,
                        value.span(),
                        format!("`dead-when` cannot be {text:?}"),
                        "unknown event",
                        Some(fields::suggestion(text, &words::of(&words::EVENTS))),
                    ),
                }
            }
            DeValue::Table(table) => {
                let mut fields = Fields::new("`dead-when`", table, value.span());
                let age = fields.duration("older-than", &mut self.mistakes);
                let age = fields.require(
                    "older-than",
                    age,
                    "such as { older-than = \"30d\", clock = \"created\" }",
                    &mut self.mistakes,
                );
                let clock = self.choice(&mut fields, "clock", &words::CLOCKS);
                fields.end(&mut self.mistakes);
                if let Some(age) = age {
                    death.ages.push(Age {
                        longer_than: age.value,
                        clock: clock.unwrap_or(AgeClock::Created),
                    });
                }
            }
            _ => fields::wrong(
                "dead-when",
                value,
                "an event such as \"closed\", { older-than = … } or a list of them",
                &mut self.mistakes,
            ),
        }
    }
}
