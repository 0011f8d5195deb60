//! Issues, their comments and labels.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::message::{self, Request, Response};
use super::super::world::WorldPullRequestState;
use super::{Comment, GitHub, Issue, Label, WRITER, error, not_found, number_of, ok, paged, time};

impl GitHub {
    pub(super) fn issue(&self, issue: &Issue, request: &Request) -> Value {
        let url = format!(
            "{}/repos/{}/issues/{}",
            request.base,
            self.full_name(),
            issue.number
        );
        let labels: Vec<_> = issue
            .labels
            .iter()
            .map(|label| self.label(label, request))
            .collect();
        json!({
            "id": issue.number, "node_id": format!("I_{}", issue.number), "url": url, "repository_url": request.base,
            "labels_url": format!("{url}/labels"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "html_url": format!("https://github.com/{}/issues/{}", self.full_name(), issue.number),
            "number": issue.number, "state": issue.state, "title": issue.title, "body": issue.body,
            "user": Self::user(&issue.author), "labels": labels, "assignee": null, "assignees": [],
            "milestone": null, "locked": false, "active_lock_reason": null, "comments": self.comments.iter().filter(|one| one.under == issue.number.to_string()).count(),
            "closed_at": null, "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "author_association": "MEMBER",
        })
    }

    /// Issues, and pull requests, which are issues as well; the newest first.
    pub(super) fn list_issues(&self, request: &Request) -> Response {
        let state = request.parameter("state").unwrap_or("open");
        let labels: Vec<&str> = request
            .parameter("labels")
            .map(|labels| labels.split(',').collect())
            .unwrap_or_default();
        let by = |author: &str| {
            let creator = request.parameter("creator");
            creator.is_none_or(|creator| creator.eq_ignore_ascii_case(author))
        };
        let mut items: Vec<(u32, Value)> = Vec::new();
        for issue in &self.issues {
            let has = |label: &&str| issue.labels.iter().any(|one| one == label);
            if (state == "all" || issue.state == state)
                && labels.iter().all(has)
                && by(&issue.author)
            {
                items.push((issue.number, self.issue(issue, request)));
            }
        }
        for pull in &self.pulls {
            let is = match pull.state {
                WorldPullRequestState::Open => "open",
                WorldPullRequestState::Closed => "closed",
            };
            if (state == "all" || is == state) && labels.is_empty() && by(&self.owner) {
                let at = pull.opened().unwrap_or(request.now);
                let as_issue = Issue {
                    number: pull.number,
                    author: self.owner.clone(),
                    title: pull.title_text(),
                    body: String::new(),
                    state: is.to_owned(),
                    labels: Vec::new(),
                    created_at: at,
                    updated_at: pull.updated_at.unwrap_or(at),
                    edits: Vec::new(),
                };
                let mut shown = self.issue(&as_issue, request);
                let html = format!(
                    "https://github.com/{}/pull/{}",
                    self.full_name(),
                    pull.number
                );
                let url = format!(
                    "{}/repos/{}/pulls/{}",
                    request.base,
                    self.full_name(),
                    pull.number
                );
                shown["html_url"] = json!(html);
                shown["body"] = Value::Null;
                shown["pull_request"] = json!({
                    "url": url, "html_url": html, "diff_url": format!("{html}.diff"),
                    "patch_url": format!("{html}.patch"), "merged_at": pull.merged_time().map(time),
                });
                items.push((pull.number, shown));
            }
        }
        items.sort_by_key(|(number, _)| *number);
        if request.parameter("direction") != Some("asc") {
            items.reverse();
        }
        let items: Vec<Value> = items.into_iter().map(|(_, shown)| shown).collect();
        paged(request, &items)
    }

    pub(super) fn create_issue(&mut self, request: &Request) -> Response {
        let body = request.json().unwrap_or_default();
        let Some(title) = body.get("title").and_then(Value::as_str) else {
            return error(422, "Validation Failed");
        };
        let number = self.next_number();
        let labels = body
            .get("labels")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let issue = Issue {
            number,
            author: WRITER.to_owned(),
            title: title.to_owned(),
            body: body
                .get("body")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            state: "open".to_owned(),
            labels: labels
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            created_at: request.now,
            updated_at: request.now,
            edits: Vec::new(),
        };
        let shown = self.issue(&issue, request);
        self.issues.push(issue);
        message::json(StatusCode::CREATED, &shown)
    }

    pub(super) fn change_issue(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let found = self
            .issues
            .iter_mut()
            .find(|issue| issue.number.to_string() == number);
        let Some(issue) = found else {
            return not_found();
        };
        if let Some(text) = text("body") {
            if text.chars().count() > 65_536 {
                return error(
                    422,
                    "Validation Failed: body is too long (maximum is 65536 characters)",
                );
            }
            text.clone_into(&mut issue.body);
            issue.edits.push((request.now, text.to_owned()));
        }
        if let Some(title) = text("title") {
            title.clone_into(&mut issue.title);
        }
        if let Some(labels) = body.get("labels").and_then(Value::as_array) {
            let labels = labels.iter().filter_map(Value::as_str);
            issue.labels = labels.map(str::to_owned).collect();
        }
        if let Some(state) = text("state") {
            state.clone_into(&mut issue.state);
        }
        issue.updated_at = request.now;
        let issue = issue.clone();
        ok(&self.issue(&issue, request))
    }

    /// The edits of an issue as GraphQL shows them, newest first.
    pub(super) fn issue_edits(&self, number: u64) -> Option<Vec<Value>> {
        let issue = self
            .issues
            .iter()
            .find(|issue| u64::from(issue.number) == number)?;
        let edits = issue.edits.iter().enumerate().rev();
        let edits = edits.map(|(index, (at, text))| {
            json!({
                "__typename": "UserContentEdit", "id": format!("UCE_{number}_{index}"),
                "editedAt": time(*at), "diff": text,
            })
        });
        Some(edits.collect())
    }

    pub(super) fn show_comment(&self, comment: &Comment, request: &Request) -> Value {
        let full_name = self.full_name();
        let url = format!(
            "{}/repos/{full_name}/issues/comments/{}",
            request.base, comment.id
        );
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "url": url, "html_url": url,
            "body": comment.body, "user": Self::user(&comment.author), "created_at": time(request.now),
            "updated_at": time(request.now), "author_association": "MEMBER",
            "issue_url": format!("{}/repos/{full_name}/issues/{}", request.base, comment.under),
        })
    }

    pub(super) fn comment(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
        let pull = self
            .pulls
            .iter()
            .any(|pull| pull.number.to_string() == number);
        let issue = self
            .issues
            .iter()
            .any(|issue| issue.number.to_string() == number);
        if !pull && !issue {
            return not_found();
        }
        let comment = self.add_comment(number.to_owned(), WRITER, text);
        let shown = self.show_comment(&comment, request);
        message::json(StatusCode::CREATED, &shown)
    }

    pub(super) fn comments(&mut self, request: &Request, rest: &[&str]) -> Response {
        match (&request.method, rest) {
            (&Method::GET, [number]) => {
                let under = self.comments.iter().filter(|one| one.under == *number);
                let items: Vec<_> = under.map(|one| self.show_comment(one, request)).collect();
                paged(request, &items)
            }
            (&Method::PATCH, [id]) => {
                let body = request.json().unwrap_or_default();
                let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
                let found = self
                    .comments
                    .iter_mut()
                    .find(|one| one.id.to_string() == *id);
                let Some(comment) = found else {
                    return not_found();
                };
                text.clone_into(&mut comment.body);
                let comment = comment.clone();
                ok(&self.show_comment(&comment, request))
            }
            _ => not_found(),
        }
    }

    /// A label as the repository defines it; one that was only used has GitHub's
    /// own colour.
    fn label(&self, name: &str, request: &Request) -> Value {
        let found = self.labels.iter().find(|label| label.name == name);
        let id = number_of(name);
        json!({
            "id": id, "node_id": format!("LA_{id}"), "name": name,
            "url": format!("{}/repos/{}/labels/{name}", request.base, self.full_name()),
            "color": found.map_or("ededed", |label| &label.color),
            "description": found.and_then(|label| label.description.clone()), "default": false,
        })
    }

    pub(super) fn list_labels(&self, request: &Request) -> Response {
        let labels = self.labels.iter();
        let items: Vec<_> = labels
            .map(|label| self.label(&label.name, request))
            .collect();
        paged(request, &items)
    }

    pub(super) fn make_label(&mut self, request: &Request) -> Response {
        let body = request.json().unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(name) = text("name") else {
            return error(422, "Validation Failed");
        };
        if self.labels.iter().any(|label| label.name == name) {
            return error(422, "Validation Failed: already_exists");
        }
        self.labels.push(Label {
            name: name.clone(),
            color: text("color").unwrap_or_else(|| "ededed".to_owned()),
            description: text("description"),
        });
        message::json(StatusCode::CREATED, &self.label(&name, request))
    }

    /// The labels of an issue; a POST adds some.
    pub(super) fn issue_labels(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let mut issues = self.issues.iter_mut();
        let Some(issue) = issues.find(|issue| issue.number.to_string() == number) else {
            return not_found();
        };
        if request.method == Method::POST {
            let added = body.get("labels").and_then(Value::as_array);
            for label in added.into_iter().flatten().filter_map(Value::as_str) {
                if !issue.labels.iter().any(|known| known == label) {
                    issue.labels.push(label.to_owned());
                }
            }
        }
        let names = issue.labels.clone();
        let shown: Vec<_> = names.iter().map(|name| self.label(name, request)).collect();
        ok(&json!(shown))
    }
}
