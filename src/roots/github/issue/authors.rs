//! Whose issues and comments count: those of this token's account, and of the
//! configured accounts.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::IssueStore;
use crate::model::Repository;
use crate::roots::forge::Unanswered;

/// An account, in answers of REST.
#[derive(Deserialize)]
pub(super) struct User {
    login: String,
}

/// Returns the author, for people.
pub(super) fn author(user: Option<&User>) -> &str {
    user.map_or("a deleted account", |user| &user.login)
}

/// Accounts whose tracking issue and comments count besides the token's own
/// account, which is looked up once.
#[derive(Debug, Default)]
pub struct Authors {
    also: Vec<String>,
    viewer: OnceCell<Viewer>,
}

/// What the query for the account of a token says.
#[derive(Debug)]
struct Viewer {
    login: String,
    /// The repository that the same query asked about.
    repository: Repository,
    /// The id of that; none if the answer does not say it.
    id: Option<u64>,
}

impl Authors {
    /// Creates a value with the account of the token and these accounts.
    pub fn new(also: &[String]) -> Self {
        Self {
            also: also.to_vec(),
            viewer: OnceCell::new(),
        }
    }

    /// Returns the id of a repository, if the look-up of the own account said it.
    pub(super) fn repository_id(&self, repository: &Repository) -> Option<u64> {
        let viewer = self.viewer.get();
        viewer.filter(|viewer| viewer.repository == *repository)?.id
    }
}

/// The accounts whose texts are ours.
pub(super) struct OwnAccounts<'a> {
    /// The account of this token.
    pub(super) login: Result<&'a str, Unanswered>,
    /// Other configured accounts.
    pub(super) also: &'a [String],
}

impl OwnAccounts<'_> {
    /// Returns whether a text with our marker is ours. If the own account is
    /// unknown, the text of an account that is not configured may be ours, so
    /// the result is an error.
    pub(super) fn wrote(&self, user: Option<&User>, what: &str) -> Result<bool, Unanswered> {
        let is = |login: &str| user.is_some_and(|user| user.login.eq_ignore_ascii_case(login));
        if self.also.iter().any(|login| is(login)) {
            return Ok(true);
        }
        match &self.login {
            Ok(login) => Ok(is(login)),
            Err(error) => Err(Unanswered::Unbelievable(format!(
                "whether {what} by {} was written by this tool could not be determined: {error}; \
                 name the account that writes for it with --issue-author",
                author(user)
            ))),
        }
    }
}

impl IssueStore<'_> {
    /// Reads the account of this token, as REST writes it, and the repository's id:
    /// with the same request, because no other may be about the repository itself.
    async fn viewer(&self) -> Result<Viewer, Unanswered> {
        let query = json!({
            "query": "query($owner:String!,$name:String!){viewer{login}repository(owner:$owner,name:$name){databaseId nameWithOwner}}",
            "variables": { "owner": self.repository.owner(), "name": self.repository.name() },
        });
        let body = self.github.post_query(&query).await?;
        let answer: Value = self.read(&body)?;
        // A token that does not see the repository has an account all the same.
        let is_about_repository = |error: &Value| error["path"][0] == "repository";
        let errors = answer["errors"].as_array();
        let login_is_whole = answer["errors"].is_null()
            || errors.is_some_and(|errors| errors.iter().all(is_about_repository));
        let found = &answer["data"]["repository"];
        let name = found["nameWithOwner"].as_str();
        let is_same =
            name.is_some_and(|name| name.eq_ignore_ascii_case(self.repository.full_name()));
        match answer["data"]["viewer"]["login"].as_str() {
            Some(login) if !login.is_empty() && login_is_whole => Ok(Viewer {
                login: login.to_owned(),
                repository: self.repository.clone(),
                id: found["databaseId"].as_u64().filter(|_| is_same),
            }),
            _ => Err(Unanswered::Unbelievable(
                "GitHub does not say whose token this is".to_owned(),
            )),
        }
    }

    /// The accounts whose texts are ours.
    pub(super) async fn own_accounts(&self) -> OwnAccounts<'_> {
        let authors = self.github.authors();
        OwnAccounts {
            login: authors
                .viewer
                .get_or_try_init(|| self.viewer())
                .await
                .map(|viewer| &*viewer.login),
            also: &authors.also,
        }
    }
}
