//! Journals as anybody could read them: lines of JSON in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::ledger::{Ledger, Resource};

/// How a step of a journal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: String,
    /// The id; of a Worker the name.
    pub id: String,
    pub incarnation: Option<String>,
    /// The last outcome; none while there is only an intent.
    pub outcome: Option<String>,
}

impl Step {
    /// The resource that it is about.
    pub fn find(&self, ledger: &Ledger) -> Option<usize> {
        ledger.find(&self.kind, self.incarnation.as_ref().unwrap_or(&self.id))
    }
}

/// The files of a folder, by name.
pub fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let files = entries.map(|entry| {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (
            name,
            std::fs::read_to_string(&path).expect("a journal is text"),
        )
    });
    files.collect()
}

/// The entries of one file; a last line without an end was torn by a crash.
fn entries(text: &str) -> impl Iterator<Item = Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
}

/// The steps of one file that had an intent.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
    for entry in entries(text) {
        let number = entry["step"].as_u64().unwrap_or_default();
        let word = |value: &Value| value.as_str().map(str::to_owned);
        match entry["entry"].as_str() {
            Some("intent") => {
                let resource = &entry["resource"];
                let step = Step {
                    kind: word(&resource["kind"]).unwrap_or_default(),
                    id: word(&resource["id"]).unwrap_or_default(),
                    incarnation: word(&resource["incarnation"]),
                    outcome: None,
                };
                steps.insert(number, step);
            }
            Some("outcome") => {
                if let Some(step) = steps.get_mut(&number) {
                    step.outcome = word(&entry["outcome"]);
                }
            }
            _ => {}
        }
    }
    steps.into_values().collect()
}

/// Whether some journal says that this is about to be done, and not yet what
/// became of it.
pub fn has_intent(folder: &Path, resource: &Resource) -> bool {
    let files = files(folder);
    let mut all = files.values().flat_map(|text| steps(text));
    all.any(|step| {
        let id = step.incarnation.as_ref().unwrap_or(&step.id);
        step.kind == resource.kind && *id == resource.id && step.outcome.is_none()
    })
}
