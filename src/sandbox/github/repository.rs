//! Repositories, pull requests and branches as JSON.

use serde_json::{Value, json};

use super::super::message::{Request, Response};
use super::super::world::{WorldPullRequest, WorldPullRequestState};
use super::paging::paged;
use super::{GitHub, number_of, sha, time};

impl GitHub {
    /// Returns the repository with all URLs that the schema requires.
    pub(in crate::sandbox) fn repository(&self, full_name: &str, base: &str) -> Value {
        const ADDRESSES: [&str; 37] = [
            "archive",
            "assignees",
            "blobs",
            "branches",
            "collaborators",
            "comments",
            "commits",
            "compare",
            "contents",
            "contributors",
            "deployments",
            "downloads",
            "events",
            "forks",
            "git_commits",
            "git_refs",
            "git_tags",
            "hooks",
            "issue_comment",
            "issue_events",
            "issues",
            "keys",
            "labels",
            "languages",
            "merges",
            "milestones",
            "notifications",
            "pulls",
            "releases",
            "stargazers",
            "statuses",
            "subscribers",
            "subscription",
            "tags",
            "teams",
            "trees",
            "svn",
        ];
        let (owner, name) = full_name.split_once('/').unwrap_or((full_name, ""));
        let url = format!("{base}/repos/{full_name}");
        let html = format!("https://github.com/{full_name}");
        let fork = full_name != self.full_name();
        let id = number_of(full_name);
        let mut repository = json!({
            "id": id, "node_id": format!("R_{id}"), "name": name, "full_name": full_name, "private": true,
            "owner": Self::user(owner), "html_url": html, "description": null, "fork": fork, "url": url,
            "homepage": null, "language": null, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0,
            "size": 1, "default_branch": self.default_branch(), "open_issues_count": 0, "is_template": false,
        });
        let more = json!({
            "topics": [], "has_issues": self.has_issues, "has_projects": false, "has_wiki": false, "has_pages": false,
            "has_downloads": false, "has_discussions": false, "archived": false, "disabled": false,
            "visibility": "private", "pushed_at": "2025-01-01T00:00:00Z", "created_at": "2025-01-01T00:00:00Z",
            "updated_at": "2025-01-01T00:00:00Z", "forks": 0, "open_issues": 0, "watchers": 0,
            "git_url": format!("git://github.com/{full_name}.git"), "ssh_url": format!("git@github.com:{full_name}.git"),
            "clone_url": format!("{html}.git"), "mirror_url": null, "license": null, "allow_forking": true,
            "web_commit_signoff_required": false, "network_count": 0, "subscribers_count": 0,
            "permissions": {"admin": false, "maintain": false, "push": true, "triage": true, "pull": true},
        });
        if let (Some(fields), Value::Object(more)) = (repository.as_object_mut(), more) {
            fields.extend(more);
        }
        for word in ADDRESSES {
            repository[format!("{word}_url")] = json!(format!("{url}/{word}"));
        }
        repository
    }

    pub(super) fn end(
        &self,
        pull: &WorldPullRequest,
        label: &str,
        repository: Option<&String>,
        branch: &str,
        base: &str,
    ) -> Value {
        let full_name = repository.cloned();
        let owner = full_name
            .as_deref()
            .and_then(|name| name.split('/').next())
            .unwrap_or_default();
        json!({
            "label": format!("{owner}:{label}"), "ref": branch, "sha": sha(&format!("{branch}{}", pull.number)),
            "repo": full_name.as_deref().map(|name| self.repository(name, base)),
            "user": if owner.is_empty() { Value::Null } else { Self::user(owner) },
        })
    }

    /// The events of a pull request that the sandbox knows: labels that went.
    pub(super) fn events(&self, request: &Request, number: &str) -> Response {
        let number = number.parse().ok();
        let found = number.and_then(|number| self.numbered(number));
        let removals = found
            .map(|pull| pull.unlabeled.as_slice())
            .unwrap_or_default();
        let events = removals.iter().enumerate().map(|(at, removal)| {
            json!({
                "id": at + 1, "node_id": format!("UNLE_{at}"), "event": "unlabeled", "actor": Self::user(&self.owner),
                "created_at": time(removal.at), "commit_id": null, "commit_url": null,
                "label": {"name": removal.label, "color": "ededed"},
            })
        });
        let events: Vec<Value> = events.collect();
        paged(request, &events)
    }

    pub(super) fn pull(&self, pull: &WorldPullRequest, base: &str, whole: bool) -> Value {
        let full_name = self.full_name();
        let url = format!("{base}/repos/{full_name}/pulls/{}", pull.number);
        let issue = format!("{base}/repos/{full_name}/issues/{}", pull.number);
        let html = format!("https://github.com/{full_name}/pull/{}", pull.number);
        let id = number_of(&html);
        let label = |name: &String| {
            json!({
                "id": number_of(name), "node_id": format!("LA_{}", number_of(name)),
                "url": format!("{base}/repos/{full_name}/labels/{name}"), "name": name,
                "description": null, "color": "ededed", "default": false,
            })
        };
        let labels: Vec<Value> = pull.labels.iter().map(label).collect();
        let mut fields = json!({
            "url": url, "id": id, "node_id": format!("PR_{id}"), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{url}/comments{{/number}}"), "comments_url": format!("{issue}/comments"),
            "statuses_url": format!("{base}/repos/{full_name}/statuses/0"), "number": pull.number,
            "state": if pull.state == WorldPullRequestState::Open { "open" } else { "closed" }, "locked": false,
            "title": pull.title_text(), "user": Self::user(&self.owner), "body": null, "labels": labels,
            "milestone": null, "active_lock_reason": null,
            "closed_at": pull.closed_at.map(time), "merged_at": pull.merged_time().map(time),
            "merge_commit_sha": null, "assignee": null, "assignees": [], "requested_reviewers": [],
            "requested_teams": [], "draft": pull.draft, "author_association": "MEMBER", "auto_merge": null,
            "head": self.end(pull, &pull.head_ref, pull.head_repo.as_ref(), &pull.head_ref, base),
            "base": self.end(pull, self.default_branch(), Some(&full_name), self.default_branch(), base),
            "_links": {
                "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue},
                "comments": {"href": format!("{issue}/comments")},
                "review_comments": {"href": format!("{url}/comments")},
                "review_comment": {"href": format!("{url}/comments{{/number}}")},
                "commits": {"href": format!("{url}/commits")},
                "statuses": {"href": format!("{base}/repos/{full_name}/statuses/0")},
            },
        });
        for (key, at) in [
            ("created_at", pull.opened()),
            ("updated_at", pull.updated_at.or(pull.closed_at)),
        ] {
            if let Some(at) = at {
                fields[key] = time(at);
            }
        }
        if whole {
            let more = json!({
                "merged": pull.merged, "mergeable": null, "rebaseable": null, "mergeable_state": "unknown",
                "merged_by": null, "comments": 0, "review_comments": 0, "maintainer_can_modify": false,
                "commits": 1, "additions": 0, "deletions": 0, "changed_files": 0,
            });
            if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
                fields.extend(more);
            }
        }
        fields
    }

    pub(super) fn pulls(&self, request: &Request) -> Response {
        let state = request.parameter("state").unwrap_or("open");
        let head = request
            .parameter("head")
            .and_then(|head| head.split_once(':'));
        let mut pulls: Vec<&WorldPullRequest> = self
            .pulls
            .iter()
            .filter(|pull| match state {
                "all" => true,
                "closed" => pull.state == WorldPullRequestState::Closed,
                _ => pull.state == WorldPullRequestState::Open,
            })
            .filter(|pull| {
                head.is_none_or(|(owner, branch)| {
                    let from = pull.head_repo.as_deref().unwrap_or_default();
                    pull.head_ref == branch && from.split('/').next() == Some(owner)
                })
            })
            .filter(|pull| {
                request
                    .parameter("base")
                    .is_none_or(|base| base == self.default_branch())
                    || pull.number == 0
            })
            .collect();
        match request.parameter("sort").unwrap_or("created") {
            "updated" => pulls.sort_by_key(|pull| (pull.updated_at, pull.number)),
            _ => pulls.sort_by_key(|pull| (pull.opened(), pull.number)),
        }
        if request.parameter("direction").unwrap_or("desc") == "desc" {
            pulls.reverse();
        }
        let items: Vec<Value> = pulls
            .iter()
            .map(|pull| self.pull(pull, &request.base, false))
            .collect();
        paged(request, &items)
    }

    /// A branch as a list shows it.
    pub(super) fn branch(&self, name: &str, request: &Request) -> Value {
        let sha = sha(name);
        let url = format!("{}/repos/{}/commits/{sha}", request.base, self.full_name());
        json!({"name": name, "commit": {"sha": sha, "url": url}, "protected": name == self.default_branch()})
    }

    /// One branch with its commit.
    pub(super) fn whole_branch(&self, name: &str, request: &Request) -> Value {
        let mut shown = self.branch(name, request);
        let repository = format!("{}/repos/{}", request.base, self.full_name());
        let url = format!("{repository}/branches/{name}");
        let html = format!("https://github.com/{}/tree/{name}", self.full_name());
        let commit = sha(name);
        let commit_url = format!("{repository}/commits/{commit}");
        let person = json!({
            "name": self.owner, "email": format!("{}@example.com", self.owner), "date": "2025-01-01T00:00:00Z",
        });
        shown["commit"] = json!({
            "sha": commit, "node_id": format!("C_{commit}"), "url": commit_url,
            "html_url": format!("https://github.com/{}/commit/{commit}", self.full_name()),
            "comments_url": format!("{commit_url}/comments"), "parents": [],
            "author": Self::user(&self.owner), "committer": Self::user(&self.owner),
            "commit": {
                "url": format!("{repository}/git/commits/{commit}"), "author": person, "committer": person,
                "message": name, "comment_count": 0,
                "tree": {"sha": commit, "url": format!("{repository}/git/trees/{commit}")},
            },
        });
        shown["_links"] = json!({"self": url, "html": html});
        shown["protection"] = json!({"enabled": shown["protected"]});
        shown["protection_url"] = json!(format!("{url}/protection"));
        shown
    }
}
