//! The slug functions that are tried, and how a policy writes one.

use std::collections::BTreeSet;

use super::super::file::quoted;
use super::{LONG, PullRequestsByBranch, SlugSubject};
use crate::policy::characters::Characters;
use crate::policy::slug::{Algorithm, Case, Hash, Replace, Slug, Strip};

/// The functions that are tried, without lengths and hashes.
pub(super) fn uncut() -> Vec<Slug> {
    let mut all = Vec::new();
    for (keep, runs, strip) in [
        ("a-z0-9", true, Strip::BeforeCut),
        ("a-z0-9", false, Strip::None),
        ("a-z0-9-", true, Strip::BeforeCut),
        ("a-z0-9-", true, Strip::None),
        ("a-z0-9", true, Strip::Both),
        ("a-z0-9", true, Strip::None),
        ("a-z0-9-", false, Strip::None),
        ("a-z0-9_", true, Strip::BeforeCut),
    ] {
        all.push(Slug {
            name: "branch".into(),
            case: Case::Lower,
            keep: Characters::parse(keep),
            replace: Replace {
                with: "-".into(),
                runs,
            },
            strip,
            lengths: Vec::new(),
            hash: None,
            empty: None,
        });
    }
    all
}

const HASHES: [(Algorithm, usize); 7] = [
    (Algorithm::Sha256, 8),
    (Algorithm::Sha1, 7),
    (Algorithm::Sha256, 4),
    (Algorithm::Sha256, 6),
    (Algorithm::Sha256, 7),
    (Algorithm::Sha1, 8),
    (Algorithm::Sha1, 6),
];

/// The functions with the lengths and hashes that the names suggest.
pub(super) fn variants(
    subjects: &[&SlugSubject<'_>],
    heads: &PullRequestsByBranch,
    around: &BTreeSet<(String, String)>,
) -> Vec<Slug> {
    let mut all = uncut();
    let mut lengths = BTreeSet::new();
    let longest = heads.keys().map(|head| head.len()).max().unwrap_or(0);
    for subject in subjects {
        for (before, after) in around {
            let middle = subject
                .text
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()));
            if let Some(middle) = middle
                && (LONG..longest).contains(&middle.len())
            {
                lengths.insert(middle.len());
            }
        }
    }
    let lengths: Vec<usize> = lengths.into_iter().take(24).collect();
    for function in uncut() {
        let cut = |lengths: Vec<usize>, hash: Option<Hash>| Slug {
            lengths,
            hash,
            ..function.clone()
        };
        for (index, length) in lengths.iter().enumerate() {
            all.push(cut(vec![*length], None));
            for other in &lengths[index + 1..] {
                all.push(cut(vec![*length, *other], None));
            }
        }
        for length in &lengths {
            for (algorithm, digits) in HASHES {
                // A hash is always cut to the same length; the strip may shorten it.
                for more in 0..2 {
                    let hash = Hash { algorithm, digits };
                    if *length > digits + 1 {
                        all.push(cut(vec![*length + more], Some(hash)));
                    }
                }
            }
        }
    }
    all
}

/// The body of `[slug.NAME]`.
pub(super) fn definition(slug: &Slug) -> String {
    let keep = slug
        .keep
        .as_ref()
        .map(crate::policy::characters::Characters::written)
        .unwrap_or_default();
    let mut lines = vec![
        "case = \"lower\"".to_owned(),
        format!("keep = {}", quoted(&keep)),
        format!("replace = {{ with = \"-\", runs = {} }}", slug.replace.runs),
    ];
    match slug.strip {
        Strip::None => {}
        Strip::BeforeCut => lines.push("strip = \"before-cut\"".to_owned()),
        Strip::Both => lines.push("strip = \"both\"".to_owned()),
    }
    match slug.lengths.as_slice() {
        [] => {}
        [length] => lines.push(format!("length = {length}")),
        lengths => lines.push(format!("length = {lengths:?}")),
    }
    if let Some(hash) = slug.hash {
        let algorithm = match hash.algorithm {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
        };
        let digits = hash.digits;
        lines.push(format!(
            "hash = {{ algorithm = \"{algorithm}\", digits = {digits} }}"
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}
