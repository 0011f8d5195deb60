//! `claim` of a rule: the claim is in an attribute instead of the name.

use super::super::Reader;
use super::super::names::Templates;
use super::Matched;
use crate::model::code::Code;
use crate::model::{AttributeSort, KindRef};
use crate::policy::fields::{At, Fields};
use crate::policy::keys::{Key, Texts, rule as keys};
use crate::policy::rule::{CLAIMABLE, MatchSubject};
use crate::policy::template::{Anchor, Names};

/// The templates of `claim`, and the attribute that they are matched against.
pub(super) struct AttributeClaim {
    key: &'static str,
    texts: Vec<At<String>>,
    templates: Vec<Templates>,
}

impl Reader<'_> {
    /// Reads `claim = { comment = "…" }`.
    pub(super) fn claim(
        &mut self,
        fields: &mut Fields<'_>,
        names: &Names,
        kinds: &[KindRef],
    ) -> Option<AttributeClaim> {
        let span = fields
            .value_span(keys::CLAIM.name)
            .unwrap_or_else(|| fields.span());
        let mut table = fields.table(&keys::CLAIM, "`claim`", &mut self.mistakes)?;
        let mut found = Vec::new();
        for key in CLAIMABLE {
            let key_span = table.value_span(key);
            let Some(texts) = table.texts(&Key::new(key, Texts), &mut self.mistakes) else {
                continue;
            };
            let has = |kind: &&KindRef| {
                let sorts = [AttributeSort::Text, AttributeSort::List];
                let mut attributes = kind.0.attributes.iter();
                attributes.any(|one| one.key == key && sorts.contains(&one.sort))
            };
            if let (Some(kind), Some(span)) = (kinds.iter().find(|kind| !has(kind)), key_span) {
                self.mistakes.error(
                    Code::AttributeUnknown,
                    span,
                    format!("a {} has no `{key}` that could hold a claim", kind.noun),
                    "unknown attribute",
                    Some(
                        "write a rule of its own for this kind, which matches its name".to_owned(),
                    ),
                );
            }
            found.push((key, texts));
        }
        table.end(&mut self.mistakes);
        let single = found.len() == 1;
        if !single {
            self.mistakes.error(
                Code::ClaimNotSingle,
                span,
                "`claim` names one attribute with its template",
                format!("{} attributes here", found.len()),
                Some("such as claim = { comment = \"github.com/acme/shop/pull/{pr}\" }".to_owned()),
            );
        }
        // A claim with a mistake is not reported twice.
        let found = found.pop().filter(|_| single);
        let (key, texts) = found.unwrap_or((CLAIMABLE[0], Vec::new()));
        // An attribute is compared with its case, also where names have none.
        let templates: Vec<Templates> = texts
            .iter()
            .filter_map(|text| self.template(text, names, &[], Anchor::Itself))
            .collect();
        Some(AttributeClaim {
            key,
            texts,
            templates,
        })
    }

    /// A rule whose claim is in an attribute: its names are globs, or templates
    /// that claim nothing.
    pub(super) fn claimed(
        &mut self,
        claim: AttributeClaim,
        subject: MatchSubject,
        name_texts: &[At<String>],
        names: &Names,
    ) -> Matched {
        if subject == MatchSubject::Branch
            && let Some(first) = name_texts.first()
        {
            self.mistakes.error(
                Code::NameAndBranch,
                first.span.clone(),
                "a rule with `claim` is about names, not branches",
                "a `branch` beside a `claim`",
                Some("write `name`, which may be a glob".to_owned()),
            );
        }
        let mut patterns = Vec::new();
        for text in name_texts {
            let claims = ["{pr}", "{run}", "{branch", "{slug:"];
            if claims.iter().any(|claim| text.value.contains(claim)) {
                self.mistakes.error(
                    Code::ClaimNotSingle,
                    text.span.clone(),
                    "the claim of this rule is in an attribute, and its `name` has another",
                    "a second claim",
                    Some("write `*` for that part of the name, or leave `claim` out".to_owned()),
                );
                continue;
            }
            if !text.value.contains('{') && !is_anchored(&text.value) {
                self.mistakes.error(
                    Code::TemplateMalformed,
                    text.span.clone(),
                    "this name matches too much",
                    "here",
                    Some("a glob needs three literal characters in a row".to_owned()),
                );
                continue;
            }
            patterns.extend(self.pattern(text, names));
        }
        Matched {
            subject: Some(MatchSubject::Attribute(claim.key)),
            texts: claim.texts,
            templates: claim.templates,
            names: patterns,
        }
    }
}

/// Whether a glob spells three characters in a row.
fn is_anchored(glob: &str) -> bool {
    glob.split('*').any(|literal| literal.chars().count() >= 3)
}
