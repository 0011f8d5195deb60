//! A text that is made piece by piece.

/// Returns the length of a text as GitHub counts it.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text, and the same without what changes in every run.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) content: String,
}

impl Draft {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.content.push_str(text);
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.content.push_str(&other.content);
    }
}
