//! Names in `protect` and `except`: globs and templates.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use super::super::glob;
use super::super::template::host::{normal_glob, unicode};
use super::super::template::{Fits, Template};
use crate::model::KindRef;
use crate::model::identifier::{host_name, unicode_host_name};

/// A name in `protect` and `except`: a glob, or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Only `*` is special.
    Glob(Box<str>),
    /// As in a rule.
    Template(Template),
    /// For host names: one for their normal form and one for their form in
    /// Unicode, because a part of a label has no normal form. Either of them
    /// covers the name.
    Host(Box<[Self; 2]>),
}

/// Returns a text in the composed form of Unicode (NFC).
fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// Returns a text in the decomposed form of Unicode (NFD).
fn decomposed(text: &str) -> Cow<'_, str> {
    DecomposingNormalizerBorrowed::new_nfd().normalize(text)
}

/// A pattern for names with case and one for names without.
pub(crate) type Patterns = (Pattern, Pattern);

impl Pattern {
    /// A glob for names with case and for host names.
    pub(in crate::policy) fn both_forms(glob: &str) -> Patterns {
        let forms = [normal_glob(glob), unicode(glob)];
        let forms = forms.map(|glob| Self::Glob(glob.into()));
        (Self::Glob(glob.into()), Self::Host(Box::new(forms)))
    }

    /// Whether it covers a name, as it is written or in another form of Unicode: many
    /// signs are one character or several, and look the same.
    fn matches(&self, name: &str) -> bool {
        let forms = !name.is_ascii() || !self.is_ascii();
        self.matches_as_written(name)
            || (forms && {
                let (composed, decomposed) = (composed(name), decomposed(name));
                let normal = self.composed();
                let normal = normal.as_ref().unwrap_or(self);
                normal.matches_as_written(&composed) || self.matches_as_written(&decomposed)
            })
    }

    fn is_ascii(&self) -> bool {
        match self {
            Self::Glob(glob) => glob.is_ascii(),
            Self::Template(_) | Self::Host(_) => true,
        }
    }

    /// Returns a glob in the composed form of Unicode.
    fn composed(&self) -> Option<Self> {
        match self {
            Self::Glob(glob) => Some(Self::Glob(composed(glob).into())),
            Self::Template(_) | Self::Host(_) => None,
        }
    }

    fn matches_as_written(&self, name: &str) -> bool {
        match self {
            Self::Glob(glob) => glob::matches(glob, name),
            Self::Host(forms) => {
                let [normal, unicode] = &**forms;
                normal.matches(&host_name(name))
                    || unicode_host_name(name).is_some_and(|name| unicode.matches(&name))
            }
            // Ambiguous names are kept.
            Self::Template(template) => template.fit(name) != Fits::Ways(Vec::new()),
        }
    }
}

pub(super) fn covered(patterns: &[Patterns], text: &str, kind: KindRef) -> bool {
    let by_host = kind.caseless || kind.begins_with_host || kind.ignores_case;
    patterns.iter().any(|(pattern, caseless)| {
        (!kind.caseless && pattern.matches(text)) || (by_host && caseless.matches(text))
    })
}
