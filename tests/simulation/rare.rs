//! What only some worlds have beside the environments of pull requests: what keeps a
//! resource that is rare, here, and what uses it, in [`crate::users`].
//!
//! It is drawn from numbers of its own, after all else.

use chrono::{SecondsFormat, TimeDelta};
use fastrand::Rng;
use preview_gc::sandbox::world::{WorldPullRequest, WorldPullRequestState, WorldResource};
use serde_json::{Value, json};

use crate::ledger::{History, Ledger, Moment, PullRequest, Purpose, in_seconds};
use crate::scenario::{Action, Draw, REPOSITORY, Terms, Theme, With, head, rule_of, ruled};

/// What was drawn beside resources.
#[derive(Default)]
pub struct Rare {
    /// Resources that `restore` brought back not long ago, by their indices.
    pub brought_back: Vec<usize>,
    /// The names of DNS records that are protected.
    pub protected_hosts: Vec<String>,
    /// A kind that no rule of its own is about.
    pub unruled: Option<&'static str>,
    /// Workers of dispatch namespaces: no resources of the ledger.
    pub tenants: Vec<WorldResource>,
}

/// How slugs are made whose absence is death.
const BRIEF: &str = "[slug.brief]\ncase = \"lower\"\nkeep = \"a-z0-9\"\nreplace = { with = \
                         \"-\" }\n";

/// A world that is drawn further.
pub struct More<'a, 'd> {
    pub draw: &'a mut Draw<'d>,
    pulls: &'a mut Vec<WorldPullRequest>,
    pub rare: Rare,
}

/// Draws what only some worlds have.
pub fn draw(
    random: &mut Rng,
    now: Moment,
    (ledger, resources): (&mut Ledger, &mut Vec<WorldResource>),
    pulls: &mut Vec<WorldPullRequest>,
) -> Rare {
    let mut draw = Draw {
        random,
        theme: Theme::Mixed,
        kinds: Vec::new(),
        now,
        ledger: std::mem::take(ledger),
        resources: std::mem::take(resources),
    };
    let mut more = More {
        draw: &mut draw,
        pulls,
        rare: Rare::default(),
    };
    for part in 0..15 {
        if more.draw.random.u8(..4) > 0 {
            continue;
        }
        match part {
            0 => more.pages(),
            1 => more.tenant(),
            2 => more.template(),
            3 => more.previews(),
            4 => more.configurations(),
            5 => more.workflows(),
            6 => more.names_of_workers(),
            7 => more.shields(),
            8 => more.restored(),
            9 => more.copies(),
            10 => more.managed_records(),
            11 => more.expiries(),
            12 => more.letters(),
            13 => more.visitors(),
            _ => more.forks_that_ended(),
        }
    }
    if more.draw.random.bool() {
        more.briefs();
    }
    let mut rare = more.rare;
    *ledger = draw.ledger;
    *resources = draw.resources;
    resources.append(&mut rare.tenants);
    rare
}

impl More<'_, '_> {
    pub fn feature(&mut self, feature: &'static str) {
        self.draw.ledger.features.insert(feature);
    }

    /// Some resources of a sort, by their indices.
    pub fn pick(&mut self, count: usize, is: impl Fn(&str, Purpose) -> bool) -> Vec<usize> {
        let all = self.draw.ledger.resources.iter().enumerate();
        let all = all.filter(|(_, one)| is(one.kind, one.purpose));
        let mut all: Vec<usize> = all.map(|(index, _)| index).collect();
        self.draw.random.shuffle(&mut all);
        all.truncate(count);
        all
    }

    pub fn set(&mut self, index: usize, key: &str, value: Value) {
        let attributes = &mut self.draw.resources[index].attributes;
        attributes.insert(key.to_owned(), value);
    }

    /// What providers protect, and what they do not tell the times of.
    fn shields(&mut self) {
        let shielded = ["neon_branch", "github_environment", "d1", "dns_record"];
        let may = |kind: &str, purpose| {
            shielded.contains(&kind) && matches!(purpose, Purpose::PullRequest(_))
        };
        for index in self.pick(4, may) {
            let one = &self.draw.ledger.resources[index];
            let Some(number) = self.draw.ledger.about(index).filter(|_| !one.recorded) else {
                continue;
            };
            match one.kind {
                "neon_branch" => self.set(index, "protected", json!(true)),
                "github_environment" => {
                    let rules = json!([{"type": "required_reviewers"}]);
                    self.set(index, "protection_rules", rules);
                }
                _ => {
                    let drawn = &mut self.draw.resources[index];
                    drawn.created_at = None;
                    self.draw.ledger.resources[index].untold = true;
                }
            }
            self.draw.ledger.resources[index].purpose = Purpose::Shielded(number);
            self.feature("something that its provider protects");
        }
    }

    /// What somebody brought back with `restore`.
    fn restored(&mut self) {
        // A name may be used again by something else.
        let with_ids = ["kv_namespace", "d1", "hyperdrive", "dns_record"];
        let may = |kind: &str, purpose| {
            with_ids.contains(&kind) && matches!(purpose, Purpose::PullRequest(_))
        };
        for index in self.pick(3, may) {
            let Some(number) = self.draw.ledger.about(index) else {
                continue;
            };
            self.draw.ledger.resources[index].purpose = Purpose::Shielded(number);
            self.rare.brought_back.push(index);
            self.feature("something that was restored");
        }
    }

    /// Copies of databases, some of which are called like backups.
    fn copies(&mut self) {
        for number in 1..=4 {
            let Some(opened) = self.draw.ledger.opened.get(&number).copied() else {
                continue;
            };
            let age = self.draw.now - opened;
            let is_backup = self.draw.random.bool();
            let (name, purpose) = if is_backup {
                let name = format!("rollback-shop-copy-{number}");
                (name, Purpose::Shielded(number))
            } else {
                (format!("shop-copy-{number}"), Purpose::PullRequest(number))
            };
            self.draw.add("d1", &name, purpose, age, With::default());
        }
        self.feature("names like those of backups");
    }

    /// Custom domains whose DNS record somebody protects.
    fn managed_records(&mut self) {
        let of_worker = |kind: &str, purpose| {
            kind == "worker_domain" && matches!(purpose, Purpose::OfWorker(_))
        };
        for index in self.pick(2, of_worker) {
            let Purpose::OfWorker(worker) = self.draw.ledger.resources[index].purpose else {
                continue;
            };
            let number = self.draw.ledger.about(worker).unwrap_or_default();
            let domain = &mut self.draw.ledger.resources[index];
            domain.purpose = Purpose::Shielded(number);
            domain.hangs_on = Some(worker);
            self.rare.protected_hosts.push(domain.name.clone());
            self.feature("a custom domain whose record is protected");
        }
    }

    /// Neon branches that their owner's tool gave an expiry.
    fn expiries(&mut self) {
        let is_branch = |kind: &str, purpose| {
            kind == "neon_branch" && matches!(purpose, Purpose::PullRequest(_))
        };
        for branch in self.pick(3, is_branch) {
            // Where a child goes by itself, its parent waits for that.
            let resources = &self.draw.ledger.resources;
            let parent = resources[branch].parent;
            let is_child = parent.is_some_and(|parent| resources[parent].name != "main");
            if is_child || resources.iter().any(|one| one.parent == Some(branch)) {
                continue;
            }
            let after = TimeDelta::minutes(self.draw.random.i64(96 * 60..156 * 60));
            let at = in_seconds(self.draw.now + after);
            let text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.set(branch, "expires_at", json!(text));
            let branch = &mut self.draw.ledger.resources[branch];
            branch.expires = Some(at);
            branch.expires_anyway = true;
            self.feature("a branch that expires anyway");
        }
    }

    /// Pull requests from forks that ended.
    fn forks_that_ended(&mut self) {
        for pull in self.pulls.iter_mut() {
            if pull.head_repo.as_deref() == Some(REPOSITORY) || self.draw.random.bool() {
                continue;
            }
            let opened = self.draw.ledger.opened[&pull.number];
            let at = in_seconds(opened + TimeDelta::minutes(self.draw.random.i64(1..60)));
            pull.state = WorldPullRequestState::Closed;
            pull.closed_at = Some(at);
            pull.updated_at = Some(at);
            let state = PullRequest::Closed { at, merged: false };
            let history = History::new(opened, state);
            self.draw.ledger.pull_requests.insert(pull.number, history);
            self.draw
                .ledger
                .features
                .insert("a fork whose pull request ended");
        }
    }

    /// Databases that are named after heads by a tool that the policy describes rightly,
    /// or not. Of these the one that is open keeps its own.
    fn briefs(&mut self) {
        self.draw.ledger.is_told_wrongly = self.draw.random.bool();
        let known: Vec<u32> = self.draw.ledger.opened_with_head().collect();
        for number in known {
            if self.draw.random.u8(..3) == 0 {
                continue;
            }
            let wrongly = self.draw.ledger.is_told_wrongly || self.draw.random.u8(..4) == 0;
            let (name, purpose) = if wrongly {
                (format!("db-f{number}"), Purpose::Mistold(number))
            } else {
                (
                    format!("db-{}", head(number).to_lowercase().replace('/', "-")),
                    Purpose::Slug(number),
                )
            };
            let age = self.draw.now - self.draw.ledger.opened[&number];
            self.draw.add("d1", &name, purpose, age, With::default());
        }
        self.feature("slugs whose absence is death");
    }
}

/// Rules about names that only some worlds have, and rules beside others that match the
/// same and ask for less: what two rules match differently is kept.
pub fn more_rules(random: &mut Rng, rare: &Rare, terms: &[(&'static str, Terms)]) -> String {
    let of = |rule: &str| {
        terms
            .iter()
            .find(|(of, _)| *of == rule)
            .map(|(_, one)| *one)
    };
    let mut text = BRIEF.to_owned();
    let mut write = |id: &str, kind: &str, line: &str, event: &str, terms: Terms| {
        text += &rule_of(id, kind, line, event, terms);
    };
    if let Some(terms) = of("slugs") {
        let line = "name = \"db-{slug:brief}\"\nmissing = \"dead\"";
        write("briefs", "d1", line, "branch-gone", terms);
    }
    if let Some(terms) = of("d1") {
        let event = if terms.merged_only {
            "merged"
        } else {
            "closed"
        };
        let line = "name = \"{any}-copy-{pr}\"";
        write("copies", "d1", line, event, terms);
    }
    for (kind, name) in ruled() {
        let deletes = of(kind).is_some_and(|terms| terms.action == Action::Delete);
        let is_ruled = rare.unruled != Some(kind);
        if !is_ruled || !deletes || kind == "dns_record" || random.u8(..4) > 0 {
            continue;
        }
        let terms = Terms {
            merged_only: false,
            grace: TimeDelta::zero(),
            action: Action::Delete,
        };
        let line = format!("name = {name}");
        write(&format!("also-{kind}"), kind, &line, "closed", terms);
    }
    text
}
