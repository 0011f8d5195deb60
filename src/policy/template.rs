//! Templates of names: literals, listed words and typed captures, matched
//! whole.

mod captures;
mod date;
pub(super) mod host;
mod matching;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

pub use self::captures::Captures;
use self::date::DateFormat;
use super::automaton::Graph;
use super::characters::Characters;
use super::slug::Slug;

/// The listed words of a policy file.
pub type Words = BTreeMap<String, Arc<[Box<str>]>>;

/// The slug functions of a policy file.
pub type Slugs = BTreeMap<String, Arc<Slug>>;

/// What a template may refer to.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The lists under `[words]`.
    pub words: Words,
    /// The functions under `[slug.…]`.
    pub slugs: Slugs,
}

/// The names of captures, which no list of words may take.
pub(super) const CAPTURES: [&str; 7] = ["pr", "run", "branch", "slug", "epoch", "date", "any"];

/// A name that fits in more ways than this counts as undetermined.
const MAX_MATCHES: usize = 64;

/// Steps that one name may cost; names that people choose take a few hundred.
const MAX_STEPS: usize = 1 << 20;

/// Beyond this many beginnings the shorter ones tell names apart well enough.
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
    Any(Option<Characters>),
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
        matches!(self, Self::Any(_) | Self::Branch { .. } | Self::Slug(_))
    }

    /// Whether it says what a name belongs to.
    fn claims(&self) -> bool {
        matches!(
            self,
            Self::PullRequest | Self::Run | Self::Branch { .. } | Self::Slug(_)
        )
    }

    /// Whether it says a time.
    fn names_time(&self) -> bool {
        matches!(self, Self::Epoch | Self::Date(_))
    }

    /// The fewest bytes that it takes.
    fn shortest(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Word { words, .. } => words.iter().map(|word| word.len()).min().unwrap_or(0),
            Self::Branch { prefix } => prefix.len().max(1),
            Self::Epoch => 10,
            Self::PullRequest | Self::Run | Self::Date(_) | Self::Any(_) | Self::Slug(_) => 1,
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
pub enum Form {
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
        form: Form,
        anchor: Anchor,
    ) -> Result<Self, TemplateError> {
        let parts = match form {
            Form::Exact => parse(text, names, form)?,
            Form::Host => parse(&host::normal(text, names)?, names, form)?,
            Form::UnicodeHost => parse(&host::unicode(text), names, form)?,
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
            caseless: form != Form::Exact,
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
                Part::Any(set) => {
                    let set = || set.as_ref().map_or_else(all, |set| set.ranges().to_vec());
                    graph.one(set());
                    graph.many(set());
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
    pub fn has_head(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Branch { .. } | Part::Slug(_)))
    }

    /// Whether the template captures a time.
    pub fn names_time(&self) -> bool {
        self.parts.iter().any(Part::names_time)
    }

    /// Whether the template's own text spells a marker.
    pub fn spells(&self, marker: &str) -> bool {
        self.literal_text.contains(marker)
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
                Part::Literal(_) | Part::Epoch | Part::Date(_) | Part::Any(_) => None,
            })
            .collect()
    }
}

fn parse(text: &str, names: &Names, form: Form) -> Result<Vec<Part>, TemplateError> {
    let mut parts: Vec<Part> = Vec::new();
    let mut at = 0;
    let mut literal = String::new();
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
                let part = capture(&text[at + 1..at + length], span.clone(), names, form)?;
                if part.claims() && parts.iter().any(Part::claims) {
                    return Err(TemplateError {
                        message: "a template has at most one of {pr}, {run}, {branch} and {slug}"
                            .to_owned(),
                        span,
                        help: "use {any} for the other, or write two templates".to_owned(),
                    });
                }
                if part.names_time() && parts.iter().any(Part::names_time) {
                    return Err(TemplateError {
                        message: "a template has at most one time".to_owned(),
                        span,
                        help: "use {any:0-9} for the other".to_owned(),
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
                literal.push(if form == Form::Exact {
                    c
                } else {
                    c.to_ascii_lowercase()
                });
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
    names: &Names,
    form: Form,
) -> Result<Part, TemplateError> {
    let (name, argument) = text
        .split_once(':')
        .map_or((text, None), |(name, argument)| (name, Some(argument)));
    let same = |text: &str| -> Box<str> {
        match form {
            Form::Exact => text.into(),
            Form::Host => host::converted(text).to_ascii_lowercase().into(),
            Form::UnicodeHost => host::unicode(text).into(),
        }
    };
    let refuse = |message: String, help: String| TemplateError {
        message,
        span: span.clone(),
        help,
    };
    match (name, argument) {
        ("pr", None) => Ok(Part::PullRequest),
        ("run", None) => Ok(Part::Run),
        ("epoch", None) => Ok(Part::Epoch),
        ("any", None) => Ok(Part::Any(None)),
        ("any", Some(set)) => Characters::parse(set)
            .map(Some)
            .map(Part::Any)
            .ok_or_else(|| {
                refuse(
                    format!("{set:?} is not a set of characters"),
                    "write ranges and single characters, such as {any:a-z0-9}".to_owned(),
                )
            }),
        ("branch", prefix) => Ok(Part::Branch {
            prefix: same(prefix.unwrap_or_default()),
        }),
        ("date", Some(format)) => DateFormat::parse(format)
            .map(Arc::new)
            .map(Part::Date)
            .ok_or_else(|| {
                refuse(
                    format!("{format:?} does not name a day"),
                    "write year, month and day as strftime does, such as {date:%Y%m%d-%H%M%S}"
                        .to_owned(),
                )
            }),
        ("date", None) => Err(refuse(
            "{date} needs a format".to_owned(),
            "such as {date:%Y%m%d-%H%M%S}".to_owned(),
        )),
        ("slug", Some(name)) => names
            .slugs
            .get(name)
            .cloned()
            .map(Part::Slug)
            .ok_or_else(|| {
                let known: Vec<_> = names.slugs.keys().map(String::as_str).collect();
                let help = if known.is_empty() {
                    format!("describe it under [slug.{name}]")
                } else {
                    super::fields::suggestion(name, &known)
                };
                refuse(format!("there is no slug function {name:?}"), help)
            }),
        ("slug", None) => Err(refuse(
            "{slug} needs the name of its function".to_owned(),
            "such as {slug:shop}, described under [slug.shop]".to_owned(),
        )),
        (name, None) if names.words.contains_key(name) => {
            let words = names.words[name].iter().map(|word| same(word)).collect();
            Ok(Part::Word {
                name: name.into(),
                words,
            })
        }
        (name, _) => {
            let known: Vec<_> = CAPTURES
                .into_iter()
                .chain(names.words.keys().map(String::as_str))
                .collect();
            Err(refuse(
                format!("unknown capture {{{text}}}"),
                format!(
                    "{}; words are listed under [words]",
                    super::fields::suggestion(name, &known)
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests;
