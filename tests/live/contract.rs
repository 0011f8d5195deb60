//! The contract of a kind: what is made is listed, inspected, read and deleted as
//! the kind says, and what is not there is answered as such.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use preview_gc::call::Call;
use preview_gc::kind::{Kind, NextPage, PageOf};
use preview_gc::model::{Api, Attribute, Place, Resource, ResourceId};
use preview_gc::providers;
use preview_gc::wire::{Client, Outgoing};
use serde_json::{Value, json};

use super::recipes::{Recipe, recipes, upload};
use super::scope::Scope;

/// The most requests of a run.
const REQUESTS: usize = 200;

/// How often a listing is read again until it shows a change.
const LAG: usize = 5;

pub(crate) type Checked<T> = Result<T, String>;

/// One run of the suite.
pub(crate) struct Suite<'s> {
    scope: &'s Scope,
    pub(crate) client: Client,
    sent: usize,
    journal: (PathBuf, File),
    /// What was or may have been made, in this order.
    made: Vec<(&'static dyn Kind, Option<String>, ResourceId)>,
    pub(crate) answers: BTreeMap<String, Value>,
}

/// An answer, whatever its status.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The status with the provider's codes.
    pub(crate) fn summary(&self) -> Value {
        let body = self.json();
        let codes: Vec<_> = body["errors"].as_array().into_iter().flatten().collect();
        let codes: Vec<_> = codes.iter().map(|error| &error["code"]).collect();
        json!({"status": self.status, "codes": codes, "message": body["message"]})
    }

    /// Whether it answers a question about something that was deleted.
    fn is_of_something_gone(&self, kind: &dyn Kind) -> bool {
        self.status == 404 || kind.was_deleted(&self.body)
    }

    pub(crate) fn succeeded(&self, what: &str) -> Checked<()> {
        let said = String::from_utf8_lossy(&self.body);
        let said: String = said.chars().take(300).collect();
        (200..300)
            .contains(&self.status)
            .then_some(())
            .ok_or_else(|| format!("{what}: {} {said}", self.status))
    }
}

impl<'s> Suite<'s> {
    pub(crate) fn new(scope: &'s Scope) -> Self {
        let path = std::env::temp_dir().join(format!("{}.jsonl", scope.prefix()));
        let file = File::create_new(&path).expect("the journal can be written");
        Self {
            scope,
            client: scope.client(),
            sent: 0,
            journal: (path, file),
            made: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent
    }

    pub(crate) fn journal(&self) -> &Path {
        &self.journal.0
    }

    pub(crate) fn answers(self) -> BTreeMap<String, Value> {
        self.answers
    }

    /// Every kind that the scope has a place for; returns what was wrong.
    pub(crate) async fn every_kind(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let recipes = match self.zone_name().await {
            Ok(domain) => recipes(self.scope, &domain),
            Err(why) => return vec![format!("the zone: {why}")],
        };
        for recipe in recipes {
            let kind = recipe.kind;
            if let Err(why) = self.contract(recipe).await {
                wrong.push(format!("{kind}: {why}"));
            }
        }
        if let Err(why) = self.questions().await {
            wrong.push(format!("questions: {why}"));
        }
        wrong
    }

    /// The domain name of the zone; empty without one.
    async fn zone_name(&mut self) -> Checked<String> {
        let Some(zone) = self.scope.zone.clone() else {
            return Ok(String::new());
        };
        let got = self
            .send(&Call::get(Api::Cloudflare, &["zones", zone.id()]))
            .await?;
        got.succeeded("its name")?;
        let name = got.json()["result"]["name"].as_str().map(str::to_owned);
        name.ok_or_else(|| "it has no name".to_owned())
    }

    /// Sends a request, unless the run has sent too many.
    pub(crate) async fn send(&mut self, call: &Call) -> Checked<Got> {
        self.sent += 1;
        if self.sent > REQUESTS {
            return Err(format!("a run sends at most {REQUESTS} requests"));
        }
        let answer = self.client.exchange(&Outgoing::from(call)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let names = answer
            .headers()
            .keys()
            .filter(|name| name.as_str().contains("ratelimit"));
        let names: Vec<_> = names.map(|name| json!(name.as_str())).collect();
        self.answers.insert(
            format!("{}.ratelimit_headers", call.api.key()),
            json!(names),
        );
        Ok(Got {
            status: answer.status().as_u16(),
            body: answer.into_body(),
        })
    }

    fn note(&mut self, entry: &Value) {
        writeln!(self.journal.1, "{entry}").expect("the journal can be written");
        self.journal
            .1
            .sync_all()
            .expect("the journal can be synced");
    }

    async fn contract(&mut self, recipe: Recipe) -> Checked<()> {
        let kind = providers::by_name(recipe.kind).expect("a kind of ours");
        let name = recipe.kind;
        self.note(
            &json!({"intent": name, "place": recipe.place.id(), "prefix": self.scope.prefix()}),
        );
        let made = self.send(&recipe.call).await?;
        self.answers.insert(format!("{name}.make"), made.summary());
        made.succeeded("could not be made")?;
        let holder = recipe.holder.as_deref();
        let found = self.find(kind, &recipe.place, holder, true).await?;
        let Some(resource) = found else {
            return Err("what was made is not in the listing".to_owned());
        };
        let id = resource.identity();
        self.note(&json!({"made": name, "id": id.id}));
        self.made.push((kind, recipe.holder.clone(), id.clone()));
        self.inspect(kind, &id).await?;
        self.read_references(kind, &id).await?;
        self.absent(kind, &id).await?;
        let held = self.back_up(kind, &id).await?;
        // What other recipes need is deleted at the end.
        if matches!(name, "worker" | "github_environment") {
            return Ok(());
        }
        self.delete(kind, holder, &id).await?;
        self.restore(kind, holder, &id, &held).await
    }

    /// Walks a listing to its end, until it shows the resource or no longer does.
    async fn find(
        &mut self,
        kind: &'static dyn Kind,
        place: &Arc<Place>,
        holder: Option<&str>,
        wanted: bool,
    ) -> Checked<Option<Resource>> {
        let mut found = None;
        for attempt in 0..LAG {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            found = self.walk(kind, place, holder).await?;
            if found.is_some() == wanted {
                break;
            }
            let lag = format!("{}.listing_lags", kind.about().name());
            self.answers.insert(lag, json!(attempt + 1));
        }
        Ok(found)
    }

    async fn walk(
        &mut self,
        kind: &'static dyn Kind,
        place: &Arc<Place>,
        holder: Option<&str>,
    ) -> Checked<Option<Resource>> {
        let (mut page, mut number) = (PageOf::First, 1);
        let mut all = Vec::new();
        loop {
            let got = self.send(&kind.list(place, holder, &page)).await?;
            got.succeeded("the listing")?;
            let read = kind.read_page(place, &got.body).map_err(|error| error.0)?;
            let total = read.total;
            all.extend(read.items);
            number += 1;
            page = match read.next {
                NextPage::Pages(pages) if number <= pages => PageOf::Number(number),
                NextPage::After(cursor) => PageOf::Cursor(cursor),
                NextPage::More => PageOf::Number(number),
                NextPage::Last | NextPage::Pages(_) => {
                    if total.is_some_and(|total| total != all.len() as u64) {
                        return Err(format!("{} listed of {total:?}", all.len()));
                    }
                    break;
                }
            };
        }
        if let Some(holder) = holder {
            for one in &mut all {
                one.holder.get_or_insert_with(|| holder.into());
            }
        }
        kind.complete(&mut all);
        let prefix = self.scope.prefix();
        let text = |one: &Attribute| matches!(one, Attribute::Text(text) if text.contains(prefix));
        let ours = |one: &Resource| {
            one.name.contains(prefix)
                || (one.kind.name() == "github_deployment"
                    && one.attribute("environment").is_some_and(text))
        };
        Ok(all.into_iter().find(|one| ours(one)))
    }

    async fn inspect(&mut self, kind: &'static dyn Kind, id: &ResourceId) -> Checked<()> {
        let got = self.send(&kind.inspect(id)).await?;
        got.succeeded("one")?;
        let one = kind
            .read_one(&id.place, &got.body)
            .map_err(|error| error.0)?;
        if one.id != id.id || one.name != id.name {
            return Err(format!("{} was answered for {}", one.id, id.id));
        }
        Ok(())
    }

    async fn read_references(&mut self, kind: &'static dyn Kind, id: &ResourceId) -> Checked<()> {
        let asks = kind.references().map(|references| references.first(id));
        for ask in asks.into_iter().flatten() {
            let got = self.send(&ask.call).await?;
            got.succeeded(ask.what)?;
        }
        Ok(())
    }

    /// Asks for one that is not there.
    async fn absent(&mut self, kind: &'static dyn Kind, id: &ResourceId) -> Checked<()> {
        let other: String = id
            .id
            .chars()
            .rev()
            .map(|c| if c == '0' { '1' } else { c })
            .collect();
        let other = if kind.about().name() == "github_deployment" {
            "1".to_owned()
        } else {
            other
        };
        let never = ResourceId {
            id: other.into(),
            incarnation: None,
            ..id.clone()
        };
        let got = self.send(&kind.inspect(&never)).await?;
        let name = kind.about().name();
        self.answers
            .insert(format!("{name}.not_found"), got.summary());
        if got.status != 404 {
            return Err(format!(
                "one that is not there is answered {}",
                got.summary()
            ));
        }
        Ok(())
    }

    async fn delete(
        &mut self,
        kind: &'static dyn Kind,
        holder: Option<&str>,
        id: &ResourceId,
    ) -> Checked<()> {
        let name = kind.about().name();
        let prepared = kind.obstacles().map(|obstacles| obstacles.prepare(id));
        for call in prepared.into_iter().flatten() {
            self.send(&call)
                .await?
                .succeeded("what goes before the deletion")?;
        }
        let got = self.send(&kind.delete(id)).await?;
        self.answers.insert(format!("{name}.delete"), got.summary());
        got.succeeded("the deletion")?;
        if self.find(kind, &id.place, holder, false).await?.is_some() {
            return Err("it is listed after its deletion".to_owned());
        }
        let gone = self.send(&kind.inspect(id)).await?;
        self.answers.insert(format!("{name}.gone"), gone.summary());
        let again = self.send(&kind.delete(id)).await?;
        self.answers
            .insert(format!("{name}.delete_again"), again.summary());
        if !gone.is_of_something_gone(kind) || !matches!(again.status, 204 | 404) {
            return Err(format!(
                "gone: {}, again: {}",
                gone.summary(),
                again.summary()
            ));
        }
        // It needs no look at the end.
        self.made.retain(|(_, _, one)| one != id);
        Ok(())
    }

    async fn restore(
        &mut self,
        kind: &'static dyn Kind,
        holder: Option<&str>,
        id: &ResourceId,
        held: &Value,
    ) -> Checked<()> {
        let name = kind.about().name();
        let Some(restore) = kind.restore() else {
            return Ok(());
        };
        let original = json!({"name": &*id.name, "queue_name": &*id.name, "type": "CNAME",
            "content": "example.com"});
        let Some(call) = restore.recreate(id, Some(&original)) else {
            return Ok(());
        };
        let got = self.send(&call).await?;
        self.answers
            .insert(format!("{name}.restore"), got.summary());
        // Neon offers no recovery yet, which is an answer.
        if name == "neon_branch" && got.status >= 400 {
            return Ok(());
        }
        got.succeeded("the restoration")?;
        let remade = restore.read_recreated(&got.body).map_err(|error| error.0)?;
        let remade = ResourceId {
            id: remade.into(),
            ..id.clone()
        };
        self.made
            .push((kind, holder.map(str::to_owned), remade.clone()));
        if held.is_null() {
            return Ok(());
        }
        self.refill(kind, &remade, held).await
    }

    /// Removes what is still there, the last first; returns what is left.
    pub(crate) async fn remove_everything(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for (kind, holder, id) in std::mem::take(&mut self.made).into_iter().rev() {
            let name = kind.about().name();
            let removed = async {
                let there = self.send(&kind.inspect(&id)).await?;
                if there.is_of_something_gone(kind) {
                    return Ok(());
                }
                let got = self.send(&kind.delete(&id)).await?;
                self.answers
                    .entry(format!("{name}.delete"))
                    .or_insert(got.summary());
                got.succeeded("the deletion")?;
                let there = self.find(kind, &id.place, holder.as_deref(), false).await?;
                there.map_or(Ok(()), |_| Err("it is still listed".to_owned()))
            };
            if let Err(why) = removed.await {
                left.push(format!("{name} {} is left: {why}", id.name));
            }
        }
        left
    }

    /// Makes another Worker, and deletes it by its id in place of its name.
    async fn delete_by_own_id(&mut self, account: &Arc<Place>) -> Checked<()> {
        let kind = providers::by_name("worker").expect("a kind of ours");
        let name = format!("{}-by-id", self.scope.prefix());
        self.note(&json!({"intent": "worker", "place": account.id(), "name": name}));
        let made = self.send(&upload(account.id(), &name)).await?;
        made.succeeded("a second Worker could not be made")?;
        let mut id = ResourceId {
            kind: kind.about(),
            place: Arc::clone(account),
            id: name.as_str().into(),
            name: name.as_str().into(),
            holder: None,
            incarnation: None,
        };
        self.made.push((kind, None, id.clone()));
        let got = self.send(&kind.inspect(&id)).await?;
        got.succeeded("a second Worker")?;
        let read = kind.read_one(account, &got.body).map_err(|error| error.0)?;
        id.incarnation = read.incarnation;
        let call = kind
            .delete_by_own_id(&id)
            .ok_or("it has no id of its own")?;
        let deleted = self.send(&call).await?;
        let gone = self.send(&kind.inspect(&id)).await?;
        self.answers
            .insert("worker.delete_by_id".to_owned(), deleted.summary());
        self.answers
            .insert("worker.gone_by_id".to_owned(), gone.summary());
        deleted.succeeded("deleting a Worker by its id")?;
        match gone.status {
            404 => Ok(()),
            _ => Err("a Worker is there after its deletion by id".to_owned()),
        }
    }

    /// Reads that settle what no document says.
    async fn questions(&mut self) -> Checked<()> {
        if let Some(account) = self.scope.account.clone() {
            let path = ["accounts", account.id(), "hyperdrive", "configs"];
            let got = self.send(&Call::get(Api::Cloudflare, &path)).await?;
            let page = got.json()["result_info"]["per_page"].clone();
            self.answers
                .insert("hyperdrive.default_page".to_owned(), page);
            let path = ["accounts", account.id(), "workers", "workers"];
            let got = self.send(&Call::get(Api::Cloudflare, &path)).await?;
            let total = got.json()["result_info"]["total_count"].clone();
            self.answers.insert("worker.total".to_owned(), total);
            self.delete_by_own_id(&account).await?;
        }
        if let Some(project) = self.scope.project.clone() {
            let path = ["projects", project.id(), "branches", "count"];
            let got = self.send(&Call::get(Api::Neon, &path)).await?;
            self.answers
                .insert("neon_branch.count".to_owned(), got.json()["count"].clone());
            let path = ["projects", project.id(), "branches"];
            let all = Call::get(Api::Neon, &path).with("include_deleted", "true");
            let got = self.send(&all).await?;
            let shown = got.json()["branches"].as_array().map(Vec::len);
            self.answers
                .insert("neon_branch.with_deleted".to_owned(), json!(shown));
        }
        Ok(())
    }
}
