//! Identifiers that people write: accounts, zones, projects and host names. Each
//! has one normal form, in which it is compared and sent, and a form that
//! distinguishes it from other values, such as a secret.

use std::borrow::Cow;
use std::fmt;

/// What an identifier names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifierSort {
    /// A Cloudflare account, by its id.
    Account,
    /// A Cloudflare zone, by its id or name.
    Zone,
    /// A Neon or Pages project, by its id or name.
    Project,
}

impl IdentifierSort {
    /// The identifier in its normal form; none where the text does not have the
    /// form of one. Such a text is neither sent nor printed: it may be a secret
    /// that stands in the wrong variable.
    pub fn parse(self, text: &str) -> Option<String> {
        let text = text.trim();
        match self {
            Self::Account => is_hexadecimal_id(text).then(|| text.to_ascii_lowercase()),
            Self::Zone if is_hexadecimal_id(text) => Some(text.to_ascii_lowercase()),
            Self::Zone => {
                let name = host_name(text);
                is_domain(&name).then(|| name.into_owned())
            }
            Self::Project => is_project(text).then(|| text.to_owned()),
        }
    }

    /// The form of such an identifier, in words.
    pub fn form(self) -> &'static str {
        match self {
            Self::Account => "32 hexadecimal digits",
            Self::Zone => "a domain name, or 32 hexadecimal digits",
            Self::Project => "1 to 60 characters of a-z, 0-9 and -",
        }
    }
}

impl fmt::Display for IdentifierSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "the id of a Cloudflare account",
            Self::Zone => "the name or id of a Cloudflare zone",
            Self::Project => "the id of a project",
        })
    }
}

/// Whether a text is an id as Cloudflare gives them to accounts and zones.
pub fn is_hexadecimal_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit_once('.').map(|(_, last)| last);
    name.len() <= 253
        && name.split('.').all(is_label)
        // An address in digits is not a domain.
        && last.is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Neon's specification gives `^[a-z0-9-]{1,60}$` as the form of its ids, which
/// the names of Pages projects have as well.
fn is_project(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=60).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

/// A host name in its normal form: punycode, lower case, without the dot at its
/// end. A name that cannot be converted is only put into lower case.
pub fn host_name(text: &str) -> Cow<'_, str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        };
    }
    idna::domain_to_ascii(text)
        .unwrap_or_else(|_| text.to_lowercase())
        .into()
}

/// A host name as people read it, where that differs from its normal form.
pub fn unicode_host_name(text: &str) -> Option<String> {
    let is_converted = |label: &str| {
        let beginning = label.get(..4);
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case("xn--"))
    };
    if text.is_ascii() && !text.split('.').any(is_converted) {
        return None;
    }
    let (name, converted) = idna::domain_to_unicode(text.strip_suffix('.').unwrap_or(text));
    converted.ok().map(|()| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_one_normal_form() {
        for (name, expected) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.Example", "xn--bcher-kva.example"),
            // A letter and a combining mark are the same letter.
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("XN--bcher-kva.example", "xn--bcher-kva.example"),
            ("bücher。example", "xn--bcher-kva.example"),
            ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
        ] {
            assert_eq!(host_name(name), expected, "{name}");
        }
        assert_eq!(unicode_host_name("app-7.example.com"), None);
        for name in ["Bücher.example", "XN--bcher-kva.example."] {
            assert_eq!(unicode_host_name(name).as_deref(), Some("bücher.example"));
        }
    }

    #[test]
    fn only_what_has_the_form_of_an_identifier_is_one() {
        use IdentifierSort::{Account, Project, Zone};
        let id = "0123456789abcdef0123456789ABCDEF";
        let lower = "0123456789abcdef0123456789abcdef";
        for (sort, text, expected) in [
            (Account, id, Some(lower)),
            (Account, " 0123456789abcdef0123456789abcdef\n", Some(lower)),
            (Account, "0123456789abcdef", None),
            (Account, "acme.example", None),
            (Zone, id, Some(lower)),
            (Zone, "Bücher.EXAMPLE", Some("xn--bcher-kva.example")),
            (Zone, "preview_1.example", Some("preview_1.example")),
            (Zone, "example", None),
            (Zone, "192.0.2.1", None),
            (Zone, "acme..example", None),
            (Zone, "-acme.example", None),
            (Zone, "acme.example/../x", None),
            (Zone, "user:password@acme.example", None),
            (
                Project,
                "quiet-forest-12345678",
                Some("quiet-forest-12345678"),
            ),
            (Project, "site", Some("site")),
            (Project, "Site", None),
            (Project, "napi_secret", None),
            (Project, "a/b", None),
            (Project, "", None),
        ] {
            assert_eq!(sort.parse(text).as_deref(), expected, "{sort} {text}");
        }
        for sort in [Account, Zone, Project] {
            for text in ["", ".", "..", "../x", "postgres://u:p@db.acme.example/x"] {
                assert_eq!(sort.parse(text), None, "{sort} {text}");
            }
        }
    }
}
