//! From the text of a template to its parts.

use std::ops::Range;
use std::sync::Arc;

use super::super::characters::Characters;
use super::date::DateFormat;
use super::{CAPTURES, NameForm, Names, Part, TemplateError, host};

pub(super) fn parse(text: &str, names: &Names, form: NameForm) -> Result<Vec<Part>, TemplateError> {
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
                        help: "write `}` at the end of the capture".to_owned(),
                    });
                };
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                }
                let span = at..at + length + 1;
                let part = capture(&text[at + 1..at + length], span.clone(), names, form)?;
                if parts.iter().any(|other| part.contradicts(other)) {
                    return Err(TemplateError {
                        message:
                            "a template has at most one of {pr} and {run}, and one of {branch} \
                                  and {slug}, which only {pr} may stand beside"
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
                literal.push(if form == NameForm::Exact {
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

/// The maximum number of characters that `{any}` takes.
const MAX_COUNT: usize = 255;

/// Reads the characters of `{any:…}`, and how many of them it takes.
fn any_of(text: &str) -> Result<Part, (String, String)> {
    let counted = text.rsplit_once(':').and_then(|(set, count)| {
        let digits = |c: char| c.is_ascii_digit() || c == '-';
        let counts = !count.is_empty() && count.chars().all(digits);
        counts.then_some((set, count))
    });
    let (set, count) = match counted {
        Some((set, count)) => (set, Some(count)),
        None => (text, None),
    };
    let count = match count {
        None => None,
        Some(count) => {
            let (least, most) = count.split_once('-').unwrap_or((count, count));
            let both = least.parse().ok().zip(most.parse().ok());
            let both =
                both.filter(|(least, most)| 0 < *least && least <= most && *most <= MAX_COUNT);
            Some(both.ok_or_else(|| {
                (
                    format!("{count:?} is not how many characters {{any}} takes"),
                    "write a number from 1 to 255 or a range, such as {any:0-9a-f:16} or \
                     {any:a-z0-9:6-8}"
                        .to_owned(),
                )
            })?)
        }
    };
    let set = Characters::parse(set).ok_or_else(|| {
        (
            format!("{set:?} is not a set of characters"),
            "write ranges and single characters, such as {any:a-z0-9}".to_owned(),
        )
    })?;
    Ok(Part::Any {
        set: Some(set),
        count,
    })
}

fn capture(
    text: &str,
    span: Range<usize>,
    names: &Names,
    form: NameForm,
) -> Result<Part, TemplateError> {
    let (name, argument) = text
        .split_once(':')
        .map_or((text, None), |(name, argument)| (name, Some(argument)));
    let same = |text: &str| -> Box<str> {
        match form {
            NameForm::Exact => text.into(),
            NameForm::Host => host::converted(text).to_ascii_lowercase().into(),
            NameForm::UnicodeHost => host::unicode(text).into(),
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
        ("any", None) => Ok(Part::Any {
            set: None,
            count: None,
        }),
        ("any", Some(set)) => any_of(set).map_err(|(message, help)| refuse(message, help)),
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
                    crate::policy::spelling::suggestion(name, &known)
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
                    crate::policy::spelling::suggestion(name, &known)
                ),
            ))
        }
    }
}
