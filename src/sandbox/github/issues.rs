//! Issues and their labels.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::message::{self, Request, Response};
use super::super::world::{WorldPullRequest, WorldPullRequestState};
use super::{GitHub, Issue, Label, WRITER, error, not_found, number_of, ok, paged, time};

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
            "closed_at": issue.closed_at.map(time), "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "author_association": "MEMBER",
        })
    }

    /// A pull request as the API of issues shows it.
    pub(super) fn pull_as_issue(&self, pull: &WorldPullRequest, request: &Request) -> Value {
        let at = pull.opened().unwrap_or(request.now);
        let as_issue = Issue {
            number: pull.number,
            author: self.owner.clone(),
            title: pull.title_text(),
            body: String::new(),
            state: state_of(pull).to_owned(),
            labels: pull.labels.clone(),
            created_at: at,
            updated_at: pull.updated_at.unwrap_or(at),
            closed_at: pull.closed_at,
            edits: Vec::new(),
        };
        let mut shown = self.issue(&as_issue, request);
        let number = pull.number;
        let html = format!("https://github.com/{}/pull/{number}", self.full_name());
        let url = format!("{}/repos/{}/pulls/{number}", request.base, self.full_name());
        shown["html_url"] = json!(html);
        shown["body"] = Value::Null;
        shown["pull_request"] = json!({
            "url": url, "html_url": html, "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"), "merged_at": pull.merged_time().map(time),
        });
        shown
    }

    /// An issue or a pull request.
    pub(super) fn one_issue(&self, request: &Request, number: &str) -> Response {
        let mut issues = self.issues.iter();
        if let Some(issue) = issues.find(|issue| issue.number.to_string() == number) {
            return ok(&self.issue(issue, request));
        }
        let number = number.parse().ok();
        match number.and_then(|number| self.numbered(number)) {
            Some(pull) => ok(&self.pull_as_issue(pull, request)),
            None => not_found(),
        }
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
            let has = |label: &&str| pull.labels.iter().any(|one| one == label);
            if (state == "all" || state_of(pull) == state)
                && labels.iter().all(has)
                && by(&self.owner)
            {
                items.push((pull.number, self.pull_as_issue(pull, request)));
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
            closed_at: None,
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
            let changed = self.change_pull(request, number);
            return changed.map_or_else(not_found, |number| self.one_issue(request, &number));
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
        if let Some(state) = text("state").filter(|state| *state != issue.state) {
            issue.closed_at = (state == "closed").then_some(request.now);
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

    /// The labels of an issue or a pull request; a POST adds some, a PUT replaces all, and
    /// a DELETE removes one or all.
    pub(super) fn issue_labels(
        &mut self,
        request: &Request,
        number: &str,
        one: Option<&str>,
    ) -> Response {
        let of_pull = number.parse().ok();
        let of_pull = of_pull.and_then(|number| self.numbered(number));
        let of_pull = of_pull.map(|pull| (pull.number, pull.labels.clone()));
        let mut issues = self.issues.iter();
        let issue = issues.find(|issue| issue.number.to_string() == number);
        let issue = issue.map(|issue| issue.labels.clone());
        let before = issue.or_else(|| of_pull.as_ref().map(|(_, labels)| labels.clone()));
        let Some(before) = before else {
            return not_found();
        };
        let mut names = before.clone();
        // Either the labels alone or an object with them.
        let body = request.json().unwrap_or_default();
        let given = body.get("labels").unwrap_or(&body).as_array().cloned();
        let given = given.into_iter().flatten();
        let given = given.filter_map(|label| Some(label.as_str()?.to_owned()));
        match (&request.method, one) {
            (&Method::POST, None) => names.extend(given),
            (&Method::PUT, None) => names = given.collect(),
            (&Method::DELETE, None) => names.clear(),
            (&Method::DELETE, Some(name)) => {
                if !names.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                    return error(404, "Label does not exist");
                }
                names.retain(|one| !one.eq_ignore_ascii_case(name));
            }
            (&Method::GET, None) => {}
            _ => return not_found(),
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        if names != before {
            if let Some((number, _)) = of_pull {
                // It is there: it was just read.
                let _ = self.set_labels(number, names.clone(), request.now);
            }
            for issue in &mut self.issues {
                if issue.number.to_string() == number {
                    issue.labels.clone_from(&names);
                    issue.updated_at = request.now;
                }
            }
        }
        if request.method == Method::DELETE && one.is_none() {
            return message::empty(StatusCode::NO_CONTENT);
        }
        let shown: Vec<_> = names.iter().map(|name| self.label(name, request)).collect();
        ok(&json!(shown))
    }
}

/// The state of a pull request in the words of the API.
fn state_of(pull: &WorldPullRequest) -> &'static str {
    match pull.state {
        WorldPullRequestState::Open => "open",
        WorldPullRequestState::Closed => "closed",
    }
}
