//! The rows that a list for people shows, in their order: what needs attention
//! unless more is asked for, the oldest first, and long lists folded.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{self, Heading, RowGroup};
use super::{Report, Row, brief, escape};
use crate::gc::verdict::VerdictName;
use crate::model::KindRef;
use unicode_width::UnicodeWidthStr as _;

/// Rows up to which each has a line of its own.
const MAX_UNFOLDED: usize = 60;

/// Rows that a list shows if no limit is given.
const DEFAULT_LIMIT: usize = 300;

/// Which rows a list shows, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Shows every resource on its own line.
    pub all: bool,
    /// The verdicts to show; without any, those that need attention.
    pub verdicts: BTreeSet<VerdictName>,
    /// The order.
    pub sort: Sort,
    /// The maximum number of rows; 0 is no limit.
    pub limit: Option<usize>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By pull request; the one that ended first comes first.
    #[default]
    Age,
    /// By pull request, the newest number first.
    PullRequest,
    /// By kind, then name.
    Kind,
    /// By name.
    Name,
}

impl Sort {
    /// All orders.
    pub const ALL: [Self; 4] = [Self::Age, Self::PullRequest, Self::Kind, Self::Name];

    /// Returns the name of the order.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::PullRequest => "pr",
            Self::Kind => "kind",
            Self::Name => "name",
        }
    }

    fn is_by_pull_request(self) -> bool {
        matches!(self, Self::Age | Self::PullRequest)
    }
}

impl Selection {
    /// Shows everything.
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Returns whether it shows a verdict.
    fn shows(&self, verdict: VerdictName) -> bool {
        if self.verdicts.is_empty() {
            self.all || matches!(verdict, VerdictName::Garbage | VerdictName::Unknown)
        } else {
            self.verdicts.contains(&verdict)
        }
    }

    /// Returns the rows of a document for programs: all without a selection.
    pub fn rows<'a>(&self, report: &'a Report) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> = report.resources.iter().collect();
        if !self.verdicts.is_empty() {
            rows.retain(|row| self.verdicts.contains(&row.verdict.name()));
        }
        match self.sort {
            // The order of the document.
            Sort::Age | Sort::Kind => {}
            Sort::PullRequest => {
                rows.sort_by_key(|row| std::cmp::Reverse(row.pull_request.as_ref()));
            }
            Sort::Name => rows.sort_by_key(|row| &row.name),
        }
        match self.limit {
            Some(limit) if limit > 0 => rows.truncate(limit),
            _ => {}
        }
        rows
    }
}

/// The rows of a list.
pub(super) struct ReportListing<'a> {
    pub(super) sections: Vec<ListingSection<'a>>,
    /// What the limit leaves out.
    pub(super) cut: Vec<ListingSection<'a>>,
    /// Numbers of resources with verdicts that the list does not show.
    pub(super) unlisted: BTreeMap<VerdictName, usize>,
}

/// Lines under one heading.
pub(super) struct ListingSection<'a> {
    /// What the rows belong to; `None` in an order that mixes owners.
    pub(super) heading: Option<Heading<'a>>,
    pub(super) lines: Vec<ListingLine<'a>>,
}

impl ListingSection<'_> {
    /// Returns the number of resources.
    pub(super) fn count(&self) -> usize {
        self.lines.iter().map(|line| line.rows.len()).sum()
    }
}

/// One line: a resource, or several that differ only in their names.
pub(super) struct ListingLine<'a> {
    pub(super) rows: Vec<&'a Row>,
    pub(super) kind: KindRef,
    pub(super) verdict: VerdictName,
    /// Why, in short words; empty if the heading says it.
    pub(super) why: String,
    /// The number of the pull request, where no heading says it.
    pub(super) owner: Option<String>,
}

impl ListingLine<'_> {
    /// Returns the kind, with the number of resources if there are several.
    pub(super) fn kind(&self) -> String {
        match self.rows.len() {
            1 => self.kind.name().to_owned(),
            several => format!("{} ×{}", self.kind, brief::grouped(several)),
        }
    }

    /// Returns the names in at most this many columns, as far as they fit.
    pub(super) fn names(&self, width: usize) -> String {
        let names: Vec<_> = self
            .rows
            .iter()
            .map(|row| escape::terminal(&row.name))
            .collect();
        match &names[..] {
            [one] => one.clone(),
            several => braced(several)
                .filter(|text| text.width() <= width)
                .unwrap_or_else(|| some(several, width)),
        }
    }
}

/// Joins names that differ only in one part, as a shell writes them:
/// `{api,web}-preview-7`.
fn braced(names: &[String]) -> Option<String> {
    let first = names.first()?;
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '{' | '}' | ',');
    if !names.iter().all(|name| name.chars().all(plain)) {
        return None;
    }
    let same = |a: &str, b: &str, reverse: bool| -> usize {
        let pairs = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
            let equal = a.zip(b).take_while(|(a, b)| a == b);
            equal.map(|(a, _)| a.len_utf8()).sum()
        };
        if reverse {
            pairs(&mut a.chars().rev(), &mut b.chars().rev())
        } else {
            pairs(&mut a.chars(), &mut b.chars())
        }
    };
    let prefix = names.iter().map(|name| same(first, name, false)).min()?;
    // Whole words differ, not parts of them.
    let prefix = first[..prefix]
        .rfind(|c: char| !c.is_alphanumeric())
        .map_or(0, |at| {
            at + first[at..].chars().next().map_or(0, char::len_utf8)
        });
    let suffix = names
        .iter()
        .map(|name| same(&first[prefix..], &name[prefix..], true))
        .min()?;
    let tail = &first[first.len() - suffix..];
    let suffix = tail
        .find(|c: char| !c.is_alphanumeric())
        .map_or(0, |at| tail.len() - at);
    let parts: Option<Vec<_>> = names
        .iter()
        .map(|name| name.get(prefix..name.len() - suffix))
        .collect();
    let parts = parts?;
    if prefix + suffix < 3 || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let tail = &first[first.len() - suffix..];
    Some(format!("{}{{{}}}{tail}", &first[..prefix], parts.join(",")))
}

/// Joins as many names as fit, and counts the others.
fn some(names: &[String], width: usize) -> String {
    let all = names.join(", ");
    if all.width() <= width {
        return all;
    }
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        let rest = names.len() - index - 1;
        let gap = if index == 0 { "" } else { ", " };
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        if index > 0 && text.width() + gap.len() + name.width() + more.len() > width {
            let _ = std::fmt::Write::write_fmt(&mut text, format_args!(" and {} more", rest + 1));
            break;
        }
        text.push_str(gap);
        text.push_str(name);
    }
    text
}

/// Returns the list of a report. Resources that a sweep deleted are gone.
pub(super) fn of<'a>(report: &'a Report, selection: &Selection) -> ReportListing<'a> {
    let left = report.left();
    let mut unlisted = BTreeMap::new();
    let mut shown = Vec::new();
    for row in left {
        let verdict = row.verdict.name();
        if selection.shows(verdict) {
            shown.push(row);
        } else {
            *unlisted.entry(verdict).or_default() += 1;
        }
    }
    let fold = !selection.all && shown.len() > MAX_UNFOLDED;
    let sections = if selection.sort.is_by_pull_request() {
        by_pull_request(shown, selection.sort)
            .into_iter()
            .map(|group| section(report, group, fold))
            .collect()
    } else {
        flat(report, shown, selection.sort)
    };
    let default = if selection.all { 0 } else { DEFAULT_LIMIT };
    let (sections, cut) = limited(sections, selection.limit.unwrap_or(default));
    ReportListing {
        sections,
        cut,
        unlisted,
    }
}

fn by_pull_request(rows: Vec<&Row>, sort: Sort) -> Vec<RowGroup<'_>> {
    let mut groups = groups::of(rows);
    for group in &mut groups {
        group.rows.sort_by_key(|row| row.verdict.name());
    }
    if sort == Sort::Age {
        groups.sort_by_key(|group| {
            let worst = group.rows.first().map(|row| row.verdict.name());
            let since = |row: &&Row| row.dead_since().or(row.created_at);
            let since = group.rows.iter().filter_map(since).min();
            (worst, since.is_none(), since)
        });
    }
    groups
}

fn section<'a>(report: &Report, group: RowGroup<'a>, fold: bool) -> ListingSection<'a> {
    let line = group.heading.pull_request();
    let mut lines: Vec<ListingLine<'a>> = Vec::new();
    for row in group.rows {
        let why = brief::reason(report.now, row, line);
        let same = |one: &&mut ListingLine<'_>| {
            one.kind == row.kind && one.verdict == row.verdict.name() && one.why == why
        };
        match lines.iter_mut().filter(|_| fold).find(same) {
            Some(one) => one.rows.push(row),
            None => lines.push(ListingLine {
                rows: vec![row],
                kind: row.kind,
                verdict: row.verdict.name(),
                why,
                owner: None,
            }),
        }
    }
    ListingSection {
        heading: Some(group.heading),
        lines,
    }
}

fn flat<'a>(report: &Report, mut rows: Vec<&'a Row>, sort: Sort) -> Vec<ListingSection<'a>> {
    match sort {
        Sort::Name => rows.sort_by_key(|row| &row.name),
        _ => rows.sort_by_key(|row| (row.kind, &row.name)),
    }
    let lines = rows.into_iter().map(|row| ListingLine {
        rows: vec![row],
        kind: row.kind,
        verdict: row.verdict.name(),
        why: brief::reason(report.now, row, None),
        owner: row
            .pull_request
            .as_ref()
            .map(|line| format!("#{}", line.number)),
    });
    // One section for each resource, so that a limit may fall anywhere.
    lines
        .map(|line| ListingSection {
            heading: None,
            lines: vec![line],
        })
        .collect()
}

/// Cuts a list after this many resources; the first line always remains.
fn limited(
    sections: Vec<ListingSection<'_>>,
    limit: usize,
) -> (Vec<ListingSection<'_>>, Vec<ListingSection<'_>>) {
    if limit == 0 {
        return (sections, Vec::new());
    }
    let (mut shown, mut cut) = (Vec::new(), Vec::new());
    let mut count = 0;
    for mut section in sections {
        let fits = section.lines.iter().take_while(|line| {
            let first = count == 0;
            count += line.rows.len();
            first || count <= limit
        });
        let fits = fits.count();
        let rest = ListingSection {
            heading: section.heading,
            lines: section.lines.split_off(fits),
        };
        if fits > 0 {
            shown.push(section);
        }
        if !rest.lines.is_empty() {
            cut.push(rest);
        }
    }
    (shown, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_that_differ_in_one_word_are_joined_as_a_shell_does() {
        for (given, expected) in [
            (
                &["api-preview-7", "web-preview-7"][..],
                "{api,web}-preview-7",
            ),
            (&["api-preview-7", "auth-preview-7"], "{api,auth}-preview-7"),
            (&["preview/api-7", "preview/web-7"], "preview/{api,web}-7"),
            (&["shop.pr-7", "shop.pr-77"], "shop.pr-{7,77}"),
            (&["ünï-70", "ünö-70"], "{ünï,ünö}-70"),
            (&["a{b}-1", "a{c}-1"], "a{b}-1, a{c}-1"),
            (&["x", "y"], "x, y"),
            (&["cache-70", "api-cache-70"], "{cache,api-cache}-70"),
        ] {
            let given = names(given);
            let joined = braced(&given).unwrap_or_else(|| some(&given, 80));
            assert_eq!(joined, expected);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_counted() {
        let given = names(&["alpha", "beta", "gamma"]);
        for (width, expected) in [
            (80, "alpha, beta, gamma"),
            (18, "alpha, beta, gamma"),
            (17, "alpha and 2 more"),
            (1, "alpha and 2 more"),
        ] {
            assert_eq!(some(&given, width), expected);
        }
    }
}
