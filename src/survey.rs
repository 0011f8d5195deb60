//! A survey: what exists, what keeps it alive and what follows, read once for
//! the report and again, in part, just before anything is deleted.

mod findings;
mod owners;
mod plan;
mod refresh;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::evidence::{Inventory, Roots, Uses};
use crate::gc::Marking;
use crate::gc::mark::{self, JudgeInput};
use crate::model::Repository;
use crate::progress::Observer;
use crate::roots::github::Authors;
use crate::scan::{self, Budget, Target};
use crate::wire::Client;

pub use self::findings::Findings;
pub use self::refresh::OwnChanges;

/// What is looked at, and how it is judged.
pub struct Survey<'p> {
    /// The way to the providers.
    pub client: Client,
    /// The input of the judge.
    pub input: JudgeInput<'p>,
    /// What is listed.
    pub targets: Vec<Target>,
    /// The ids that repositories are known to have.
    pub repository_ids: BTreeMap<Repository, u64>,
    /// Whose tracking issue counts.
    pub issue_authors: Arc<Authors>,
    /// Whether only resources with a checked "delete" box may be deleted.
    pub approved: bool,
    /// How far single resources may be asked what they use.
    pub budget: Budget,
    /// How old the newest reading may be when something is deleted.
    pub reread_after: Duration,
    /// When a person agreed to the deletions, if one was asked. Nothing that was
    /// read before that is used after it.
    pub agreed_at: Option<DateTime<Utc>>,
    /// Receives progress events.
    pub observer: &'p dyn Observer,
}

impl<'p> Survey<'p> {
    /// Returns the same survey over another client.
    #[must_use]
    pub fn over(&self, client: Client) -> Self {
        Self {
            client,
            input: self.input.clone(),
            targets: self.targets.clone(),
            repository_ids: self.repository_ids.clone(),
            issue_authors: Arc::clone(&self.issue_authors),
            budget: self.budget.clone(),
            ..*self
        }
    }

    /// Judges what was listed. Resources are read before this, so none is
    /// younger than its roots.
    pub async fn judge(&self, inventory: Inventory, since: Instant) -> Findings<'p> {
        let early = mark::early_questions(&inventory, &self.judge_input());
        let mut budget = self.budget.clone();
        let gone = mark::gone_makers(&inventory, self.input.graph);
        let claimants = inventory.resources.iter();
        let claimants = claimants.chain(gone.iter().map(|(_, maker)| maker));
        let (roots, uses) = tokio::join!(
            self.roots(claimants),
            scan::answer(&self.client, &inventory, &early, &mut budget, self.observer)
        );
        // The clocks are compared only once listings and roots have answered.
        let mut findings = self
            .mark(inventory, roots, uses, self.judge_input(), budget, since)
            .await;
        self.list_on_demand(&mut findings).await;
        findings
    }

    /// Lists what is listed holder by holder, for those holders only that would
    /// go: the others need nothing of it, and each holder costs a request.
    async fn list_on_demand(&self, findings: &mut Findings<'p>) {
        let targets: Vec<Target> = self
            .targets
            .iter()
            .filter(|target| target.on_demand)
            .filter_map(|target| {
                let holders = findings.garbage_that_holds(target);
                (!holders.is_empty()).then(|| Target {
                    holders: Some(holders),
                    ..target.clone()
                })
            })
            .collect();
        if targets.is_empty() {
            return;
        }
        let more = scan::inventory(&self.client, &targets, self.observer).await;
        findings.inventory.extend(more);
        findings.index = findings::index_of(&findings.inventory);
        let input = findings.marking.input.clone();
        let budget = &mut findings.budget;
        findings.marking = self
            .settle_questions(&mut findings.inventory, &findings.roots, &input, budget)
            .await;
    }

    /// The judge's input, with the time by which everything is judged: the start of the
    /// run by the earliest of the machine's and the providers' clocks.
    fn judge_input(&self) -> JudgeInput<'p> {
        JudgeInput {
            now: self.client.earliest(self.input.now),
            ..self.input.clone()
        }
    }

    /// Marks, asks what verdicts still need, and marks again until nothing is
    /// left to ask.
    async fn mark(
        &self,
        mut inventory: Inventory,
        roots: Roots,
        uses: Uses,
        input: JudgeInput<'p>,
        mut budget: Budget,
        since: Instant,
    ) -> Findings<'p> {
        inventory.learn(uses);
        let marking = self
            .settle_questions(&mut inventory, &roots, &input, &mut budget)
            .await;
        Findings {
            index: findings::index_of(&inventory),
            inventory,
            roots,
            marking,
            since,
            budget,
        }
    }

    async fn settle_questions(
        &self,
        inventory: &mut Inventory,
        roots: &Roots,
        input: &JudgeInput<'p>,
        budget: &mut Budget,
    ) -> Marking<'p> {
        loop {
            let marking = mark::mark(inventory, roots, input.clone());
            if marking.questions.is_empty() {
                return marking;
            }
            let questions = &marking.questions;
            let uses =
                scan::answer(&self.client, inventory, questions, budget, self.observer).await;
            inventory.learn(uses);
        }
    }
}
