//! The output formats. Each is one entry of [`RENDERERS`], with what it renders;
//! a new format needs a variant and an entry.

use super::listing::Selection;
use super::style::TableStyle;
use super::{Report, csv, json, markdown, outcomes, overview, plan, table};
use crate::gc::plan_file::PlanFile;
use crate::sweep::Swept;

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Tables for people, at a terminal.
    Table,
    /// One JSON document.
    Json,
    /// Comma-separated values: one line per resource or step.
    Csv,
    /// Markdown, for a step summary or a message.
    Markdown,
}

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The JSON could not be written.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The CSV could not be written.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] ::csv::Error),
}

type Rendered = Result<String, RenderError>;

/// One format and what it renders.
pub struct Renderer {
    format: Format,
    /// The name, for `--format`.
    name: &'static str,
    /// The extension of its files.
    extension: &'static str,
    audit: fn(&Report, &Selection, TableStyle) -> Rendered,
    sweep: fn(&Report, &Swept, TableStyle) -> Rendered,
    /// `None` if the format has no form for a plan file.
    plan: Option<fn(&PlanFile, TableStyle) -> String>,
}

/// All formats, in the order of `--help`.
pub const RENDERERS: [Renderer; 4] = [
    Renderer {
        format: Format::Table,
        name: "table",
        extension: "txt",
        audit: |report, selection, style| Ok(table::render(report, selection, style)),
        sweep: |report, swept, style| Ok(outcomes::table(report, swept, style)),
        plan: Some(|plan, style| plan::render(plan, None, style)),
    },
    Renderer {
        format: Format::Json,
        name: "json",
        extension: "json",
        audit: |report, selection, _| Ok(json::render(report, selection)?),
        sweep: |report, _, _| Ok(json::render(report, &Selection::default())?),
        plan: Some(|plan, _| plan.text()),
    },
    Renderer {
        format: Format::Csv,
        name: "csv",
        extension: "csv",
        audit: |report, selection, _| Ok(csv::render(report, selection)?),
        sweep: |_, swept, _| Ok(outcomes::csv(swept)?),
        plan: None,
    },
    Renderer {
        format: Format::Markdown,
        name: "markdown",
        extension: "md",
        audit: |report, selection, _| Ok(markdown::render(report, selection)),
        sweep: |report, swept, _| Ok(outcomes::markdown(report, swept)),
        plan: Some(|plan, _| plan::markdown(plan, None)),
    },
];

impl Format {
    /// All formats, in the order of `--help`.
    pub const ALL: [Self; 4] = [Self::Table, Self::Json, Self::Csv, Self::Markdown];

    fn renderer(self) -> &'static Renderer {
        &RENDERERS[self as usize]
    }

    /// Returns the name, for `--format`.
    pub fn name(self) -> &'static str {
        self.renderer().name
    }

    /// Returns the format of a file with this extension, if it is known.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let mut all = RENDERERS.iter();
        all.find(|one| one.extension == extension)
            .map(|one| one.format)
    }

    /// Renders a finished run: its outcomes if it swept, else its verdicts.
    ///
    /// # Errors
    ///
    /// Never in memory; see [`RenderError`].
    pub fn report(self, report: &Report, style: TableStyle) -> Rendered {
        match &report.swept {
            Some(swept) => (self.renderer().sweep)(report, swept, style),
            None => self.audit(report, &Selection::default(), style),
        }
    }

    /// Renders the verdicts of a run.
    ///
    /// # Errors
    ///
    /// Never in memory; see [`RenderError`].
    pub fn audit(self, report: &Report, selection: &Selection, style: TableStyle) -> Rendered {
        (self.renderer().audit)(report, selection, style)
    }

    /// Renders a plan file, or returns `None` if this format has no form for it.
    pub fn plan(self, plan: &PlanFile, style: TableStyle) -> Option<String> {
        Some((self.renderer().plan?)(plan, style))
    }

    /// Renders what a sweep would do. For people, the summary of the audit stands
    /// above the plan.
    ///
    /// # Errors
    ///
    /// Never in memory; see [`RenderError`].
    pub fn planned(self, report: &Report, plan: &PlanFile, style: TableStyle) -> Rendered {
        match self {
            Self::Table => {
                let summary = overview::render(report, style);
                let plan = plan::render(plan, Some(report), style);
                Ok(format!("{summary}\n{plan}"))
            }
            Self::Markdown => {
                let summary = markdown::summary(report);
                let plan = plan::markdown(plan, Some(report));
                Ok(format!("{summary}\n{plan}"))
            }
            Self::Json => Ok(plan.text()),
            Self::Csv => Ok(plan::csv(plan)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_own_renderer() {
        for (format, renderer) in Format::ALL.into_iter().zip(&RENDERERS) {
            assert_eq!(format, renderer.format);
            assert_eq!(Format::of_extension(renderer.extension), Some(format));
        }
    }
}
