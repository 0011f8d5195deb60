//! Which kinds depend on which: who uses, owns, manages and blocks whom. The
//! graph is built once from what the kinds declare of themselves, and every
//! question about such relations is answered here.

use std::collections::BTreeMap;

use crate::model::{KindName, KindRef, Place, PlaceSort, ReferencesFrom, UsedBy};

/// How a kind of user becomes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserKind {
    /// Resources of a kind that is listed.
    Kind(KindRef),
    /// Users that are no resources of their own: Pages projects, for one.
    Source(&'static str),
}

impl UserKind {
    /// The name of the kind or source.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.name(),
            Self::Source(name) => name,
        }
    }
}

/// The relations between all kinds.
#[derive(Debug, Clone, Default)]
pub struct KindGraph {
    kinds: Vec<KindRef>,
    /// By the kind that is used.
    users: BTreeMap<&'static str, Vec<UserKind>>,
    /// The users that are no resources of their own.
    sources: Vec<KindName>,
}

impl KindGraph {
    /// Builds the graph of these kinds. Whatever `used_by` names that is not
    /// among them is a user source.
    pub fn of(
        kinds: impl IntoIterator<Item = KindRef>,
        sources: impl IntoIterator<Item = KindName>,
    ) -> Self {
        let kinds: Vec<KindRef> = kinds.into_iter().collect();
        let user = |name: &&'static str| {
            let kind = kinds.iter().find(|kind| kind.name() == *name);
            kind.map_or(UserKind::Source(name), |kind| UserKind::Kind(*kind))
        };
        let users = kinds.iter().filter_map(|kind| match kind.used_by {
            UsedBy::These(names) => Some((kind.name(), names.iter().map(user).collect())),
            UsedBy::Nothing(_) | UsedBy::Undeclared => None,
        });
        Self {
            users: users.collect(),
            kinds,
            sources: sources.into_iter().collect(),
        }
    }

    /// How a kind or user source of this name is called.
    pub fn named(&self, id: &'static str) -> KindName {
        let kinds = self.kinds.iter().map(|kind| kind.named());
        let mut all = kinds.chain(self.sources.iter().copied());
        all.find(|one| one.id == id)
            .unwrap_or(KindName { id, noun: id })
    }

    /// Every kind, in the order in which a sweep deletes them.
    pub fn kinds(&self) -> &[KindRef] {
        &self.kinds
    }

    /// Whether the kind says who uses its resources. Without that nothing of
    /// the kind may be deleted.
    pub fn declares_users(kind: KindRef) -> bool {
        kind.used_by != UsedBy::Undeclared
    }

    /// Who may use the resources of a kind.
    pub fn users(&self, kind: KindRef) -> &[UserKind] {
        self.users.get(kind.name()).map_or(&[], Vec::as_slice)
    }

    /// The kinds whose resources may use one of this kind.
    pub fn user_kinds(&self, kind: KindRef) -> impl Iterator<Item = KindRef> {
        self.users(kind).iter().filter_map(|user| match user {
            UserKind::Kind(kind) => Some(*kind),
            UserKind::Source(_) => None,
        })
    }

    /// The user sources that may use resources of this kind.
    pub fn sources(&self, kind: KindRef) -> impl Iterator<Item = &'static str> {
        self.users(kind).iter().filter_map(|user| match user {
            UserKind::Source(name) => Some(*name),
            UserKind::Kind(_) => None,
        })
    }

    /// Whether a resource of one kind may use one of another.
    pub fn may_use(&self, user: KindRef, used: KindRef) -> bool {
        self.user_kinds(used).any(|kind| kind == user)
    }

    /// Whether a resource of this kind may use anything at all.
    pub fn uses_anything(&self, kind: KindRef) -> bool {
        self.kinds.iter().any(|used| self.may_use(kind, *used))
    }

    /// The kinds whose users have to be asked about one by one.
    pub fn asked_users(&self, kind: KindRef) -> impl Iterator<Item = KindRef> {
        self.user_kinds(kind)
            .filter(|user| user.0.references == ReferencesFrom::Each)
    }

    /// The kinds whose resources belong to one of this kind.
    pub fn owned(&self, owner: KindRef) -> impl Iterator<Item = KindRef> {
        let kinds = self.kinds.iter().copied();
        kinds.filter(move |kind| kind.belongs_to == Some(owner.name()))
    }

    /// The kind to which the resources of this kind belong.
    pub fn owner(&self, owned: KindRef) -> Option<KindRef> {
        let name = owned.0.belongs_to?;
        self.kinds.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kinds whose resources are made and left behind by those of this kind, where
    /// nothing shows any more what made them once that is gone.
    pub fn lost_satellites(&self, maker: KindRef) -> impl Iterator<Item = KindRef> {
        let kinds = self.kinds.iter().copied();
        kinds.filter(move |kind| {
            kind.satellite_of.contains(&maker.name()) && kind.maker_shown_by.is_some()
        })
    }

    /// The kind whose resources of the same name manage those of this kind.
    pub fn manager(&self, managed: KindRef) -> Option<KindRef> {
        let mut kinds = self.kinds.iter().copied();
        kinds.find(|kind| kind.manages == Some(managed.name()))
    }

    /// Whether resources of `other` have to be known before one of `kind` may be
    /// deleted: they affect it, or it belongs to one of them, which people may have
    /// protected.
    pub fn concerns(&self, kind: KindRef, other: KindRef) -> bool {
        self.affects(kind, other) || kind.belongs_to == Some(other.name())
    }

    /// Whether resources of `other` may use one of `kind`, run its code, belong to it,
    /// manage it, be managed by it or stand in the way of its deletion.
    pub fn affects(&self, kind: KindRef, other: KindRef) -> bool {
        let name = Some(kind.name());
        self.may_use(other, kind)
            || (other.0.keeps_maker && other.0.satellite_of.contains(&kind.name()))
            || [other.0.belongs_to, other.0.manages, other.0.blocks].contains(&name)
            || kind.manages == Some(other.name())
    }

    /// Whether resources of `kind` belong to one of `other`, manage it, stand in the way
    /// of its deletion or are made by it.
    pub fn is_tied(kind: KindRef, other: KindRef) -> bool {
        let name = other.name();
        [kind.belongs_to, kind.manages, kind.blocks].contains(&Some(name))
            || kind.satellite_of.contains(&name)
    }

    /// Whether resources of `other` may keep one of `kind` where they are listed, although
    /// no rule about `kind` has them listed.
    pub fn may_keep(other: KindRef, kind: KindRef) -> bool {
        let name = kind.name();
        other.0.also_uses.contains(&name)
            || (other.0.maker_shown_by.is_some() && other.0.satellite_of.contains(&name))
    }

    /// Whether the listing of `other` has to be there, and complete, before a
    /// resource of `kind` in this place may be deleted. What belongs to a zone or
    /// to another provider is listed only where a policy's scope has it.
    pub fn must_be_listed(kind: KindRef, place: &Place, other: KindRef) -> Option<Place> {
        if other.0.place == kind.place {
            return Some(place.clone());
        }
        match (other.0.place, place.account()) {
            (PlaceSort::Account, Some(account)) => Some(Place::Account(account.to_owned())),
            _ => None,
        }
    }

    /// Whether a listing in `there` may show what concerns a resource `here`.
    pub fn may_concern(here: &Place, there: &Place, of: (KindRef, KindRef)) -> bool {
        let (kind, other) = of;
        here.is_near(there) || kind.api != other.0.api
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::providers;

    fn graph() -> KindGraph {
        KindGraph::of(providers::vocabulary(), providers::source_names())
    }

    fn kind(name: &str) -> KindRef {
        providers::by_name(name).unwrap().about()
    }

    #[test]
    fn every_kind_says_who_uses_it() {
        let graph = graph();
        assert!(!graph.kinds().is_empty());
        for kind in graph.kinds() {
            assert!(KindGraph::declares_users(*kind), "{kind}");
            for user in graph.users(*kind) {
                if let UserKind::Source(name) = user {
                    assert!(providers::source(name).is_some(), "{kind} names {name}");
                }
            }
        }
    }

    /// The whole graph on one page: who may use, belong to, manage and block
    /// whom.
    #[test]
    fn the_relations_between_kinds() {
        let graph = graph();
        let mut text = String::new();
        for kind in graph.kinds() {
            let users: Vec<_> = graph.users(*kind).iter().map(|user| user.name()).collect();
            let _ = writeln!(text, "{kind}");
            if !users.is_empty() {
                let _ = writeln!(text, "  used by {}", users.join(", "));
            }
            for owned in graph.owned(*kind) {
                let _ = writeln!(text, "  owns {owned}");
            }
            if let Some(manager) = graph.manager(*kind) {
                let _ = writeln!(text, "  managed by {manager}");
            }
            for maker in kind.satellite_of {
                let _ = writeln!(text, "  left behind by {maker}");
                if kind.keeps_maker {
                    let _ = writeln!(text, "  keeps {maker}");
                }
            }
            for used in kind.also_uses {
                let _ = writeln!(text, "  also uses {used}");
            }
            if let Some(source) = kind.maker_shown_by {
                let _ = writeln!(text, "  whose maker a {source} shows");
            }
            if let Some(blocked) = kind.blocks {
                let _ = writeln!(text, "  blocks {blocked}");
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_kind_concerns_what_it_uses_owns_manages_or_blocks() {
        let graph = graph();
        for (of, other, concerns) in [
            ("kv_namespace", "worker", true),
            ("worker", "kv_namespace", false),
            ("worker", "worker_domain", true),
            ("worker", "worker_route", true),
            ("worker", "queue", true),
            ("worker", "workflow", true),
            ("dns_record", "worker_domain", true),
            ("worker_domain", "dns_record", true),
            ("neon_branch", "hyperdrive", true),
            ("neon_branch", "worker", false),
            ("github_environment", "github_deployment", true),
        ] {
            assert_eq!(
                graph.concerns(kind(of), kind(other)),
                concerns,
                "{of} {other}"
            );
        }
    }

    #[test]
    fn resources_of_zones_are_listed_where_the_scope_has_the_zone() {
        let account = Place::Account("a".to_owned());
        let zone = Place::Zone {
            id: "z".to_owned(),
            name: "acme.example".to_owned(),
            account: "a".to_owned(),
        };
        let listed = |of, place, other| KindGraph::must_be_listed(kind(of), place, kind(other));
        assert_eq!(
            listed("kv_namespace", &account, "worker"),
            Some(account.clone())
        );
        assert_eq!(
            listed("dns_record", &zone, "worker_domain"),
            Some(account.clone())
        );
        assert_eq!(listed("worker", &account, "worker_route"), None);
        let project = Place::Project("p".to_owned());
        assert_eq!(listed("neon_branch", &project, "hyperdrive"), None);
    }
}
