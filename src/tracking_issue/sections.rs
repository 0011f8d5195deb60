//! The resources of the issue, by pull request or rule: the boxes of each group,
//! its resources in a part that folds, and the table above all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::KEPT_HEADING;
use super::draft::{Draft, length};
use super::leak::Leak;
use super::state::{HiddenState, PreviousIssue, digest};
use crate::boxes::{CheckedKeys, boxes, group_boxes};
use crate::gc::Verdict;
use crate::report::brief::{grouped, plural};
use crate::report::groups::{Heading, groups};
use crate::report::{Report, Row, escape};

/// Heading of resources that were kept and that no run has listed since.
const NO_LONGER_KEPT: &str = "No longer kept";

/// Rows of the table.
const TABLE_ROWS: usize = 50;

/// Characters of a title in the table.
const TITLE: usize = 60;

/// Characters that a section leaves for the line about what does not fit.
const MORE: usize = 120;

/// A group of resources, as its boxes and its row in the table name it.
struct Group {
    /// Identifies it in every run.
    id: String,
    /// Its short name, as Markdown.
    name: String,
    /// Its cells in the table, as Markdown: what it is, and when it ended.
    cells: [String; 2],
}

/// A resource with its boxes.
struct ShownLeak {
    /// With the command.
    full: Draft,
    brief: Draft,
}

/// Resources under one heading.
pub(super) struct ShownSection {
    heading: String,
    /// `None` for what an earlier run listed without a group.
    group: Option<Group>,
    /// The box of the group, if it stays checked.
    is_whole: bool,
    /// The kinds of what this run lists.
    kinds: BTreeMap<&'static str, usize>,
    leaks: Vec<Leak>,
    checked: CheckedKeys,
}

/// What is shown of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Every resource, with commands.
    Full,
    /// So many resources, without commands.
    Brief(usize),
}

impl ShownSection {
    /// The number of resources.
    pub(super) fn len(&self) -> usize {
        self.leaks.len()
    }

    fn shown(&self, report: &Report, leak: &Leak) -> ShownLeak {
        let seen = (leak.created_at, leak.version.as_deref());
        let boxes = boxes(&leak.key, &leak.origin, seen, &self.checked);
        let draft = |leak: &Leak| Draft {
            text: leak.with_age(report.now) + &boxes,
            content: format!("{}{boxes}", leak.text),
        };
        ShownLeak {
            full: draft(leak),
            brief: draft(&leak.brief()),
        }
    }

    fn render(&self, report: &Report, extent: Extent) -> Draft {
        let count = match extent {
            Extent::Full => self.len(),
            Extent::Brief(count) => count,
        };
        let mut draft = Draft::default();
        draft.push(&format!("### {}\n\n", self.heading));
        // The only resource of a group has boxes of its own.
        if let Some(group) = self.group.as_ref().filter(|_| self.len() > 1) {
            draft.push(&group_boxes(&group.id, &group.name, count, self.is_whole));
            draft.push("\n");
        }
        let folds = self.len() > 1;
        if folds {
            // Nothing is escaped there: GitHub reads the line as HTML.
            let kinds = kinds(&self.kinds, str::to_owned);
            let colon = if kinds.is_empty() { "" } else { ": " };
            let count = plural(self.len(), "resource");
            draft.push(&format!(
                "<details><summary>{count}{colon}{kinds}</summary>\n\n"
            ));
        }
        for leak in &self.leaks[..count] {
            let shown = self.shown(report, leak);
            let one = match extent {
                Extent::Full => shown.full,
                Extent::Brief(_) => shown.brief,
            };
            draft.append(&one);
        }
        draft.push("\n");
        if folds {
            draft.push("</details>\n\n");
        }
        if count < self.len() {
            let more = grouped(self.len() - count);
            draft.push(&format!(
                "… and {more} more of them do not fit here, and no box above is about them.\n\n"
            ));
        }
        draft
    }
}

/// Returns the kinds with their numbers, the most frequent first.
fn kinds(kinds: &BTreeMap<&'static str, usize>, escaped: impl Fn(&str) -> String) -> String {
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let parts = kinds.iter().map(|(kind, count)| match count {
        1 => escaped(kind),
        count => format!("{} ×{}", escaped(kind), grouped(**count)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Returns the resources of this run by heading, and below the same headings
/// those of earlier runs that this one does not cover.
pub(super) fn sections(
    report: &Report,
    previous: &PreviousIssue,
    state: &HiddenState,
) -> Vec<ShownSection> {
    let checked = &previous.checked_now(report);
    let mut sections = of_this_run(report, checked, state);
    let beyond = previous.beyond(report);
    for (heading, group, leak) in beyond.filter(|(.., leak)| !checked.keep.contains(&leak.key)) {
        let heading = match heading {
            KEPT_HEADING => NO_LONGER_KEPT,
            heading => heading,
        };
        let is_same = |one: &&mut ShownSection| {
            let id = one.group.as_ref().map(|one| &*one.id);
            one.heading == heading || (group.is_some() && id == group)
        };
        match sections.iter_mut().find(is_same) {
            Some(section) => section.leaks.push(leak.clone()),
            None => sections.push(ShownSection {
                heading: heading.to_owned(),
                group: group.map(|id| Group {
                    id: id.to_owned(),
                    name: "this heading".to_owned(),
                    cells: [heading.to_owned(), String::new()],
                }),
                is_whole: false,
                kinds: BTreeMap::new(),
                leaks: vec![leak.clone()],
                checked: CheckedKeys::default(),
            }),
        }
    }
    for section in &mut sections {
        let keys = section.leaks.iter().map(|leak| &*leak.key);
        // The only resource of a group has no box of the group.
        let id = section.group.as_ref().map(|group| &*group.id);
        let is_whole = |id: &str| section.leaks.len() > 1 && checked.is_whole(id, keys.clone());
        section.is_whole = id.is_some_and(is_whole);
        section.checked = match id {
            Some(id) if !section.is_whole => checked.without_group(id),
            _ => checked.clone(),
        };
    }
    sections
}

/// Groups the garbage of this run by pull request, and what belongs to none by
/// rule: groups with a checked box first, then those whose owner ended first.
fn of_this_run(report: &Report, checked: &CheckedKeys, state: &HiddenState) -> Vec<ShownSection> {
    let wanted = |row: &&Row| {
        matches!(row.verdict, Verdict::Garbage(_))
            && !report.is_done(row)
            && !checked.keep.contains(&row.key)
    };
    let mut found = Vec::new();
    for group in groups(report) {
        let rows: Vec<&Row> = group.rows.iter().copied().filter(wanted).collect();
        match group.heading.pull_request() {
            Some(_) => found.push((group.heading, rows)),
            None => {
                let mut rules: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
                for row in rows {
                    let rule = row.rule.as_ref().map(|(rule, _)| rule.to_string());
                    rules.entry(rule).or_default().push(row);
                }
                found.extend(rules.into_values().map(|rows| (group.heading, rows)));
            }
        }
    }
    let mut sections = Vec::new();
    for (heading, mut rows) in found {
        let Some(one) = rows.first() else { continue };
        let (heading, group) = named(report, heading, one);
        // In this order the commands work one after another.
        rows.sort_by_key(|row| (row.order, row.dead_since()));
        let first = rows.iter().filter_map(|row| row.dead_since()).min();
        let is_checked = rows.iter().any(|row| checked.delete.contains(&row.key))
            || checked.groups.contains_key(&group.id);
        let mut kinds = BTreeMap::new();
        for row in &rows {
            *kinds.entry(row.kind.name()).or_default() += 1;
        }
        let leaks = rows.iter();
        let leaks = leaks.map(|row| Leak::of(row, state.failed(&row.key)));
        let section = ShownSection {
            heading,
            group: Some(group),
            is_whole: false,
            kinds,
            leaks: leaks.collect(),
            checked: CheckedKeys::default(),
        };
        sections.push(((!is_checked, first), section));
    }
    sections.sort_by_key(|(order, _)| *order);
    sections.into_iter().map(|(_, section)| section).collect()
}

/// Returns the heading of a group with this resource, and the group.
fn named(report: &Report, heading: Heading<'_>, row: &Row) -> (String, Group) {
    if let Heading::PullRequest {
        line,
        with_repository,
    } = heading
    {
        let repository = line.repository.full_name();
        let number = format!("#{}", line.number);
        let short = if with_repository {
            format!("{repository}{number}")
        } else {
            number
        };
        let name = escape::markdown(&short);
        let linked = match report.pull_request_address(line) {
            Some(address) => format!("[{name}]({address})"),
            None => name.clone(),
        };
        let title: String = line.title.chars().take(TITLE).collect();
        let cut = if title.len() < line.title.len() {
            "…"
        } else {
            ""
        };
        let title = escape::markdown(&format!("{title}{cut}"));
        let group = Group {
            id: digest(&format!("pull request {repository}#{}", line.number)),
            name,
            cells: [
                format!("{linked} {title}").trim_end().to_owned(),
                escape::markdown(&line.state.to_string()),
            ],
        };
        return (escape::markdown(&heading.to_string()), group);
    }
    let rule = row.rule.as_ref().map(|(rule, _)| rule);
    let id = rule.map_or_else(String::new, |rule| rule.id.clone());
    let path = rule.map_or_else(String::new, |rule| rule.location.path.to_string());
    let name = format!("rule {}", escape::markdown(&id));
    let group = Group {
        id: digest(&format!("rule {path} {id}")),
        name: name.clone(),
        cells: [name.clone(), "no pull request".to_owned()],
    };
    let heading = format!("R{}, without a pull request", &name[1..]);
    (heading, group)
}

/// Returns the table of the groups, if there are several.
pub(super) fn table(sections: &[ShownSection]) -> Draft {
    let mut draft = Draft::default();
    if sections.len() < 2 {
        return draft;
    }
    let mut text = "| belongs to | ended | left behind |\n| --- | --- | --- |\n".to_owned();
    for section in sections.iter().take(TABLE_ROWS) {
        let [name, ended] = match &section.group {
            Some(group) => group.cells.clone(),
            None => [section.heading.clone(), String::new()],
        };
        let kinds = kinds(&section.kinds, escape::markdown);
        let colon = if kinds.is_empty() { "" } else { ": " };
        let count = grouped(section.len());
        let _ = writeln!(text, "| {name} | {ended} | {count}{colon}{kinds} |");
    }
    if let Some(rest) = sections.get(TABLE_ROWS..).filter(|rest| !rest.is_empty()) {
        let more = grouped(rest.len());
        let count = grouped(rest.iter().map(ShownSection::len).sum());
        let _ = writeln!(text, "| {more} more | | {count} |");
    }
    text.push('\n');
    draft.push(&text);
    draft
}

/// Adds sections until the room is used up: all of them without commands, as far as
/// they fit, and then the commands of the first. Returns the number of resources
/// that did not fit.
pub(super) fn fit(
    report: &Report,
    sections: &[ShownSection],
    mut room: usize,
    draft: &mut Draft,
) -> usize {
    let size = |section: &ShownSection, extent| length(&section.render(report, extent).text);
    let full: Vec<usize> = sections
        .iter()
        .map(|section| size(section, Extent::Full))
        .collect();
    let mut extents = vec![Extent::Full; sections.len()];
    if full.iter().sum::<usize>() > room {
        extents.fill(Extent::Brief(0));
        let mut brief = vec![0; sections.len()];
        for (index, section) in sections.iter().enumerate() {
            let count = most(report, section, room);
            if count == 0 {
                break;
            }
            extents[index] = Extent::Brief(count);
            brief[index] = size(section, extents[index]);
            room -= brief[index];
            if count < section.len() {
                break;
            }
        }
        for (index, section) in sections.iter().enumerate() {
            let more = full[index].saturating_sub(brief[index]);
            if extents[index] != Extent::Brief(section.len()) || more > room {
                break;
            }
            extents[index] = Extent::Full;
            room -= more;
        }
    }
    let mut unshown = 0;
    for (section, extent) in sections.iter().zip(extents) {
        match extent {
            Extent::Brief(0) => unshown += section.len(),
            extent => {
                if let Extent::Brief(count) = extent {
                    unshown += section.len() - count;
                }
                draft.append(&section.render(report, extent));
            }
        }
    }
    unshown
}

/// Returns how many resources of a section fit without commands.
fn most(report: &Report, section: &ShownSection, room: usize) -> usize {
    let whole = section.render(report, Extent::Brief(section.len()));
    if length(&whole.text) <= room {
        return section.len();
    }
    let frame = length(&section.render(report, Extent::Brief(0)).text) + MORE;
    let mut left = room.saturating_sub(frame);
    let sizes = section.leaks.iter().map(|leak| {
        let shown = section.shown(report, leak);
        length(&shown.brief.text)
    });
    let mut count = 0;
    for size in sizes {
        if size > left {
            break;
        }
        left -= size;
        count += 1;
    }
    count
}
