//! Comments under issues and pull requests.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::message::{self, Request, Response};
use super::{Comment, GitHub, WRITER, not_found, ok, paged, time};

impl GitHub {
    fn show_comment(&self, comment: &Comment, request: &Request) -> Value {
        let full_name = self.full_name();
        let url = format!(
            "{}/repos/{full_name}/issues/comments/{}",
            request.base, comment.id
        );
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "url": url, "html_url": url,
            "body": comment.body, "user": Self::user(&comment.author),
            "created_at": time(comment.created_at), "updated_at": time(comment.updated_at),
            "author_association": "MEMBER",
            "issue_url": format!("{}/repos/{full_name}/issues/{}", request.base, comment.under),
        })
    }

    /// Writes a comment under an issue or a pull request.
    pub(super) fn comment(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
        let mut pulls = self.pulls.iter();
        let pull = pulls.any(|pull| pull.number.to_string() == number);
        let mut issues = self.issues.iter();
        let issue = issues.any(|issue| issue.number.to_string() == number);
        if !pull && !issue {
            return not_found();
        }
        let comment = self.add_comment(number.to_owned(), WRITER, text, request.now);
        let shown = self.show_comment(&comment, request);
        message::json(StatusCode::CREATED, &shown)
    }

    /// The comments under an issue or a pull request.
    pub(super) fn comments(&self, request: &Request, number: &str) -> Response {
        let under = self.comments.iter().filter(|one| one.under == number);
        let items: Vec<_> = under.map(|one| self.show_comment(one, request)).collect();
        paged(request, &items)
    }

    /// One comment, which a PATCH changes and a DELETE removes.
    pub(super) fn one_comment(&mut self, request: &Request, id: &str) -> Response {
        let mut all = self.comments.iter();
        let Some(at) = all.position(|one| one.id.to_string() == id) else {
            return not_found();
        };
        match request.method {
            Method::GET => {}
            Method::PATCH => {
                let body = request.json().unwrap_or_default();
                let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
                let comment = &mut self.comments[at];
                text.clone_into(&mut comment.body);
                comment.updated_at = request.now;
            }
            Method::DELETE => {
                self.comments.remove(at);
                return message::empty(StatusCode::NO_CONTENT);
            }
            _ => return not_found(),
        }
        ok(&self.show_comment(&self.comments[at], request))
    }
}
