//! The hosts that a record answers, and what is served there.

use serde_json::{Map, Value};

use super::super::{envelope, reached};
use super::Record;
use crate::model::Link;

/// Record types whose content names no host. Of a type that is not listed here
/// everything counts that looks like a host name.
const NO_HOSTS: [&str; 13] = [
    "A",
    "AAAA",
    "CAA",
    "CERT",
    "DNSKEY",
    "DS",
    "LOC",
    "OPENPGPKEY",
    "SMIMEA",
    "SSHFP",
    "TLSA",
    "TXT",
    "SOA",
];

impl Record {
    /// What the name points at, wherever that is: another name, or the host
    /// under which Cloudflare serves a Worker or a Pages deployment.
    pub(super) fn links(&self) -> Vec<Link> {
        let hosts = self.hosts();
        hosts.iter().flat_map(|host| reached::at(host)).collect()
    }

    /// Whether its type may name hosts.
    fn may_name_hosts(&self) -> bool {
        !NO_HOSTS.contains(&self.sort.to_ascii_uppercase().as_str())
    }

    /// Whether it does not show what it points at although its type may name hosts.
    pub(super) fn hides_its_target(&self) -> bool {
        let content = self.content.as_deref().unwrap_or_default();
        let data = self.data.as_ref().and_then(Value::as_object);
        self.may_name_hosts() && content.is_empty() && data.is_none_or(Map::is_empty)
    }

    /// The host names that the record answers, whatever its type: CNAME has one,
    /// MX and SRV have one behind numbers, HTTPS and SVCB before parameters.
    fn hosts(&self) -> Vec<Box<str>> {
        if !self.may_name_hosts() {
            return Vec::new();
        }
        let data = self.data.as_ref().and_then(Value::as_object);
        let data = data.into_iter().flat_map(Map::values);
        let texts = self.content.as_deref().into_iter();
        let texts = texts.chain(data.filter_map(Value::as_str));
        // A host may be quoted, and part of an address of any scheme.
        let is_apart = |c: char| !c.is_alphanumeric() && !['-', '.', '_', '*'].contains(&c);
        let words = texts.flat_map(|text| text.split(is_apart));
        let mut hosts: Vec<Box<str>> = words
            .filter(|word| word.contains('.'))
            .filter_map(envelope::host)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}
