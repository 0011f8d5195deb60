//! Conditions on the attributes of a resource.

use super::super::template::Captures;
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
    /// One of these texts; `{name}` stands for a capture of the resource's name.
    AnyOf(Vec<Box<str>>),
    /// All of these among a list.
    AllOf(Vec<Box<str>>),
    /// This flag.
    Flag(bool),
    /// A special value that asks about this flag instead.
    Word(&'static str),
}

/// Whether a condition holds: none when the answer does not tell.
pub(super) type Holds = Option<bool>;

impl Condition {
    pub(super) fn holds(&self, resource: &Resource, captures: &Captures) -> Holds {
        let key = match self.test {
            Test::Word(flag) => flag,
            Test::AnyOf(_) | Test::AllOf(_) | Test::Flag(_) => self.key,
        };
        let value = resource.attribute(key)?;
        Some(match (&self.test, value) {
            (Test::Word(_), Attribute::Flag(flag)) => *flag,
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

    fn same(&self, wanted: &str, value: &str) -> bool {
        if self.sort == AttributeSort::Host {
            host_name(wanted) == host_name(value)
        } else {
            wanted == value
        }
    }
}
