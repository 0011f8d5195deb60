//! What others do meanwhile: people with pull requests, deployments, hands that
//! delete, and whoever else spends the same quota.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{SecondsFormat, SubsecRound as _};
use fastrand::Rng;
use http::{Method, StatusCode};
use preview_gc::boxes::{self, MARKER};
use preview_gc::gc::box_key;
use preview_gc::model::Place;
use serde_json::{Value, json};

use crate::ledger::{Binding, History, Ledger, Moment, PullRequest, Purpose, Resource, in_seconds};
use crate::network::Network;
use crate::scenario::{KEEP_LABEL, KEEP_MARK, PASSING, REPOSITORY, Theme, ZONE, has_times, new_id};
use crate::storage::{is_addressed_by_name, is_known_by_name, storage};
use crate::users::novelty;

/// Changes the world now and then until everybody else is done.
pub async fn meddle(network: &Arc<Network>, done: &AtomicBool) {
    let Some(every) = network.scenario.change_every else {
        return;
    };
    let maximum = u64::try_from(every.as_millis()).unwrap_or(1) * 2;
    let mut marking = Rng::with_seed(network.scenario.changes as u64);
    for _ in 0..network.scenario.changes {
        let wait = network.state().random.u64(1..=maximum);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if done.load(Ordering::Relaxed) {
            return;
        }
        change(network).await;
        if network.scenario.marks && marking.u8(..6) == 0 {
            if marking.bool() {
                label(network, &mut marking).await;
            } else {
                mark(network, &mut marking).await;
            }
        }
    }
}

/// Gives a pull request the label that keeps, or takes it away.
async fn label(network: &Network, random: &mut Rng) {
    let own: Vec<u32> = network.state().ledger.opened_with_head().collect();
    let Some(number) = random.choice(own) else {
        return;
    };
    let history = network.state().ledger.labelled.get(&number).cloned();
    let labelled = !history.is_some_and(|history| *history.last());
    let labels = if labelled { vec![KEEP_LABEL] } else { vec![] };
    let target = format!("/_sandbox/pull_requests/{number}");
    let body = json!({"labels": labels});
    let (status, answer) = network.ask(Method::POST, &target, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    network.note(&format!("others: #{number} has the keep label: {labelled}"));
    let now = network.now();
    let ledger = &mut network.state().ledger;
    ledger.features.insert("a pull request with a keep label");
    let opened = ledger.opened[&number];
    let history = ledger.labelled.entry(number);
    let history = history.or_insert_with(|| History::new(opened, false));
    history.set(now, labelled);
}

/// Marks a DNS record as one to keep.
async fn mark(network: &Network, random: &mut Rng) {
    let records: Vec<(usize, String)> = {
        let state = network.state();
        let there = state.ledger.there();
        let records = there.filter(|(_, one)| one.kind == "dns_record");
        records
            .map(|(index, one)| (index, one.id.clone()))
            .collect()
    };
    let Some((index, id)) = random.choice(records) else {
        return;
    };
    let zone = variable(network, "CLOUDFLARE_ZONE_ID");
    let path = format!("/zones/{zone}/dns_records/{id}");
    let change = json!({"comment": KEEP_MARK});
    if cloudflare(network, Method::PATCH, &path, &change)
        .await
        .is_none()
    {
        return;
    }
    let now = network.now().trunc_subsecs(6);
    let ledger = &mut network.state().ledger;
    ledger.features.insert("a resource with a keep mark");
    let record = &mut ledger.resources[index];
    record.changed.set(now, Some(now));
    record.marked.set(now, true);
}

/// Where the resources of a kind are.
pub fn place_of(network: &Network, kind: &str) -> Place {
    match kind {
        "dns_record" | "worker_route" => Place::Zone {
            id: variable(network, "CLOUDFLARE_ZONE_ID"),
            name: ZONE.to_owned(),
            account: account(network),
        },
        "neon_branch" => Place::Project(variable(network, "NEON_PROJECT_ID")),
        "github_environment" => Place::Repository(REPOSITORY.to_owned()),
        _ => Place::Account(account(network)),
    }
}

/// Checks the boxes of what people want to keep, in a tracking issue as the
/// program writes it.
pub async fn check_boxes(network: &Network) {
    let kept: Vec<Resource> = {
        let state = network.state();
        let kept = state.ledger.there().map(|(_, one)| one);
        let kept = kept.filter(|one| matches!(one.purpose, Purpose::Kept(_)));
        kept.cloned().collect()
    };
    let mut text = format!("{MARKER}\n");
    for one in &kept {
        let place = place_of(network, one.kind);
        let (id, incarnation) = if is_addressed_by_name(one.kind) {
            (&one.name, Some(&*one.id))
        } else {
            (&one.id, None)
        };
        let key = box_key::of_parts(one.kind, &place, id, incarnation);
        text += &boxes::keep_box(&one.name, &key, "");
    }
    let body = json!({"title": "Left \
        behind", "body": text, "labels": ["infrastructure", "cleanup-needed"]});
    let target = format!("/github/repos/{REPOSITORY}/issues");
    let (status, answer) = network.ask(Method::POST, &target, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

/// Deploys some of the Workers that no rule is about with a binding of a type that
/// nobody knows, to storage of a pull request.
pub async fn bind_novelties(network: &Network) {
    let mut random = Rng::with_seed(network.scenario.changes as u64);
    if random.u8(..4) > 0 {
        return;
    }
    let (workers, targets) = {
        let state = network.state();
        let there: Vec<(usize, Resource)> = {
            let there = state.ledger.there();
            there.map(|(index, one)| (index, one.clone())).collect()
        };
        let is_strange = |one: &Resource| one.kind == "worker" && one.purpose == Purpose::Unmatched;
        let is_target = |one: &Resource| {
            // A name has parts that may be those of something else.
            let by_id = storage(one.kind).is_some_and(|one| !one.bound_by_name);
            by_id && matches!(one.purpose, Purpose::PullRequest(_))
        };
        let of = |is: &dyn Fn(&Resource) -> bool| {
            let found = there.iter().filter(|(_, one)| is(one));
            found.cloned().collect::<Vec<_>>()
        };
        (of(&is_strange), of(&is_target))
    };
    let workers = workers.iter().filter(|(_, one)| one.name != "site");
    for (index, worker) in workers {
        let Some((_, target)) = random.choice(&targets) else {
            return;
        };
        let bound_as = target.bound_as();
        let mut body = uploaded(worker.binds.last());
        if let Some(bindings) = body["bindings"].as_array_mut() {
            bindings.push(novelty(&bound_as.1));
        }
        let path = format!(
            "/accounts/{}/workers/scripts/{}",
            account(network),
            worker.name
        );
        if cloudflare(network, Method::PUT, &path, &body)
            .await
            .is_none()
        {
            continue;
        }
        let now = network.now().trunc_subsecs(6);
        let ledger = &mut network.state().ledger;
        ledger
            .features
            .insert("a binding of a type that nobody knows");
        let worker = &mut ledger.resources[*index];
        let mut binds = worker.binds.last().clone();
        binds.push(bound_as);
        worker.deployed.clone_from(&binds);
        worker.latest.clone_from(&binds);
        worker.changed.set(now, Some(now));
        worker.binds.set(now, binds);
    }
}

/// One change of the world.
pub async fn change(network: &Arc<Network>) {
    let (sort, to_the_theme) = {
        let random = &mut network.state().random;
        (random.u8(..21), random.bool())
    };
    match network.scenario.theme {
        Theme::Pointers if to_the_theme => return point_elsewhere(network).await,
        Theme::Expiries | Theme::Slugs if to_the_theme => return pull_request(network).await,
        Theme::Queues if to_the_theme => return upload_version(network).await,
        _ => {}
    }
    match sort {
        0..4 => pull_request(network).await,
        4..7 => redeploy(network).await,
        7..9 => delete(network).await,
        9..11 => make_anew(network).await,
        11..13 => make(network).await,
        13 => edit_record(network).await,
        14 => branch_off(network).await,
        15 => make_passing(network).await,
        16..18 => upload_version(network).await,
        18..20 => point_elsewhere(network).await,
        _ => spend(network).await,
    }
}

/// One of the resources that pass, if there is any.
fn pick(
    network: &Network,
    passes: impl Fn(&Ledger, &Resource) -> bool,
) -> Option<(usize, Resource)> {
    let mut state = network.state();
    let ledger = &state.ledger;
    let there = ledger.there().filter(|(_, one)| passes(ledger, one));
    let found: Vec<usize> = there.map(|(index, _)| index).collect();
    if found.is_empty() {
        return None;
    }
    let index = found[state.random.usize(..found.len())];
    Some((index, state.ledger.resources[index].clone()))
}

/// The same, with a liking for what a run that goes on is about to delete.
fn pick_in_danger(
    network: &Network,
    passes: impl Fn(&Ledger, &Resource) -> bool,
) -> Option<(usize, Resource)> {
    let planned: BTreeSet<(&str, String)> = {
        let mut state = network.state();
        if state.random.bool() {
            drop(state);
            return pick(network, passes);
        }
        let plans = state.runs.iter().filter_map(|run| run.plan.as_ref());
        let resources = plans.flatten().map(|step| step.resource);
        let key = |one: &Resource| (one.kind, one.id.clone());
        resources
            .map(|index| key(&state.ledger.resources[index]))
            .collect()
    };
    pick(network, |ledger, one| {
        passes(ledger, one) && planned.contains(&(one.kind, one.id.clone()))
    })
}

async fn pull_request(network: &Network) {
    let (number, open) = {
        let mut state = network.state();
        let known = state.ledger.pull_requests.len();
        let at = state.random.usize(..=known);
        // Some live again whose branch is about to expire.
        let expiring = state.ledger.there().find(|(_, one)| one.expires.is_some());
        let expiring = expiring.and_then(|(index, _)| state.ledger.about(index));
        let revives = state.random.u8(..3) == 0;
        let found = state.ledger.pull_requests.iter();
        let mut found = found.filter(|(number, _)| revives && Some(**number) == expiring);
        let found = found.next();
        match found.or_else(|| state.ledger.pull_requests.iter().nth(at)) {
            Some((number, history)) => (*number, *history.last() != PullRequest::Open),
            None => (u32::try_from(known).unwrap_or_default() + 20, true),
        }
    };
    let merged = !open && network.state().random.bool();
    let change = json!({"state": if open { "open" } else { "closed" }, "merged": merged});
    let path = format!("/_sandbox/pull_requests/{number}");
    let (status, _) = network.ask(Method::POST, &path, &change).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "the control endpoint changes a pull request"
    );
    let now = network.now();
    let state = if open {
        PullRequest::Open
    } else {
        PullRequest::Closed {
            at: in_seconds(now),
            merged,
        }
    };
    network.note(&format!("others: pull request #{number} is {state:?}"));
    let mut all = network.state();
    match all.ledger.pull_requests.get_mut(&number) {
        Some(history) => history.set(now, state),
        None => {
            all.ledger.opened.insert(number, now);
            let history = History::new(now, state);
            all.ledger.pull_requests.insert(number, history);
        }
    }
}

/// A request of others to Cloudflare; what it is answered, if it is accepted.
async fn cloudflare(network: &Network, method: Method, path: &str, body: &Value) -> Option<Value> {
    let now = network.now();
    network.state().ledger.others.push(now);
    let target = format!("/client/v4{path}");
    let (status, body) = network.ask(method, &target, body).await;
    status.is_success().then_some(body)
}

fn account(network: &Network) -> String {
    variable(network, "CLOUDFLARE_ACCOUNT_ID")
}

/// One of the variables that point a client at the stand-in.
pub fn variable(network: &Network, name: &str) -> String {
    let all = network.sandbox.environment("http://127.0.0.1");
    let found = all.into_iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// Some of the storage that there is, as a Worker binds it, with a liking for
/// what is about to go.
fn some_bindings(network: &Network) -> Vec<Binding> {
    let mut bindings = Vec::new();
    for _ in 0..2 {
        let any = network.state().random.u8(..3) == 0;
        let dead = |ledger: &Ledger, one: &Resource| match one.purpose {
            Purpose::PullRequest(number) => {
                let state = ledger.pull_requests.get(&number);
                state.is_some_and(|state| *state.last() != PullRequest::Open)
            }
            _ => false,
        };
        let storage = pick(network, |ledger, one| {
            storage(one.kind).is_some() && (any || dead(ledger, one))
        });
        bindings.extend(storage.map(|(_, one)| one.bound_as()));
    }
    bindings.dedup();
    bindings
}

fn uploaded(bindings: &[Binding]) -> Value {
    let drawn = bindings.iter().enumerate().map(|(index, (kind, key))| {
        let (sort, field) = storage(kind).map_or(("service", "service"), |one| one.binding);
        json!({"type": sort, "name": format!("B{index}"), field: key})
    });
    json!({"main_module": "worker.js", "bindings": drawn.collect::<Vec<_>>()})
}

/// Deploys a Worker as wrangler does; gives its tag.
async fn upload(network: &Network, name: &str, bindings: &[Binding]) -> Option<String> {
    let path = format!("/accounts/{}/workers/scripts/{name}", account(network));
    let answer = cloudflare(network, Method::PUT, &path, &uploaded(bindings)).await?;
    answer["result"]["tag"].as_str().map(str::to_owned)
}

async fn redeploy(network: &Network) {
    let Some((index, worker)) = pick_in_danger(network, |_, one| one.kind == "worker") else {
        return;
    };
    let bindings = if network.state().random.bool() {
        some_bindings(network)
    } else {
        worker.binds.last().clone()
    };
    // What it binds may be gone: then the provider refuses.
    if upload(network, &worker.name, &bindings).await.is_none() {
        return;
    }
    network.note(&format!(
        "others: redeploy {} with {bindings:?}",
        worker.name
    ));
    let now = network.now().trunc_subsecs(6);
    let resource = &mut network.state().ledger.resources[index];
    resource.changed.set(now, Some(now));
    resource.deployed.clone_from(&bindings);
    resource.latest.clone_from(&bindings);
    resource.binds.set(now, bindings);
}

/// Uploads a version of a Worker without deploying it: what is deployed goes on
/// serving, with what it binds.
async fn upload_version(network: &Network) {
    let Some((index, worker)) = pick_in_danger(network, |_, one| one.kind == "worker") else {
        return;
    };
    let bindings = some_bindings(network);
    let (account, name) = (account(network), &worker.name);
    let path = format!("/accounts/{account}/workers/scripts/{name}/versions");
    let body = uploaded(&bindings);
    if cloudflare(network, Method::POST, &path, &body)
        .await
        .is_none()
    {
        return;
    }
    network.note(&format!(
        "others: upload a version of {name} with {bindings:?}"
    ));
    let now = network.now().trunc_subsecs(6);
    let ledger = &mut network.state().ledger;
    let resource = &mut ledger.resources[index];
    let mut all = resource.deployed.clone();
    if all.iter().any(|one| !bindings.contains(one)) {
        ledger
            .features
            .insert("a version that serves and is not the latest");
    }
    resource.latest.clone_from(&bindings);
    all.extend(bindings);
    resource.changed.set(now, Some(now));
    resource.binds.set(now, all);
}

/// Points a custom domain or a route at another Worker.
async fn point_elsewhere(network: &Network) {
    let of_worker =
        |_: &Ledger, one: &Resource| ["worker_domain", "worker_route"].contains(&one.kind);
    let Some((index, pointer)) = pick_in_danger(network, of_worker) else {
        return;
    };
    let (Purpose::OfWorker(at) | Purpose::Serves(at)) = pointer.purpose else {
        return;
    };
    let now_at = network.state().ledger.resources[at].name.clone();
    let other = |_: &Ledger, one: &Resource| one.kind == "worker" && one.name != now_at;
    // Some go to another Worker of the same pull request.
    let akin = network.state().random.bool() || network.scenario.theme == Theme::Pointers;
    let about = network.state().ledger.about(at);
    let of_the_same = |ledger: &Ledger, one: &Resource| {
        let index = ledger.named("worker", &one.name);
        other(ledger, one) && about.is_some() && index.and_then(|at| ledger.about(at)) == about
    };
    let kin = pick(network, of_the_same).filter(|_| akin);
    let Some((other, worker)) = kin.or_else(|| pick(network, other)) else {
        return;
    };
    let (account, zone) = (account(network), variable(network, "CLOUDFLARE_ZONE_ID"));
    let accepted = if pointer.kind == "worker_domain" {
        let body = json!({"hostname": pointer.name, "service": worker.name,
            "environment": "production", "zone_id": zone});
        let path = format!("/accounts/{account}/workers/domains");
        cloudflare(network, Method::PUT, &path, &body).await
    } else {
        let path = format!("/zones/{zone}/workers/routes/{}", pointer.id);
        let body = json!({"pattern": pointer.name, "script": worker.name});
        cloudflare(network, Method::PUT, &path, &body).await
    };
    if accepted.is_none() {
        return;
    }
    network.note(&format!(
        "others: point {} at {}",
        pointer.name, worker.name
    ));
    let now = network.now();
    let ledger = &mut network.state().ledger;
    ledger.features.insert(if pointer.kind == "worker_domain" {
        "a domain that is pointed elsewhere"
    } else {
        "a route that is pointed elsewhere"
    });
    // Its name says one number, another, or none.
    let number = pointer.name.split(['-', '.']).nth(1);
    let number = number.and_then(|number| number.parse().ok());
    // The number alone could be that of anything: the word before it has to be one
    // of the Worker's name.
    let same_word =
        ledger.resources[other].name.starts_with("app-") || pointer.name.starts_with("pr-");
    let alike = same_word && number.is_some() && ledger.about(other) == number;
    let resource = &mut ledger.resources[index];
    resource.purpose = if alike {
        Purpose::OfWorker(other)
    } else {
        Purpose::Serves(other)
    };
    resource.moved = Some(now);
    resource.pointed.push((now, now_at));
}

/// Deletes something as its owner would; whether that was accepted.
pub async fn delete_one(network: &Network, index: usize, resource: &Resource) -> bool {
    let account = account(network);
    let id = &resource.id;
    let github = match resource.kind {
        "github_environment" => Some("environments"),
        "github_deployment" => Some("deployments"),
        _ => None,
    };
    let accepted = if let Some(list) = github {
        let target = format!("/github/repos/{REPOSITORY}/{list}/{id}");
        let (status, _) = network.ask(Method::DELETE, &target, &Value::Null).await;
        status == StatusCode::NO_CONTENT
    } else if resource.kind == "neon_branch" {
        let project = variable(network, "NEON_PROJECT_ID");
        let target = format!("/api/v2/projects/{project}/branches/{id}");
        network.ask(Method::DELETE, &target, &Value::Null).await.0 == StatusCode::OK
    } else {
        let path = match resource.kind {
            "worker" => format!("/accounts/{account}/workers/scripts/{}", resource.name),
            "access_application" => format!("/accounts/{account}/access/apps/{id}"),
            "tunnel" => format!("/accounts/{account}/cfd_tunnel/{id}"),
            "container_application" => {
                format!("/accounts/{account}/containers/applications/{id}")
            }
            "worker_domain" => format!("/accounts/{account}/workers/domains/{id}"),
            "worker_preview" => {
                let worker = {
                    let resources = &network.state().ledger.resources;
                    let of_worker = match resource.purpose {
                        Purpose::OfWorker(worker) => Some(worker),
                        _ => resource.hangs_on,
                    };
                    of_worker.map_or("site".to_owned(), |worker| resources[worker].name.clone())
                };
                format!("/accounts/{account}/workers/workers/{worker}/previews/{id}")
            }
            "pages_deployment" => {
                format!("/accounts/{account}/pages/projects/docs/deployments/{id}")
            }
            "worker_route" => {
                let zone = variable(network, "CLOUDFLARE_ZONE_ID");
                format!("/zones/{zone}/workers/routes/{id}")
            }
            "dns_record" => {
                let zone = variable(network, "CLOUDFLARE_ZONE_ID");
                format!("/zones/{zone}/dns_records/{id}")
            }
            kind => match storage(kind) {
                Some(one) if is_addressed_by_name(kind) => {
                    format!("/accounts/{account}{}/{}", one.path, resource.name)
                }
                Some(one) => format!("/accounts/{account}{}/{id}", one.path),
                None => panic!("how do people delete a {kind}?"),
            },
        };
        cloudflare(network, Method::DELETE, &path, &Value::Null)
            .await
            .is_some()
    };
    if accepted {
        network.note(&format!(
            "others: delete {} {}",
            resource.kind, resource.name
        ));
        let now = network.now();
        network.state().ledger.remove(index, now, None);
    }
    accepted
}

async fn delete(network: &Network) {
    if let Some((index, resource)) = pick(network, |_, one| !["main", "site"].contains(&&*one.name))
    {
        delete_one(network, index, &resource).await;
    }
}

/// Deletes something and makes it again under the same name.
async fn make_anew(network: &Network) {
    // These belong to something else, or have no name of their own.
    let never = [
        "access_application",
        "container_application",
        "tunnel",
        "worker_domain",
        "worker_route",
        "worker_preview",
        "queue",
        "pages_deployment",
        "github_deployment",
    ];
    let again = |_: &Ledger, one: &Resource| {
        !never.contains(&one.kind)
            && !["main", "site"].contains(&&*one.name)
            && !one.recorded
            // A box is about one incarnation.
            && !matches!(one.purpose, Purpose::Kept(_) | Purpose::Shielded(_))
    };
    let Some((index, resource)) = pick_in_danger(network, again) else {
        return;
    };
    if delete_one(network, index, &resource).await {
        add(
            network,
            resource.kind,
            &resource.name,
            resource.purpose,
            resource.parent,
        )
        .await;
    }
}

/// Makes something that a pull request's environment lacks.
async fn make(network: &Network) {
    let (number, kind) = {
        let mut state = network.state();
        let known: Vec<u32> = state.ledger.pull_requests.keys().copied().collect();
        if known.is_empty() {
            return;
        }
        let number = known[state.random.usize(..known.len())];
        (
            number,
            ["worker", "kv_namespace", "dns_record"][state.random.usize(..3)],
        )
    };
    let name = match kind {
        "worker" => format!("app-pr-{number}"),
        "kv_namespace" => format!("app-pr-{number}-cache"),
        _ => format!("{number}.{ZONE}"),
    };
    let (taken, protected) = {
        let state = network.state();
        let mut same = state
            .ledger
            .resources
            .iter()
            .filter(|one| one.kind == kind && one.name == name);
        let protected = same
            .clone()
            .any(|one| matches!(one.purpose, Purpose::Protected(_)));
        (same.any(Resource::is_there), protected)
    };
    if !taken {
        let purpose = if protected {
            Purpose::Protected(number)
        } else {
            Purpose::PullRequest(number)
        };
        add(network, kind, &name, purpose, None).await;
    }
}

/// Makes something for a while.
async fn make_passing(network: &Network) {
    let (kind, name) = {
        let mut state = network.state();
        let (kind, template) = PASSING[state.random.usize(..PASSING.len())];
        let word = ["a", "b", "c", "d"][state.random.usize(..4)];
        (kind, template.replace("{any:a-z}", word))
    };
    let named = |kind: &str, name: &str| network.state().ledger.named(kind, name);
    if named(kind, &name).is_none() {
        let main = named(kind, "main");
        add(network, kind, &name, Purpose::Passing, main).await;
    }
}

/// Adds a resource that is made now.
async fn add(
    network: &Network,
    kind: &'static str,
    name: &str,
    purpose: Purpose,
    parent: Option<usize>,
) {
    let now = network.now();
    let made = in_seconds(now);
    let mut resource = Resource {
        kind,
        name: name.to_owned(),
        id: new_id(&mut network.state().random, kind),
        purpose,
        born: now,
        gone: None,
        deleted_by: None,
        unseen: false,
        unbound: None,
        changed: History::new(now, has_times(kind).then_some(made)),
        binds: History::new(now, Vec::new()),
        deployed: Vec::new(),
        latest: Vec::new(),
        recorded: false,
        parent,
        expires: None,
        expires_anyway: false,
        consumer: None,
        runs_for: None,
        hangs_on: None,
        untold: false,
        moved: None,
        pointed: Vec::new(),
        marked: History::new(now, false),
    };
    if is_known_by_name(kind) {
        name.clone_into(&mut resource.id);
    }
    if kind == "dns_record" {
        let state = network.state();
        let number = name.split('.').next().unwrap_or_default();
        let guard = state
            .ledger
            .named("access_application", &format!("guard-{number}"));
        let guard = guard.map(|index| state.ledger.resources[index].bound_as());
        resource.binds = History::new(now, guard.into_iter().collect());
    }
    if kind == "worker" {
        let Some(tag) = upload(network, name, &[]).await else {
            return;
        };
        let made = now.trunc_subsecs(6);
        resource.changed = History::new(now, Some(made));
        resource.id = tag;
    } else {
        let attributes = match (kind, parent) {
            ("dns_record", _) => {
                json!({"type": "CNAME", "content": "web.example.com", "zone": ZONE})
            }
            (_, Some(parent)) => json!({"parent": network.state().ledger.resources[parent].name}),
            _ => json!({}),
        };
        let time = made.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut body = json!({"kind": kind, "name": name, "id": resource.id, "created_at": time,
            "updated_at": time, "attributes": attributes});
        if kind == "github_environment" {
            body["id"] = Value::Null;
        }
        let (status, answer) = network
            .ask(Method::POST, "/_sandbox/resources", &body)
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    network.note(&format!("others: make {kind} {name} ({})", resource.id));
    let ledger = &mut network.state().ledger;
    let index = ledger.resources.len();
    if ["worker", "github_environment"].contains(&kind) {
        // Routes name their Worker: they serve the new one. So do deployments.
        let old: Vec<usize> = (0..index)
            .filter(|old| {
                let old = &ledger.resources[*old];
                old.kind == kind && old.name == name
            })
            .collect();
        for one in ledger.resources.iter_mut().filter(|one| one.is_there()) {
            match &mut one.purpose {
                Purpose::OfWorker(of) | Purpose::Serves(of) if old.contains(of) => *of = index,
                _ => {}
            }
            // So do Workflows.
            if one.kind == "workflow" && one.runs_for.is_some_and(|of| old.contains(&of)) {
                one.runs_for = Some(index);
            }
        }
    }
    ledger.resources.push(resource);
}

async fn edit_record(network: &Network) {
    let Some((index, record)) = pick(network, |_, one| one.kind == "dns_record") else {
        return;
    };
    let zone = variable(network, "CLOUDFLARE_ZONE_ID");
    let path = format!("/zones/{zone}/dns_records/{}", record.id);
    let change = json!({"comment": "looked at"});
    if cloudflare(network, Method::PATCH, &path, &change)
        .await
        .is_some()
    {
        network.note(&format!("others: edit {}", record.name));
        let now = network.now().trunc_subsecs(6);
        let record = &mut network.state().ledger.resources[index];
        record.changed.set(now, Some(now));
        // The new comment takes the place of a mark.
        record.marked.set(now, false);
    }
}

/// Gives a Neon branch a child that no rule is about.
async fn branch_off(network: &Network) {
    // Neon gives no children to a branch that expires.
    let may = |_: &Ledger, one: &Resource| one.kind == "neon_branch" && one.expires.is_none();
    let Some((index, parent)) = pick(network, may) else {
        return;
    };
    let name = format!("try-{}", network.now().timestamp_millis());
    network.note(&format!("others: branch {name} off {}", parent.name));
    add(
        network,
        "neon_branch",
        &name,
        Purpose::Unmatched,
        Some(index),
    )
    .await;
}

/// Spends Cloudflare's quota, as deployments do.
async fn spend(network: &Network) {
    let count = network.state().random.usize(1..40);
    network.note(&format!("others: {count} requests to Cloudflare"));
    let path = format!("/accounts/{}", account(network));
    for _ in 0..count {
        cloudflare(network, Method::GET, &path, &Value::Null).await;
    }
}

/// Neon removes what has expired, children first. Says whether it removed anything.
pub async fn expire(network: &Network) -> bool {
    let mut expired = false;
    loop {
        let soonest = {
            let state = network.state();
            let expiries = state.ledger.there().filter_map(|(_, one)| one.expires);
            expiries.min()
        };
        // None comes while a run goes on.
        if let Some(left) = soonest.and_then(|at| (at - network.now()).to_std().ok())
            && left < Duration::from_hours(2)
        {
            tokio::time::sleep(left + Duration::from_secs(1)).await;
        }
        let now = network.now();
        let is_over = |at: Moment| at <= now;
        let over = pick(network, |ledger, one| {
            let mut children = ledger.there().filter_map(|(_, child)| child.parent);
            one.expires.is_some_and(is_over)
                && !children.any(|parent| ledger.resources[parent].id == one.id)
        });
        let Some((index, branch)) = over else {
            return expired;
        };
        let project = variable(network, "NEON_PROJECT_ID");
        let target = format!("/api/v2/projects/{project}/branches/{}", branch.id);
        let (status, _) = network.ask(Method::GET, &target, &Value::Null).await;
        if status == StatusCode::NOT_FOUND {
            network.state().ledger.remove(index, now, None);
            expired = true;
        } else {
            // Neon carries an expiry out by its own clock.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
