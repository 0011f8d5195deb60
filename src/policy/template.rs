//! Templates of names: literals, listed words and typed captures, matched
//! whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Claim, PullRequestNumber};

/// The listed words of a policy file.
pub type Words = BTreeMap<String, Arc<[Box<str>]>>;

/// A name that fits in more ways than this is not read as anything.
const MOST_READINGS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Word {
        name: Box<str>,
        words: Arc<[Box<str>]>,
    },
    PullRequest,
    Any(Option<Characters>),
}

/// The characters that a limited `{any:…}` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Characters(Vec<(char, char)>);

impl Characters {
    fn contains(&self, c: char) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&c))
    }
}

/// What a name was read as.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Captures {
    /// The pull request's number.
    pub pull_request: Option<PullRequestNumber>,
    /// The listed words, by the name of their list, in order.
    pub words: Vec<(Box<str>, Box<str>)>,
}

impl Captures {
    /// What the name claims to belong to.
    pub fn claim(&self) -> Claim {
        self.pull_request.map_or(Claim::Itself, Claim::PullRequest)
    }
}

/// The ways in which a name fits a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Fits {
    /// These, each once; none when the name does not fit.
    Ways(Vec<Captures>),
    /// More than can be told apart.
    TooMany,
}

/// A mistake in a template, at bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// Where in the template's text.
    pub span: Range<usize>,
    /// What to do.
    pub help: String,
}

/// A template, matched against whole names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    caseless: bool,
    /// The shortest name that could fit, in bytes.
    shortest: usize,
    literal_text: Box<str>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong, at the place.
    pub fn parse(text: &str, words: &Words, caseless: bool) -> Result<Self, TemplateError> {
        let parts = parse(text, words, caseless)?;
        let anchored = parts.iter().any(|part| match part {
            Part::Literal(literal) => literal.chars().count() >= 3,
            Part::Word { .. } => true,
            Part::PullRequest | Part::Any(_) => false,
        });
        if !anchored {
            return Err(TemplateError {
                message: "this template matches too much".to_owned(),
                span: 0..text.len(),
                help: "a template needs three literal characters in a row or a listed {word}"
                    .to_owned(),
            });
        }
        let shortest = parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.len(),
                Part::Word { words, .. } => words.iter().map(|word| word.len()).min().unwrap_or(0),
                Part::PullRequest | Part::Any(_) => 1,
            })
            .sum();
        let literal_text = parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.as_ref(),
                // Keeps literals apart that are apart in the template.
                Part::Word { .. } | Part::PullRequest | Part::Any(_) => "\0",
            })
            .collect::<String>()
            .into();
        Ok(Self {
            parts,
            caseless,
            shortest,
            literal_text,
        })
    }

    /// Whether the template captures a pull request's number.
    pub fn has_pull_request(&self) -> bool {
        self.parts.contains(&Part::PullRequest)
    }

    /// Whether the template's own text spells a marker.
    pub fn spells(&self, marker: &str) -> bool {
        self.literal_text.contains(marker)
    }

    /// The names of the captures that a condition may use.
    pub fn capture_names(&self) -> BTreeSet<&str> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::PullRequest => Some("pr"),
                Part::Word { name, .. } => Some(name),
                Part::Literal(_) | Part::Any(_) => None,
            })
            .collect()
    }

    /// Whether a name surely does not fit, told without any work.
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
        if let Some(Part::Literal(first)) = self.parts.first()
            && !same(first, &name[..first.len()])
        {
            return true;
        }
        matches!(self.parts.last(), Some(Part::Literal(last)) if !same(last, &name[name.len() - last.len()..]))
    }

    /// Reads a name, in every way in which it fits.
    pub fn fit(&self, name: &str) -> Fits {
        if self.surely_not(name) {
            return Fits::Ways(Vec::new());
        }
        let lower;
        let name = if self.caseless {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        let Some(finishes) = self.finishes(name) else {
            return Fits::Ways(Vec::new());
        };
        let mut search = Search {
            template: self,
            name,
            finishes,
            visited: BTreeSet::new(),
            found: BTreeSet::new(),
        };
        if search.from(0, 0, &Captures::default()) {
            Fits::Ways(search.found.into_iter().collect())
        } else {
            Fits::TooMany
        }
    }

    /// For each part the positions from which it and all after it fit to the
    /// end; none when the whole does not. Linear in the name for each part, so
    /// hostile names cost no more than long ones.
    fn finishes(&self, name: &str) -> Option<Vec<Vec<bool>>> {
        let length = name.len();
        let mut table = vec![vec![false; length + 1]; self.parts.len() + 1];
        table[self.parts.len()][length] = true;
        for (index, part) in self.parts.iter().enumerate().rev() {
            let (head, tail) = table.split_at_mut(index + 1);
            let (here, next) = (&mut head[index], &tail[0]);
            match part {
                Part::Any(characters) => {
                    // From the end: a character that may be taken, followed by
                    // the rest or by more of this part.
                    for (at, c) in name.char_indices().rev() {
                        let allowed = characters.as_ref().is_none_or(|set| set.contains(c));
                        let after = at + c.len_utf8();
                        here[at] = allowed && (next[after] || here[after]);
                    }
                    here[length] = false;
                }
                Part::Literal(_) | Part::Word { .. } | Part::PullRequest => {
                    for at in (0..=length).filter(|at| name.is_char_boundary(*at)) {
                        here[at] = ends(part, name, at).any(|end| next[end]);
                    }
                }
            }
        }
        table[0][0].then_some(table)
    }

    /// Writes a name from captures; `{any}` becomes the given text.
    #[cfg(test)]
    fn expand(&self, number: PullRequestNumber, word: usize, any: &str) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.to_string(),
                Part::Word { words, .. } => words[word % words.len()].to_string(),
                Part::PullRequest => number.to_string(),
                Part::Any(_) => any.to_owned(),
            })
            .collect()
    }
}

/// Where a part other than `{any}` may end when it begins at a position.
fn ends<'a>(part: &'a Part, name: &'a str, at: usize) -> Box<dyn Iterator<Item = usize> + 'a> {
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
        Part::PullRequest => Box::new(number(name, at).map(|(_, end)| end).into_iter()),
        Part::Any(_) => Box::new(std::iter::empty()),
    }
}

/// The number that begins at a position, taken whole: no digit stands beside
/// it.
fn number(name: &str, at: usize) -> Option<(PullRequestNumber, usize)> {
    let bytes = name.as_bytes();
    if at > 0 && bytes[at - 1].is_ascii_digit() {
        return None;
    }
    let digits = bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = at + digits;
    PullRequestNumber::parse(name.get(at..end)?).map(|number| (number, end))
}

/// Walks all ways that lead to the end, each state once.
struct Search<'a> {
    template: &'a Template,
    name: &'a str,
    finishes: Vec<Vec<bool>>,
    visited: BTreeSet<(usize, usize, Captures)>,
    found: BTreeSet<Captures>,
}

impl Search<'_> {
    /// Whether the ways from here could all be told.
    fn from(&mut self, index: usize, at: usize, captures: &Captures) -> bool {
        let Some(part) = self.template.parts.get(index) else {
            self.found.insert(captures.clone());
            return self.found.len() <= MOST_READINGS;
        };
        if !self.visited.insert((index, at, captures.clone())) {
            return true;
        }
        if self.visited.len() > MOST_READINGS * 1_024 {
            return false;
        }
        match part {
            Part::Literal(literal) => self.step(index, at + literal.len(), captures),
            Part::PullRequest => number(self.name, at).is_none_or(|(number, end)| {
                let mut captures = captures.clone();
                captures.pull_request = Some(number);
                self.step(index, end, &captures)
            }),
            Part::Word { name, words } => words.iter().all(|word| {
                if !self.name[at..].starts_with(&**word) {
                    return true;
                }
                let mut captures = captures.clone();
                captures.words.push((name.clone(), word.clone()));
                self.step(index, at + word.len(), &captures)
            }),
            Part::Any(characters) => {
                let text = &self.name[at..];
                for (offset, c) in text.char_indices() {
                    if characters.as_ref().is_some_and(|set| !set.contains(c)) {
                        break;
                    }
                    if !self.step(index, at + offset + c.len_utf8(), captures) {
                        return false;
                    }
                }
                true
            }
        }
    }

    fn step(&mut self, index: usize, end: usize, captures: &Captures) -> bool {
        let leads_on = self.finishes[index + 1].get(end).copied().unwrap_or(false);
        !leads_on || self.from(index + 1, end, captures)
    }
}

fn parse(text: &str, words: &Words, caseless: bool) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut literal = String::new();
    let mut numbers = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '{' => {
                let Some(length) = text[at..].find('}') else {
                    return Err(TemplateError {
                        message: "`{` without `}`".to_owned(),
                        span: at..text.len(),
                        help: "close the capture".to_owned(),
                    });
                };
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                }
                let span = at..at + length + 1;
                let part = capture(&text[at + 1..at + length], span.clone(), words, caseless)?;
                numbers += usize::from(part == Part::PullRequest);
                if numbers > 1 {
                    return Err(TemplateError {
                        message: "a template has at most one {pr}".to_owned(),
                        span,
                        help: "use {any} for the other, or write two templates".to_owned(),
                    });
                }
                parts.push(part);
                at += length + 1;
            }
            '}' => {
                return Err(TemplateError {
                    message: "`}` without `{`".to_owned(),
                    span: at..at + 1,
                    help: "names cannot contain braces".to_owned(),
                });
            }
            c => {
                literal.push(if caseless { c.to_ascii_lowercase() } else { c });
                at += c.len_utf8();
            }
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts)
}

fn capture(
    text: &str,
    span: Range<usize>,
    words: &Words,
    caseless: bool,
) -> Result<Part, TemplateError> {
    let (name, argument) = text
        .split_once(':')
        .map_or((text, None), |(name, argument)| (name, Some(argument)));
    match (name, argument) {
        ("pr", None) => Ok(Part::PullRequest),
        ("any", None) => Ok(Part::Any(None)),
        ("any", Some(set)) => characters(set)
            .map(Some)
            .map(Part::Any)
            .ok_or(TemplateError {
                message: format!("{set:?} is not a set of characters"),
                span,
                help: "write ranges and single characters, such as {any:a-z0-9}".to_owned(),
            }),
        (name, None) if words.contains_key(name) => {
            let list = &words[name];
            let words = if caseless {
                list.iter()
                    .map(|word| word.to_ascii_lowercase().into())
                    .collect()
            } else {
                list.clone()
            };
            Ok(Part::Word {
                name: name.into(),
                words,
            })
        }
        (name, _) => {
            let mut known = vec!["pr", "any"];
            known.extend(words.keys().map(String::as_str));
            Err(TemplateError {
                message: format!("unknown capture {{{text}}}"),
                span,
                help: format!(
                    "{}; words are listed under [words]",
                    super::fields::suggestion(name, &known)
                ),
            })
        }
    }
}

/// Ranges and single characters; `-` first or last is itself.
fn characters(text: &str) -> Option<Characters> {
    let letters: Vec<char> = text.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(&low) = letters.get(at) {
        match (letters.get(at + 1), letters.get(at + 2)) {
            (Some('-'), Some(&high)) => {
                if low > high {
                    return None;
                }
                ranges.push((low, high));
                at += 3;
            }
            _ => {
                ranges.push((low, low));
                at += 1;
            }
        }
    }
    (!ranges.is_empty()).then_some(Characters(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> Words {
        let list = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
        Words::from([("service".to_owned(), list(&["api", "api-v2", "web"]))])
    }

    fn template(text: &str) -> Template {
        Template::parse(text, &words(), false).unwrap()
    }

    fn numbers(text: &str, name: &str) -> Vec<u32> {
        match template(text).fit(name) {
            Fits::Ways(ways) => ways
                .into_iter()
                .filter_map(|captures| captures.pull_request)
                .map(PullRequestNumber::get)
                .collect(),
            Fits::TooMany => panic!("{name} fits in too many ways"),
        }
    }

    #[test]
    fn names_are_matched_whole_and_numbers_are_taken_whole() {
        for (text, name, expected) in [
            ("pr-{pr}", "pr-12", &[12][..]),
            ("pr-{pr}", "pr-120", &[120]),
            ("pr-{pr}", "pr-012", &[]),
            ("pr-{pr}", "pr-0", &[]),
            ("pr-{pr}", "pr-12-foo", &[]),
            ("pr-{pr}", "fix-pr-12", &[]),
            ("pr-{pr}", "PR-12", &[]),
            ("pr-{pr}", "pr-12/", &[]),
            ("pr-{pr}", "pr-24308663446", &[]),
            ("{service}-preview-{pr}", "api-preview-9", &[9]),
            ("{service}-preview-{pr}", "api-v2-preview-9", &[9]),
            ("{service}-preview-{pr}", "cdn-preview-9", &[]),
            ("app{pr}-x", "app1-x", &[1]),
            ("v1{pr}", "v112", &[]),
            ("pr-{pr}2abc", "pr-12abc", &[]),
            ("kody-pr-{pr}-mock-{any}", "kody-pr-5-mock-a/b", &[5]),
            ("kody-pr-{pr}-mock-{any}", "kody-pr-5-mock-", &[]),
            ("x-pr-{pr}-{any:a-z0-9}", "x-pr-12-foo-q2", &[]),
            ("x-pr-{pr}-{any:a-z0-9}", "x-pr-12-q2w3", &[12]),
            ("db-{any:a-z}-pr-{pr}", "db-eu-pr-7", &[7]),
        ] {
            if let Ok(template) = Template::parse(text, &words(), false) {
                drop(template);
                assert_eq!(numbers(text, name), expected, "{text} {name}");
            } else {
                assert!(expected.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn a_name_that_fits_in_several_ways_is_read_in_every_one() {
        assert_eq!(numbers("{any}-pr-{pr}-{any}", "a-pr-12-pr-7-x"), [7, 12]);
    }

    #[test]
    fn a_template_that_matches_everything_cannot_be_written() {
        for text in ["{pr}", "{any}", "{any}-{pr}", "p-{pr}", "ab{any}cd"] {
            assert!(Template::parse(text, &words(), false).is_err(), "{text}");
        }
        assert!(Template::parse("{service}{pr}", &words(), false).is_ok());
        for text in [
            "pr-{pr}-{pr}",
            "pre-{nope}",
            "pre-{pr",
            "pre-pr}",
            "pre-{any:z-a}",
        ] {
            assert!(Template::parse(text, &words(), false).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_names_end() {
        let name = format!("abc{}", "-1".repeat(5_000));
        let hostile = template("abc{any}-{any}{any}-{any}{pr}x");
        assert_eq!(hostile.fit(&name), Fits::Ways(Vec::new()));
        let many = template("abc{any}-{pr}-{any}-{any}");
        let name = (1..200).fold("abc".to_owned(), |name, n| format!("{name}-{n}"));
        assert_eq!(many.fit(&name), Fits::TooMany);
    }

    proptest! {
        #[test]
        fn what_is_expanded_is_read_back(number in 1_u32..=2_147_483_647, word in 0_usize..3, any in "[a-z]{1,12}") {
            let number = PullRequestNumber::new(number).unwrap();
            let template = template("{service}-preview-{pr}-{any}");
            let name = template.expand(number, word, &any);
            let Fits::Ways(ways) = template.fit(&name) else { panic!() };
            prop_assert!(ways.iter().any(|captures| captures.pull_request == Some(number)));
        }

        #[test]
        fn any_text_is_read_without_panic(name in "\\PC{0,40}") {
            let template = template("{any}pr-{pr}{any}");
            if let Fits::Ways(ways) = template.fit(&name) {
                for captures in ways {
                    let number = captures.pull_request.unwrap().to_string();
                    let marker = format!("pr-{number}");
                    prop_assert!(name.contains(&marker));
                }
            }
        }
    }
}
