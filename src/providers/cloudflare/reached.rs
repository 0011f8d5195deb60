//! What is reached at a host: records, and what Cloudflare and Neon serve under hosts
//! of their own.

use crate::model::identifier::host_name;
use crate::model::{Link, Reference};

/// The kinds that know the hosts at which they are reached.
const BY_HOST: [&str; 4] = [
    "worker_domain",
    "worker_preview",
    "pages_deployment",
    "dns_record",
];

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

/// The compute endpoint of a Neon branch behind a host of Neon's, without the
/// suffix of its connection pooler: `ep-cool-fog-12345678-pooler.…neon.tech`.
fn endpoint(host: &str) -> Option<String> {
    let host = host_name(host);
    let (first, domain) = host.split_once('.')?;
    let of_neon = domain == "neon.tech" || domain.ends_with(".neon.tech");
    let first = first.strip_suffix("-pooler").unwrap_or(first);
    (of_neon && first.starts_with("ep-")).then(|| first.to_owned())
}

/// What may be reached at a host.
pub(super) fn at(host: &str) -> Vec<Link> {
    let by_host = BY_HOST.iter();
    let by_host = by_host.map(|kind| Reference::by_address(kind, host.to_owned()));
    let workers = workers_at(host).map(|worker| Reference::by_id("worker", worker));
    let tunnel = tunnel_at(host).map(|id| Reference::by_id("tunnel", id.to_owned()));
    let branch = endpoint(host).map(|id| Reference::by_address("neon_branch", id));
    let all = by_host.chain(workers).chain(tunnel).chain(branch);
    all.map(Link::Uses).collect()
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

    #[test]
    fn a_host_of_neon_names_the_endpoint_of_a_branch() {
        let cool = Some("ep-cool-fog-12345678".to_owned());
        assert_eq!(
            endpoint("ep-cool-fog-12345678.us-east-2.aws.neon.tech"),
            cool
        );
        assert_eq!(
            endpoint("EP-cool-fog-12345678-pooler.c-2.us-east-2.aws.neon.tech."),
            cool
        );
        for host in [
            "db.example.com",
            "neon.tech",
            "ep-x.evilneon.tech",
            "api.neon.tech",
        ] {
            assert_eq!(endpoint(host), None, "{host}");
        }
    }
}
