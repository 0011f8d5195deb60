//! Reads what the code of each file uses, and the types that it defines, in the
//! parsed sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

/// What the code of one file uses, and the types that it defines.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Paths from the root of the crate (`crate::wire::Client`) or of another
    /// crate (`std::env::var`).
    pub(super) paths: BTreeSet<String>,
    pub(super) macros: BTreeSet<String>,
    pub(super) strings: BTreeSet<String>,
    /// Modules declared here that are compiled for tests alone.
    pub(super) test_modules: BTreeSet<String>,
    /// Names of the types and traits defined here, also inside of functions.
    pub(super) types: Vec<String>,
}

/// Reads one file. Paths are kept as they are written until all imports of the
/// file are known.
struct Reader {
    /// The module of the code that is being read, from the root of the crate.
    module: Vec<String>,
    /// What imported names stand for.
    names: BTreeMap<String, Vec<String>>,
    written: Vec<Vec<String>>,
    uses: Uses,
}

/// Whether a condition of `cfg` can only hold in tests: `test`, also among others
/// in `all`.
fn wants_test(condition: &syn::Meta) -> bool {
    match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(wants_test)),
        _ => false,
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Meta>()
                .is_ok_and(|condition| wants_test(&condition))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl Reader {
    /// Makes a path begin at the root of this crate where it begins with
    /// `crate`, `self` or `super`.
    fn rooted(&self, path: &[String]) -> Vec<String> {
        let mut module = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate" | "preview_gc") => {
                module.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {}
            _ => return path.to_vec(),
        }
        while rest.first().is_some_and(|part| part == "super") {
            module.pop();
            rest = &rest[1..];
        }
        let root = std::iter::once("crate".to_owned());
        root.chain(module).chain(rest.iter().cloned()).collect()
    }

    fn import(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(before, tree);
                }
            }
            syn::UseTree::Name(name) => {
                let path = if name.ident == "self" {
                    before.to_vec()
                } else {
                    with(&name.ident)
                };
                let path = self.rooted(&path);
                if let Some(last) = path.last().cloned() {
                    self.names.insert(last, path.clone());
                }
                self.uses.paths.insert(path.join("::"));
            }
            syn::UseTree::Rename(rename) => {
                let path = self.rooted(&with(&rename.ident));
                self.names.insert(rename.rename.to_string(), path.clone());
                self.uses.paths.insert(path.join("::"));
            }
            syn::UseTree::Glob(_) => {
                let path = self.rooted(before);
                self.uses.paths.insert(format!("{}::*", path.join("::")));
            }
        }
    }

    /// Reads the arguments of a macro, whose grammar is not known: every chain
    /// of names with `::` between is taken for a path.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.written.push(self.rooted(&path));
                        path.clear();
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(punct) => {
                    if punct.as_char() == '!'
                        && let Some(name) = path.last()
                    {
                        self.uses.macros.insert(name.clone());
                    }
                    colons = 0;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.uses.strings.insert(text.value());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.written.push(self.rooted(&path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_for_tests(attributes(item)) {
            if let syn::Item::Mod(module) = item {
                self.uses.test_modules.insert(module.ident.to_string());
            }
            return;
        }
        let defined = match item {
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.uses.types.extend(defined.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter();
        let parts: Vec<_> = parts.map(|part| part.ident.to_string()).collect();
        self.written.push(self.rooted(&parts));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.segments.last() {
            self.uses.macros.insert(name.ident.to_string());
        }
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.uses.strings.insert(text.value());
    }

    // Documentation is no code.
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }
}

pub(super) fn read(module: &[&str], text: &str) -> Uses {
    let file = syn::parse_file(text).unwrap();
    let mut reader = Reader {
        module: module.iter().map(|part| (*part).to_owned()).collect(),
        names: BTreeMap::new(),
        written: Vec::new(),
        uses: Uses::default(),
    };
    reader.visit_file(&file);
    let Reader {
        names,
        written,
        mut uses,
        ..
    } = reader;
    for path in written {
        let path = match names.get(&path[0]) {
            Some(start) => [start, &path[1..]].concat(),
            None => path,
        };
        uses.paths.insert(path.join("::"));
    }
    uses
}

/// All files of `src` by their module path (`gc::mark`), without those that are
/// compiled for tests alone.
pub(super) fn sources() -> BTreeMap<String, Uses> {
    fn add(folder: &Path, module: &[&str], all: &mut BTreeMap<String, Uses>) {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .expect("src can be read")
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let inner = [module, &[stem]].concat();
            if path.is_dir() {
                add(&path, &inner, all);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let root = module.is_empty() && matches!(stem, "lib" | "main");
                let text = fs::read_to_string(&path).unwrap();
                let uses = read(if root { &[] } else { &inner }, &text);
                all.insert(inner.join("::"), uses);
            }
        }
    }
    let mut all = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    add(&root, &[], &mut all);
    let tests: Vec<String> = all
        .iter()
        .flat_map(|(module, uses)| {
            let inner = uses.test_modules.iter();
            inner.map(move |name| format!("{module}::{name}"))
        })
        .collect();
    all.retain(|module, _| !tests.iter().any(|test| is_in(module, test)));
    assert!(all.len() > 80, "only {} files were read", all.len());
    all
}

/// Whether a path is a module or something in it.
pub(super) fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The reader itself, on every way to write a use that it has to find.
#[test]
fn the_reader_finds_every_way_to_use_a_module() {
    let text = r#"
        use crate::{wire, gc::mark as judge};
        use super::queue::Consumer;
        use std::env;
        #[cfg(test)]
        mod tests { use crate::cli; }
        #[cfg(test)]
        use crate::scan;
        #[cfg(all(test, feature = "sandbox"))]
        mod stage { use crate::cli; }
        fn late() {
            let _ = super::super::super::report::table::lines;
            let _ = env::var("HOME");
            let _ = judge::claims();
            println!("{:?} {}", crate::sweep::Lane, "worker");
            use chrono::Utc as Time;
            Time::now();
            struct Inner;
        }
        enum Held {}
        #[cfg(test)]
        struct Stage;
        impl Iterator for Held { type Item = Inner; }
    "#;
    let uses = read(&["providers", "cloudflare", "worker"], text);
    assert_eq!(uses.types, ["Inner", "Held"]);
    for path in [
        "crate::wire",
        "crate::gc::mark",
        "crate::providers::cloudflare::queue::Consumer",
        "crate::report::table::lines",
        "std::env::var",
        "crate::gc::mark::claims",
        "crate::sweep::Lane",
        "chrono::Utc::now",
    ] {
        assert!(uses.paths.contains(path), "{path} is not in {uses:?}");
    }
    assert!(!uses.paths.iter().any(|path| is_in(path, "crate::cli")));
    assert!(!uses.paths.contains("crate::scan"), "{uses:?}");
    assert!(uses.macros.contains("println"));
    assert!(uses.strings.contains("worker"));
    assert!(uses.test_modules.contains("tests"));
    assert!(uses.test_modules.contains("stage"));
}
