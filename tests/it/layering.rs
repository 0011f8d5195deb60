//! Which module may use what, and that no two types share a name, checked in the
//! parsed sources.
//!
//! The lists of modules and kinds come from the folders and from the registry of
//! kinds, so that a new module or kind is checked as soon as it exists. Only
//! what is compiled for tests alone (`#[cfg(test)]`) is left out.

mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use preview_gc::providers::{self, PROVIDERS};

use self::reader::{Uses, is_in, read, sources};

/// The top-level module of a module path.
fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

fn top_modules(all: &BTreeMap<String, Uses>) -> BTreeSet<String> {
    all.keys().map(|module| top(module).to_owned()).collect()
}

/// The names of the kinds with the modules that hold them: each has a file of its
/// own below its provider.
fn kind_modules() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules: BTreeMap<String, String> = providers::vocabulary()
        .iter()
        .map(|kind| {
            let module = format!("providers::{}::{}", kind.api.key(), kind.name());
            let file = src.join(module.replace("::", "/")).with_extension("rs");
            assert!(file.exists(), "{} is not there", file.display());
            (kind.name().to_owned(), module)
        })
        .collect();
    assert!(modules.len() >= 14);
    modules
}

/// The breaches of modules in which nothing but some parts of this crate may be
/// used.
fn uses_other_than(
    all: &BTreeMap<String, Uses>,
    modules: &[&str],
    allowed: &[&str],
) -> Vec<String> {
    let tops = top_modules(all);
    let mut found = Vec::new();
    for module in modules {
        assert!(tops.contains(*module), "there is no module {module}");
    }
    for (module, uses) in all.iter().filter(|(one, _)| modules.contains(&top(one))) {
        for path in &uses.paths {
            let Some(rest) = path.strip_prefix("crate::") else {
                continue;
            };
            let used = top(rest);
            if used == "*" || (tops.contains(used) && !allowed.contains(&used)) {
                found.push(format!("{module} uses {path}"));
            }
        }
    }
    found
}

/// The breaches of modules in which some paths must not be used.
fn uses_of(
    all: &BTreeMap<String, Uses>,
    is_checked: impl Fn(&str) -> bool,
    forbidden: &[&str],
) -> Vec<String> {
    let mut found = Vec::new();
    for (module, uses) in all.iter().filter(|(module, _)| is_checked(module)) {
        for path in &uses.paths {
            // `time::Instant` of tokio and of std end alike.
            if forbidden.iter().any(|one| {
                is_in(path, one) || one.strip_prefix("…").is_some_and(|end| path.ends_with(end))
            }) {
                found.push(format!("{module} uses {path}"));
            }
        }
    }
    found
}

/// What talks to the world outside of the process.
const OUTSIDE: [&str; 12] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread::sleep",
    "tokio",
    "reqwest",
    "hyper",
    "octocrab",
    "crossterm",
    "ratatui",
];

/// The wall clocks. Tokio's `Instant` is none: tests stop it.
const WALL_CLOCKS: [&str; 4] = [
    "…Utc::now",
    "…Local::now",
    "…SystemTime::now",
    "std::time::Instant",
];

const PURE: [&str; 7] = [
    "limits", "format", "model", "evidence", "progress", "policy", "gc",
];

#[test]
fn pure_modules_use_no_input_output_no_clock_and_nothing_of_the_rest() {
    let all = sources();
    let breaches = uses_other_than(&all, &PURE, &PURE);
    assert_eq!(breaches, Vec::<String>::new());
    let pure = |module: &str| PURE.contains(&top(module));
    let forbidden = [&OUTSIDE[..], &WALL_CLOCKS[..], &["…Instant::now"]].concat();
    assert_eq!(uses_of(&all, pure, &forbidden), Vec::<String>::new());
}

#[test]
fn pure_modules_name_no_kind() {
    let (all, kinds) = (sources(), kind_modules());
    let mut found = Vec::new();
    for (module, uses) in all.iter().filter(|(module, _)| PURE.contains(&top(module))) {
        let named = uses.strings.iter().filter(|text| kinds.contains_key(*text));
        found.extend(named.map(|kind| format!("{module} names {kind:?}")));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn kinds_use_no_input_output_and_never_each_other() {
    let (all, kinds) = (sources(), kind_modules());
    let allowed = ["providers", "kind", "call", "model", "evidence"];
    let breaches = uses_other_than(&all, &["providers"], &allowed);
    assert_eq!(breaches, Vec::<String>::new());
    let breaches = uses_other_than(&all, &["kind"], &["kind", "call", "model", "evidence"]);
    assert_eq!(breaches, Vec::<String>::new());
    let checked = |module: &str| matches!(top(module), "providers" | "kind");
    let forbidden = [&OUTSIDE[..], &WALL_CLOCKS[..], &["…Instant::now"]].concat();
    assert_eq!(uses_of(&all, checked, &forbidden), Vec::<String>::new());
    let mut found = Vec::new();
    for own in kinds.values() {
        let files: Vec<_> = all.iter().filter(|(one, _)| is_in(one, own)).collect();
        assert!(!files.is_empty(), "{own} was not read");
        for (module, uses) in files {
            let others = kinds.values().filter(|other| *other != own);
            let others: Vec<_> = others.map(|one| format!("crate::{one}")).collect();
            for path in &uses.paths {
                let all_kinds = path.starts_with("crate::providers") && path.ends_with("::*");
                if all_kinds || others.iter().any(|other| is_in(path, other)) {
                    found.push(format!("{module} uses {path}"));
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_provider_is_listed_and_uses_no_other() {
    let all = sources();
    let names = PROVIDERS.map(|provider| provider.about().key);
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers");
    let entries = fs::read_dir(src)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir());
    let folders: BTreeSet<_> = folders
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed, folders, "PROVIDERS lists every provider");
    let mut found = Vec::new();
    for name in names {
        let own = format!("providers::{name}");
        let others = names.iter().filter(|other| **other != name);
        let others: Vec<_> = others
            .map(|other| format!("crate::providers::{other}"))
            .collect();
        let others: Vec<_> = others.iter().map(String::as_str).collect();
        assert!(all.contains_key(&own), "{own} was not read");
        found.extend(uses_of(&all, |module| is_in(module, &own), &others));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_sandbox_uses_nothing_of_the_engine() {
    let all = sources();
    let breaches = uses_other_than(&all, &["sandbox"], &["sandbox"]);
    assert_eq!(breaches, Vec::<String>::new());
    let sandbox = |module: &str| top(module) == "sandbox";
    assert_eq!(
        uses_of(&all, sandbox, &["std::env", "std::fs", "std::process"]),
        Vec::<String>::new()
    );
}

/// The program itself: it does nothing but start the command line.
const COMMAND_LINE: [&str; 2] = ["cli", "main"];

#[test]
fn only_the_command_line_reads_arguments_and_the_environment() {
    let all = sources();
    let others = |module: &str| !COMMAND_LINE.contains(&top(module));
    let breaches = uses_of(&all, others, &["std::env"]);
    assert_eq!(breaches, Vec::<String>::new());
}

#[test]
fn only_the_command_line_the_report_and_the_table_write_to_a_terminal() {
    let all = sources();
    let allowed = ["cli", "main", "report", "tui"];
    let others = |module: &str| !allowed.contains(&top(module));
    let terminal = [
        "…io::stdout",
        "…io::stderr",
        "…io::stdin",
        "…io::Stdout",
        "…io::Stderr",
        "crossterm",
        "ratatui",
        "indicatif",
    ];
    assert_eq!(uses_of(&all, others, &terminal), Vec::<String>::new());
    let mut found = Vec::new();
    for (module, uses) in all.iter().filter(|(module, _)| others(module)) {
        let prints = ["print", "println", "eprint", "eprintln", "dbg"];
        let printed = prints.iter().filter(|one| uses.macros.contains(**one));
        found.extend(printed.map(|one| format!("{module} calls {one}!")));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_time_is_read_in_one_place() {
    let all = sources();
    let others = |module: &str| top(module) != "clock";
    assert_eq!(uses_of(&all, others, &WALL_CLOCKS), Vec::<String>::new());
}

/// Returns the imports between the children of each module, where a child stands
/// for everything below it: `gc::mark` imports `gc::plan` if any file of the one
/// uses any file of the other. A parent and its own children may import each
/// other: the children are parts of it.
fn imports(all: &BTreeMap<String, Uses>) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, uses) in all {
        for path in &uses.paths {
            let Some(path) = path.strip_prefix("crate::") else {
                continue;
            };
            let from: Vec<&str> = module.split("::").collect();
            let to: Vec<&str> = path.split("::").collect();
            let same = from.iter().zip(&to).take_while(|(one, other)| one == other);
            let depth = same.count();
            if depth >= from.len() || depth >= to.len() {
                continue;
            }
            let child = |parts: &[&str]| parts[..=depth].join("::");
            if all.keys().any(|one| is_in(one, &child(&to))) {
                graph.entry(child(&from)).or_default().insert(child(&to));
            }
        }
    }
    graph
}

/// Returns one circle of a graph, as the nodes on the way.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'g>(
        node: &'g String,
        graph: &'g BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'g String>,
        done: &mut BTreeSet<&'g String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|one| *one == node) {
            return Some(way[start..].iter().map(|one| (*one).clone()).collect());
        }
        if !done.insert(node) {
            return None;
        }
        way.push(node);
        let next = graph.get(node).into_iter().flatten();
        let found = next
            .into_iter()
            .find_map(|one| visit(one, graph, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|node| visit(node, graph, &mut Vec::new(), &mut done))
}

#[test]
fn modules_never_import_each_other_in_a_circle() {
    let graph = imports(&sources());
    assert!(graph.contains_key("policy::rule") && graph.contains_key("gc"));
    assert_eq!(circle(&graph), None);
}

#[test]
fn a_circle_of_imports_is_found_in_files_and_in_folders() {
    let graph_of = |files: &[(&str, &str)]| {
        let all = files.iter().map(|(module, text)| {
            let parts: Vec<_> = module.split("::").collect();
            ((*module).to_owned(), read(&parts, text))
        });
        imports(&all.collect())
    };
    let files = graph_of(&[
        ("a::one", "use super::two::Two;"),
        ("a::two", "fn f() { super::three::f() }"),
        ("a::three", "use crate::a::one;"),
    ]);
    let expected = ["a::one", "a::two", "a::three"].map(str::to_owned);
    assert_eq!(circle(&files), Some(expected.to_vec()));
    let folders = graph_of(&[
        ("a::one", "use crate::b::two::Two;"),
        ("b::three", "use crate::a::four::Four;"),
        ("a::four", ""),
        ("b::two", ""),
    ]);
    let expected = ["a", "b"].map(str::to_owned);
    assert_eq!(circle(&folders), Some(expected.to_vec()));
    let parent = graph_of(&[
        ("a", "use self::one::One; use std::fmt;"),
        ("a::one", "use super::Two; use crate::b;"),
        ("b", ""),
    ]);
    assert_eq!(circle(&parent), None);
}

/// The names that more than one type has, with the modules that define them.
/// Providers and their sandboxes are left out: there a type has the name of the
/// provider's object, and several kinds have a deployment or a project.
fn shared_type_names(all: &BTreeMap<String, Uses>) -> Vec<String> {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, uses) in all {
        let below = |folder: &str| is_in(module, folder) && module != folder;
        let objects = ["sandbox::cloudflare", "sandbox::neon", "sandbox::github"];
        if below("providers") || objects.iter().any(|provider| is_in(module, provider)) {
            continue;
        }
        for name in &uses.types {
            modules.entry(name).or_default().push(module);
        }
    }
    assert!(
        modules.len() > 100,
        "only {} types were read",
        modules.len()
    );
    let shared = modules.iter().filter(|(_, modules)| modules.len() > 1);
    shared
        .map(|(name, modules)| format!("{name} is defined in {}", modules.join(" and in ")))
        .collect()
}

#[test]
fn no_two_types_share_a_name() {
    assert_eq!(shared_type_names(&sources()), Vec::<String>::new());
}
