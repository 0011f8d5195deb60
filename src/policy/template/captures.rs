//! What a template captured of a name.

use chrono::{DateTime, Utc};

use crate::model::Claim;

/// What a template captured of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Captures {
    /// What the name says it belongs to.
    pub claim: Option<Claim>,
    /// The time that the name says.
    pub named: Option<DateTime<Utc>>,
    /// The listed words, by the name of their list, in order.
    pub words: Vec<(Box<str>, Box<str>)>,
}

impl Captures {
    /// What the name claims to belong to.
    pub fn claim(&self) -> Claim {
        self.claim.clone().unwrap_or(Claim::Itself)
    }

    /// The text of a condition with what was captured put in.
    pub(in crate::policy) fn fill<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if !text.contains('{') {
            return text.into();
        }
        let mut filled = text.to_owned();
        let claimed = match &self.claim {
            Some(Claim::PullRequest(number)) => Some(("{pr}".to_owned(), number.to_string())),
            Some(Claim::Run(run)) => Some(("{run}".to_owned(), run.to_string())),
            Some(Claim::Branch(branch)) => Some(("{branch}".to_owned(), branch.to_string())),
            Some(Claim::Slug { function, text }) => {
                Some((format!("{{slug:{function}}}"), text.to_string()))
            }
            Some(Claim::Itself) | None => None,
        };
        let words = self
            .words
            .iter()
            .map(|(name, word)| (format!("{{{name}}}"), word.to_string()));
        for (capture, value) in words.chain(claimed) {
            filled = filled.replace(&capture, &value);
        }
        filled.into()
    }
}
