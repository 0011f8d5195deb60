//! Metrics of a run, as JSON and as Prometheus text.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Report;

/// One metric: its name, its help text, its labels, its value.
type Figure = (&'static str, &'static str, Vec<(&'static str, String)>, u64);

fn figures(report: &Report) -> Vec<Figure> {
    let mut figures: Vec<Figure> = vec![(
        "complete",
        "whether the evidence is complete",
        Vec::new(),
        u64::from(report.complete),
    )];
    let mut kinds = std::collections::BTreeMap::new();
    for row in &report.resources {
        *kinds
            .entry((row.kind.name(), row.verdict.name().key()))
            .or_insert(0) += 1;
    }
    for ((kind, verdict), count) in kinds {
        let labels = vec![("kind", kind.to_owned()), ("verdict", verdict.to_owned())];
        figures.push(("resources", "resources by verdict", labels, count));
    }
    let mut outcomes = std::collections::BTreeMap::new();
    for step in report.swept.iter().flat_map(|swept| &swept.steps) {
        *outcomes
            .entry((step.kind.clone(), step.outcome))
            .or_insert(0) += 1;
    }
    for ((kind, outcome), count) in outcomes {
        let labels = vec![("kind", kind), ("outcome", outcome.name().to_owned())];
        figures.push(("steps", "steps of the plan by outcome", labels, count));
    }
    for quota in &report.quota {
        let labels = || vec![("api", quota.api.key().to_owned())];
        figures.push(("requests", "requests that were sent", labels(), quota.spent));
        let throttled = u64::from(quota.throttled);
        figures.push((
            "throttled",
            "refusals for too many requests",
            labels(),
            throttled,
        ));
    }
    // Prometheus requires all metrics of one name together.
    figures.sort_by_key(|(name, ..)| *name);
    figures
}

/// Renders the metrics as JSON.
pub fn json(report: &Report) -> String {
    let list: Vec<Value> = figures(report)
        .into_iter()
        .map(|(name, _, labels, value)| {
            let labels: serde_json::Map<_, _> = labels
                .into_iter()
                .map(|(key, text)| (key.to_owned(), json!(text)))
                .collect();
            json!({ "name": name, "labels": labels, "value": value })
        })
        .collect();
    format!(
        "{:#}\n",
        json!({ "schema": 1, "now": report.now, "metrics": list })
    )
}

/// Renders the metrics in Prometheus text format.
pub fn prometheus(report: &Report) -> String {
    let mut out = String::new();
    let mut last = "";
    for (name, help, labels, value) in figures(report) {
        if name != last {
            let _ = writeln!(
                out,
                "# HELP preview_gc_{name} {help}\n# TYPE preview_gc_{name} gauge"
            );
            last = name;
        }
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, text)| {
                let text = text
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                format!("{key}=\"{text}\"")
            })
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(out, "preview_gc_{name}{labels} {value}");
    }
    out
}
