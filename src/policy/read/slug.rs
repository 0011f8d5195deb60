//! `[slug]`.

use std::sync::Arc;

use toml::de::DeValue;

use super::super::characters::Characters;
use super::super::fields::{self, At, Fields};
use super::super::slug::{Hash, Replace, Slug};
use super::super::template::Slugs;
use super::Reader;
use crate::model::code::Code;
use crate::policy::keys::{file, slug as keys};

impl Reader<'_> {
    pub(super) fn slugs(&mut self, fields: &mut Fields<'_>) -> Slugs {
        let mut slugs = Slugs::new();
        let Some(mut table) = fields.table(&file::SLUG, "[slug]", &mut self.mistakes) else {
            return slugs;
        };
        for (name, value) in table.rest() {
            let DeValue::Table(inner) = value.get_ref() else {
                fields::wrong(&name.value, value, "a table", &mut self.mistakes);
                continue;
            };
            let fields = Fields::of(&keys::TABLE, inner, value.span());
            // A key with a mistake counts as absent, so the mistake is reported
            // once and the templates that use the function are still checked.
            let slug = self.slug(&name, fields);
            slugs.insert(name.value, Arc::new(slug));
        }
        slugs
    }

    fn slug(&mut self, name: &At<String>, mut fields: Fields<'_>) -> Slug {
        let case = self.choice(&mut fields, &keys::CASE);
        let keep = fields.text(&keys::KEEP, &mut self.mistakes);
        let keep = keep.and_then(|text| {
            let characters = Characters::parse(&text.value);
            if characters.is_none() {
                self.mistakes.error(
                    Code::CharactersMalformed,
                    text.span,
                    format!("{:?} is not a set of characters", text.value),
                    "not ranges and single characters",
                    Some("such as keep = \"a-z0-9\"".to_owned()),
                );
            }
            characters
        });
        let replace = self.replace(&mut fields);
        let strip = self.choice(&mut fields, &keys::STRIP);
        let length_span = fields.value_span(keys::LENGTH.name);
        let lengths = fields
            .wholes(&keys::LENGTH, &mut self.mistakes)
            .unwrap_or_default();
        let hash = self.hash(&mut fields);
        let empty = fields.text(&keys::EMPTY, &mut self.mistakes);
        // A cut must leave room for something before the hash.
        let least = hash.map_or(1, |hash| hash.digits + 2);
        if let (Some(span), Some(short)) =
            (length_span, lengths.iter().find(|length| **length < least))
        {
            self.mistakes.error(
                Code::SlugLengthTooShort,
                span,
                format!("a length of {short} leaves no room for the slug"),
                format!("at least {least}"),
                Some("`length` includes the hash and its dash".to_owned()),
            );
        }
        if hash.is_some() && lengths.is_empty() {
            self.mistakes.error(
                Code::HashWithoutLength,
                fields.span(),
                "a `hash` without a `length` is never added",
                "no `length`",
                Some("the hash ends slugs that were cut; say to which length".to_owned()),
            );
        }
        fields.end(&mut self.mistakes);
        Slug {
            name: name.value.as_str().into(),
            case: case.unwrap_or_default(),
            keep,
            replace,
            strip: strip.unwrap_or_default(),
            lengths: lengths
                .into_iter()
                .filter(|length| *length >= least)
                .collect(),
            hash,
            empty: empty.map(|empty| empty.value.into()),
        }
    }

    fn replace(&mut self, fields: &mut Fields<'_>) -> Replace {
        let Some(mut table) = fields.inner(&keys::REPLACE, &mut self.mistakes) else {
            return Replace::default();
        };
        let with = table.text(&keys::WITH, &mut self.mistakes);
        let runs = table.flag(&keys::RUNS, &mut self.mistakes);
        table.end(&mut self.mistakes);
        Replace {
            with: with.map(|with| with.value.into()).unwrap_or_default(),
            runs: runs.unwrap_or(false),
        }
    }

    fn hash(&mut self, fields: &mut Fields<'_>) -> Option<Hash> {
        let mut table = fields.inner(&keys::HASH, &mut self.mistakes)?;
        let algorithm = self.choice(&mut table, &keys::ALGORITHM);
        let algorithm = table.require(&keys::ALGORITHM, algorithm, &mut self.mistakes);
        let digits = table.whole(&keys::DIGITS, &mut self.mistakes);
        let digits = table.require(&keys::DIGITS, digits, &mut self.mistakes);
        table.end(&mut self.mistakes);
        let digits = digits?;
        if !keys::DIGITS.form.0.contains(&digits.value) {
            self.mistakes.error(
                Code::HashDigitsOutOfRange,
                digits.span,
                "a hash has 1 to 40 digits here",
                "not 1 to 40",
                None,
            );
            return None;
        }
        Some(Hash {
            algorithm: algorithm?,
            digits: usize::try_from(digits.value).ok()?,
        })
    }
}
