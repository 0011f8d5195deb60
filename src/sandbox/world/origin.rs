//! Places in world files, for error messages.

use serde::de::DeserializeOwned;

use super::WorldError;

/// The position of a value in a file.
pub(super) struct FilePosition<'a> {
    pub(super) file: &'a str,
    /// Lines before the piece, and columns before it in its first line.
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) place: String,
}

impl FilePosition<'_> {
    pub(super) fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, WorldError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| self.error(&error.path().to_string(), error.inner()))?;
        reader.end().map_err(|error| self.error("", &error))?;
        Ok(value)
    }

    pub(super) fn error(&self, path: &str, error: &serde_json::Error) -> WorldError {
        let text = error.to_string();
        let message = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(message, _)| message);
        let path = path.trim_end_matches('?').trim_matches('.');
        let dot = if self.place.is_empty() || path.is_empty() {
            ""
        } else {
            "."
        };
        let place = format!("{}{dot}{path}", self.place);
        WorldError {
            file: self.file.to_owned(),
            line: self.line + error.line(),
            column: if error.line() <= 1 {
                self.column + error.column()
            } else {
                error.column()
            },
            place: if place.is_empty() {
                place
            } else {
                format!("{place}: ")
            },
            message: corrected(message),
        }
    }

    pub(super) fn refuse(&self, path: &str, message: String) -> WorldError {
        WorldError {
            file: self.file.to_owned(),
            line: self.line + 1,
            column: self.column + 1,
            place: format!("{}{path}: ", self.place),
            message,
        }
    }
}

/// Returns the message about an unknown field with the field that was meant, if one
/// is similar.
fn corrected(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(wrong) = names
        .next()
        .filter(|_| message.starts_with("unknown field"))
    else {
        return message.to_owned();
    };
    let near = names.min_by_key(|known| strsim::levenshtein(known, wrong));
    match near.filter(|known| strsim::levenshtein(known, wrong) <= 2) {
        Some(known) => format!("unknown field `{wrong}`: did you mean `{known}`?"),
        None => message.to_owned(),
    }
}
