//! The hosts that a record answers, and what is served there.

use serde_json::{Map, Value};

use super::super::envelope;
use super::Record;
use crate::model::{Link, Reference};

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

/// What a name may point at.
const TARGETS: [&str; 3] = ["worker_domain", "pages_deployment", "dns_record"];

/// The Workers that may be served at a host of `workers.dev`: before the
/// account's subdomain stands `<worker>`, or `<version or alias>-<worker>`, and
/// both parts may contain dashes.
fn workers_at(host: &str) -> impl Iterator<Item = String> {
    let below = host.strip_suffix(".workers.dev");
    let label = below.and_then(|below| below.split_once('.'));
    let label = label.map_or("", |(label, _)| label).to_owned();
    let dashes = label.match_indices('-').map(|(at, _)| at + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(dashes).collect();
    let names = starts.into_iter().map(move |at| label[at..].to_owned());
    names.filter(|name| !name.is_empty())
}

/// The id of the tunnel behind a host.
fn tunnel_at(host: &str) -> Option<&str> {
    let id = host.strip_suffix(".cfargotunnel.com")?;
    (!id.contains('.')).then_some(id)
}

impl Record {
    /// What the name points at, wherever that is: another name, or the host
    /// under which Cloudflare serves a Worker or a Pages deployment.
    pub(super) fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for host in self.hosts() {
            let targets = TARGETS.iter();
            links.extend(targets.map(|kind| {
                let target = Reference::by_address(kind, host.to_string());
                Link::Uses(target)
            }));
            let workers = workers_at(&host).map(|worker| Reference::by_id("worker", worker));
            links.extend(workers.map(Link::Uses));
            let tunnel = tunnel_at(&host).map(|id| Reference::by_id("tunnel", id.to_owned()));
            links.extend(tunnel.map(Link::Uses));
        }
        links
    }

    /// The host names that the record answers, whatever its type: CNAME has one,
    /// MX and SRV have one behind numbers, HTTPS and SVCB before parameters.
    fn hosts(&self) -> Vec<Box<str>> {
        let sort = self.sort.to_ascii_uppercase();
        if NO_HOSTS.contains(&sort.as_str()) {
            return Vec::new();
        }
        let data = self.data.as_ref().and_then(Value::as_object);
        let data = data.into_iter().flat_map(Map::values);
        let texts = self.content.as_deref().into_iter();
        let texts = texts.chain(data.filter_map(Value::as_str));
        let words = texts.flat_map(str::split_whitespace);
        let mut hosts: Vec<Box<str>> = words
            .filter(|word| word.contains('.'))
            .filter_map(envelope::host)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_a_worker_may_be_that_of_one_of_its_versions() {
        let workers = |host: &str| workers_at(host).collect::<Vec<_>>();
        assert_eq!(workers("app.acme.workers.dev"), ["app"]);
        assert_eq!(
            workers("b1-app-pr-7.acme.workers.dev"),
            ["b1-app-pr-7", "app-pr-7", "pr-7", "7"]
        );
        assert!(workers("acme.workers.dev").is_empty());
        assert!(workers("app.acme.example").is_empty());
    }

    #[test]
    fn a_host_of_a_tunnel_has_its_id() {
        let id = "c1744f8b-faa1-48a4-9e5c-02ac921467fa";
        assert_eq!(tunnel_at(&format!("{id}.cfargotunnel.com")), Some(id));
        for host in ["cfargotunnel.com", "a.b.cfargotunnel.com", "a.example.com"] {
            assert_eq!(tunnel_at(host), None, "{host}");
        }
    }
}
