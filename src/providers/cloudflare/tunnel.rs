//! Tunnels of `cloudflared` in an account. DNS records lead to them by the host
//! `<id>.cfargotunnel.com`.
//!
//! Paths, pages, fields and the meaning of `status` are those of Cloudflare's SDK
//! 7.3.0, `resources/zero-trust/tunnels/cloudflared` and `CloudflareTunnel` in
//! `resources/shared`. A tunnel is deleted without its connections: the API refuses
//! one that has any, and nothing here closes them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, KindAbout, KindRef, Place,
    PlaceSort, Resource, ResourceId, Time, UsedBy, is_marked,
};

pub(super) struct Tunnel;

static ABOUT: KindAbout = KindAbout {
    name: "tunnel",
    noun: "Cloudflare Tunnel",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    read_permission: "Cloudflare Tunnel Read",
    write_permission: "Cloudflare Tunnel Write",
    undo: "has to be created again by hand, with a new id and a new token",
    attributes: &[AttributeAbout {
        key: "status",
        sort: AttributeSort::Text,
        words: &[],
        values: &["inactive", "degraded", "healthy", "down"],
        about: "whether it has connections: `inactive` means that it never had any",
    }],
    used_by: UsedBy::These(&[
        "dns_record",
        "hyperdrive",
        "worker",
        "worker_preview",
        "dispatch_namespace",
    ]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct OneTunnel {
    id: Box<str>,
    name: Option<Box<str>>,
    status: Option<Box<str>>,
    created_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
    conns_active_at: Option<DateTime<Utc>>,
    conns_inactive_at: Option<DateTime<Utc>>,
    /// Deprecated, and empty in newer answers.
    #[serde(default)]
    connections: Option<Vec<serde::de::IgnoredAny>>,
}

impl OneTunnel {
    /// Whether it has connections, as far as the answer does not rule it out.
    fn is_connected(&self) -> bool {
        let is_quiet = match self.status.as_deref() {
            Some("inactive") => self.conns_active_at.is_none(),
            Some("down") => self
                .conns_inactive_at
                .is_some_and(|ended| self.conns_active_at.is_none_or(|began| began <= ended)),
            _ => false,
        };
        let connections = self.connections.iter().flatten().count();
        !is_quiet || connections > 0
    }

    fn resource(self, place: &Arc<Place>) -> Resource {
        let connected = self.is_connected();
        let protection = if is_marked(self.name.as_deref()) {
            Some(BuiltInProtection::Marked)
        } else {
            connected.then_some(BuiltInProtection::Connected)
        };
        // One that lost its connections a moment ago may get them back: that counts
        // as a change. One that was never connected has neither time.
        let created = Time::always(self.created_at);
        let connections = [self.conns_active_at, self.conns_inactive_at];
        let connections = connections.into_iter().flatten().map(Time::At);
        let status = self.status.map(|one| ("status", Attribute::Text(one)));
        let name = self.name.unwrap_or_else(|| self.id.clone());
        Resource {
            created_at: created,
            changed_at: connections.fold(created, Time::latest),
            protection,
            attributes: status.into_iter().collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, name)
        }
    }
}

/// The path of one tunnel.
fn path(id: &ResourceId) -> [&str; 4] {
    ["accounts", id.place.id(), "cfd_tunnel", &id.id]
}

impl Kind for Tunnel {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    /// Tunnels that were deleted are in the listing as well, unless it is asked to
    /// leave them out.
    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        Call::get(Api::Cloudflare, &["accounts", place.id(), "cfd_tunnel"])
            .with("is_deleted", "false")
            .with("per_page", "50")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page_or_more(body, |one: OneTunnel| {
            one.deleted_at.is_none().then(|| one.resource(place))
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (tunnel, _) = envelope::open::<OneTunnel>(body)?;
        Ok(tunnel.resource(place))
    }

    /// The API goes on showing a tunnel that was deleted, by its id.
    fn was_deleted(&self, body: &[u8]) -> bool {
        let answer = envelope::open::<OneTunnel>(body);
        answer.is_ok_and(|(tunnel, _)| tunnel.deleted_at.is_some())
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Resource {
        let tunnel: OneTunnel = serde_json::from_str(json).unwrap();
        tunnel.resource(&Arc::new(Place::Account("a".to_owned())))
    }

    #[test]
    fn one_that_may_have_connections_is_never_touched() {
        let protection = |rest: &str| {
            let text =
                format!(r#"{{"id":"1","name":"pr-7","created_at":"2026-03-01T00:00:00Z",{rest}}}"#);
            read(&text).protection
        };
        for quiet in [
            r#""status":"inactive","conns_active_at":null,"conns_inactive_at":null"#,
            r#""status":"down","conns_inactive_at":"2026-03-02T00:00:00Z","connections":[]"#,
        ] {
            assert_eq!(protection(quiet), None, "{quiet}");
        }
        for connected in [
            r#""status":"healthy","conns_active_at":"2026-03-02T00:00:00Z""#,
            r#""status":"degraded","conns_active_at":"2026-03-02T00:00:00Z""#,
            r#""status":"new""#,
            r#""status":null"#,
            r#""conns_inactive_at":"2026-03-02T00:00:00Z""#,
            r#""status":"down","conns_inactive_at":null"#,
            r#""status":"inactive","conns_active_at":"2026-03-02T00:00:00Z""#,
            r#""status":"down","conns_active_at":"2026-03-03T00:00:00Z","conns_inactive_at":"2026-03-02T00:00:00Z""#,
            r#""status":"down","conns_inactive_at":"2026-03-02T00:00:00Z","connections":[{}]"#,
        ] {
            let connected = protection(connected);
            assert_eq!(
                connected,
                Some(BuiltInProtection::Connected),
                "{connected:?}"
            );
        }
    }

    #[test]
    fn the_end_of_its_connections_counts_as_a_change() {
        let changed =
            |rest: &str| read(&format!(r#"{{"id":"1","status":"down",{rest}}}"#)).changed_at;
        let at = |time: &str| Time::At(time.parse().unwrap());
        let created = r#""created_at":"2026-03-01T00:00:00Z""#;
        assert_eq!(changed(created), at("2026-03-01T00:00:00Z"));
        let since = r#""conns_active_at":"2026-03-02T00:00:00Z","conns_inactive_at":"2026-03-03T00:00:00Z""#;
        let lost = changed(&format!("{created},{since}"));
        assert_eq!(lost, at("2026-03-03T00:00:00Z"));
        assert_eq!(changed(since), Time::Missing);
    }

    #[test]
    fn a_deleted_tunnel_is_not_there() {
        let tunnel = |deleted: &str| {
            format!(r#"{{"id":"1","name":"pr-7","status":"inactive","deleted_at":{deleted}}}"#)
        };
        let (there, deleted) = (tunnel("null"), tunnel(r#""2026-03-03T00:00:00Z""#));
        let body = format!(r#"{{"success":true,"result":[{there},{deleted}]}}"#);
        let place = Arc::new(Place::Account("a".to_owned()));
        let page = Tunnel.read_page(&place, body.as_bytes()).unwrap();
        assert_eq!(page.items.len(), 1);
        let was_deleted = |one: &str| {
            let body = format!(r#"{{"success":true,"result":{one}}}"#);
            Tunnel.was_deleted(body.as_bytes())
        };
        assert!(was_deleted(&deleted) && !was_deleted(&there));
    }
}
