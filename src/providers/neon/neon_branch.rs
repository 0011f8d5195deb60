//! Neon branches of a project.

mod queries;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::answer::{annotated, annotated_number};
use crate::call::Call;
use crate::kind::{
    ByHand, DeletionRefusal, Expiry, Kind, Malformed, Namesake, NextPage, Page, PageOf, Queries,
    Recovery, Restore,
};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Place, PlaceSort, Provenance, Resource, ResourceId, Time, UsedBy, is_marked,
};

pub(super) struct NeonBranch;

static ABOUT: KindAbout = KindAbout {
    name: "neon_branch",
    noun: "Neon branch",
    api: Api::Neon,
    place: PlaceSort::Project,
    created: true,
    changed: true,
    active: true,
    expires: true,
    read_permission: "a key of the project, its organization or a member",
    write_permission: "a key of the project, its organization or a member",
    serial: true,
    undo: "is deleted for good, unless Neon shows a date until which it can be recovered",
    attributes: &[
        AttributeAbout {
            key: "parent",
            sort: AttributeSort::Text,
            words: &[("default", "parent-is-default")],
            values: &[],
            about: "the parent branch's name, or `\"default\"` for the default branch whatever \
                its name",
        },
        AttributeAbout {
            key: "creation-source",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "what made it: `console`, `vercel`, …",
        },
        AttributeAbout {
            key: "repository",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the repository that Neon's annotations name",
        },
        AttributeAbout {
            key: "git-branch",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the git branch that Neon's annotations name",
        },
        AttributeAbout {
            key: "pull-request",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the number that Neon's annotations name",
        },
    ],
    used_by: UsedBy::These(&["hyperdrive"]),
    headroom: Some(Headroom {
        what: "Neon branches per project",
        free: Some(10),
        paid: Some(5_000),
        per: None,
    }),
    addresses_asked: true,
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct BranchesPage {
    branches: Vec<Branch>,
    pagination: Option<Pagination>,
    /// What was recorded about branches when they were made, by their ids. Marks
    /// stand there too, so an answer without it is no answer.
    annotations: HashMap<Box<str>, Annotation>,
}

impl BranchesPage {
    fn next(&self) -> NextPage {
        let next = self.pagination.as_ref();
        let next = next.and_then(|pagination| pagination.next.clone());
        next.filter(|_| !self.branches.is_empty())
            .map_or(NextPage::Last, NextPage::After)
    }
}

#[derive(Deserialize)]
struct Annotation {
    value: Map<String, Value>,
}

impl Annotation {
    /// Whether a key or a value has the mark of what is to be kept.
    fn is_marked(&self) -> bool {
        self.value.iter().any(|(key, value)| match value {
            Value::String(text) => is_marked([key.as_str(), text]),
            // Neon gives texts alone; the mark counts wherever it stands.
            other => is_marked([key.as_str(), &other.to_string()]),
        })
    }

    /// Neon's own action for GitHub writes the keys of GitHub, and its
    /// integration of Vercel that of Vercel. `github-commit-ref` does not count:
    /// in a `pull_request_target` workflow it is the branch that the pull request
    /// goes to.
    ///
    /// # Errors
    ///
    /// The key whose value cannot be read.
    fn provenance(&self) -> Result<Option<Provenance>, &'static str> {
        let text = |key: &'static str| annotated(self.value.get(key)).map_err(|_| key);
        let number = self.value.get(NUMBER);
        let branch = text("vercel-commit-ref")?;
        let branch = branch.map(|branch| branch.strip_prefix("refs/heads/").unwrap_or(branch));
        let recorded = Provenance {
            repository: text("github-commit-repo")?.map(Into::into),
            pull_request: annotated_number(number).map_err(|_| NUMBER)?,
            branch: branch.map(Into::into),
        };
        Ok((recorded != Provenance::default()).then_some(recorded))
    }
}

/// The annotation with the number of the pull request.
const NUMBER: &str = "github-pr-number";

#[derive(Deserialize)]
struct Pagination {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Branch {
    id: Box<str>,
    name: Box<str>,
    parent_id: Option<Box<str>>,
    created_at: Option<DateTime<Utc>>,
    last_reset_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    creation_source: Option<Box<str>>,
    init_source: Option<Box<str>>,
    default: bool,
    protected: bool,
    /// Only of branches that were deleted.
    recovery: Option<KeptFor>,
}

#[derive(Deserialize)]
struct KeptFor {
    recoverable_until: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct OneBranch {
    branch: Branch,
}

impl Branch {
    /// Whether it was created with the schema of another branch and none of its
    /// data. Such a branch has no parent either, and Neon deletes it like any
    /// other; only the project's own root can never be deleted.
    fn is_schema_only(&self) -> bool {
        self.init_source.as_deref() == Some("schema-only")
    }

    fn resource(self, place: &Arc<Place>) -> Resource {
        let protection = if self.default {
            Some(BuiltInProtection::DefaultBranch)
        } else if is_marked([&*self.name]) {
            Some(BuiltInProtection::Marked)
        } else if self.protected {
            Some(BuiltInProtection::ProtectedBranch)
        } else if self.parent_id.is_none() && !self.is_schema_only() {
            Some(BuiltInProtection::RootBranch)
        } else {
            None
        };
        // `updated_at` moves with usage, so it says nothing of change.
        let changed = self.created_at.max(self.last_reset_at);
        Resource {
            kind: KindRef(&ABOUT),
            place: place.clone(),
            id: self.id,
            name: self.name,
            holder: None,
            incarnation: None,
            created_at: Time::always(self.created_at),
            changed_at: Time::always(changed),
            active_at: Time::Unsupported,
            expires_at: self.expires_at,
            protection,
            parent: self.parent_id,
            attributes: self
                .creation_source
                .map(|source| ("creation-source", Attribute::Text(source)))
                .into_iter()
                .collect(),
            links: Vec::new(),
            addresses: Vec::new(),
            foreign_address: None,
            recorded: None,
            unread: None,
            original: None,
        }
    }
}

/// The path of one branch.
fn path(id: &ResourceId) -> [&str; 4] {
    ["projects", project(&id.place), "branches", &id.id]
}

fn project(place: &Place) -> &str {
    place.id()
}

impl Kind for NeonBranch {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        // By creation, or pages shift as usage counters move `updated_at`.
        // The spec allows more than 100; the service is known to cap there.
        let call = Call::get(Api::Neon, &["projects", project(place), "branches"])
            .with("sort_by", "created_at")
            .with("sort_order", "asc")
            .with("limit", "100");
        match page {
            PageOf::Cursor(cursor) => call.with("cursor", cursor.clone()),
            PageOf::First | PageOf::Number(_) => call,
        }
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let page: BranchesPage = serde_json::from_slice(body)?;
        let next = page.next();
        let annotations = page.annotations;
        let items = page
            .branches
            .into_iter()
            .map(|branch| {
                let annotation = annotations.get(&branch.id);
                let mut resource = branch.resource(place);
                let recorded = match annotation.map_or(Ok(None), Annotation::provenance) {
                    Ok(recorded) => recorded,
                    Err(key) => {
                        resource.unread = Some(key);
                        None
                    }
                };
                let number = recorded.as_ref().and_then(|one| one.pull_request);
                let repository = recorded.as_ref().and_then(|one| one.repository.clone());
                let git_branch = recorded.as_ref().and_then(|one| one.branch.clone());
                for (key, value) in [
                    ("repository", repository),
                    ("git-branch", git_branch),
                    (
                        "pull-request",
                        number.map(|number| number.to_string().into()),
                    ),
                ] {
                    let value = value.map(|value| (key, Attribute::Text(value)));
                    resource.attributes.extend(value);
                }
                resource.recorded = recorded;
                if annotation.is_some_and(Annotation::is_marked) {
                    let marked = Some(BuiltInProtection::Marked);
                    // The default branch is recognized by its protection.
                    resource.protection = resource
                        .protection
                        .filter(|fact| *fact == BuiltInProtection::DefaultBranch)
                        .or(marked);
                }
                resource
            })
            .collect();
        Ok(Page {
            items,
            total: None,
            next,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Neon, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let answer: OneBranch = serde_json::from_slice(body)?;
        Ok(answer.branch.resource(place))
    }

    fn by_hand(&self, branch: &Resource, base: &str, _bound: bool) -> ByHand {
        let project = project(&branch.place);
        let mut words = vec!["npx", "neon", "branches", "delete", &branch.id];
        words.extend(["--project-id", project]);
        if base != super::ABOUT.default_base {
            words.extend(["--api-host", base]);
        }
        ByHand::Command(words.into_iter().map(str::to_owned).collect())
    }

    /// Without `hard_delete`: where Neon keeps deleted branches for a while, this
    /// one can then be recovered.
    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Neon, &path(id))
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> DeletionRefusal {
        let message = String::from_utf8_lossy(body).to_lowercase();
        if message.contains("children") {
            DeletionRefusal::Blocked("its children have to go first")
        } else if message.contains("expires_at") || message.contains("expiration") {
            DeletionRefusal::Final(Some(
                "Neon sets no expiry on a branch that is protected, has children or uses the Data \
                 API: let its rule delete it instead",
            ))
        } else {
            DeletionRefusal::Final(None)
        }
    }

    fn complete(&self, resources: &mut [Resource]) {
        let names: HashMap<Box<str>, (Box<str>, bool)> = resources
            .iter()
            .map(|branch| {
                let default = branch.protection == Some(BuiltInProtection::DefaultBranch);
                (branch.id.clone(), (branch.name.clone(), default))
            })
            .collect();
        for branch in resources {
            let parent = branch.parent.as_ref().and_then(|id| names.get(id));
            if let Some((name, default)) = parent {
                branch
                    .attributes
                    .push(("parent", Attribute::Text(name.clone())));
                branch
                    .attributes
                    .push(("parent-is-default", Attribute::Flag(*default)));
            }
        }
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn queries(&self) -> Queries {
        Queries {
            count: Some(queries::count),
            counted: Some(queries::counted),
            activity: Some(queries::activity),
            addresses: Some(queries::addresses),
            ..Queries::NONE
        }
    }

    fn expiry(&self) -> Option<&dyn Expiry> {
        Some(self)
    }
}

impl Expiry for NeonBranch {
    fn set(&self, id: &ResourceId, at: DateTime<Utc>) -> Call {
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let call = Call::new(Api::Neon, Method::PATCH, &path(id));
        call.json(&json!({ "branch": { "expires_at": at } }))
    }

    fn remove(&self, id: &ResourceId) -> Call {
        let call = Call::new(Api::Neon, Method::PATCH, &path(id));
        call.json(&json!({ "branch": { "expires_at": null } }))
    }
}

impl Recovery for NeonBranch {
    /// By listing: not every plan and account has recovery.
    fn ask(&self, id: &ResourceId) -> Call {
        let call = Call::get(Api::Neon, &["projects", project(&id.place), "branches"]);
        call.with("include_deleted", "true")
            .with("search", id.id.to_string())
            .with("limit", "100")
    }

    fn read(&self, id: &ResourceId, body: &[u8]) -> Result<Option<DateTime<Utc>>, Malformed> {
        let page: BranchesPage = serde_json::from_slice(body)?;
        let branch = page.branches.into_iter().find(|one| one.id == id.id);
        Ok(branch
            .and_then(|branch| branch.recovery)
            .and_then(|recovery| recovery.recoverable_until))
    }
}

impl Restore for NeonBranch {
    fn recreate(&self, id: &ResourceId, _original: Option<&Value>) -> Option<Call> {
        let [projects, project, branches, branch] = path(id);
        let path = [projects, project, branches, branch, "recover"];
        Some(Call::new(Api::Neon, Method::POST, &path))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let answer: OneBranch = serde_json::from_slice(body)?;
        Ok(answer.branch.id.into())
    }

    /// A recovered branch has its id again, and names are unique in a project.
    fn namesake(&self, id: &ResourceId, _original: Option<&Value>, other: &Resource) -> Namesake {
        if other.id == id.id {
            Namesake::Itself
        } else {
            Namesake::Other
        }
    }

    fn recovery(&self) -> Option<&dyn Recovery> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(branches: &str, pagination: &str) -> Page {
        let body =
            format!(r#"{{"branches":[{branches}],"annotations":{{}},"pagination":{pagination}}}"#);
        let place = Arc::new(Place::Project("p".to_owned()));
        NeonBranch.read_page(&place, body.as_bytes()).unwrap()
    }

    #[test]
    fn usage_does_not_count_as_a_change_but_a_reset_does() {
        let branch = r#"{"id":"br-a","name":"x","parent_id":"br-m","default":false,"protected":false,
            "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-03-01T00:00:00Z","last_reset_at":"2026-02-01T00:00:00Z"}"#;
        let page = page(branch, "{}");
        assert_eq!(
            page.items[0].changed_at,
            Time::At("2026-02-01T00:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn default_protected_and_root_branches_are_never_touched() {
        let branch = |default, protected, parent: &str| {
            let text = format!(
                r#"{{"id":"br-a","name":"x","default":{default},"protected":{protected},{parent}"created_at":"2026-01-01T00:00:00Z"}}"#
            );
            page(&text, "{}").items[0].protection
        };
        let child = r#""parent_id":"br-m","#;
        assert_eq!(
            branch(true, false, child),
            Some(BuiltInProtection::DefaultBranch)
        );
        assert_eq!(
            branch(false, true, child),
            Some(BuiltInProtection::ProtectedBranch)
        );
        assert_eq!(
            branch(false, false, ""),
            Some(BuiltInProtection::RootBranch)
        );
        assert_eq!(branch(false, false, child), None);
        // A branch of a schema alone has no parent, and is no root of a project.
        let schema = r#""init_source":"schema-only","#;
        assert_eq!(branch(false, false, schema), None);
        assert_eq!(
            branch(false, true, schema),
            Some(BuiltInProtection::ProtectedBranch)
        );
        let data = r#""init_source":"parent-data","#;
        assert_eq!(
            branch(false, false, data),
            Some(BuiltInProtection::RootBranch)
        );
    }

    #[test]
    fn a_refused_expiry_is_explained() {
        let body = br#"{"code":"","message":"expires_at cannot be set on a parent branch"}"#;
        let refusal = NeonBranch.refusal(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert!(matches!(refusal, DeletionRefusal::Final(Some(why)) if why.contains("no expiry")));
    }

    #[test]
    fn a_cursor_on_an_empty_page_is_the_end() {
        assert_eq!(page("", r#"{"next":"abc"}"#).next, NextPage::Last);
        assert_eq!(page("", "{}").next, NextPage::Last);
    }
}
