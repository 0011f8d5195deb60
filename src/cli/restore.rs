//! `preview-gc restore`: puts back what a sweep deleted, as far as it can be,
//! and says plainly what cannot.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Format, RestoreArgs};
use super::session::{client, connect};
use super::settings;
use super::sweep::named_folder;
use super::{Exit, Failure, print};
use crate::clock::Clock;
use crate::gc::Outcome;
use crate::gc::verdict::moment;
use crate::journal::{self, Copy, Entry, Journal, JournalError, Noted, Record, Standing, Written};
use crate::kinds::{self, Kind};
use crate::model::{KindRef, ResourceId};
use crate::policy::{Action, LimitsWritten};
use crate::report::inert;
use crate::wire::Client;

/// What keeps a resource that was put back.
const KEEPS: &str = "this journal keeps it until `preview-gc restore --release NAME`; for runs \
                     that do not read this journal, tick \"keep\" in the tracking issue";

/// What came of putting one back.
#[derive(Debug, Serialize)]
struct Restored {
    kind: String,
    name: String,
    id: String,
    /// `restored`, `cannot`, `failed`, `already_there` or `released`.
    result: &'static str,
    reason: String,
}

impl Restored {
    /// Whether it is there again.
    fn is_back(&self) -> bool {
        matches!(self.result, "restored" | "already_there")
    }
}

pub(super) async fn run(arguments: RestoreArgs) -> Result<Exit, Failure> {
    let folder = named_folder(&arguments.common)?;
    let kinds: Vec<KindRef> = kinds::vocabulary();
    if !arguments.release.is_empty() {
        let typed = arguments.common.now;
        let clock = typed.map_or_else(Clock::system, Clock::starting_at);
        let released = release(&folder, &arguments.release, clock.now())?;
        print(&shown(&released, arguments.common.format))?;
        return Ok(Exit::Ok);
    }
    let Some(run) = &arguments.run else {
        let records = journal::records(&folder).map_err(unwritten)?;
        print(&list(&records, &kinds, arguments.common.format))?;
        return Ok(Exit::Ok);
    };
    let record = journal::record(&folder, run).map_err(unwritten)?;
    let connection = connect(&arguments.common)?;
    let limits = settings::limits(&arguments.common.limits, &LimitsWritten::default())?;
    let client = client(&arguments.common, &connection, limits)?;
    let mut journal = Journal::resume(&record)
        .map_err(unwritten)?
        .ok_or_else(|| {
            Failure::Usage(format!("run {run} still goes on; wait until it has ended"))
        })?;
    let named = |written: &Written| {
        let is = |name: &String| **name == *written.name || **name == *written.id;
        arguments.names.is_empty() || arguments.names.iter().any(is)
    };
    let results = put_back_of(&client, &record, &mut journal, named).await?;
    if results.is_empty() {
        return Err(Failure::Usage(format!(
            "run {run} did nothing to {}",
            if arguments.names.is_empty() {
                "anything".to_owned()
            } else {
                arguments.names.join(", ")
            }
        )));
    }
    print(&shown(&results, arguments.common.format))?;
    Ok(if results.iter().all(Restored::is_back) {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// Lets later sweeps delete again what was put back, of all runs.
fn release(folder: &Path, names: &[String], at: DateTime<Utc>) -> Result<Vec<Restored>, Failure> {
    let records = journal::records(folder).map_err(unwritten)?;
    let named = |name: &str, written: &Written, id: &str| {
        *name == *written.name || *name == *written.id || *name == *id
    };
    let missing = names.iter().find(|name| {
        let mut back = records.iter().flat_map(Record::back);
        !back.any(|(_, written, _, id)| named(name, written, id))
    });
    if let Some(name) = missing {
        return Err(Failure::Usage(format!(
            "cannot release {name:?}: no journal in {} says that `restore` brought back \
             something of that name or id; `restore --list` shows what was put back",
            folder.display()
        )));
    }
    let mut released = Vec::new();
    for record in records {
        let back: Vec<_> = record
            .back()
            .filter(|(_, written, _, id)| names.iter().any(|name| named(name, written, id)))
            .collect();
        if back.is_empty() {
            continue;
        }
        let journal = Journal::resume(&record).map_err(unwritten)?;
        let mut journal = journal.ok_or_else(|| {
            Failure::Usage(format!(
                "cannot release what run {} deleted: another process writes its journal; try \
                 again when that has ended",
                record.run
            ))
        })?;
        let entry = |step: usize| Entry::Released { step, at };
        let entries: Vec<_> = back.iter().map(|(step, ..)| entry(*step)).collect();
        journal.write(&entries).map_err(unwritten)?;
        released.extend(back.into_iter().map(|(_, written, _, id)| Restored {
            kind: written.kind.clone(),
            name: written.name.to_string(),
            id: id.to_owned(),
            result: "released",
            reason: format!(
                "in {}: the rules judge it again, and the next sweep may delete it",
                written.place
            ),
        }));
    }
    Ok(released)
}

/// Puts back what a run deleted, of all the things that are named.
async fn put_back_of(
    client: &Client,
    record: &Record,
    journal: &mut Journal,
    named: impl Fn(&Written) -> bool,
) -> Result<Vec<Restored>, Failure> {
    let kinds: Vec<KindRef> = kinds::vocabulary();
    let mut results = Vec::new();
    for (step, noted) in &record.steps {
        let Some((action, written, copy)) = noted
            .intent
            .as_ref()
            .filter(|(_, written, _)| named(written))
        else {
            continue;
        };
        let Some(id) = written.identity(&kinds) else {
            continue;
        };
        if client.host(id.kind.0.api).as_ref() != Some(&written.host) {
            return Err(Failure::Usage(format!(
                "run {} was about {}, and these credentials are for {}",
                record.run,
                written.host,
                client
                    .host(id.kind.0.api)
                    .unwrap_or_else(|| "nothing".to_owned())
            )));
        }
        let (result, reason) = match (noted.standing, action) {
            (Standing::Restored | Standing::Released, _) => {
                ("already_there", "it was put back before".to_owned())
            }
            (_, Action::Expire | Action::RemoveExpiry | Action::Report) => (
                "cannot",
                "it was not deleted; lift its expiry where it is".to_owned(),
            ),
            (Standing::Settled(Outcome::Deleted | Outcome::AlreadyGone), Action::Delete) => {
                match put_back(client, &id, copy).await {
                    Ok(Some(new)) => {
                        let at = client.clock().now();
                        let entry = Entry::Restored {
                            step: *step,
                            at,
                            id: new.clone(),
                        };
                        journal.write(&[entry]).map_err(unwritten)?;
                        match fill(client, &id, copy, &new).await {
                            Ok(told) => ("restored", format!("{told}; {KEEPS}")),
                            Err(why) => ("failed", why),
                        }
                    }
                    Ok(None) => ("cannot", by_hand(&id, copy)),
                    Err(why) => ("failed", why),
                }
            }
            (_, Action::Delete) => ("cannot", "this run did not delete it".to_owned()),
        };
        results.push(Restored {
            kind: id.kind.name().to_owned(),
            name: id.name.to_string(),
            id: id.id.to_string(),
            result,
            reason,
        });
    }
    Ok(results)
}

/// Puts back one resource that a run deleted: whether it is there again, and
/// what to know about that.
pub(super) async fn by_id(
    client: &Client,
    folder: &Path,
    run: &str,
    kind: &str,
    id: &str,
) -> Result<(bool, String), Failure> {
    let record = journal::record(folder, run).map_err(unwritten)?;
    let journal = Journal::resume(&record).map_err(unwritten)?;
    let mut journal = journal.ok_or_else(|| Failure::Usage(format!("run {run} still goes on")))?;
    let named = |written: &Written| *written.kind == *kind && *written.id == *id;
    let results = put_back_of(client, &record, &mut journal, named).await?;
    let told = results.into_iter().next().map(|one| {
        let back = one.is_back();
        (back, one.reason)
    });
    Ok(told.unwrap_or_else(|| (false, "that run did nothing to it".to_owned())))
}

fn unwritten(error: JournalError) -> Failure {
    Failure::Usage(error.to_string())
}

/// Makes a resource again: its new id. None where that cannot be done.
async fn put_back(client: &Client, id: &ResourceId, copy: &Copy) -> Result<Option<String>, String> {
    let kind: &dyn Kind = kinds::by_name(id.kind.name()).ok_or("its kind is not known")?;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    if let Some(call) = kind.recovery(id) {
        let body = client.send(&call).await.map_err(|error| text(&error))?;
        let until = kind
            .read_recovery(id, &body)
            .map_err(|error| client.redact(&error.0))?;
        match until {
            Some(until) if until > client.clock().now() => {}
            _ => return Ok(None),
        }
    }
    if kind.archive().is_some() && copy.held.is_none() {
        return Ok(None);
    }
    let Some(call) = kind.remake(id, copy.original.as_ref()) else {
        return Ok(None);
    };
    let outgoing = (&call).into();
    let response = client
        .exchange(&outgoing)
        .await
        .map_err(|error| text(&error))?;
    if !response.status().is_success() {
        let failure = crate::wire::error::refusal(call.api, &response);
        return Err(client.error(&outgoing, failure).to_string());
    }
    let new = kind.read_remade(response.body());
    new.map(Some).map_err(|error| client.redact(&error.0))
}

/// Puts back what a resource held, and says what to know about it.
async fn fill(client: &Client, id: &ResourceId, copy: &Copy, new: &str) -> Result<String, String> {
    let archive = kinds::by_name(id.kind.name()).and_then(Kind::archive);
    if let (Some(archive), Some(held)) = (archive, &copy.held) {
        let mut made = id.clone();
        made.id = new.into();
        for call in archive.fill(&made, held) {
            client.send(&call).await.map_err(|error| {
                format!("it is there again as {new}, and what it held is not: {error}")
            })?;
        }
    }
    Ok(if *new == *id.id {
        "it is there again".to_owned()
    } else {
        format!("it is there again; its id is {new} now, so whatever named the old one needs it")
    })
}

/// What is left to do by hand, with what was kept for that.
fn by_hand(id: &ResourceId, copy: &Copy) -> String {
    let mut text = format!("a {} {}", id.kind.0.noun, id.kind.0.undo);
    let uses: Vec<_> = copy
        .uses
        .iter()
        .map(|(kind, which)| format!("{kind} {which}"))
        .collect();
    if !uses.is_empty() {
        let _ = write!(text, "; it used {}", uses.join(", "));
    }
    if let Some(held) = &copy.held {
        let _ = write!(text, "; its settings were {held}");
    }
    text
}

/// Whether a journal has what putting a step back takes.
fn could(noted: &Noted, kinds: &[KindRef]) -> Option<&'static str> {
    let (_, written, copy) = noted.intent.as_ref()?;
    let id = written.identity(kinds)?;
    let kind = kinds::by_name(id.kind.name())?;
    let gone = matches!(noted.standing, Standing::Settled(outcome) if outcome.is_gone());
    if !gone || (kind.archive().is_some() && copy.held.is_none()) {
        return None;
    }
    kind.remake(&id, copy.original.as_ref())?;
    Some(if kind.recovery(&id).is_some() {
        "perhaps"
    } else {
        "yes"
    })
}

/// What went with a resource, and with that in turn.
fn implied(copy: &Copy) -> Vec<Value> {
    let all = copy.implied.iter().flat_map(|one| {
        let itself = json!({ "kind": one.kind, "name": one.name, "id": one.id });
        let more = one.copy.as_deref().map(implied).unwrap_or_default();
        std::iter::once(itself).chain(more)
    });
    all.collect()
}

fn list(records: &[Record], kinds: &[KindRef], format: Format) -> String {
    let steps = |record: &Record| -> Vec<Value> {
        let steps = record.steps.values();
        let shown = steps.filter_map(|noted| {
            let (_, written, copy) = noted.intent.as_ref()?;
            let standing = match noted.standing {
                Standing::Open => "in_doubt",
                Standing::Settled(outcome) => outcome.name(),
                Standing::Restored => "restored",
                Standing::Released => "released",
            };
            let id = written.identity(kinds);
            Some(json!({
                "kind": written.kind, "name": written.name, "id": written.id, "outcome": standing,
                "restorable": could(noted, kinds).unwrap_or("no"),
                "undo": id.map(|id| id.kind.0.undo),
                "implied": implied(copy),
            }))
        });
        shown.collect()
    };
    if format == Format::Json {
        let all: Vec<_> = records
            .iter()
            .map(|record| json!({ "run": record.run, "at": record.at, "steps": steps(record) }))
            .collect();
        return format!("{:#}\n", Value::from(all));
    }
    if records.is_empty() {
        return "No run has left a journal here.\n".to_owned();
    }
    let mut out = String::new();
    for record in records {
        let _ = writeln!(out, "{} ({})", record.run, moment(record.at));
        for step in steps(record) {
            let text = |key: &str| inert::terminal(step[key].as_str().unwrap_or_default());
            let back = match step["restorable"].as_str() {
                Some("yes") => "can be put back".to_owned(),
                Some("perhaps") => text("undo"),
                _ if step["outcome"] == "deleted" => text("undo"),
                _ => "nothing to put back".to_owned(),
            };
            let _ = writeln!(
                out,
                "  {} {}: {}, {back}",
                text("kind"),
                text("name"),
                text("outcome").replace('_', " ")
            );
            for one in step["implied"].as_array().into_iter().flatten() {
                let text = |key: &str| inert::terminal(one[key].as_str().unwrap_or_default());
                let _ = writeln!(out, "    with it: {} {}", text("kind"), text("name"));
            }
        }
    }
    out
}

fn shown(results: &[Restored], format: Format) -> String {
    if format == Format::Json {
        return format!("{:#}\n", json!({ "schema": 1, "restored": results }));
    }
    let mut out = String::new();
    for one in results {
        let _ = writeln!(
            out,
            "{} {}: {}: {}",
            one.kind,
            inert::terminal(&one.name),
            one.result.replace('_', " "),
            inert::terminal(&one.reason)
        );
    }
    out
}
