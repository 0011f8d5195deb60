//! The backup of a database is its export as SQL, and it is restored by an import.
//! Paths, fields and their meaning are those of Cloudflare's SDK 7.3.0
//! (`resources/d1/database/database.ts`) and of `wrangler d1 export --remote` and
//! `wrangler d1 execute --remote --file` (wrangler 4.164.0).

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Method;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::envelope;
use super::{D1, Database, path};
use crate::call::{Call, SignedUrl, Transfer};
use crate::kind::{Backup, Kind as _, Malformed};
use crate::model::{Api, ResourceId};

/// The maximum size of a file that is kept, in bytes.
const MAX_BYTES: usize = 25 * 1_024 * 1_024;

/// A database of this size is not exported, because its file would be too large: an
/// export keeps it from answering queries. A database has indexes and free pages that
/// its file has not, so that it may be larger.
const MAX_DATABASE: u64 = 4 * MAX_BYTES as u64;

/// How long to wait before D1 is asked how an export or import is getting on. An
/// export that nobody asks for is cancelled.
const PAUSE: Duration = Duration::from_secs(2);

/// How often D1 is asked.
const MAX_POLLS: u32 = 150;

/// The states of a backup; the journal keeps the last one.
#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum ExportState {
    /// Its size is known, and no export was begun.
    Measured { file_size: Option<u64> },
    /// An export goes on.
    Exporting {
        file_size: Option<u64>,
        bookmark: String,
        polls: u32,
    },
    /// The file is at this address for an hour.
    Exported {
        file_size: Option<u64>,
        signed_url: String,
    },
    /// The file is there.
    Whole { file_size: Option<u64>, sql: String },
}

/// The states of an import.
#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum ImportState {
    /// The file can be written to this address.
    Signed {
        filename: String,
        upload_url: String,
    },
    /// The file is there, and no import was begun.
    Uploaded { filename: String },
    /// An import goes on.
    Importing { bookmark: String, polls: u32 },
    /// All of it is written.
    Whole,
}

/// How far an export or import is.
enum Progress {
    /// It goes on, and is asked for by this bookmark.
    Active { bookmark: String },
    /// It is over, with this result.
    Complete { result: Value },
}

/// Reads how far an export or import is. `what` says which; `known` is its bookmark,
/// which does not change.
///
/// The answer is read as a value, because the words of a reader about a field that it
/// did not expect would repeat a signed address.
fn progress(what: &str, answer: &Value, known: Option<&str>) -> Result<Progress, Malformed> {
    let failed = |why: &str| Malformed(format!("the {what} failed: {}", words(why)));
    let why = answer["error"].as_str();
    if answer["success"] == false || answer["status"] == "error" {
        return Err(failed(why.unwrap_or("D1 gives no reason")));
    }
    let bookmark = answer["at_bookmark"]
        .as_str()
        .filter(|text| !text.is_empty());
    if let (Some(known), Some(bookmark)) = (known, bookmark)
        && known != bookmark
    {
        return Err(failed("its bookmark changed, so it is another one"));
    }
    match (answer["status"].as_str(), bookmark) {
        (Some("complete"), _) => Ok(Progress::Complete {
            result: answer["result"].clone(),
        }),
        (Some("active") | None, Some(bookmark)) => Ok(Progress::Active {
            bookmark: bookmark.to_owned(),
        }),
        (Some("active") | None, None) => Err(failed("the answer has no `at_bookmark`")),
        (Some(other), _) => Err(failed(&format!("its status is {other:?}"))),
    }
}

/// D1's words in one short line without addresses.
fn words(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        if word.contains("://") {
            "[address]"
        } else {
            word
        }
    });
    let line: Vec<&str> = words.collect();
    line.join(" ").chars().take(200).collect()
}

/// The result of an answer of D1.
fn open(body: &[u8]) -> Result<Value, Malformed> {
    envelope::open::<Value>(body).map(|(answer, _)| answer)
}

/// A text of an answer.
fn text(answer: &Value, field: &str) -> Option<String> {
    let text = answer[field].as_str().filter(|text| !text.is_empty());
    text.map(ToOwned::to_owned)
}

/// Counts an answer that says "not yet".
fn polled(what: &str, polls: u32) -> Result<u32, Malformed> {
    if polls >= MAX_POLLS {
        let minutes = PAUSE.as_secs() * u64::from(MAX_POLLS) / 60;
        return Err(Malformed(format!(
            "the {what} did not end within {minutes} minutes"
        )));
    }
    Ok(polls + 1)
}

/// Checks a file: it is all of it, and what a journal can hold.
fn dump(body: &[u8]) -> Result<String, Malformed> {
    let bad = |why: &str| Malformed(format!("the exported file {why}"));
    if body.len() > MAX_BYTES {
        return Err(bad("is too large for a backup"));
    }
    let sql = str::from_utf8(body).map_err(|_| bad("is not text, which a backup cannot hold"))?;
    match sql.trim_end().chars().last() {
        None => Err(bad("is empty")),
        Some(';') => Ok(sql.to_owned()),
        Some(_) => Err(bad("ends within a statement, so it is not all of it")),
    }
}

/// The MD5 of a file in hex digits, by which D1 knows it.
fn etag(sql: &str) -> String {
    let digits = Md5::digest(sql.as_bytes());
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request about an export or import.
fn post(id: &ResourceId, what: &str, body: &Value) -> Call {
    let path = [&path(id)[..], &[what]].concat();
    Call::new(Api::Cloudflare, Method::POST, &path).json(body)
}

/// Reads the state of a backup. Nothing is there at first.
fn state<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<Option<T>, Malformed> {
    let state = (!value.is_null()).then(|| T::deserialize(value));
    let state = state.transpose();
    state.map_err(|_| Malformed("the backup is not one of a D1 database".to_owned()))
}

impl Backup for D1 {
    fn next(&self, id: &ResourceId, held: &Value) -> Result<Option<Transfer>, Malformed> {
        let export = |body: Value| post(id, "export", &body);
        Ok(match state(held)? {
            None => Some(self.inspect(id).into()),
            Some(ExportState::Measured { .. }) => {
                Some(export(json!({ "output_format": "polling" })).into())
            }
            Some(ExportState::Exporting { bookmark, .. }) => {
                let body = json!({ "output_format": "polling", "current_bookmark": bookmark });
                Some(Transfer::Call {
                    call: export(body),
                    after: PAUSE,
                })
            }
            Some(ExportState::Exported { signed_url, .. }) => Some(Transfer::Download {
                api: Api::Cloudflare,
                from: SignedUrl::new(&signed_url),
                maximum: MAX_BYTES,
            }),
            Some(ExportState::Whole { .. }) => None,
        })
    }

    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        let (file_size, known, polls) = match state(held)? {
            None => {
                let file_size = envelope::open::<Database>(body)?.0.file_size;
                if file_size.is_some_and(|size| size > MAX_DATABASE) {
                    return Err(Malformed(format!(
                        "it is larger than {} MB, which is too large for a backup",
                        MAX_DATABASE / 1_024 / 1_024
                    )));
                }
                *held = serde_json::to_value(ExportState::Measured { file_size })?;
                return Ok(());
            }
            Some(ExportState::Exported { file_size, .. }) => {
                let sql = dump(body)?;
                *held = serde_json::to_value(ExportState::Whole { file_size, sql })?;
                return Ok(());
            }
            Some(ExportState::Whole { .. }) => return Ok(()),
            Some(ExportState::Measured { file_size }) => (file_size, None, 0),
            Some(ExportState::Exporting {
                file_size,
                bookmark,
                polls,
            }) => (file_size, Some(bookmark), polls),
        };
        let next = match progress("export", &open(body)?, known.as_deref())? {
            Progress::Active { bookmark } => ExportState::Exporting {
                file_size,
                bookmark,
                polls: polled("export", polls)?,
            },
            Progress::Complete { result } => ExportState::Exported {
                file_size,
                signed_url: text(&result, "signed_url").ok_or_else(|| {
                    Malformed("the answer to the export has no `signed_url`".to_owned())
                })?,
            },
        };
        *held = serde_json::to_value(next)?;
        Ok(())
    }

    /// A database has no time of change, and the number of its tables is not reliable
    /// (SDK). A change that needs no further page of the file is not seen.
    fn recheck(&self, id: &ResourceId) -> Option<Call> {
        Some(self.inspect(id))
    }

    fn is_current(&self, held: &Value, body: &[u8]) -> Result<bool, Malformed> {
        let now = envelope::open::<Database>(body)?.0.file_size;
        Ok(held["file_size"].as_u64() == now)
    }

    /// D1 takes a file as a whole: "if the execution fails to complete, your DB will
    /// return to its original state" (wrangler).
    fn fill(
        &self,
        id: &ResourceId,
        held: &Value,
        written: &Value,
        _now: DateTime<Utc>,
    ) -> Result<Option<Transfer>, Malformed> {
        let Some(ExportState::Whole { sql, .. }) = state(held)? else {
            return Err(Malformed("the backup is not a whole one".to_owned()));
        };
        let import = |body: Value| post(id, "import", &body);
        Ok(match state(written)? {
            None => Some(import(json!({ "action": "init", "etag": etag(&sql) })).into()),
            Some(ImportState::Signed { upload_url, .. }) => Some(Transfer::Upload {
                api: Api::Cloudflare,
                to: SignedUrl::new(&upload_url),
                etag: etag(&sql),
                content: Bytes::from(sql),
            }),
            Some(ImportState::Uploaded { filename }) => {
                let body = json!({ "action": "ingest", "etag": etag(&sql), "filename": filename });
                Some(import(body).into())
            }
            Some(ImportState::Importing { bookmark, .. }) => Some(Transfer::Call {
                call: import(json!({ "action": "poll", "current_bookmark": bookmark })),
                after: PAUSE,
            }),
            Some(ImportState::Whole) => None,
        })
    }

    fn take_filled(&self, written: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        let known = match state(written)? {
            Some(ImportState::Whole) => return Ok(()),
            Some(ImportState::Signed { filename, .. }) => {
                *written = serde_json::to_value(ImportState::Uploaded { filename })?;
                return Ok(());
            }
            Some(ImportState::Uploaded { .. }) => None,
            Some(ImportState::Importing { bookmark, polls }) => Some((bookmark, polls)),
            None => {
                let answer = open(body)?;
                if let Some(next) = begun(&answer)? {
                    *written = serde_json::to_value(next)?;
                    return Ok(());
                }
                None
            }
        };
        let polls = known.as_ref().map_or(0, |(_, polls)| *polls);
        let known = known.as_ref().map(|(bookmark, _)| bookmark.as_str());
        let next = match progress("import", &open(body)?, known)? {
            Progress::Complete { .. } => ImportState::Whole,
            Progress::Active { bookmark } => ImportState::Importing {
                bookmark,
                polls: polled("import", polls)?,
            },
        };
        *written = serde_json::to_value(next)?;
        Ok(())
    }
}

/// What follows the first answer to an import; none if it is about an import that goes
/// on or is over. A file that was uploaded before needs no address.
fn begun(answer: &Value) -> Result<Option<ImportState>, Malformed> {
    if answer["success"] == false || answer["status"].is_string() {
        return Ok(None);
    }
    let filename = text(answer, "filename");
    match (filename, text(answer, "upload_url")) {
        (Some(filename), Some(upload_url)) => Ok(Some(ImportState::Signed {
            filename,
            upload_url,
        })),
        (_, None) if text(answer, "at_bookmark").is_some() => Ok(None),
        (Some(filename), None) => Ok(Some(ImportState::Uploaded { filename })),
        (None, _) => Err(Malformed(
            "the answer to the import has no `filename`".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
