//! Takes the fields of a TOML table one by one, and collects every mistake
//! instead of stopping at the first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use chrono::TimeDelta;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Severity};
use super::keys::{
    Duration, Flag, Inner, Key, Kinds, OneOf, RepositoryName, Share, Table, Tables, Text, Texts,
    Whole, Wholes,
};
use super::spelling::suggestion;
use crate::limits::parse_duration;
use crate::model::code::Code;

/// The mistakes found so far in one file.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    pub(super) source: usize,
    pub(super) found: Vec<Diagnostic>,
}

impl Mistakes {
    pub(super) fn error(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(
            Severity::Error,
            code,
            span,
            message.into(),
            label.into(),
            help,
        );
    }

    /// A mistake in a value that may be a secret, and so is not shown.
    pub(super) fn masked(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.error(code, span, message, label, help);
        if let Some(mistake) = self.found.last_mut() {
            mistake.masked = true;
        }
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(
            Severity::Warning,
            code,
            span,
            message.into(),
            label.into(),
            help,
        );
    }

    fn push(
        &mut self,
        severity: Severity,
        code: Code,
        span: Range<usize>,
        message: String,
        label: String,
        help: Option<String>,
    ) {
        self.found.push(Diagnostic {
            severity,
            code,
            message,
            source: self.source,
            span,
            label,
            help,
            masked: false,
        });
    }
}

/// A value with the bytes it stands at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> At<T> {
    pub(super) fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }
}

/// The forms of which a value is a string or a list of strings.
pub(super) trait TextList {
    /// Whether the strings are compared with names that others give.
    const COMPARED: bool;
}

impl TextList for Texts {
    const COMPARED: bool = true;
}
impl TextList for Kinds {
    const COMPARED: bool = false;
}

/// The forms of which a value is a string.
pub(super) trait OneText {
    /// Whether the string is compared with names that others give.
    const COMPARED: bool;
}

impl OneText for Text {
    const COMPARED: bool = true;
}
impl OneText for RepositoryName {
    const COMPARED: bool = false;
}
impl<T> OneText for OneOf<T> {
    const COMPARED: bool = false;
}

type TableValues<'a> = BTreeMap<String, (Range<usize>, &'a Spanned<DeValue<'a>>)>;

/// The fields of one table that were not taken yet.
pub(super) struct Fields<'a> {
    /// What the table is, for messages.
    title: Cow<'static, str>,
    left: TableValues<'a>,
    /// The keys of the table that is declared, and those that were taken.
    known: Vec<&'static str>,
    taken: Vec<&'static str>,
    span: Range<usize>,
}

impl<'a> Fields<'a> {
    /// Returns the fields of a declared table.
    pub(super) fn of(declared: &Table, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        let mut fields = Self::undeclared(declared.title, table, span);
        fields.known = declared.keys.iter().map(|key| key.name()).collect();
        fields
    }

    /// Returns the fields of a table whose keys are those that are taken.
    pub(super) fn undeclared(
        title: impl Into<Cow<'static, str>>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        let left = table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span(), value)))
            .collect();
        Self {
            title: title.into(),
            left,
            known: Vec::new(),
            taken: Vec::new(),
            span,
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Takes a field whatever its type.
    pub(super) fn take<F>(&mut self, key: &Key<F>) -> Option<&'a Spanned<DeValue<'a>>> {
        self.taken.push(key.name);
        self.left.remove(key.name).map(|(_, value)| value)
    }

    /// Takes all fields that are left, for tables with keys of the owner's own.
    pub(super) fn rest(&mut self) -> Vec<(At<String>, &'a Spanned<DeValue<'a>>)> {
        std::mem::take(&mut self.left)
            .into_iter()
            .map(|(key, (span, value))| (At::new(key, span), value))
            .collect()
    }

    pub(super) fn text<F: OneText>(
        &mut self,
        key: &Key<F>,
        mistakes: &mut Mistakes,
    ) -> Option<At<String>> {
        let value = self.take(key)?;
        if F::COMPARED && !key.is_verbatim() {
            return compared_text(key.name, value, mistakes);
        }
        text(key.name, value, mistakes)
    }

    pub(super) fn texts<F: TextList>(
        &mut self,
        key: &Key<F>,
        mistakes: &mut Mistakes,
    ) -> Option<Vec<At<String>>> {
        let value = self.take(key)?;
        if F::COMPARED && !key.is_verbatim() {
            return compared_texts(key.name, value, mistakes);
        }
        texts(key.name, value, mistakes)
    }

    pub(super) fn duration(
        &mut self,
        key: &Key<Duration>,
        mistakes: &mut Mistakes,
    ) -> Option<At<TimeDelta>> {
        let value = self.take(key)?;
        let text = text(key.name, value, mistakes)?;
        duration(&text, mistakes).map(|value| At::new(value, text.span))
    }

    pub(super) fn whole(&mut self, key: &Key<Whole>, mistakes: &mut Mistakes) -> Option<At<u64>> {
        let value = self.take(key)?;
        let number = whole(value);
        if number.is_none() {
            wrong(key.name, value, "a whole number, 0 or more", mistakes);
        }
        number.map(|number| At::new(number, value.span()))
    }

    /// A whole number or a list of them.
    pub(super) fn wholes(
        &mut self,
        key: &Key<Wholes>,
        mistakes: &mut Mistakes,
    ) -> Option<Vec<usize>> {
        let value = self.take(key)?;
        let items: Vec<_> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut numbers = Vec::new();
        for item in items {
            match whole(item) {
                Some(number) => numbers.push(usize::try_from(number).unwrap_or(usize::MAX)),
                None => wrong(key.name, item, "a whole number, 0 or more", mistakes),
            }
        }
        Some(numbers)
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &Key<Flag>, mistakes: &mut Mistakes) -> Option<bool> {
        let value = self.take(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        wrong(key.name, value, "true or false", mistakes);
        None
    }

    pub(super) fn share(&mut self, key: &Key<Share>, mistakes: &mut Mistakes) -> Option<At<f64>> {
        let value = self.take(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            wrong(key.name, value, "a number from 0 to 1", mistakes);
        }
        number.map(|number| At::new(number, value.span()))
    }

    /// Takes a table whose keys are not declared.
    pub(super) fn table<F>(
        &mut self,
        key: &Key<F>,
        title: impl Into<Cow<'static, str>>,
        mistakes: &mut Mistakes,
    ) -> Option<Fields<'a>> {
        let value = self.take(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            Some(Fields::undeclared(title, table, value.span()))
        } else {
            wrong(key.name, value, "a table", mistakes);
            None
        }
    }

    /// Takes a table whose keys are declared.
    pub(super) fn inner(
        &mut self,
        key: &Key<Inner>,
        mistakes: &mut Mistakes,
    ) -> Option<Fields<'a>> {
        let value = self.take(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            Some(Fields::of(key.form.0, table, value.span()))
        } else {
            wrong(key.name, value, "a table", mistakes);
            None
        }
    }

    /// Takes a field of type `[[key]]`.
    pub(super) fn tables(&mut self, key: &Key<Tables>, mistakes: &mut Mistakes) -> Vec<Fields<'a>> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let name = key.name;
        let DeValue::Array(items) = value.get_ref() else {
            let expected = format!("a list of tables (`[[{name}]]`)");
            wrong(name, value, &expected, mistakes);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            if let DeValue::Table(table) = item.get_ref() {
                tables.push(Fields::of(key.form.0, table, item.span()));
            } else {
                wrong(name, item, "a table", mistakes);
            }
        }
        tables
    }

    /// Reports a key that is required and not there.
    pub(super) fn require<F, T>(
        &self,
        key: &Key<F>,
        value: Option<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let help = key.help().unwrap_or_default();
        self.require_with(key.name, value, help, mistakes)
    }

    /// Reports a key that is not there and for which there is no other.
    pub(super) fn require_with<T>(
        &self,
        key: &str,
        value: Option<T>,
        help: &str,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        if value.is_none() {
            mistakes.error(
                Code::KeyMissing,
                self.span(),
                format!("this {} has no `{key}`", self.title),
                format!("`{key}` is required"),
                Some(help.to_owned()),
            );
        }
        value
    }

    /// The bytes of a field's value, before it is taken.
    pub(super) fn value_span(&self, key: &str) -> Option<Range<usize>> {
        self.left.get(key).map(|(_, value)| value.span())
    }

    /// Ends the table: whatever was not taken is unknown.
    pub(super) fn end(self, mistakes: &mut Mistakes) {
        debug_assert!(
            self.known.is_empty() || is_same_set(&self.known, &self.taken),
            "{} declares {:?}, and the reader takes {:?}",
            self.title,
            self.known,
            self.taken
        );
        let known = if self.known.is_empty() {
            &self.taken
        } else {
            &self.known
        };
        for (key, (span, _)) in self.left {
            mistakes.error(
                Code::KeyUnknown,
                span,
                format!("unknown key `{key}` in this {}", self.title),
                "not a key of this table",
                Some(suggestion(&key, known)),
            );
        }
    }
}

/// Whether two lists have the same keys, each once.
fn is_same_set(one: &[&str], other: &[&str]) -> bool {
    one.len() == other.len() && one.iter().all(|key| other.contains(key))
}

fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    match value.get_ref() {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

pub(super) fn wrong(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    mistakes: &mut Mistakes,
) {
    mistakes.error(
        Code::TypeWrong,
        value.span(),
        format!("`{key}` must be {expected}"),
        format!("this is {}", sort(value.get_ref())),
        None,
    );
}

fn sort(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(number) if number.as_str().starts_with('-') => "a negative number",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn text(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    mistakes: &mut Mistakes,
) -> Option<At<String>> {
    if let DeValue::String(text) = value.get_ref() {
        let text: &Cow<'_, str> = text;
        return Some(At::new(text.to_string(), value.span()));
    }
    wrong(key, value, "a string", mistakes);
    None
}

/// A string or a list of strings.
pub(super) fn texts(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    mistakes: &mut Mistakes,
) -> Option<Vec<At<String>>> {
    let DeValue::Array(items) = value.get_ref() else {
        return match value.get_ref() {
            DeValue::String(_) => text(key, value, mistakes).map(|text| vec![text]),
            _ => {
                wrong(key, value, "a string or a list of strings", mistakes);
                None
            }
        };
    };
    if items.is_empty() {
        wrong(key, value, "a string or a list with at least one", mistakes);
        return None;
    }
    let read: Vec<_> = items
        .iter()
        .filter_map(|item| text(key, item, mistakes))
        .collect();
    (read.len() == items.len()).then_some(read)
}

/// A string that is compared with names.
fn compared_text(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    mistakes: &mut Mistakes,
) -> Option<At<String>> {
    Some(compared(key, text(key, value, mistakes)?, mistakes))
}

/// A string that is compared with names, or a list of them.
pub(super) fn compared_texts(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    mistakes: &mut Mistakes,
) -> Option<Vec<At<String>>> {
    let texts = texts(key, value, mistakes)?;
    let compared = texts.into_iter().map(|text| compared(key, text, mistakes));
    Some(compared.collect())
}

/// Reports white space around a string, and invisible characters in it: nobody sees
/// them, and no name is equal to it, so that what is to be kept would not be. Returns
/// the string without them, so that it has no further mistakes for that.
fn compared(key: &str, text: At<String>, mistakes: &mut Mistakes) -> At<String> {
    let trimmed = text.value.trim();
    let (what, label) = if trimmed.len() < text.value.len() {
        ("begins or ends with white space", "white space")
    } else if trimmed.contains(is_invisible) {
        ("has invisible characters", "not all of it can be seen")
    } else {
        return text;
    };
    mistakes.error(
        Code::ValueMalformed,
        text.span.clone(),
        format!("a string of `{key}` {what}, so it is equal to no name: {trimmed:?}"),
        label,
        Some(
            "type it anew; where a name really has such characters, write `*` for them \
             if the key takes globs"
                .to_owned(),
        ),
    );
    if trimmed.is_empty() {
        return text;
    }
    At::new(trimmed.replace(is_invisible, ""), text.span)
}

/// Whether a character has no width and joins nothing that is visible.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}')
}

/// A whole number and a unit.
pub(super) fn duration(text: &At<String>, mistakes: &mut Mistakes) -> Option<TimeDelta> {
    let read = parse_duration(&text.value);
    if read.is_none() {
        mistakes.error(
            Code::DurationMalformed,
            text.span.clone(),
            format!("{:?} is not a duration", text.value),
            "not a duration",
            Some("write a whole number and s, m, h, d or w, such as \"24h\"".to_owned()),
        );
    }
    read
}
