//! Providers and the places in which resources are: accounts, zones, projects,
//! repositories.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identifier::IdentifierSort;
use super::repository::Repository;

/// The providers that preview-gc talks to. What is true of each is in
/// [`crate::providers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// Workers, storage, DNS and Pages.
    Cloudflare,
    /// Branches of databases.
    Neon,
    /// The repository, REST and GraphQL.
    GitHub,
}

/// What sort of place contains the resources of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceSort {
    /// A Cloudflare account.
    Account,
    /// A Cloudflare zone.
    Zone,
    /// A Neon project.
    Project,
    /// A GitHub repository.
    Repository,
}

/// Where a resource is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A Cloudflare account, by id.
    Account(String),
    /// A Cloudflare zone.
    Zone {
        /// The 32-digit id.
        id: String,
        /// The domain name of its apex.
        name: String,
        /// The account that it belongs to.
        account: String,
    },
    /// A Neon project, by id.
    Project(String),
    /// A GitHub repository, `owner/name`.
    Repository(String),
}

impl From<&Repository> for Place {
    /// A repository is one place in any spelling.
    fn from(repository: &Repository) -> Self {
        Self::Repository(repository.full_name().to_ascii_lowercase())
    }
}

impl Place {
    /// What its provider's paths call it: an id, of a repository its full name.
    pub fn id(&self) -> &str {
        match self {
            Self::Account(id) | Self::Project(id) | Self::Zone { id, .. } => id,
            Self::Repository(name) => name,
        }
    }

    /// The Cloudflare account that it is or belongs to.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(id) => Some(id),
            Self::Zone { account, .. } => Some(account),
            Self::Project(_) | Self::Repository(_) => None,
        }
    }

    /// Whether what is here may use or hold what is there: the same place, or a
    /// zone and its account.
    pub fn is_near(&self, other: &Self) -> bool {
        self == other || (self.account().is_some() && self.account() == other.account())
    }

    /// Its sort.
    pub fn sort(&self) -> PlaceSort {
        match self {
            Self::Account(_) => PlaceSort::Account,
            Self::Zone { .. } => PlaceSort::Zone,
            Self::Project(_) => PlaceSort::Project,
            Self::Repository(_) => PlaceSort::Repository,
        }
    }

    /// The word of the scope and the value a user writes for it.
    pub fn scope(&self) -> (&'static str, &str) {
        match self {
            Self::Account(id) => ("account", id),
            Self::Zone { name, .. } => ("zone", name),
            Self::Project(id) => ("project", id),
            Self::Repository(name) => ("repository", name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, value) = self.scope();
        write!(f, "{word} {value}")
    }
}

/// A key of `[scope]` in policies.
#[derive(Debug)]
pub struct ScopeKey {
    /// The sort of places that it names.
    pub sort: PlaceSort,
    /// The key below the provider's own.
    pub key: &'static str,
    /// The environment variables that name the places instead, the one to
    /// recommend first.
    pub variables: &'static [&'static str],
    /// Whether one may name several places: a list in a policy, values with commas
    /// between them in a variable.
    pub takes_list: bool,
    /// The form of a value.
    pub identifier: IdentifierSort,
    /// What people call one.
    pub noun: &'static str,
}

/// The table of one provider below `[scope]` in policies.
#[derive(Debug, Clone, Copy)]
pub struct ScopeTable {
    /// The provider's key.
    pub provider: &'static str,
    /// The keys in its table.
    pub keys: &'static [ScopeKey],
}
