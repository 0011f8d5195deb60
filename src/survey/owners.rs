//! Reads the owners of what was listed: which are alive, and how the others
//! ended.

use futures::future::join_all;

use super::Survey;
use crate::evidence::{ClosedSearch, Roots};
use crate::gc::mark;
use crate::model::{Api, Resource};
use crate::roots;
use crate::roots::github::GitHubClient;

impl Survey<'_> {
    /// What keeps resources alive, and how the rest ended: first the living roots,
    /// because only the others have to be searched for.
    pub(super) async fn roots<'r>(
        &self,
        resources: impl Iterator<Item = &'r Resource> + Clone,
    ) -> Roots {
        self.ask(resources, true).await
    }

    /// The same for what was found dead before: each pull request is asked for
    /// by number, whatever else is open.
    pub(super) async fn reread_roots<'r>(
        &self,
        resources: impl Iterator<Item = &'r Resource> + Clone,
    ) -> Roots {
        self.ask(resources, false).await
    }

    async fn ask<'r>(
        &self,
        resources: impl Iterator<Item = &'r Resource> + Clone,
        list_open: bool,
    ) -> Roots {
        let mut roots = Roots::default();
        let mut claims = mark::claims(resources.clone(), &self.judge_input());
        claims.retain(|_, claimed| !claimed.is_empty());
        // Checked boxes count also where no claim is looked up.
        if self.client.has(Api::GitHub) {
            for policy_scope in self.input.policy_scopes {
                claims
                    .entry(policy_scope.policy.repository.clone())
                    .or_default();
            }
        }
        if claims.is_empty() {
            return roots;
        }
        let github =
            &GitHubClient::new(self.client.clone()).with_issue_authors(&self.issue_authors);
        let alive = claims.iter().map(|(repository, claimed)| async move {
            let expected_id = self.repository_ids.get(repository).copied();
            let only = self.input.only_pull_request;
            let found = if (list_open && !claimed.is_empty()) || claimed.heads {
                roots::alive(
                    github,
                    repository,
                    claimed,
                    only,
                    expected_id,
                    self.observer,
                )
                .await
            } else {
                // The id was compared before the first deletion.
                let first = list_open;
                roots::checked_boxes(github, repository, expected_id, first, self.observer).await
            };
            (repository.clone(), found)
        });
        roots.repositories = join_all(alive).await.into_iter().collect();
        let closed_search = mark::closed_search(resources, &roots, &self.judge_input());
        let nothing = ClosedSearch::default();
        let ended = roots.repositories.iter_mut().map(|(repository, roots)| {
            let claimed = claims.get(repository);
            let closed_search = closed_search.get(repository).unwrap_or(&nothing);
            async move {
                if let Some(claimed) = claimed {
                    roots::ended(
                        github,
                        repository,
                        claimed,
                        closed_search,
                        roots,
                        self.observer,
                    )
                    .await;
                }
                if let Some(number) = self.input.only_pull_request.filter(|_| list_open) {
                    roots::in_focus(github, repository, number, roots, self.observer).await;
                }
                // An audit deletes nothing, so only a re-read needs the second list.
                if !list_open && closed_search.is_for_slugs() {
                    roots::reopened(github, repository, roots, self.observer).await;
                }
            }
        });
        join_all(ended).await;
        roots
    }
}
