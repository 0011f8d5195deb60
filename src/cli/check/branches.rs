//! Git branches in the arguments of `check`: what the slug functions make of them,
//! and which names they would have.

use serde::Serialize;

use crate::policy::{MatchSubject, Policy};

/// What a policy makes of a git branch.
#[derive(Debug, Serialize)]
pub(super) struct BranchName {
    pub(super) branch: String,
    /// The slug function; `{branch}` where a template takes the branch as it is.
    pub(super) slug: String,
    /// The slug, or the name as far as the branch decides it.
    pub(super) gives: String,
    /// The rule that matches such names; empty for the slug alone.
    pub(super) rule: String,
}

/// Returns what each slug function of the policies gives for a git branch, and the
/// names that rules then match.
pub(super) fn of(files: &[Policy], branch: &str, warnings: &mut Vec<String>) -> Vec<BranchName> {
    let mut found = Vec::new();
    let row = |slug: &str, gives: String, rule: String| BranchName {
        branch: branch.to_owned(),
        slug: slug.to_owned(),
        gives,
        rule,
    };
    for file in files {
        for (name, function) in &file.slugs {
            let slugs = function.of(branch);
            if slugs.is_empty() {
                warnings.push(format!(
                    "slug {name} ({}) gives nothing for {branch}: nothing is named after it",
                    file.path
                ));
            }
            found.extend(
                slugs
                    .into_iter()
                    .map(|slug| row(&format!("[slug.{name}]"), slug, file.path.to_string())),
            );
        }
        for rule in file.rules.iter() {
            let subject = match rule.subject {
                MatchSubject::Name => "name",
                MatchSubject::Branch => "branch",
                MatchSubject::Attribute(key) => key,
            };
            let rule_name = format!("{} ({})", rule.id, rule.location);
            let names = rule.of_branch(branch).into_iter();
            found.extend(names.map(|name| row(subject, name, rule_name.clone())));
        }
    }
    if found.is_empty() && warnings.is_empty() {
        warnings.push(format!(
            "no rule uses the names of git branches ({{branch}} or {{slug:…}}), so {branch} matches nothing"
        ));
    }
    found
}
