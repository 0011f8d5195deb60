//! GitHub: deployments and environments. Pull requests, branches and runs are
//! roots, which `crate::github` reads.

mod github_deployment;
mod github_environment;

use super::{Provider, ProviderAbout};
use crate::kind::Kind;
use crate::model::Api;

/// GitHub.
pub(super) struct GitHub;

static ABOUT: ProviderAbout = ProviderAbout { api: Api::GitHub };

/// Its kinds, in the order in which a sweep deletes them.
static KINDS: &[&dyn Kind] = &[
    &github_deployment::GitHubDeployment,
    &github_environment::GitHubEnvironment,
];

impl Provider for GitHub {
    fn about(&self) -> &'static ProviderAbout {
        &ABOUT
    }

    fn kinds(&self) -> &'static [&'static dyn Kind] {
        KINDS
    }
}

/// Whether an environment or a deployment is called production, in any spelling
/// that people use: `Production`, `prod-eu`, `shop (live)`. `live` also describes
/// previews, so that it counts only alone or at the end.
fn is_production(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let last = words.next_back().unwrap_or(first);
    ["production", "prod"].contains(&first) || ["production", "prod", "live"].contains(&last)
}

#[cfg(test)]
mod tests {
    use super::is_production;

    #[test]
    fn production_is_known_in_any_spelling() {
        for name in [
            "production",
            "Production",
            "PROD",
            "live",
            "Live",
            "prod-eu",
            "Production – shop",
            "shop-production",
            "shop (live)",
            "eu/prod",
        ] {
            assert!(is_production(name), "{name}");
        }
        for name in [
            "preview",
            "live-preview-7",
            "products",
            "reproduction",
            "pr-7",
            "",
            "alive",
        ] {
            assert!(!is_production(name), "{name}");
        }
    }
}
