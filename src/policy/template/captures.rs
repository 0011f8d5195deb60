//! What a template captured of a name.

use chrono::{DateTime, Utc};

use crate::model::Claim;

/// What a template captured of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Captures {
    /// The pull request or run that the name says it belongs to.
    pub number: Option<Claim>,
    /// The git branch, or the slug of one, that the name says.
    pub head: Option<Claim>,
    /// The time that the name says.
    pub named: Option<DateTime<Utc>>,
    /// The listed words, by the name of their list, in order.
    pub words: Vec<(Box<str>, Box<str>)>,
}

impl Captures {
    /// What the name claims to belong to.
    pub fn claim(&self) -> Claim {
        let claim = self.number.as_ref().or(self.head.as_ref());
        claim.cloned().unwrap_or(Claim::Itself)
    }

    /// The branch or slug of a name that has a number as well.
    pub fn branch_beside_number(&self) -> Option<&Claim> {
        self.number.as_ref().and(self.head.as_ref())
    }

    /// The text of a condition with what was captured put in.
    pub(in crate::policy) fn fill<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if !text.contains('{') {
            return text.into();
        }
        let mut filled = text.to_owned();
        let claims = [&self.number, &self.head].into_iter().flatten();
        let claimed = claims.filter_map(|claim| match claim {
            Claim::PullRequest(number) => Some(("{pr}".to_owned(), number.to_string())),
            Claim::Run(run) => Some(("{run}".to_owned(), run.to_string())),
            Claim::Branch(branch) => Some(("{branch}".to_owned(), branch.to_string())),
            Claim::Slug { function, text } => {
                Some((format!("{{slug:{function}}}"), text.to_string()))
            }
            Claim::Itself => None,
        });
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
