//! Interprets arguments, environment and policies: policy files, scope.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::RunFailure;
use super::args::{CommonArgs, SandboxSource};
use super::connect::EnvironmentVariables;
use super::git_remote;
use super::terminal::wants_colour;
use crate::collector::Scope;
use crate::model::{PlaceSort, Repository, ScopeKey};
use crate::policy::{
    Loaded, PlaceName, Policies, Policy, PolicyContext, PolicySource, Vocabulary, Where, render,
};
use crate::providers;

/// The policy of `--sandbox` alone.
const DEMO_POLICY: &str = include_str!("../../policies/demo.toml");

/// Reads the policy files of a run.
pub(super) fn policies(
    arguments: &CommonArgs,
    variables: &EnvironmentVariables,
) -> Result<(Vec<PolicySource>, Loaded), RunFailure> {
    let sources = sources(arguments)?;
    let loaded = read(&sources, variables, arguments)?;
    same_repository(arguments, &loaded.policies)?;
    Ok((sources, loaded))
}

/// Reads the texts of policy files as those of a run.
pub(super) fn read(
    sources: &[PolicySource],
    variables: &EnvironmentVariables,
    arguments: &CommonArgs,
) -> Result<Loaded, RunFailure> {
    let repository = repository(arguments, variables)?;
    let kinds = providers::vocabulary();
    let environment = PolicyContext {
        lookup: &|name| variables.get(name),
        repository: repository.as_ref(),
        names_file: &names_file,
    };
    Policies::read(
        sources,
        &Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        },
        &environment,
    )
    .map_err(|mistakes| {
        let colour = wants_colour(arguments.color, std::io::stderr().is_terminal());
        RunFailure::Policy(render(&mistakes, sources, colour))
    })
}

/// Reads a file of names that a policy mentions, relative to the policy.
fn names_file(policy: &str, name: &str) -> Result<String, String> {
    let folder = Path::new(policy).parent().unwrap_or(Path::new("."));
    std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
}

/// Returns a policy that leaves its scope to the environment.
pub(super) fn empty_policy(
    text: &str,
    variables: &EnvironmentVariables,
) -> Result<Policy, RunFailure> {
    let source = PolicySource {
        path: "the environment".to_owned(),
        text: text.to_owned(),
    };
    let environment = PolicyContext {
        lookup: &|name| variables.get(name),
        repository: None,
        names_file: &names_file,
    };
    let kinds = providers::vocabulary();
    let read = Policies::read(
        &[source],
        &Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        },
        &environment,
    );
    let file = read.ok().and_then(|mut loaded| loaded.policies.files.pop());
    file.ok_or_else(|| {
        RunFailure::Unexpected("could not read the scope of the environment".to_owned())
    })
}

/// Returns the repository for policies that name none.
fn repository(
    arguments: &CommonArgs,
    variables: &EnvironmentVariables,
) -> Result<Option<Repository>, RunFailure> {
    let typed = arguments.repository.clone();
    let origin = if typed.is_some() {
        "--repository"
    } else {
        "GITHUB_REPOSITORY"
    };
    let Some(text) = typed.or_else(|| variables.get("GITHUB_REPOSITORY")) else {
        // It is a default: a policy that names its repository does not use it.
        let is_real = !variables.are_the_sandboxes();
        return Ok(is_real.then(git_remote::repository).flatten());
    };
    Repository::parse(&text).map(Some).ok_or_else(|| {
        RunFailure::Usage(format!(
            "could not take the repository from {origin}: its value is not owner/name (and is not \
             shown here, because it may be a secret); write it as owner/name"
        ))
    })
}

/// Returns an error if `--repository` contradicts a policy.
fn same_repository(arguments: &CommonArgs, policies: &Policies) -> Result<(), RunFailure> {
    let Some(typed) = arguments.repository.as_deref().and_then(Repository::parse) else {
        return Ok(());
    };
    for file in &policies.files {
        if file.repository_written && file.repository != typed {
            return Err(RunFailure::Usage(format!(
                "--repository {typed} differs from {}, which {} writes; change one of them",
                file.repository, file.path
            )));
        }
    }
    Ok(())
}

/// Where policies are looked for without `--policies`.
const FOLDERS: [&str; 2] = ["policies", ".github/preview-gc"];

fn sources(arguments: &CommonArgs) -> Result<Vec<PolicySource>, RunFailure> {
    let mut files = Vec::new();
    if !arguments.policies.is_empty() {
        for path in &arguments.policies {
            let found = policy_files(path).map_err(|error| unread(path, &error))?;
            if found.is_empty() {
                return Err(without_policies(path));
            }
            files.extend(found);
        }
    } else if arguments.sandbox() == Some(SandboxSource::Demo) {
        return Ok(vec![PolicySource {
            path: "policies/demo.toml".to_owned(),
            text: DEMO_POLICY.to_owned(),
        }]);
    } else {
        let folders = FOLDERS.map(Path::new);
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            files.extend(policy_files(folder).map_err(|error| unread(folder, &error))?);
        }
        if files.is_empty() {
            let first = folders.into_iter().find(|folder| folder.is_dir());
            return Err(match first {
                Some(folder) => without_policies(folder),
                None if arguments.sandbox().is_some() => RunFailure::Usage(format!(
                    "a world needs policies, and neither {} nor {} exists here; --policies names \
                     a file or folder",
                    FOLDERS[0], FOLDERS[1]
                )),
                None => RunFailure::Usage(format!(
                    "there are no policies here: neither {} nor {} exists; `preview-gc init` \
                     proposes a policy from what exists, --policies names another file or folder, \
                     and `preview-gc audit --sandbox` needs none",
                    FOLDERS[0], FOLDERS[1]
                )),
            });
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.clone()));
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
            Ok(PolicySource {
                path: path.display().to_string(),
                text,
            })
        })
        .collect()
}

/// Returns a policy file, or those in a folder.
fn policy_files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|end| end == "toml") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn unread(path: &Path, error: &std::io::Error) -> RunFailure {
    RunFailure::Usage(format!(
        "cannot read policies from {}: {error}; --policies names a file or folder, and \
         `preview-gc init` proposes a policy from what exists",
        path.display()
    ))
}

fn without_policies(path: &Path) -> RunFailure {
    RunFailure::Usage(format!(
        "cannot read policies from {}: the folder has no *.toml file; `preview-gc init` proposes a \
         policy from what exists, and --policies names another file or folder",
        path.display()
    ))
}

/// Returns the scope of a policy: from the file, else from the environment,
/// else from its rules. It is never guessed.
pub(super) fn scope(
    policy: &Policy,
    variables: &EnvironmentVariables,
) -> Result<Scope, RunFailure> {
    let named = |sort: PlaceSort, list: &dyn Fn(&Where) -> Option<&Vec<PlaceName>>| {
        let rules = policy.rules.iter();
        let there = rules.filter(|rule| rule.kinds.iter().any(|kind| kind.place == sort));
        let all: BTreeSet<String> = there
            .filter_map(|rule| list(&rule.place))
            .flatten()
            .map(|place| place.name.clone())
            .collect();
        all.into_iter().collect::<Vec<_>>()
    };
    let set = |sort: PlaceSort| {
        let Some((_, key)) = providers::scope_key(sort) else {
            return Ok(None);
        };
        let values = |name: &str| {
            if key.takes_list {
                variables.list(name)
            } else {
                Some(vec![variables.get(name)?])
            }
        };
        let mut set = key.variables.iter();
        let set = set.find_map(|name| Some((name, values(name)?)));
        set.map(|(name, values)| identifiers(name, values, key, variables))
            .transpose()
    };
    let account = match &policy.scope.account {
        Some(account) => Some(account.clone()),
        None => set(PlaceSort::Account)?.and_then(|mut accounts| accounts.pop()),
    };
    let zones = match &policy.scope.zones {
        Some(zones) => Some(zones.clone()),
        None => set(PlaceSort::Zone)?,
    };
    let projects = match &policy.scope.projects {
        Some(projects) => Some(projects.clone()),
        None => set(PlaceSort::Project)?,
    };
    Ok(Scope {
        account,
        zones: zones.unwrap_or_else(|| named(PlaceSort::Zone, &|place| place.zones.as_ref())),
        projects: projects
            .unwrap_or_else(|| named(PlaceSort::Project, &|place| place.projects.as_ref())),
    })
}

/// Parses the identifiers in a variable. A value that is not a valid identifier
/// may be a secret, so it is neither sent nor printed.
fn identifiers(
    variable: &str,
    values: Vec<String>,
    key: &ScopeKey,
    variables: &EnvironmentVariables,
) -> Result<Vec<String>, RunFailure> {
    // A sandbox world may use any account and project ids, and they are never
    // sent anywhere.
    if variables.are_the_sandboxes() {
        return Ok(values);
    }
    let sort = key.identifier;
    let values = values.iter().map(|value| {
        sort.parse(value).ok_or_else(|| {
            let one = if !key.takes_list && value.contains(',') {
                "; it takes one value, not a list"
            } else {
                ""
            };
            RunFailure::Usage(format!(
                "could not take the scope from {variable}: its value is not {} (and is not shown \
                 here, because it may be a secret){one}; set it to {sort}",
                sort.form()
            ))
        })
    });
    values.collect()
}
