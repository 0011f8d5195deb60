//! Conditions on the attributes of a resource.

use super::super::glob;
use super::super::template::Captures;
use super::super::template::host::normal_glob;
use crate::model::identifier::host_name;
use crate::model::{Attribute, AttributeSort, Resource};

/// A condition on an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The attribute.
    pub key: &'static str,
    /// How it compares.
    pub sort: AttributeSort,
    /// What it must be.
    pub test: Test,
}

/// What an attribute must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these texts; `{name}` stands for a capture of the resource's name,
    /// and `*` in a host name for any text.
    AnyOf(Vec<Box<str>>),
    /// All of these among a list.
    AllOf(Vec<Box<str>>),
    /// This flag.
    Flag(bool),
    /// A special value that asks about a flag instead.
    Word {
        /// The value as it is written.
        word: &'static str,
        /// The attribute with the flag.
        flag: &'static str,
    },
}

/// Whether a condition holds; `None` if the answer lacks the attribute.
pub(super) type Holds = Option<bool>;

impl Condition {
    pub(super) fn holds(&self, resource: &Resource, captures: &Captures) -> Holds {
        let key = match self.test {
            Test::Word { flag, .. } => flag,
            Test::AnyOf(_) | Test::AllOf(_) | Test::Flag(_) => self.key,
        };
        let value = resource.attribute(key)?;
        Some(match (&self.test, value) {
            (Test::Word { .. }, Attribute::Flag(flag)) => *flag,
            (Test::Flag(wanted), Attribute::Flag(flag)) => wanted == flag,
            (Test::AnyOf(texts), Attribute::Text(value)) => texts
                .iter()
                .any(|text| self.same(&captures.fill(text), value)),
            (Test::AllOf(texts), Attribute::List(values)) => {
                texts.iter().all(|text| values.contains(text))
            }
            _ => return None,
        })
    }

    /// Whether it admits TXT records alone.
    pub(super) fn is_txt(&self) -> bool {
        let only =
            |texts: &[Box<str>]| !texts.is_empty() && texts.iter().all(|one| **one == *"TXT");
        self.key == "type" && matches!(&self.test, Test::AnyOf(texts) if only(texts))
    }

    /// Whether it admits the environment `production` alone.
    pub(super) fn is_production(&self) -> bool {
        let production = ["production".into()];
        self.key == "environment"
            && matches!(&self.test, Test::AnyOf(texts) if **texts == production)
    }

    /// Whether it is about the environment, and may hold for production.
    pub(super) fn may_be_production(&self) -> bool {
        let preview = ["preview".into()];
        self.key == "environment" && !matches!(&self.test, Test::AnyOf(texts) if **texts == preview)
    }

    /// The condition as a policy writes it.
    pub(super) fn written(&self) -> String {
        self.written_with(&Captures::default())
    }

    fn written_with(&self, captures: &Captures) -> String {
        let key = self.key;
        match &self.test {
            Test::Flag(flag) => format!("{key} = {flag}"),
            Test::Word { word, .. } => format!("{key} = {word:?}"),
            Test::AnyOf(texts) | Test::AllOf(texts) => {
                let texts: Vec<_> = texts
                    .iter()
                    .map(|text| format!("{:?}", captures.fill(text)))
                    .collect();
                match texts.as_slice() {
                    [one] => format!("{key} = {one}"),
                    several => format!("{key} = [{}]", several.join(", ")),
                }
            }
        }
    }

    /// The condition with the captures of a name put in, and what the attribute is
    /// instead.
    pub(super) fn failure(
        &self,
        resource: &Resource,
        captures: &Captures,
    ) -> (String, Option<String>) {
        let found = resource.attribute(self.key).map(|value| match value {
            Attribute::Text(text) => format!("{text:?}"),
            Attribute::Flag(flag) => flag.to_string(),
            Attribute::List(texts) => format!("{texts:?}"),
        });
        (self.written_with(captures), found)
    }

    fn same(&self, wanted: &str, value: &str) -> bool {
        if self.sort == AttributeSort::Host {
            if wanted.contains('*') {
                return glob::matches(&normal_glob(wanted), &host_name(value));
            }
            host_name(wanted) == host_name(value)
        } else {
            wanted == value
        }
    }
}
