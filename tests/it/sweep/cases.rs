//! Cases of one test, each with its snapshot.

use serde_json::Value;

use super::stage::*;

/// Compares what happened in one case of a test with the snapshot of that case.
pub(super) fn show(test: &str, case: &str, text: &str) {
    let words = case.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    insta::assert_snapshot!(format!("{test}__{}", words.join("_")), text);
}

/// Sweeps with each of these faults, and shows the writing requests.
pub(super) async fn under(test: &str, resources: &[Value], faults: &[(&str, Value)]) {
    for (title, fault) in faults {
        let stage = Stage::new(resources);
        stage.faults(std::slice::from_ref(fault));
        show(test, title, &deeds(&stage.swept().await));
    }
}

/// Rules that back up namespaces and branches.
pub(super) const BACKUP: &str = r#"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-{any:a-z0-9}"
dead-when = "closed"
backup = true
"#;

/// The usual policy, and a rule about queues.
pub(super) fn with_queues() -> String {
    format!(
        "{POLICY}[[rule]]\nid = \"queues\"\nkind = \"queue\"\nname = \
         \"orders-pr-{{pr}}\"\ndead-when = \"closed\"\n"
    )
}
