//! Tokens that cannot be printed.

use std::fmt;

use ::http::HeaderValue;
use bytes::Bytes;

use super::Failure;

/// A bearer token. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token from the environment; white space around it (a trailing
    /// line end of a secret file) is not part of it.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The value of the `Authorization` header, marked as sensitive.
    pub(super) fn bearer(&self) -> Result<HeaderValue, Failure> {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", self.0)).map_err(|_| Failure::BadToken)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The text with every occurrence of the token taken out. What is shorter
    /// than any real token would only garble the text.
    pub(super) fn redact(&self, text: &str) -> String {
        if self.0.len() < 6 {
            return text.to_owned();
        }
        text.replace(&self.0, "[token]")
    }
}

impl Token {
    /// The same for a body; none when the token does not occur.
    pub(super) fn redact_bytes(&self, body: &Bytes) -> Option<Bytes> {
        let text = String::from_utf8_lossy(body);
        let clean = self.redact(&text);
        (clean != text).then(|| clean.into())
    }
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
    fn a_token_is_never_printed() {
        let token = Token::new("canary-4711\n").unwrap();
        assert!(!format!("{token:?}").contains("canary"));
        assert!(!format!("{:?}", token.bearer().unwrap()).contains("canary"));
        assert_eq!(token.redact("bad key canary-4711!"), "bad key [token]!");
        assert!(Token::new(" \n").is_none());
    }
}
