//! Reading a name by a template, in every way in which it fits.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{Captures, Fits, MAX_MATCHES, MAX_STEPS, Part, Template};
use crate::model::{Claim, PullRequestNumber, RunId};

impl Template {
    /// Whether a name certainly does not match, decided without matching it.
    #[inline]
    fn surely_not(&self, name: &str) -> bool {
        if name.len() < self.shortest {
            return true;
        }
        let name = name.as_bytes();
        let same = |literal: &str, part: &[u8]| {
            if self.caseless {
                part.eq_ignore_ascii_case(literal.as_bytes())
            } else {
                part == literal.as_bytes()
            }
        };
        let begins = match self.parts.first() {
            Some(Part::Literal(first)) => same(first, &name[..first.len()]),
            Some(Part::Word { words, .. }) => words
                .iter()
                .any(|word| name.len() >= word.len() && same(word, &name[..word.len()])),
            _ => true,
        };
        let ends = match self.parts.last() {
            Some(Part::Literal(last)) => same(last, &name[name.len() - last.len()..]),
            Some(Part::PullRequest | Part::Run | Part::Epoch) => {
                name.last().is_some_and(u8::is_ascii_digit)
            }
            _ => true,
        };
        !(begins && ends)
    }

    /// Reads a name, in every way in which it fits.
    pub fn fit(&self, name: &str) -> Fits {
        self.fit_in_steps(name).0
    }

    /// Whether a name fits in at least one way.
    pub(in crate::policy) fn matches(&self, name: &str) -> bool {
        self.fit(name) != Fits::Ways(Vec::new())
    }

    /// The same, with the number of steps that the search took.
    pub(super) fn fit_in_steps(&self, name: &str) -> (Fits, usize) {
        if self.surely_not(name) {
            return (Fits::Ways(Vec::new()), 0);
        }
        let lower;
        let name = if self.caseless {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        if !self.has_text {
            let mut found = Vec::new();
            self.plainly(0, name, 0, &mut Captures::default(), &mut found);
            found.sort_unstable();
            found.dedup();
            let fits = if found.len() > MAX_MATCHES {
                Fits::TooMany
            } else {
                Fits::Ways(found)
            };
            return (fits, 0);
        }
        let Some(finishes) = self.finishes(name) else {
            return (Fits::Ways(Vec::new()), 0);
        };
        let mut search = Search {
            template: self,
            name,
            finishes,
            visited: BTreeSet::new(),
            found: BTreeSet::new(),
            steps: 0,
        };
        let fits = if search.from(0, 0, &Captures::default()) {
            Fits::Ways(std::mem::take(&mut search.found).into_iter().collect())
        } else {
            Fits::TooMany
        };
        (fits, search.steps)
    }

    /// Reads a name by a template without text of any length, where only words
    /// that begin alike leave a choice.
    fn plainly(
        &self,
        index: usize,
        name: &str,
        at: usize,
        captures: &mut Captures,
        found: &mut Vec<Captures>,
    ) {
        let Some(part) = self.parts.get(index) else {
            if at == name.len() && found.len() <= MAX_MATCHES {
                found.push(captures.clone());
            }
            return;
        };
        match part {
            Part::Literal(literal) => {
                if name[at..].starts_with(&**literal) {
                    self.plainly(index + 1, name, at + literal.len(), captures, found);
                }
            }
            Part::Word { name: list, words } => {
                for word in words.iter().filter(|word| name[at..].starts_with(&***word)) {
                    captures.words.push((list.clone(), word.clone()));
                    self.plainly(index + 1, name, at + word.len(), captures, found);
                    captures.words.pop();
                }
            }
            Part::PullRequest
            | Part::Run
            | Part::Epoch
            | Part::Date(_)
            | Part::Any { .. }
            | Part::Branch { .. }
            | Part::Slug(_) => {
                if let Some((value, end)) = value(part, name, at) {
                    let before = (captures.number.clone(), captures.named);
                    value.put(captures);
                    self.plainly(index + 1, name, end, captures, found);
                    (captures.number, captures.named) = before;
                }
            }
        }
    }

    /// For each part the positions from which it and all after it fit to the
    /// end; none when the whole does not. Linear in the name for each part, so
    /// hostile names cost no more than long ones.
    fn finishes(&self, name: &str) -> Option<Vec<Vec<bool>>> {
        let table = self.table(name);
        table[0][0].then_some(table)
    }

    /// The same, whether the whole fits or not.
    pub(super) fn table(&self, name: &str) -> Vec<Vec<bool>> {
        let length = name.len();
        let mut table = vec![vec![false; length + 1]; self.parts.len() + 1];
        table[self.parts.len()][length] = true;
        for (index, part) in self.parts.iter().enumerate().rev() {
            let (head, tail) = table.split_at_mut(index + 1);
            let (here, next) = (&mut head[index], &tail[0]);
            if part.is_text() {
                // From the end: a character that may be taken, followed by the
                // rest or by more of this part.
                for (at, c) in name.char_indices().rev() {
                    let after = at + c.len_utf8();
                    here[at] = part.may_contain(c) && (next[after] || here[after]);
                }
                here[length] = false;
            } else {
                for at in (0..=length).filter(|at| name.is_char_boundary(*at)) {
                    here[at] = ends(part, name, at).any(|end| next[end]);
                }
            }
        }
        table
    }
}

impl Part {
    /// Whether a part that takes text may take this character.
    pub(in crate::policy) fn may_contain(&self, c: char) -> bool {
        match self {
            Self::Any { set, .. } => set.as_ref().is_none_or(|set| set.contains(c)),
            Self::Slug(slug) => slug.may_contain(c) || slug.may_contain(c.to_ascii_uppercase()),
            _ => true,
        }
    }

    /// Whether a part that takes text may end here, having taken this text.
    fn may_be(&self, text: &str, characters: usize) -> bool {
        match self {
            Self::Branch { prefix } => text.starts_with(&**prefix),
            Self::Slug(slug) => characters <= slug.longest() && !slug.is_fallback(text),
            Self::Any {
                count: Some((least, most)),
                ..
            } => (*least..=*most).contains(&characters),
            _ => true,
        }
    }

    /// Whether a part that takes text may take more than this.
    fn may_go_on(&self, text: &str, characters: usize) -> bool {
        match self {
            Self::Branch { prefix } => text.starts_with(&**prefix) || prefix.starts_with(text),
            Self::Slug(slug) => characters < slug.longest(),
            Self::Any {
                count: Some((_, most)),
                ..
            } => characters < *most,
            _ => true,
        }
    }
}

/// What a part took from a name.
enum PartValue {
    Claim(Claim),
    Time(DateTime<Utc>),
}

impl PartValue {
    fn put(self, captures: &mut Captures) {
        match self {
            Self::Claim(claim) => captures.number = Some(claim),
            Self::Time(at) => captures.named = Some(at),
        }
    }
}

/// What a part with one possible end takes at a position, and that end.
fn value(part: &Part, name: &str, at: usize) -> Option<(PartValue, usize)> {
    match part {
        Part::PullRequest => {
            let (digits, end) = digits(name, at)?;
            let number = PullRequestNumber::parse(digits)?;
            Some((PartValue::Claim(Claim::PullRequest(number)), end))
        }
        Part::Run => {
            let (digits, end) = digits(name, at)?;
            Some((PartValue::Claim(Claim::Run(RunId::parse(digits)?)), end))
        }
        Part::Epoch => {
            let (digits, end) = digits(name, at).filter(|(digits, _)| digits.len() == 10)?;
            let time = DateTime::from_timestamp(digits.parse().ok()?, 0)?;
            Some((PartValue::Time(time), end))
        }
        Part::Date(format) => {
            let (time, length) = format.read(&name[at..])?;
            let end = at + length;
            let bytes = name.as_bytes();
            let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
            // It takes at least one character, because the format names a day.
            let continues =
                (at > 0 && digit(at - 1) && digit(at)) || (digit(end - 1) && digit(end));
            (!continues).then_some((PartValue::Time(time), end))
        }
        Part::Literal(_)
        | Part::Word { .. }
        | Part::Any { .. }
        | Part::Branch { .. }
        | Part::Slug(_) => None,
    }
}

/// Where a part other than text may end when it begins at a position.
pub(super) fn ends<'a>(
    part: &'a Part,
    name: &'a str,
    at: usize,
) -> Box<dyn Iterator<Item = usize> + 'a> {
    let rest = &name[at..];
    match part {
        Part::Literal(literal) => Box::new(
            rest.starts_with(&**literal)
                .then(|| at + literal.len())
                .into_iter(),
        ),
        Part::Word { words, .. } => Box::new(
            words
                .iter()
                .filter(move |word| rest.starts_with(&***word))
                .map(move |word| at + word.len()),
        ),
        _ => Box::new(value(part, name, at).map(|(_, end)| end).into_iter()),
    }
}

/// The digits that begin at a position, taken whole: no digit stands beside
/// them.
fn digits(name: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = name.as_bytes();
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    if before.is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let count = bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = at + count;
    (count > 0).then(|| (&name[at..end], end))
}

/// Walks all ways that lead to the end, each state once.
struct Search<'a> {
    template: &'a Template,
    name: &'a str,
    finishes: Vec<Vec<bool>>,
    visited: BTreeSet<(usize, usize, Captures)>,
    found: BTreeSet<Captures>,
    /// What the search has cost so far.
    steps: usize,
}

impl Search<'_> {
    /// Whether all ways from here could be enumerated.
    fn from(&mut self, index: usize, at: usize, captures: &Captures) -> bool {
        let Some(part) = self.template.parts.get(index) else {
            self.found.insert(captures.clone());
            return self.found.len() <= MAX_MATCHES;
        };
        // Nothing more is captured, and the table says that the rest fits.
        let rest = &self.template.parts[index..];
        if rest
            .iter()
            .all(|part| matches!(part, Part::Literal(_) | Part::Any { count: None, .. }))
            && self.finishes[index][at]
        {
            self.found.insert(captures.clone());
            return self.found.len() <= MAX_MATCHES;
        }
        if !self.visited.insert((index, at, captures.clone())) {
            return true;
        }
        if self.visited.len() > MAX_MATCHES * 1_024 {
            return false;
        }
        match part {
            Part::Literal(literal) => self.step(index, at + literal.len(), captures),
            Part::Word { name, words } => words.iter().all(|word| {
                if !self.name[at..].starts_with(&**word) {
                    return true;
                }
                let mut captures = captures.clone();
                captures.words.push((name.clone(), word.clone()));
                self.step(index, at + word.len(), &captures)
            }),
            Part::PullRequest | Part::Run | Part::Epoch | Part::Date(_) => {
                value(part, self.name, at).is_none_or(|(value, end)| {
                    let mut captures = captures.clone();
                    value.put(&mut captures);
                    self.step(index, end, &captures)
                })
            }
            Part::Any { .. } | Part::Branch { .. } | Part::Slug(_) => {
                self.texts(index, part, at, captures)
            }
        }
    }

    /// Takes text of every length that leads on.
    fn texts(&mut self, index: usize, part: &Part, at: usize, captures: &Captures) -> bool {
        let rest = &self.name[at..];
        for (count, (offset, c)) in rest.char_indices().enumerate() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return false;
            }
            let count = count + 1;
            let end = offset + c.len_utf8();
            let text = &rest[..end];
            if !part.may_contain(c) {
                break;
            }
            // What does not lead on costs no copy of the text.
            if self.finishes[index + 1][at + end] && part.may_be(text, count) {
                let claim = match part {
                    Part::Branch { .. } => Some(Claim::Branch(text.into())),
                    Part::Slug(slug) => Some(Claim::Slug {
                        function: slug.name.clone(),
                        text: text.into(),
                    }),
                    _ => None,
                };
                let goes_on = match claim {
                    Some(claim) => {
                        let mut captures = captures.clone();
                        captures.head = Some(claim);
                        self.step(index, at + end, &captures)
                    }
                    None => self.step(index, at + end, captures),
                };
                if !goes_on {
                    return false;
                }
            }
            if !part.may_go_on(text, count) {
                break;
            }
        }
        true
    }

    fn step(&mut self, index: usize, end: usize, captures: &Captures) -> bool {
        let leads_on = self.finishes[index + 1].get(end).copied().unwrap_or(false);
        !leads_on || self.from(index + 1, end, captures)
    }
}
