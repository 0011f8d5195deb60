//! What is wrong in a policy file, underlined in the owner's own text.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::PolicySource;
use crate::model::code::Code;

/// More mistakes than anybody mends at once. A line of nonsense may be a
/// mistake in each of its characters.
const MAX_SHOWN: usize = 100;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used, but probably does not say what its author intended.
    Warning,
    /// The policy is fine; the note is worth knowing.
    Note,
}

/// One message about one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Index of the file.
    pub source: usize,
    /// The bytes that are underlined.
    pub span: Range<usize>,
    /// The word under the line.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether what is underlined may be a secret, so that it is not shown.
    pub masked: bool,
}

/// Prints diagnostics the way rustc does.
pub fn render(diagnostics: &[Diagnostic], sources: &[PolicySource], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let sources = &masked(diagnostics, sources);
    let mut out = String::new();
    // From the top of each file to its end, as people correct it.
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|one| (one.source, one.span.start));
    for diagnostic in ordered.into_iter().take(MAX_SHOWN) {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code.name())
            .element(source(diagnostic, sources));
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    if let Some(left @ 1..) = diagnostics.len().checked_sub(MAX_SHOWN) {
        let _ = writeln!(out, "… and {left} more\n");
    }
    out
}

/// The sources without what may be a secret: another mistake may stand in the
/// same line.
fn masked(diagnostics: &[Diagnostic], sources: &[PolicySource]) -> Vec<PolicySource> {
    let mut sources = sources.to_vec();
    for diagnostic in diagnostics.iter().filter(|one| one.masked) {
        if let Some(source) = sources.get_mut(diagnostic.source)
            && let Some(secret) = source.text.get(diagnostic.span.clone())
        {
            // The lines and the bytes before and after stay where they are.
            let stars: String = secret
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { '*' })
                .collect();
            source.text.replace_range(diagnostic.span.clone(), &stars);
        }
    }
    sources
}

fn source<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a [PolicySource],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let (path, text) = sources.get(diagnostic.source).map_or(("", ""), |source| {
        (source.path.as_str(), source.text.as_str())
    });
    let end = text.len();
    let span = diagnostic.span.start.min(end)..diagnostic.span.end.min(end);
    Snippet::source(text).path(path).annotation(
        AnnotationKind::Primary
            .span(span)
            .label(diagnostic.label.as_str()),
    )
}
