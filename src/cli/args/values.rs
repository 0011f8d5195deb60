//! The values that an option may have.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::gc::verdict::VerdictName;
use crate::model::{KindRef, PullRequestNumber};
use crate::providers;
use crate::report::format::Format;
use crate::report::listing::Sort;

/// Parses the number of a pull request.
pub(super) fn pull_request(text: &str) -> Result<u32, String> {
    PullRequestNumber::parse(text)
        .map(PullRequestNumber::get)
        .ok_or_else(|| "it is not the number of a pull request, such as 97".to_owned())
}

/// Parses a maximum.
pub(super) fn whole(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "it is not a whole number, 0 or more".to_owned())
}

/// Parses a time.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse()
        .map_err(|_| "it is not a time, such as 2026-03-02T09:00:00Z".to_owned())
}

/// Parses the name of a GitHub account, as REST writes it. What no account can be
/// called would match no issue, and its boxes would be lost.
pub(super) fn login(text: &str) -> Result<String, String> {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    // Accounts that an enterprise manages have an underscore.
    let is_login = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_account = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_login)
        && !name.contains("--");
    is_account.then(|| text.to_owned()).ok_or_else(|| {
        "it is not the name of a GitHub account: write it without @ and spaces, such as alice \
         or github-actions[bot], and several with a comma between them"
            .to_owned()
    })
}

/// The names of the kinds, so that shells complete them.
pub(super) fn kind_names() -> PossibleValuesParser {
    let kinds = providers::vocabulary().into_iter();
    PossibleValuesParser::new(kinds.map(KindRef::name))
}

/// Returns the long help of `--kind`, which lists the kinds.
pub(super) fn kind_help() -> String {
    let kinds: Vec<_> = providers::vocabulary()
        .into_iter()
        .map(KindRef::name)
        .collect();
    format!(
        "Only resources of these kinds; what other kinds use is kept (repeat or separate with \
         commas): {}",
        kinds.join(", ")
    )
}

impl ValueEnum for Sort {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for VerdictName {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.key()))
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
