//! Templates of names: literals, listed words and typed captures, matched
//! whole.

mod captures;
mod date;
mod difference;
pub(super) mod host;
mod matching;
mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

pub use self::captures::Captures;
use self::date::DateFormat;
pub(super) use self::difference::Difference;
use self::parse::parse;
use super::automaton::Graph;
use super::characters::Characters;
use super::slug::Slug;
use crate::model::production_words;

/// The listed words of a policy file.
pub type WordLists = BTreeMap<String, Arc<[Box<str>]>>;

/// The slug functions of a policy file.
pub type Slugs = BTreeMap<String, Arc<Slug>>;

/// What a template may refer to.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The lists under `[words]`.
    pub words: WordLists,
    /// The functions under `[slug.…]`.
    pub slugs: Slugs,
}

/// The names of captures, which no list of words may take.
pub(super) const CAPTURES: [&str; 7] = ["pr", "run", "branch", "slug", "epoch", "date", "any"];

/// A name that fits in more ways than this counts as undetermined.
const MAX_MATCHES: usize = 64;

/// Steps that one name may cost; names that people choose take a few hundred.
const MAX_STEPS: usize = 1 << 20;

/// Beyond this many beginnings, shorter ones distinguish names well enough.
const MAX_BEGINNINGS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Word {
        name: Box<str>,
        words: Arc<[Box<str>]>,
    },
    PullRequest,
    Run,
    Epoch,
    Date(Arc<DateFormat>),
    Any {
        /// The characters that it takes; all without them.
        set: Option<Characters>,
        /// The fewest and the most characters that it takes.
        count: Option<(usize, usize)>,
    },
    Branch {
        /// How the branch begins.
        prefix: Box<str>,
    },
    Slug(Arc<Slug>),
}

impl Part {
    /// Whether it takes text of any length, so that a name may be split in
    /// several ways.
    fn is_text(&self) -> bool {
        matches!(self, Self::Any { .. } | Self::Branch { .. } | Self::Slug(_))
    }

    /// Whether it says the number of what a name belongs to.
    fn is_number(&self) -> bool {
        matches!(self, Self::PullRequest | Self::Run)
    }

    /// Whether it says the git branch that a name belongs to.
    fn is_head(&self) -> bool {
        matches!(self, Self::Branch { .. } | Self::Slug(_))
    }

    /// Whether a name cannot say both.
    fn contradicts(&self, other: &Self) -> bool {
        (self.is_number() && other.is_number())
            || (self.is_head() && other.is_head())
            || (*self == Self::Run && other.is_head())
            || (self.is_head() && *other == Self::Run)
    }

    /// Whether it says a time.
    fn names_time(&self) -> bool {
        matches!(self, Self::Epoch | Self::Date(_))
    }

    /// The part as a policy writes it, for people.
    fn written(&self) -> String {
        match self {
            Self::Literal(text) => text.to_string(),
            Self::Word { name, .. } => format!("{{{name}}}"),
            Self::PullRequest => "{pr}".to_owned(),
            Self::Run => "{run}".to_owned(),
            Self::Epoch => "{epoch}".to_owned(),
            Self::Date(_) => "{date}".to_owned(),
            Self::Any { set: None, .. } => "{any}".to_owned(),
            Self::Any { set: Some(set), .. } => format!("{{any:{}}}", set.written()),
            Self::Branch { prefix } if prefix.is_empty() => "{branch}".to_owned(),
            Self::Branch { prefix } => format!("{{branch:{prefix}}}"),
            Self::Slug(slug) => format!("{{slug:{}}}", slug.name),
        }
    }

    /// The fewest bytes that it takes.
    fn shortest(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Word { words, .. } => words.iter().map(|word| word.len()).min().unwrap_or(0),
            Self::Branch { prefix } => prefix.len().max(1),
            Self::Epoch => 10,
            Self::Any {
                count: Some((least, _)),
                ..
            } => *least,
            Self::PullRequest | Self::Run | Self::Date(_) | Self::Any { .. } | Self::Slug(_) => 1,
        }
    }
}

/// The ways in which a name fits a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Fits {
    /// These, each once; none when the name does not fit.
    Ways(Vec<Captures>),
    /// There are more candidates than can be distinguished.
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

/// What else keeps a template from matching too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its own text has to.
    Itself,
    /// The rule's literal `project` does (for `branch` templates).
    Project,
}

/// In which form names are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameForm {
    /// Byte by byte.
    Exact,
    /// As host names in their normal form.
    Host,
    /// As host names in Unicode.
    UnicodeHost,
}

/// A template, matched against whole names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    caseless: bool,
    /// The shortest name that could fit, in bytes.
    shortest: usize,
    has_text: bool,
    literal_text: Box<str>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong, at the place.
    pub fn parse(
        text: &str,
        names: &Names,
        form: NameForm,
        anchor: Anchor,
    ) -> Result<Self, TemplateError> {
        let parts = match form {
            NameForm::Exact => parse(text, names, form)?,
            NameForm::Host => parse(&host::normal(text, names)?, names, form)?,
            NameForm::UnicodeHost => parse(&host::unicode(text), names, form)?,
        };
        let anchored = parts.iter().any(|part| match part {
            Part::Literal(literal) => literal.chars().count() >= 3,
            // The beginning of a branch is literal text as well.
            Part::Branch { prefix } => prefix.chars().count() >= 3,
            Part::Word { .. } => true,
            _ => false,
        });
        if !anchored && anchor == Anchor::Itself {
            return Err(TemplateError {
                message: "this template matches too much".to_owned(),
                span: 0..text.len(),
                help: "a template needs three literal characters in a row or a listed {word}"
                    .to_owned(),
            });
        }
        let literal_text = parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.as_ref(),
                // Keeps literals apart that are apart in the template.
                _ => "\0",
            })
            .collect::<String>()
            .into();
        Ok(Self {
            caseless: form != NameForm::Exact,
            shortest: parts.iter().map(Part::shortest).sum(),
            has_text: parts.iter().any(Part::is_text),
            literal_text,
            parts,
        })
    }

    /// Returns the names that fit as an automaton. It accepts a little more than the
    /// template matches: a slug of any length, any text for a date.
    pub(super) fn graph(&self) -> Graph {
        let digits = || vec![('0', '9')];
        let all = || vec![('\0', char::MAX)];
        let mut graph = Graph::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => graph.text(text),
                Part::Word { words, .. } => graph.texts(words.iter().map(AsRef::as_ref)),
                Part::PullRequest | Part::Run => {
                    graph.one(vec![('1', '9')]);
                    graph.many(digits());
                }
                Part::Epoch => {
                    for _ in 0..10 {
                        graph.one(digits());
                    }
                }
                Part::Date(_) => {
                    graph.one(all());
                    graph.many(all());
                }
                Part::Any { set, count } => {
                    let set = || set.as_ref().map_or_else(all, |set| set.ranges().to_vec());
                    let (least, most) = count.unwrap_or((1, usize::MAX));
                    for _ in 0..least {
                        graph.one(set());
                    }
                    if most > least {
                        graph.many(set());
                    }
                }
                Part::Branch { prefix } => {
                    graph.text(prefix);
                    if prefix.is_empty() {
                        graph.one(all());
                    }
                    graph.many(all());
                }
                Part::Slug(slug) => {
                    graph.one(slug.ranges());
                    graph.many(slug.ranges());
                }
            }
        }
        graph
    }

    /// How the names that fit begin: every one begins in one of these ways.
    pub(super) fn beginnings(&self) -> Vec<String> {
        let mut beginnings = vec![String::new()];
        for part in &self.parts {
            let texts: Vec<&str> = match part {
                Part::Literal(text) => vec![text],
                Part::Word { words, .. } => words.iter().map(AsRef::as_ref).collect(),
                Part::Branch { prefix } => vec![prefix],
                _ => break,
            };
            if beginnings.len() * texts.len() > MAX_BEGINNINGS {
                break;
            }
            beginnings = beginnings
                .iter()
                .flat_map(|beginning| texts.iter().map(move |text| format!("{beginning}{text}")))
                .collect();
            if matches!(part, Part::Branch { .. }) {
                break;
            }
        }
        if self.caseless {
            for beginning in &mut beginnings {
                beginning.make_ascii_lowercase();
            }
        }
        beginnings
    }

    /// Whether the template captures a pull request's number.
    pub fn has_pull_request(&self) -> bool {
        self.parts.contains(&Part::PullRequest)
    }

    /// Whether the template captures the id of an Actions run.
    pub fn has_run(&self) -> bool {
        self.parts.contains(&Part::Run)
    }

    /// Whether the template captures a git branch, or a slug of one.
    pub fn captures_branch(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Branch { .. } | Part::Slug(_)))
    }

    /// Whether the template captures a time.
    pub fn names_time(&self) -> bool {
        self.parts.iter().any(Part::names_time)
    }

    /// The template's own text, with a NUL for each capture.
    pub fn literal_text(&self) -> &str {
        &self.literal_text
    }

    /// Whether every label of a host name that begins with `_` is a label that the
    /// template's own text spells.
    pub fn spells_underscores(&self, name: &str) -> bool {
        let mut labels = self
            .literal_text
            .split('.')
            .filter(|label| !label.contains('\0'));
        let spelled = |label: &str| labels.any(|literal| literal.eq_ignore_ascii_case(label));
        let mut special = name.split('.').filter(|label| label.starts_with('_'));
        special.all(spelled)
    }

    /// Whether the template's own text spells all words of a name that may say that it
    /// is production.
    pub fn spells_production(&self, name: &str) -> bool {
        let spelled = |word: &str| {
            production_words(&self.literal_text).any(|literal| literal.eq_ignore_ascii_case(word))
        };
        production_words(name).all(spelled)
    }

    /// The names that a resource of this git branch would have, as far as the
    /// branch decides them; nothing without a capture of it.
    pub fn of_branch(&self, branch: &str) -> Vec<String> {
        let mut names = vec![String::new()];
        for part in &self.parts {
            let texts: Vec<String> = match part {
                Part::Slug(slug) => slug.of(branch).into_iter().collect(),
                Part::Branch { prefix } if branch.starts_with(&**prefix) => vec![branch.to_owned()],
                Part::Branch { .. } => Vec::new(),
                other => vec![other.written()],
            };
            names = names
                .iter()
                .flat_map(|name| texts.iter().map(move |text| format!("{name}{text}")))
                .collect();
        }
        if self.captures_branch() {
            names
        } else {
            Vec::new()
        }
    }

    /// The captures that a condition may use, as it writes them.
    pub fn capture_names(&self) -> BTreeSet<String> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::PullRequest => Some("pr".to_owned()),
                Part::Run => Some("run".to_owned()),
                Part::Branch { .. } => Some("branch".to_owned()),
                Part::Slug(slug) => Some(format!("slug:{}", slug.name)),
                Part::Word { name, .. } => Some(name.to_string()),
                Part::Literal(_) | Part::Epoch | Part::Date(_) | Part::Any { .. } => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
