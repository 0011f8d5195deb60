//! Names in `protect` and `except`: globs and templates.

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

/// A pattern for names with case and one for names without.
pub(crate) type Patterns = (Pattern, Pattern);

impl Pattern {
    /// A glob for names with case and for host names.
    pub(in crate::policy) fn both_forms(glob: &str) -> Patterns {
        let forms = [normal_glob(glob), unicode(glob)];
        let forms = forms.map(|glob| Self::Glob(glob.into()));
        (Self::Glob(glob.into()), Self::Host(Box::new(forms)))
    }

    fn matches(&self, name: &str) -> bool {
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
