//! The rows of the table: filter, order and headings.

use std::collections::HashMap;

use crate::gc::verdict::VerdictName;
use crate::report::groups::groups;
use crate::report::{Report, Row};

/// One resource in the table.
#[derive(Debug, Clone)]
pub struct Item {
    /// The row of the report.
    pub row: Row,
    /// Its heading.
    pub group: String,
    /// Whether this session deleted it.
    pub gone: bool,
    /// Its index in the report.
    pub(super) place: usize,
}

impl Item {
    /// Returns whether a sweep would delete it.
    pub(super) fn can_be_marked(&self) -> bool {
        self.row.is_deletable() && !self.gone
    }

    /// Returns why it cannot be marked.
    pub(super) fn why_not(&self) -> String {
        if self.gone {
            return "it is gone".to_owned();
        }
        match self.row.verdict.name() {
            VerdictName::Garbage => "its rule only reports it".to_owned(),
            other => format!("only garbage can be marked; this is {other}"),
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLine {
    /// The heading of the item with this index.
    Heading(usize),
    /// The item with this index.
    Item(usize),
}

/// A tab: which verdicts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// All.
    All,
    /// One verdict.
    Verdict(VerdictName),
}

impl Tab {
    /// Returns all tabs.
    pub(super) fn every() -> impl Iterator<Item = Self> {
        std::iter::once(Self::All).chain(VerdictName::ALL.map(Self::Verdict))
    }

    /// Returns the name of the tab.
    pub(super) fn name(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Verdict(verdict) => verdict.to_string(),
        }
    }

    pub(super) fn shows(self, item: &Item) -> bool {
        match self {
            Self::All => true,
            Self::Verdict(verdict) => !item.gone && item.row.verdict.name() == verdict,
        }
    }

    pub(super) fn next(self) -> Self {
        let mut after = Self::every().skip_while(|tab| *tab != self).skip(1);
        after.next().unwrap_or(Self::All)
    }

    pub(super) fn before(self) -> Self {
        let before = Self::every().take_while(|tab| *tab != self).last();
        before.or_else(|| Self::every().last()).unwrap_or(Self::All)
    }
}

/// The sort order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest pull request first, as the report has it.
    PullRequest,
    /// Name.
    Name,
    /// Kind, then name.
    Kind,
    /// Oldest first.
    Age,
    /// Longest in garbage or grace first.
    Death,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::PullRequest => Self::Name,
            Self::Name => Self::Kind,
            Self::Kind => Self::Age,
            Self::Age => Self::Death,
            Self::Death => Self::PullRequest,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PullRequest => "pull request",
            Self::Name => "name",
            Self::Kind => "kind",
            Self::Age => "age",
            Self::Death => "death",
        }
    }
}

/// Returns the items of a report in its order.
pub(super) fn items(report: &Report) -> Vec<Item> {
    let mut items = Vec::new();
    for group in groups(report) {
        for row in group.rows {
            items.push(Item {
                row: row.clone(),
                group: group.heading.to_string(),
                gone: false,
                place: items.len(),
            });
        }
    }
    items
}

/// Returns the lines to show.
pub(super) fn lines(
    items: &[Item],
    tab: Tab,
    order: Order,
    grouped: bool,
    filter: &str,
) -> Vec<TableLine> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let fits = |item: &Item| {
        let text = [
            item.row.kind.name(),
            &item.row.name,
            &item.group,
            &item.row.reason,
        ];
        let text = text.join(" ").to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let shown = items.iter().enumerate();
    let mut shown: Vec<(usize, &Item)> = shown
        .filter(|(_, item)| tab.shows(item) && fits(item))
        .collect();
    let newest = chrono::DateTime::<chrono::Utc>::MAX_UTC;
    shown.sort_by(|(_, a), (_, b)| {
        let by = match order {
            Order::PullRequest => std::cmp::Ordering::Equal,
            Order::Name => a.row.name.cmp(&b.row.name),
            Order::Kind => (a.row.kind, &a.row.name).cmp(&(b.row.kind, &b.row.name)),
            Order::Age => {
                let at = |item: &Item| item.row.created_at.unwrap_or(newest);
                at(a).cmp(&at(b))
            }
            Order::Death => {
                let at = |item: &Item| {
                    let since = item.row.dead_since();
                    (since.is_none(), since)
                };
                at(a).cmp(&at(b))
            }
        };
        by.then(a.place.cmp(&b.place))
    });
    if !grouped {
        return shown
            .into_iter()
            .map(|(index, _)| TableLine::Item(index))
            .collect();
    }
    // Groups are in the order of their first item.
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (_, item) in &shown {
        let next = first.len();
        first.entry(&item.group).or_insert(next);
    }
    shown.sort_by_key(|(_, item)| first.get(item.group.as_str()).copied());
    let mut lines = Vec::new();
    let mut under = None;
    for (index, item) in shown {
        if under.replace(&item.group) != Some(&item.group) {
            lines.push(TableLine::Heading(index));
        }
        lines.push(TableLine::Item(index));
    }
    lines
}
