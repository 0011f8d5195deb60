//! `[[protect]]`.

use super::Reader;
use super::names::host_of_address;
use crate::model::code::Code;
use crate::model::{KindRef, PullRequestNumber};
use crate::policy::fields::{Fields, is_invisible};
use crate::policy::keys::{Key, Texts, protect as keys};
use crate::policy::rule::{NamesFile, Pattern, Patterns, Protect, Timing};
use crate::policy::template::Names;

/// Lines of a file of names that are shown as mistakes.
const SHOWN_LINES: usize = 10;

/// Returns what is wrong with a line of a file of names and what to write in its place,
/// if it is not one name: it would silently protect nothing.
fn why_no_name(line: &str, kinds: &[KindRef]) -> Option<(&'static str, String)> {
    let alone = || "write one name a line and nothing else, without comments".to_owned();
    if let Some(host) = host_of_address(line, kinds) {
        let why = "is no host name, so it matches nothing";
        return Some((why, format!("write {host:?}")));
    }
    if line.contains(is_invisible) {
        return Some(("has invisible characters", "type the name anew".to_owned()));
    }
    if line.starts_with('#') {
        return Some(("is a comment", alone()));
    }
    if line.contains(char::is_whitespace) {
        let spaced = format!(
            "write one name a line and nothing else, without comments or signs of a list; a name \
             with spaces belongs into a [[protect]] of its own, under `name`: {line:?}"
        );
        return Some(("is not one name", spaced));
    }
    if line.contains([',', ';', '"', '\'', '`', '#']) {
        return Some(("is not one name", alone()));
    }
    if line.contains(['{', '}']) {
        let template = format!("write a template under `name` of a [[protect]]: {line:?}");
        return Some(("is a template, and not a name", template));
    }
    // Patterns of routes may begin with a scheme.
    if line.contains("://") && !kinds.iter().any(|kind| kind.begins_with_host) {
        let why = "is an address, and not a name";
        let help = "write the host or name that `audit --all` shows".to_owned();
        return Some((why, help));
    }
    None
}

impl Reader<'_> {
    pub(super) fn protect(&mut self, mut fields: Fields<'_>, names: &Names) -> Option<Protect> {
        let span = fields.span();
        let words = fields.texts(&keys::KIND, &mut self.mistakes);
        let kinds = words
            .as_ref()
            .map(|words| self.kinds(words))
            .unwrap_or_default();
        let place = self.place(&mut fields, &kinds);
        let file_span = fields.value_span(keys::NAMES_FILE.name);
        let from_file = self.names_file(&mut fields, &kinds);
        let name = self.patterns(&mut fields, &keys::NAME, names, &kinds);
        if let (Some(span), Some(_)) = (&file_span, &name) {
            self.mistakes.error(
                Code::NamesFileBesideName,
                span.clone(),
                "a [[protect]] has `name` or `names-file`, not both",
                "the second of the two",
                Some("write a second [[protect]], or add the names to the file".to_owned()),
            );
        }
        let (from_file, names_file) = from_file.unzip();
        let name = name.or(from_file);
        let branch_span = fields.value_span(keys::BRANCH.name);
        let branch = self.patterns(&mut fields, &keys::BRANCH, names, &[]);
        if let (Some(span), true) = (branch_span, words.is_some()) {
            self.check_branch(span, &kinds);
        }
        let (conditions, timing) = self.conditions(&mut fields, &keys::WHERE, &kinds, &[]);
        if timing != Timing::default() {
            self.mistakes.error(
                Code::ProtectHasNoPullRequest,
                fields.span(),
                "a [[protect]] entry has no pull request",
                "only rules can ask about its times",
                None,
            );
        }
        let pull_request = self.pull_request(&mut fields);
        let alone = words.is_none()
            && name.is_none()
            && file_span.is_none()
            && branch.is_none()
            && conditions.is_empty();
        if let (Some(span), false) = (&pull_request.1, alone) {
            self.mistakes.error(
                Code::ProtectPullRequestNotAlone,
                span.clone(),
                "`pull-request` stands alone in a [[protect]]",
                "it covers everything that belongs to the pull request",
                Some("write a second [[protect]] for the rest".to_owned()),
            );
        }
        let reason = fields.text(&keys::REASON, &mut self.mistakes);
        let reason = fields.require(&keys::REASON, reason, &mut self.mistakes);
        if alone && pull_request.1.is_none() {
            self.mistakes.error(
                Code::ProtectCoversEverything,
                span.clone(),
                "this [[protect]] says neither `kind`, `name` nor `pull-request`",
                "it would protect everything",
                Some("name what it protects".to_owned()),
            );
        }
        fields.end(&mut self.mistakes);
        Some(Protect {
            pull_request: pull_request.0,
            kinds: words.map(|_| kinds),
            place,
            names: name,
            names_file,
            branches: branch,
            conditions,
            reason: reason?.value.into(),
            location: self.location(&span),
            span: self.span(&span),
        })
    }

    /// The names in the file that `names-file` mentions, one a line. A file without
    /// names would protect nothing, so it is a mistake, and so is a line that is not
    /// one name: it belongs to another format.
    fn names_file(
        &mut self,
        fields: &mut Fields<'_>,
        kinds: &[KindRef],
    ) -> Option<(Vec<Patterns>, NamesFile)> {
        let file = fields.text(&keys::NAMES_FILE, &mut self.mistakes)?;
        let text = match (self.environment.names_file)(&self.source.path, &file.value) {
            Ok(text) => text,
            Err(why) => {
                self.mistakes.error(
                    Code::NamesFileUnread,
                    file.span,
                    format!("could not read the names in {:?}: {why}", file.value),
                    "no such file, relative to this policy",
                    Some("write the path of a file with one name a line".to_owned()),
                );
                return None;
            }
        };
        let mut names: Vec<Patterns> = Vec::new();
        let mut lines = Vec::new();
        let mut wrong = 0;
        let all = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for (index, line) in all.enumerate().filter(|(_, line)| !line.is_empty()) {
            let line_number = index + 1;
            let Some((why, help)) = why_no_name(line, kinds) else {
                names.push(Pattern::both_forms(line));
                lines.push((line_number, line.into()));
                continue;
            };
            wrong += 1;
            if wrong <= SHOWN_LINES {
                self.mistakes.error(
                    Code::NamesFileUnread,
                    file.span.clone(),
                    format!("{}:{line_number} {why}: {line:?}", file.value),
                    "every line of the file is a name that is protected",
                    Some(help),
                );
            }
        }
        if wrong > 0 {
            return None;
        }
        if names.is_empty() {
            self.mistakes.error(
                Code::NamesFileEmpty,
                file.span,
                format!("there are no names in {:?}", file.value),
                "an empty file",
                Some("write one name a line, or remove this [[protect]]".to_owned()),
            );
            return None;
        }
        let path = file.value.into();
        Some((names, NamesFile { path, lines }))
    }

    /// The number of `pull-request`, and where it stands.
    fn pull_request(
        &mut self,
        fields: &mut Fields<'_>,
    ) -> (Option<PullRequestNumber>, Option<std::ops::Range<usize>>) {
        let span = fields.value_span(keys::PULL_REQUEST.name);
        let number = fields.whole(&keys::PULL_REQUEST, &mut self.mistakes);
        let number = number.and_then(|number| {
            let found = u32::try_from(number.value).ok();
            let found = found.and_then(PullRequestNumber::new);
            if found.is_none() {
                self.mistakes.error(
                    Code::PullRequestNumberMalformed,
                    number.span,
                    "this is not a pull request number",
                    "it must lie between 1 and 2147483647",
                    None,
                );
            }
            found
        });
        (number, span)
    }

    pub(super) fn patterns(
        &mut self,
        fields: &mut Fields<'_>,
        key: &Key<Texts>,
        names: &Names,
        kinds: &[KindRef],
    ) -> Option<Vec<Patterns>> {
        let texts = fields.texts(key, &mut self.mistakes)?;
        self.hosts(&texts, kinds);
        Some(
            texts
                .iter()
                .filter_map(|text| self.pattern(text, names))
                .collect(),
        )
    }
}
