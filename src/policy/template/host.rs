//! Templates of host names, which are compared in punycode. That is made of whole
//! labels: a label with letters outside of ASCII and a capture has no form in it
//! that holds for every name.

use super::{Names, TemplateError};
use crate::model::identifier::{host_name, unicode_host_name};

/// The text of a template with its literal labels in their normal form.
pub(super) fn normal(text: &str, names: &Names) -> Result<String, TemplateError> {
    let mut at = 0;
    let mut labels = Vec::new();
    for label in labels_of(text) {
        let span = at..at + label.len();
        at = span.end + 1;
        if !is_variable(label) {
            labels.push(converted(label));
        } else if let Some(example) = example(label, names) {
            return Err(TemplateError {
                message: format!(
                    "a host name cannot have {label:?}: letters outside of ASCII stand beside a \
                     capture"
                ),
                span,
                help: format!(
                    "host names are compared in punycode, in which {example:?} is {:?}; write a \
                     template for names in that form, or use ASCII letters here",
                    host_name(&example)
                ),
            });
        } else {
            labels.push(label.to_owned());
        }
    }
    Ok(labels.join("."))
}

/// The text of a template or glob with its labels in Unicode and lower case, as
/// far as they are literal.
pub(in crate::policy) fn unicode(text: &str) -> String {
    let labels = labels_of(text).into_iter().map(|label| {
        if is_variable(label) {
            lower(label)
        } else {
            unicode_host_name(label).unwrap_or_else(|| lower(label))
        }
    });
    labels.collect::<Vec<_>>().join(".")
}

/// The text of a glob with its literal labels in their normal form, and
/// everything in lower case.
pub(in crate::policy) fn normal_glob(glob: &str) -> String {
    let labels = labels_of(glob).into_iter().map(|label| {
        if is_variable(label) {
            lower(label)
        } else {
            converted(label)
        }
    });
    labels.collect::<Vec<_>>().join(".")
}

/// The labels of a template; a dot inside of a capture separates none, and one at
/// the end belongs to no name.
fn labels_of(text: &str) -> Vec<&str> {
    let mut inside = false;
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split(|c| {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        c == '.' && !inside
    })
    .collect()
}

fn is_variable(label: &str) -> bool {
    label.contains(['{', '*'])
}

/// A literal label in punycode, where it has to be.
pub(super) fn converted(label: &str) -> String {
    if label.is_ascii() {
        label.to_ascii_lowercase()
    } else {
        host_name(label).into_owned()
    }
}

/// The text outside of captures in lower case.
fn lower(label: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for c in label.chars() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        if inside {
            text.push(c);
        } else {
            text.extend(c.to_lowercase());
        }
    }
    text
}

/// A label that such a template means, where it has letters outside of ASCII
/// beside a capture.
fn example(label: &str, names: &Names) -> Option<String> {
    let mut filled = String::new();
    let mut captures = 0;
    for (index, part) in label.split(['{', '}']).enumerate() {
        if index % 2 == 0 {
            filled.push_str(part);
            continue;
        }
        captures += 1;
        match part.split(':').next().unwrap_or_default() {
            "pr" | "run" | "epoch" | "date" => filled.push_str("12"),
            "any" | "slug" => filled.push('x'),
            "branch" => filled.push_str(part.strip_prefix("branch:").unwrap_or("x")),
            word => {
                let words = names
                    .words
                    .get(word)
                    .into_iter()
                    .flat_map(|words| words.iter());
                let words: Vec<&str> = words.map(AsRef::as_ref).collect();
                let first = words.iter().find(|word| !word.is_ascii());
                filled.push_str(first.or(words.first()).copied().unwrap_or("x"));
            }
        }
    }
    // A word that is a whole label is converted by itself.
    let alone = captures == 1 && label.starts_with('{') && label.ends_with('}');
    let word = alone && names.words.contains_key(&label[1..label.len() - 1]);
    (!filled.is_ascii() && !word).then_some(filled)
}
