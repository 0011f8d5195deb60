//! Comments on issues and pull requests, and the sticky one of a pull request.

use serde::Deserialize;
use serde_json::json;

use super::IssueStore;
use super::authors::User;
use crate::model::PullRequestNumber;
use crate::roots::forge::Unanswered;

/// Prefix of a sticky comment.
const COMMENT_MARKER: &str = "<!-- preview-gc:sticky -->";

/// Comments per page: GitHub's maximum.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
}

impl IssueStore<'_> {
    /// Comments on an issue or a pull request.
    pub async fn comment(&self, number: u64, text: &str) -> Result<(), Unanswered> {
        let target = self.path(&format!("/issues/{number}/comments"));
        let body = json!({ "body": text });
        self.write("POST", &target, &body).await.map(drop)
    }

    /// Writes the sticky comment of a pull request and replaces an earlier one.
    pub async fn sticky_comment(
        &self,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<(), Unanswered> {
        if self.change_comment(number, text).await? {
            return Ok(());
        }
        let text = format!("{COMMENT_MARKER}\n{text}");
        self.comment(number.get().into(), &text).await
    }

    /// Updates the sticky comment if there is one, and returns whether there
    /// is.
    pub async fn change_comment(
        &self,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<bool, Unanswered> {
        let own = self.own_accounts().await;
        for page in 1.. {
            let list = format!("/issues/{number}/comments?per_page={PAGE}&page={page}");
            let body = self.github.get(&self.path(&list)).await?;
            let comments: Vec<Comment> = self.read(&body)?;
            let last = comments.len() < PAGE;
            let mut ours = None;
            for comment in comments {
                let body = comment.body.as_deref().unwrap_or_default();
                if body.starts_with(COMMENT_MARKER)
                    && own.wrote(comment.user.as_ref(), &format!("a comment on #{number}"))?
                {
                    ours = Some(comment);
                    break;
                }
            }
            if let Some(comment) = ours {
                let target = self.path(&format!("/issues/comments/{}", comment.id));
                let body = json!({ "body": format!("{COMMENT_MARKER}\n{text}") });
                self.write("PATCH", &target, &body).await?;
                return Ok(true);
            }
            if last {
                break;
            }
        }
        Ok(false)
    }
}
