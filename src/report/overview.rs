//! The summary for people: what is garbage, since when, what a sweep would do,
//! what stops it, what could not be read, and which limits are near.

mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use self::limits::{count, limits, requests};
use super::brief::{grouped, plural, until, words};
use super::style::{TableStyle, TextStyle, wrap};
use super::{NextSweep, PullRequestLine, Report, Row, escape};
use crate::format::several;
use crate::gc::verdict::{Unmatched, VerdictName};
use crate::gc::{Brake, Verdict};
use crate::model::code::Code;

/// Width of the column with the labels.
const LABEL: usize = 10;

/// Dangling host names that the summary names.
const MAX_DANGLING: usize = 5;

/// Pull requests that the summary names.
const MAX_OWNERS: usize = 6;

/// One line of the summary.
pub(super) struct SummaryLine {
    /// What the line is about; empty on a further line about the same.
    pub(super) label: &'static str,
    pub(super) text: String,
    text_style: Option<TextStyle>,
}

fn line(label: &'static str, text: String) -> SummaryLine {
    SummaryLine {
        label,
        text,
        text_style: None,
    }
}

/// Returns how much is garbage, in a few words.
pub(crate) fn title(report: &Report) -> String {
    let left = report.left();
    let garbage = left.iter().filter(|row| is_garbage(row)).count();
    let all = plural(left.len() + report.concealed, "resource");
    // After a sweep, it is about what remains.
    let deleted = report.swept.as_ref().filter(|swept| {
        let mut steps = swept.steps.iter();
        steps.any(|step| step.outcome.is_gone())
    });
    let (all, what) = match deleted {
        Some(_) if left.len() + report.concealed == 1 => {
            ("1 remaining resource".to_owned(), format!("{all} remains"))
        }
        Some(_) => {
            let remaining = all.replacen(" resource", " remaining resource", 1);
            (remaining, format!("{all} remain"))
        }
        None => (all.clone(), all),
    };
    match garbage {
        0 if left.len() + report.concealed == 0 => match (&report.swept, report.complete) {
            (Some(_), _) => "Nothing is left".to_owned(),
            (None, true) => "No resource was found".to_owned(),
            (None, false) => {
                "No resource could be read, so nothing is known to be garbage: correct \
                              what `not read` names, and run again"
                    .to_owned()
            }
        },
        0 => match left.iter().filter(|row| is_unknown(row)).count() {
            0 => format!("{what}; none is garbage"),
            1 => format!("{what}: none is known to be garbage, and 1 is unknown"),
            unknown => {
                let unknown = grouped(unknown);
                format!("{what}: none is known to be garbage, and {unknown} are unknown")
            }
        },
        1 => format!("1 of {all} is garbage"),
        _ => format!("{} of {all} are garbage", grouped(garbage)),
    }
}

/// Returns the summary in a sentence or two.
pub(crate) fn headline(report: &Report) -> String {
    let left = report.left();
    let garbage = || left.iter().copied().filter(|row| is_garbage(row));
    let mut text = title(report);
    let owners: BTreeSet<_> = garbage().filter_map(owner).collect();
    if !owners.is_empty() {
        let owners = plural(owners.len(), "pull request");
        let _ = write!(text, ", left by {owners}");
    }
    if let Some(first) = garbage().filter_map(Row::dead_since).min() {
        let time = words(report.now - first);
        let _ = write!(text, "; the oldest has been dead for {time}");
    }
    text.push('.');
    let nothing_done = report
        .swept
        .as_ref()
        .is_none_or(|swept| swept.steps.is_empty());
    let about_focus = nothing_done && left.is_empty();
    if let Some(why) = report.about_focus().filter(|_| about_focus) {
        text.clear();
        text.push_str(&why);
    }
    if !report.complete {
        text.push_str(" Some evidence is missing.");
    }
    text
}

/// Renders the summary for a terminal.
pub(crate) fn render(report: &Report, style: TableStyle) -> String {
    let headline = escape::terminal(&headline(report));
    let width = style.room(0, 20);
    let mut out = String::new();
    for part in wrap(&headline, width, "") {
        let _ = writeln!(out, "{}", style.paint(&part, TextStyle::Bold));
    }
    out.push('\n');
    for one in lines(report) {
        let room = style.room(LABEL, 20);
        for (index, part) in wrap(&escape::terminal(&one.text), room, "")
            .iter()
            .enumerate()
        {
            let label = if index == 0 { one.label } else { "" };
            let label = style.paint(&format!("{label:LABEL$}"), TextStyle::Bold);
            let part = match one.text_style {
                Some(text_style) => style.paint(part, text_style),
                None => part.clone(),
            };
            let _ = writeln!(out, "{}", format!("{label}{part}").trim_end());
        }
    }
    out
}

/// Returns the lines of the summary.
pub(super) fn lines(report: &Report) -> Vec<SummaryLine> {
    let left = report.left();
    let mut lines = counts(report, &left);
    lines.extend(next_sweep(report));
    lines.extend(report.gaps().map(|gap| {
        let why = gap.gap.as_deref().unwrap_or("unknown");
        SummaryLine {
            label: "not read",
            text: format!("{} of {}: {why}", gap.source, gap.scope),
            text_style: Some(TextStyle::Magenta),
        }
    }));
    lines.extend(limits(report));
    lines.extend(report.quota.iter().filter_map(requests));
    lines.extend(notes(report).map(|note| line("note", note)));
    once_each(lines)
}

/// Clears the labels that repeat the one above.
fn once_each(mut lines: Vec<SummaryLine>) -> Vec<SummaryLine> {
    let mut last = "";
    for one in &mut lines {
        let repeated = one.label == last;
        last = one.label;
        if repeated {
            one.label = "";
        }
    }
    lines
}

fn is_unknown(row: &Row) -> bool {
    row.verdict.name() == VerdictName::Unknown
}

fn is_garbage(row: &Row) -> bool {
    row.verdict.name() == VerdictName::Garbage
}

/// Returns the pull request that a resource is said to belong to.
fn owner(row: &Row) -> Option<&PullRequestLine> {
    row.pull_request.as_ref()
}

/// Returns the counts by verdict.
fn counts(report: &Report, left: &[&Row]) -> Vec<SummaryLine> {
    let of = |verdict: VerdictName| -> Vec<&Row> {
        let rows = left.iter().copied();
        rows.filter(|row| row.verdict.name() == verdict).collect()
    };
    let mut lines = Vec::new();
    let garbage = of(VerdictName::Garbage);
    if !garbage.is_empty() {
        lines.push(line("garbage", counted(&garbage)));
        lines.extend(owners(&garbage).map(|text| line("", text)));
        lines.extend(ages(report.now, &garbage).map(|text| line("", text)));
    }
    let grace = of(VerdictName::Grace);
    if !grace.is_empty() {
        let next = grace
            .iter()
            .filter_map(|row| row.verdict.grace_ends_at())
            .min();
        let next = next.map(|at| format!("; the first ends {}", until(report.now, at)));
        lines.push(line(
            "in grace",
            counted(&grace) + &next.unwrap_or_default(),
        ));
    }
    let unknown = of(VerdictName::Unknown);
    if !unknown.is_empty() {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &unknown {
            let code = row.verdict.code();
            let reason = code.map_or("the evidence does not decide", unknown_because);
            *reasons.entry(reason).or_default() += 1;
        }
        let only = reasons.keys().next().filter(|_| reasons.len() == 1);
        let reasons = only.map_or_else(|| most(reasons.clone()), ToString::to_string);
        lines.push(line(
            "unknown",
            format!("{}: {reasons}", grouped(unknown.len())),
        ));
    }
    let kept = [
        VerdictName::Live,
        VerdictName::InUse,
        VerdictName::Protected,
        VerdictName::Unmatched,
    ];
    let kept: Vec<_> = kept
        .into_iter()
        .map(|verdict| (of(verdict).len(), verdict))
        .filter(|(count, _)| *count > 0)
        .collect();
    if !kept.is_empty() {
        let total: usize = kept.iter().map(|(count, _)| count).sum();
        let parts: Vec<_> = kept
            .iter()
            .map(|(count, verdict)| format!("{} {}", grouped(*count), verdict.counted()))
            .collect();
        // What is in grace or unknown is kept too, and stands above.
        let label = if grace.is_empty() && unknown.is_empty() {
            "kept"
        } else {
            "also kept"
        };
        lines.push(line(
            label,
            format!("{}: {}", grouped(total), parts.join(", ")),
        ));
    }
    lines
}

/// Formats the number of rows, and of each kind.
fn counted(rows: &[&Row]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *kinds.entry(row.kind.noun).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let kinds = kinds.iter().map(|(noun, count)| plural(*count, noun));
    let kinds: Vec<_> = kinds.collect();
    match kinds.as_slice() {
        [only] => only.clone(),
        several => format!("{}: {}", grouped(rows.len()), several.join(", ")),
    }
}

/// Formats counts with the largest first.
fn most(counts: BTreeMap<&str, usize>) -> String {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let parts = counts.iter();
    let parts: Vec<_> = parts.map(|(name, count)| times(name, *count)).collect();
    parts.join(", ")
}

fn times(name: &str, count: usize) -> String {
    match count {
        1 => name.to_owned(),
        _ => format!("{name} ×{}", grouped(count)),
    }
}

/// Formats the pull requests with the most garbage.
fn owners(garbage: &[&Row]) -> Option<String> {
    let mut counts: BTreeMap<&PullRequestLine, usize> = BTreeMap::new();
    for line in garbage.iter().filter_map(|row| owner(row)) {
        *counts.entry(line).or_default() += 1;
    }
    if counts.is_empty() {
        return None;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let first = counts.iter().take(MAX_OWNERS);
    let first: Vec<_> = first
        .map(|(line, count)| times(&format!("#{}", line.number), *count))
        .collect();
    let more = match counts.len().saturating_sub(MAX_OWNERS) {
        0 => String::new(),
        more => format!(", and {}", plural(more, "more pull request")),
    };
    Some(format!("from {}{more}", first.join(", ")))
}

/// Formats how long the garbage has been there.
fn ages(now: DateTime<Utc>, garbage: &[&Row]) -> Option<String> {
    let bounds = [
        (7, "up to 7 days"),
        (30, "8 to 30 days"),
        (90, "31 to 90 days"),
        (i64::MAX, "longer"),
    ];
    let mut counts = [0; 4];
    for since in garbage.iter().filter_map(|row| row.dead_since()) {
        let days = (now - since + TimeDelta::days(1) - TimeDelta::seconds(1)).num_days();
        let bucket = bounds.iter().position(|(bound, _)| days <= *bound);
        if let Some(count) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
            *count += 1;
        }
    }
    let parts = counts.iter().zip(bounds).filter(|(count, _)| **count > 0);
    let parts: Vec<_> = parts
        .map(|(count, (_, words))| format!("{words}: {}", grouped(*count)))
        .collect();
    // One part alone says no more than the age of the oldest.
    (parts.len() > 1).then(|| format!("dead for {}", parts.join(", ")))
}

/// Returns what a sweep would do, and what stops it.
fn next_sweep(report: &Report) -> Vec<SummaryLine> {
    let summary = &report.summary;
    let mut lines = Vec::new();
    let label = "sweep";
    for text in brakes(&report.brakes) {
        lines.push(SummaryLine {
            label,
            text: format!("stopped by a brake: {text}"),
            text_style: Some(TextStyle::Red),
        });
    }
    if let Some(brake) = report.brakes.first() {
        lines.push(SummaryLine {
            label,
            text: brake.remedy.clone(),
            text_style: None,
        });
    }
    if report.swept.is_none() && report.brakes.is_empty() {
        let now = summary.would_delete;
        let waits = report.resources.iter();
        let waits = waits.filter(|row| row.next == Some(NextSweep::Later));
        match (now, waits.count()) {
            (0, 0) => {}
            (_, 0) => lines.push(line(label, format!("would delete {} now", grouped(now)))),
            (_, later) => lines.push(line(
                label,
                format!(
                    "would delete {} now and {} in later runs (--max-deletions)",
                    grouped(now),
                    grouped(later)
                ),
            )),
        }
    }
    if report.swept.is_none() && summary.blocked > 0 {
        let blocked = report.resources.iter();
        let first = blocked.filter_map(|row| Some((row, row.blocked.as_deref()?)));
        let first = first.map(|(row, why)| format!(": {} {}: {why}", row.kind, row.name));
        lines.push(line(
            label,
            format!(
                "cannot delete {} for now{}",
                grouped(summary.blocked),
                first.take(1).collect::<String>()
            ),
        ));
    }
    if report.swept.is_none() && summary.needs_at_once > 0 {
        let needed = grouped(summary.needs_at_once);
        lines.push(SummaryLine {
            label,
            text: format!(
                "cannot delete some of it: it has to go in one run of {needed} deletions; set \
                 --max-deletions to {needed} or more"
            ),
            text_style: Some(TextStyle::Red),
        });
    }
    if summary.report_only > 0 {
        lines.push(line(
            label,
            format!(
                "leaves {}, which the rules only report",
                grouped(summary.report_only)
            ),
        ));
    }
    lines
}

/// Returns why brakes stop a sweep: in one line for all kinds of which there is only
/// too much.
pub(crate) fn brakes(all: &[Brake]) -> Vec<String> {
    let (counts, others): (Vec<&Brake>, Vec<&Brake>) = all
        .iter()
        .partition(|brake| brake.code == Code::BrakeCount && brake.allowed.is_some());
    let mut lines: Vec<String> = others
        .into_iter()
        .map(|brake| format!("{}: {}", several(brake.kind.noun), brake.reason))
        .collect();
    if let Some(allowed) = counts.first().and_then(|brake| brake.allowed) {
        let kinds: Vec<String> = counts
            .iter()
            .map(|brake| {
                plural(
                    usize::try_from(brake.garbage).unwrap_or(usize::MAX),
                    brake.kind.noun,
                )
            })
            .collect();
        lines.insert(
            0,
            format!(
                "more than {} garbage resources of a kind (`brake.count`): {}",
                count(allowed),
                kinds.join(", ")
            ),
        );
    }
    lines
}

/// Returns the reason of an unknown verdict in a few words.
fn unknown_because(code: Code) -> &'static str {
    match code {
        Code::OwnerMissing => "the pull request, branch or run does not exist",
        Code::OwnerUnknown => "the pull request, branch or run could not be read",
        Code::RootsIncomplete => "what keeps resources alive could not be read completely",
        Code::ListingIncomplete => "a listing is incomplete",
        Code::HostUnseen => "a host is in a zone that was not listed",
        Code::TargetUncounted => "the list of tunnels proves nothing",
        Code::TimeMissing => "a time is missing in the answer",
        Code::FieldUnread => "a field could not be read",
        Code::ConditionUnknown => "a condition of the rule could not be checked",
        Code::ClockMissing => "there is no time for the clock of the rule",
        Code::EndUnknown => "it is unknown when the pull request, branch or run ended",
        Code::ReferencesUnknown => "what other resources use could not be read",
        Code::UsersUnknown => "resources that may use it could not be read",
        Code::AddressUnknown => "its addresses could not be read",
        Code::ContentsUnknown => "what belongs to it could not be read",
        Code::BindingTypeUnknown => "a binding has an unknown type",
        Code::BornOutsidePullRequest => "created when the pull request was not open",
        Code::OpeningUnknown => "it is unknown when the pull request was opened",
        Code::SlugIsPrefix => "the slug is the beginning of another one",
        Code::SlugUnproven => "nothing shows that the slug function is right",
        Code::HeadUnlisted => "an open pull request has no resources that the rule matches",
        Code::NumberAndBranchDiffer => "number and branch in the name differ",
        _ => "this version cannot decide it",
    }
}

/// Returns further notes.
fn notes(report: &Report) -> impl Iterator<Item = String> {
    let skew = report.clock_skew.iter().map(ToString::to_string);
    let dangling = report.dangling.iter();
    let dangling = dangling.take(MAX_DANGLING);
    let dangling = dangling.map(|one| format!("dangling: {one}"));
    let more = report.dangling.len().saturating_sub(MAX_DANGLING);
    let more = (more > 0).then(|| format!("{} more are dangling; --json has all", grouped(more)));
    let dangling = dangling.chain(more);
    let partly = report.partly_protected.iter().map(ToString::to_string);
    let ignored = report.ignored_issues.iter().cloned();
    // After a sweep nothing may be left that a rule matches.
    let is_audit = report.swept.is_none();
    let unused = report.unused_rules.iter().filter(move |_| is_audit);
    let unused = unused.map(|rule| report.why_unused(rule));
    let protects = report.unused_protects.iter().filter(move |_| is_audit);
    let protects = protects.map(|at| format!("[[protect]] {at} covers nothing that exists"));
    let concealed = (report.concealed > 0).then(|| {
        format!(
            "{} that no rule matches are not shown, because the repository is public",
            plural(report.concealed, "resource")
        )
    });
    let rows = report.resources.iter();
    let refused =
        rows.filter(|row| matches!(&row.verdict, Verdict::Unmatched(Unmatched::Refused(_))));
    let refused = match refused.count() {
        _ if !is_audit => None,
        0 => None,
        1 => Some("1 name matches".to_owned()),
        count => Some(format!("{} names match", grouped(count))),
    };
    let refused = refused.map(|names| {
        format!(
            "{names} the template of a rule but not its condition; `audit --verdict unmatched` \
             says which"
        )
    });
    let unknown = report.unknown_bindings.iter().map(ToString::to_string);
    skew.chain(concealed)
        .chain(unknown)
        .chain(refused)
        .chain(dangling)
        .chain(partly)
        .chain(ignored)
        .chain(unused)
        .chain(protects)
}
