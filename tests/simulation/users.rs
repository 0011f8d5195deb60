//! What only some worlds have that uses what pull requests leave, or may: everything
//! that [`crate::rare`] draws of that sort.

use chrono::TimeDelta;
use preview_gc::sandbox::world::WorldResource;
use serde_json::{Value, json};

use crate::ledger::{Binding, Fixture, History, Purpose};
use crate::rare::More;
use crate::scenario::{With, ZONE};
use crate::storage::storage;

impl More<'_, '_> {
    /// Some storage of pull requests, as a world says that something binds it.
    fn bindings(&mut self, may: impl Fn(&str) -> bool) -> (Vec<Value>, Vec<Binding>) {
        let of_pull_request = |kind: &str, purpose| {
            let is_storage = storage(kind).is_some() && may(kind);
            is_storage && matches!(purpose, Purpose::PullRequest(_) | Purpose::Slug(_))
        };
        let found = self.pick(3, of_pull_request);
        let ledger = &self.draw.ledger;
        let bindings = found.iter().enumerate().map(|(at, index)| {
            let one = &ledger.resources[*index];
            json!({"type": one.kind, "name": format!("R{at}"), "target": one.name})
        });
        let binds = found
            .iter()
            .map(|index| ledger.resources[*index].bound_as());
        (bindings.collect(), binds.collect())
    }

    /// A Pages project that binds storage in one of its environments.
    pub fn pages(&mut self) {
        let on_pages = |kind: &str| kind != "workflow";
        let (bindings, binds) = self.bindings(on_pages);
        let environment = if self.draw.random.bool() {
            "preview"
        } else {
            "production"
        };
        let with = With::attributes(json!({"project": "shop", "environment": environment,
            "branch": "main", "bindings": bindings}));
        let age = TimeDelta::days(300);
        let draw = &mut *self.draw;
        draw.add("pages_deployment", "", Purpose::Unmatched, age, with);
        draw.ledger.fixtures.push(Fixture {
            name: "Pages project shop",
            binds,
        });
        self.feature("a Pages project that binds storage");
    }

    /// A Worker of a dispatch namespace that binds storage.
    pub fn tenant(&mut self) {
        let (bindings, binds) = self.bindings(|_| true);
        let attributes = json!({"dispatch_namespace": "tenants", "bindings": bindings});
        self.rare.tenants.push(WorldResource {
            kind: "worker".to_owned(),
            name: "tenant".to_owned(),
            id: None,
            created_at: Some(self.draw.now),
            updated_at: Some(self.draw.now),
            attributes: attributes.as_object().cloned().unwrap_or_default(),
        });
        self.draw.ledger.fixtures.push(Fixture {
            name: "Worker tenant of a dispatch namespace",
            binds,
        });
        self.feature("a dispatch namespace");
    }

    /// The template for new Previews of a Worker that stays.
    pub fn template(&mut self) {
        let (bindings, binds) = self.bindings(|_| true);
        let Some(site) = self.draw.ledger.named("worker", "site") else {
            return;
        };
        self.set(
            site,
            "previews_base_config",
            json!({ "bindings": bindings }),
        );
        self.draw.ledger.fixtures.push(Fixture {
            name: "the template for Previews of site",
            binds,
        });
        self.feature("a template for Previews that binds storage");
    }

    /// Previews that bind storage, of a Worker that stays, and Previews of Workers that
    /// go.
    pub fn previews(&mut self) {
        let (bindings, binds) = self.bindings(|_| true);
        let with = With {
            binds,
            ..With::attributes(json!({"worker": "site", "bindings": bindings}))
        };
        let days = TimeDelta::days(100);
        let draw = &mut *self.draw;
        draw.add("worker_preview", "design", Purpose::Unmatched, days, with);
        let of_pull_request = |kind: &str, purpose| {
            let of = matches!(purpose, Purpose::PullRequest(_) | Purpose::Protected(_));
            kind == "worker" && of
        };
        for worker in self.pick(3, of_pull_request) {
            let of = &self.draw.ledger.resources[worker];
            let (name, mut age) = (of.name.clone(), self.draw.now - of.born);
            let own = self.draw.ledger.about(worker).unwrap_or_default();
            let (called, purpose) = match self.draw.random.u8(..6) {
                0 => ("design".to_owned(), Purpose::Unmatched),
                1 | 2 => {
                    // Some are made long after their Worker.
                    age = age / self.draw.random.i32(1..200);
                    (format!("pr-{own}-fix"), Purpose::OfWorker(worker))
                }
                3 => {
                    let other = self.draw.random.u32(1..=12);
                    (format!("pr-{other}"), Purpose::PullRequest(other))
                }
                _ => (format!("pr-{own}"), Purpose::PullRequest(own)),
            };
            // Whoever protects one by its name protects all of that name.
            let mut all = self.draw.ledger.resources.iter();
            let is_protected = all.any(|one| {
                let protected = matches!(one.purpose, Purpose::Protected(_));
                protected && one.kind == "worker_preview" && one.name == called
            });
            if is_protected {
                continue;
            }
            let with = With::attributes(json!({ "worker": name }));
            let made = self.draw.add("worker_preview", &called, purpose, age, with);
            self.draw.ledger.resources[made].hangs_on = Some(worker);
        }
        self.feature("Previews of Workers that go");
        if self.draw.random.u8(..3) == 0 {
            self.unruled_previews();
        }
    }

    /// Leaves Previews without a rule of their own.
    fn unruled_previews(&mut self) {
        self.rare.unruled = Some("worker_preview");
        let resources = &self.draw.ledger.resources;
        let purposes = resources
            .iter()
            .map(|one| match (one.hangs_on, one.purpose) {
                _ if one.kind != "worker_preview" => one.purpose,
                (Some(worker), Purpose::PullRequest(number)) => {
                    let of = resources[worker].name.rsplit_once('-');
                    let is_own = of.is_some_and(|(_, of)| of == number.to_string());
                    if is_own {
                        Purpose::OfWorker(worker)
                    } else {
                        Purpose::Unmatched
                    }
                }
                (_, Purpose::PullRequest(_) | Purpose::Elsewhere(_)) => Purpose::Unmatched,
                // What no rule reads has no number.
                (_, Purpose::Protected(_)) => Purpose::Protected(0),
                (_, Purpose::Kept(_)) => Purpose::Kept(0),
                (_, Purpose::Shielded(_)) => Purpose::Shielded(0),
                (_, purpose) => purpose,
            });
        let purposes: Vec<Purpose> = purposes.collect();
        let resources = self.draw.ledger.resources.iter_mut();
        for (one, purpose) in resources.zip(purposes) {
            one.purpose = purpose;
        }
        self.feature("Previews without a rule");
    }

    /// Hyperdrive configurations that lead to Neon branches.
    pub fn configurations(&mut self) {
        let is_branch = |kind: &str, purpose| {
            kind == "neon_branch" && matches!(purpose, Purpose::PullRequest(_))
        };
        for branch in self.pick(3, is_branch) {
            let id = self.draw.ledger.resources[branch].id.clone();
            let host = id.replace("br-", "ep-") + ".eu-central-1.aws.neon.tech";
            let own = self.draw.ledger.about(branch);
            let of_the_same = own.and_then(|number| {
                let name = format!("app-pr-{number}-sql");
                self.draw.ledger.named("hyperdrive", &name)
            });
            let leads = of_the_same.unwrap_or_else(|| {
                let name = format!("shop-{id}");
                let days = TimeDelta::days(100);
                let with = With::default();
                self.draw
                    .add("hyperdrive", &name, Purpose::Unmatched, days, with)
            });
            self.set(leads, "host", json!(host));
            let binds = vec![self.draw.ledger.resources[branch].bound_as()];
            let leads = &mut self.draw.ledger.resources[leads];
            leads.binds = History::new(leads.born, binds);
        }
        self.feature("a Hyperdrive configuration of a Neon branch");
    }

    /// Workflows whose code a Worker of the same pull request has, or another one.
    pub fn workflows(&mut self) {
        for workflow in self.pick(6, |kind, _| kind == "workflow") {
            let is_worker = |kind: &str, purpose| {
                kind == "worker" && matches!(purpose, Purpose::PullRequest(_))
            };
            let Some(worker) = self.pick(1, is_worker).pop() else {
                return;
            };
            let own = self.draw.ledger.about(workflow);
            let own = own.and_then(|own| {
                let name = format!("app-pr-{own}");
                self.draw.ledger.named("worker", &name)
            });
            let worker = own
                .filter(|_| self.draw.random.u8(..4) > 0)
                .unwrap_or(worker);
            let script = self.draw.ledger.resources[worker].name.clone();
            self.set(workflow, "script", json!(script));
            self.draw.ledger.resources[workflow].runs_for = Some(worker);
            self.feature("a Workflow of a Worker");
        }
    }

    /// DNS records that lead to Workers by their addresses at the provider.
    pub fn names_of_workers(&mut self) {
        let is_worker =
            |kind: &str, purpose| kind == "worker" && matches!(purpose, Purpose::PullRequest(_));
        for worker in self.pick(3, is_worker) {
            let of = &self.draw.ledger.resources[worker];
            let (name, bound_as) = (of.name.clone(), of.bound_as());
            let with = With {
                binds: vec![bound_as],
                ..With::attributes(json!({"type": "CNAME", "zone": ZONE,
                    "content": format!("{name}.sandbox.workers.dev")}))
            };
            let host = format!("docs-of-{name}.{ZONE}");
            let days = TimeDelta::days(100);
            self.draw
                .add("dns_record", &host, Purpose::Unmatched, days, with);
        }
        self.feature("a DNS record that leads to a Worker");
    }

    /// A queue that no rule is about, whose dead letters go to one of a pull request.
    pub fn letters(&mut self) {
        let is_queue =
            |kind: &str, purpose| kind == "queue" && matches!(purpose, Purpose::PullRequest(_));
        for queue in self.pick(1, is_queue) {
            let bound_as = self.draw.ledger.resources[queue].bound_as();
            let attributes = json!({"consumers": ["site"], "dead_letter_queue": bound_as.1});
            let with = With {
                binds: vec![bound_as],
                ..With::attributes(attributes)
            };
            let days = TimeDelta::days(100);
            let orders = self
                .draw
                .add("queue", "orders", Purpose::Unmatched, days, with);
            self.draw.ledger.resources[orders].consumer = Some("site".to_owned());
            self.feature("dead letters of a queue that stays");
        }
    }

    /// Routes and custom domains that no rule is about, of Workers that go.
    pub fn visitors(&mut self) {
        let is_worker =
            |kind: &str, purpose| kind == "worker" && matches!(purpose, Purpose::PullRequest(_));
        for worker in self.pick(3, is_worker) {
            let of = &self.draw.ledger.resources[worker];
            let (name, age) = (of.name.clone(), self.draw.now - of.born);
            let at = self.draw.ledger.resources.len();
            let serves = Purpose::Serves(worker);
            if self.draw.random.bool() {
                let with = With::attributes(json!({"script": name, "zone": ZONE}));
                let pattern = format!("shop-{at}x.{ZONE}/*");
                self.draw.add("worker_route", &pattern, serves, age, with);
            } else {
                let with = With::attributes(json!({"service": name, "zone": ZONE}));
                let host = format!("shop-{at}x.{ZONE}");
                self.draw.add("worker_domain", &host, serves, age, with);
            }
            self.feature("a host that no rule is about");
        }
    }
}

/// A binding of a type that no program knows, to something with this id or name.
pub fn novelty(key: &str) -> Value {
    json!({"type": "novelty", "name": "NEW", "leads_to": key})
}
