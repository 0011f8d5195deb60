//! Tokens that cannot be printed.

use std::fmt;

use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::RequestFailure;

/// The replacement of a removed token.
const HIDDEN: &str = "[token]";

/// Minimum length of a token to remove: shorter ones would garble the text.
const SHORTEST: usize = 6;

/// Minimum length of a part of a token's base64.
const SHORTEST_BASE64: usize = 8;

/// A bearer token. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Creates a token from the environment; surrounding white space (such as
    /// the final newline of a secret file) is removed.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the value of the `Authorization` header, marked as sensitive.
    pub(super) fn bearer(&self) -> Result<HeaderValue, RequestFailure> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .map_err(|_| RequestFailure::BadToken)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Removes every occurrence of the token from a text: raw, as base64,
    /// percent-encoded, or with JSON escapes.
    pub(super) fn redact(&self, text: &str) -> String {
        if self.0.len() < SHORTEST {
            return text.to_owned();
        }
        let mut clean = text.replace(&self.0, HIDDEN);
        for form in std::iter::once(self.0.clone()).chain(in_base64(&self.0)) {
            clean = without(&clean, &form);
        }
        clean
    }

    /// Removes the token from every string of a JSON value.
    pub(super) fn redact_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(fields) => {
                let entries = std::mem::take(fields).into_iter();
                fields.extend(entries.map(|(key, mut value)| {
                    self.redact_json(&mut value);
                    (self.redact(&key), value)
                }));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Returns the base64 forms that any encoded text with the token contains:
/// three alignments in two alphabets, without the ends that depend on other
/// bytes.
fn in_base64(token: &str) -> impl Iterator<Item = String> {
    let engines = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
    engines.into_iter().flat_map(move |engine| {
        (0..3).filter_map(move |before: usize| {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(token.as_bytes());
            let encoded = engine.encode(&bytes);
            let own = encoded.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6)?;
            (own.len() >= SHORTEST_BASE64).then(|| own.to_owned())
        })
    })
}

/// Removes one form of the token from a text, whichever of its characters are
/// escaped.
fn without(text: &str, form: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = form_length_at(rest, form) {
            clean.push_str(HIDDEN);
            rest = &rest[length..];
        } else {
            clean.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    clean
}

/// Returns how many bytes at the start of the text represent the form.
fn form_length_at(text: &str, form: &str) -> Option<usize> {
    let text = text.as_bytes();
    let mut at = 0;
    for &byte in form.as_bytes() {
        let rest = text.get(at..)?;
        let escaped = |prefix: &[u8]| {
            let digits = rest.strip_prefix(prefix)?.get(..2)?;
            let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            (value == byte).then_some(prefix.len() + 2)
        };
        at += escaped(b"%")
            .or_else(|| escaped(b"\\u00"))
            .or_else(|| (rest.first() == Some(&byte)).then_some(1))?;
    }
    Some(at)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_never_printed() {
        let token = Token::new("canary-4711\n").unwrap();
        assert_eq!(format!("{token:?}"), "Token([hidden])");
        assert!(!format!("{:?}", token.bearer().unwrap()).contains("canary"));
        assert_eq!(token.redact("bad key canary-4711!"), "bad key [token]!");
        assert!(Token::new(" \n").is_none());
        // A shorter token would occur in any text.
        let redact = |token: &str| Token::new(token).unwrap().redact("an sixsix-five");
        assert_eq!(redact("sixsix"), "an [token]-five");
        assert_eq!(redact("-five"), "an sixsix-five");
    }

    #[test]
    fn token_is_removed_in_every_encoding() {
        let text = "ghp_caf-4711/x+y==";
        let token = Token::new(text).unwrap();
        let percent: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let some: String = text
            .replace('/', "%2F")
            .replace('+', "%2b")
            .replace('=', "%3D");
        let escaped: String = text.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
        for message in [text.to_owned(), percent, some, escaped] {
            assert_eq!(token.redact(&format!("é{message}%")), "é[token]%");
        }
        for before in ["", "u", "u:", "Bearer ", "x-access-token:"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let message = engine.encode(format!("{before}{text}, and more"));
                for message in [
                    message.clone(),
                    message.replace('/', "%2F").replace('+', "%2B"),
                ] {
                    let clean = token.redact(&message);
                    assert!(clean.contains(HIDDEN), "{message}");
                    let left = clean.replace(HIDDEN, "").replace("%2", "");
                    assert!(
                        left.len() <= message.len() - text.len(),
                        "{message}: {clean}"
                    );
                }
            }
        }
        let other = "ghp_caf-4712/x+y== %zz \\u00zz % \\u é";
        assert_eq!(token.redact(other), other);
    }

    #[test]
    fn token_is_removed_from_json_keys() {
        let token = Token::new("canary-4711").unwrap();
        let mut message = serde_json::json!({"canary-4711": ["x canary-4711", 1, null]});
        token.redact_json(&mut message);
        assert_eq!(
            message,
            serde_json::json!({"[token]": ["x [token]", 1, null]})
        );
    }
}
