//! What a run writes beside the issue.

use serde_json::{Value, json};

use super::{Stage, worker};

#[test]
fn figures_of_a_run_are_written_where_they_are_wanted() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("kept")]);
    let (prometheus, json) = (
        stage.folder.path().join("m.prom"),
        stage.folder.path().join("m.json"),
    );
    stage.run(&[
        "sweep",
        "--yes",
        "--metrics",
        &prometheus.display().to_string(),
    ]);
    let text = std::fs::read_to_string(prometheus).unwrap();
    assert!(
        text.contains("preview_gc_steps{kind=\"worker\",outcome=\"deleted\"} 1\n"),
        "{text}"
    );
    let names: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let mut once = names.clone();
    once.dedup();
    once.sort_unstable();
    assert_eq!(names, once, "each name once");
    stage.run(&["audit", "--metrics", &json.display().to_string()]);
    let figures: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let all = figures["metrics"].as_array().unwrap();
    assert!(
        all.iter()
            .any(|one| one["labels"]["verdict"] == "unmatched" && one["value"] == 1)
    );
}

#[test]
fn doubts_gaps_and_brakes_have_codes_in_the_json() {
    let stage = Stage::new(&[
        worker("app-pr-1"),
        worker("app-pr-99"),
        json!({"kind": "kv_namespace", "name": "app-pr-2-kv"}),
    ]);
    let blind = json!([{"on": "cloudflare.kv_namespace", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    let output = stage.run(&["audit", "--format", "json", "--brake-count", "0"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let coded = |list: &str, key: &str, value: &str| {
        let mut all = report[list].as_array().unwrap().iter();
        let one = all.find(|one| one[key] == value);
        one.unwrap_or_else(|| panic!("{value} in {report}"))["code"].clone()
    };
    assert_eq!(coded("resources", "name", "app-pr-99"), "owner-missing");
    assert_eq!(coded("resources", "name", "app-pr-1"), Value::Null);
    assert_eq!(coded("brakes", "kind", "worker"), "brake-count");
    let source = "cloudflare.kv_namespace";
    assert_eq!(coded("evidence", "source", source), "listing-unread");
    assert_eq!(
        coded("evidence", "source", "cloudflare.worker"),
        Value::Null
    );
}
