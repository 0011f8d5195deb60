//! A resource as a listing shows it, its identity, and the facts that protect it.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::claim::PullRequestNumber;
use super::kind::KindRef;
use super::place::Place;
use super::reference::{Link, Reference};
use super::time::Time;

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Attribute {
    /// For [`AttributeSort::Text`](super::kind::AttributeSort::Text) and [`AttributeSort::Host`](super::kind::AttributeSort::Host).
    Text(Box<str>),
    /// For [`AttributeSort::Flag`](super::kind::AttributeSort::Flag).
    Flag(bool),
    /// For [`AttributeSort::List`](super::kind::AttributeSort::List).
    List(Vec<Box<str>>),
}

/// The mark that people leave on a resource which is to be kept.
pub const KEEP_MARK: &str = "preview-gc:keep";

/// Whether any of these texts has the mark of what is to be kept.
pub fn is_marked<'t>(texts: impl IntoIterator<Item = &'t str>) -> bool {
    let has_mark = |text: &str| text.to_ascii_lowercase().contains(KEEP_MARK);
    texts.into_iter().any(has_mark)
}

/// Why a resource is kept whatever the rules say: facts that its kind knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltInProtection {
    /// Somebody marked it with [`KEEP_MARK`].
    Marked,
    /// Neon: the project's default branch.
    DefaultBranch,
    /// Neon: a protected branch.
    ProtectedBranch,
    /// Neon: a branch with data and without a parent.
    RootBranch,
    /// DNS: the zone's own name.
    Apex,
    /// DNS: a record type that runs the zone or its mail.
    RecordType,
    /// DNS: a name with a label that begins with `_`.
    Underscore,
    /// DNS: a name that begins with `*`.
    Wildcard,
    /// DNS: made and removed by a Worker's custom domain.
    Managed,
    /// Worker route: one without a script switches Workers off for its pattern.
    DisableRule,
    /// A production deployment, or an environment that is called production.
    Production,
    /// A deployment or an environment whose name has a word for production. A rule
    /// that spells this word may match it.
    LikeProduction,
    /// A production deployment whose place another has taken. A rule that keeps the
    /// newest of production may name it.
    PastProduction,
    /// GitHub: an environment with protection rules.
    ProtectionRules,
    /// Access: an application that guards something else than public host names.
    GuardsMore,
    /// Cloudflare Tunnel: one that has connections, or may have them.
    Connected,
    /// Workflow: instances of it have not ended.
    Unfinished,
}

impl fmt::Display for BuiltInProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marked => "marked `preview-gc:keep`",
            Self::DefaultBranch => "the project's default branch",
            Self::ProtectedBranch => "a protected branch",
            Self::RootBranch => "a root branch (it has no parent)",
            Self::Apex => "the apex of its zone",
            Self::RecordType => "NS, SOA, MX and the like run the zone or its mail",
            Self::Underscore => "names with `_` hold verification and service records",
            Self::Wildcard => "a wildcard serves names that no rule can see",
            Self::DisableRule => "a route without a script switches Workers off for its pattern",
            Self::Production => "it is production",
            Self::LikeProduction => "it is called production, and no rule spells that",
            Self::PastProduction => "it was production, and no rule keeps the newest of production",
            Self::ProtectionRules => "an environment with protection rules",
            Self::Connected => "it is connected, so somebody uses it",
            Self::GuardsMore => "it guards something else than public host names",
            Self::Unfinished => "it has instances that have not ended",
            Self::Managed => "managed by a Worker's custom domain; it goes with the domain",
        })
    }
}

/// A resource as its listing showed it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// What it is.
    pub kind: KindRef,
    /// Where it is.
    pub place: Arc<Place>,
    /// The id by which the API addresses it; for a Worker its name.
    pub id: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// What holds it, where its kind has holders.
    pub holder: Option<Box<str>>,
    /// What changes when a resource of the same name is created again (a Worker's
    /// `tag`); none where the id itself changes.
    pub incarnation: Option<Box<str>>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed, in the sense of the safety rules: an edit or
    /// a deployment, not usage.
    pub changed_at: Time,
    /// When it was last used; requested only if a rule needs it.
    pub active_at: Time,
    /// When the provider will remove it by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it is kept whatever the rules say.
    pub protection: Option<BuiltInProtection>,
    /// The id of the resource of the same kind and place that it belongs to (a
    /// Neon branch's parent).
    pub parent: Option<Box<str>>,
    /// What its kind has besides, in the order the kind declares.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What its listing says about who uses what.
    pub links: Vec<Link>,
    /// The addresses at which it is reached, as its listing shows them: host
    /// names in lower case, or the id of a Durable Object namespace.
    pub addresses: Vec<Box<str>>,
    /// One of them that it has not got from what it was made for, such as a custom
    /// domain: what serves it stays.
    pub foreign_address: Option<Box<str>>,
    /// What its provider recorded when it was made, where it did.
    pub recorded: Option<Provenance>,
    /// The field of its answer that may hold a mark or say whose it is, and that
    /// is missing or has no form that can be read. No rule deletes it then.
    pub unread: Option<&'static str>,
    /// The provider's own words on it (JSON), where putting it back takes more
    /// than the fields above.
    pub original: Option<Box<str>>,
}

/// What a provider recorded about the origin of a resource when it was made.
/// That is stronger evidence than the resource's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The repository: `owner/name`, or its address at a forge.
    pub repository: Option<Box<str>>,
    /// The pull request.
    pub pull_request: Option<PullRequestNumber>,
    /// The git branch that it was made for.
    pub branch: Option<Box<str>>,
}

/// What a resource is addressed by, also when it is gone. Two of them are equal
/// if they identify the same resource, whatever its name is now: a kind whose
/// names can be used again has the name as its id, or an incarnation, or both.
#[derive(Debug, Clone)]
pub struct ResourceId {
    /// What it is.
    pub kind: KindRef,
    /// Where it is.
    pub place: Arc<Place>,
    /// The id by which the API addresses it; for a Worker its name.
    pub id: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// What holds it.
    pub holder: Option<Box<str>>,
    /// Changes when a resource with the same name is created again.
    pub incarnation: Option<Box<str>>,
}

impl ResourceId {
    /// What identifies the resource: everything but its name.
    fn key(&self) -> (KindRef, &Place, &str, Option<&str>, Option<&str>) {
        let Self {
            kind,
            place,
            id,
            name: _,
            holder,
            incarnation,
        } = self;
        (*kind, place, id, holder.as_deref(), incarnation.as_deref())
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ResourceId {}

impl std::hash::Hash for ResourceId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl ResourceId {
    /// Returns whether a reference of a resource nearby means this one: by its id
    /// or by its name.
    pub fn is_meant_by(&self, reference: &Reference) -> bool {
        is_meant_by(reference, self.kind, &self.id, &self.name)
    }
}

fn is_meant_by(reference: &Reference, kind: KindRef, id: &str, name: &str) -> bool {
    let key = reference.key.text();
    let is_name =
        || key == name || (kind.has_names_without_case() && key.eq_ignore_ascii_case(name));
    reference.kind == kind.name() && (key == id || is_name())
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.noun, self.name)
    }
}

impl Resource {
    /// Returns whether a reference of a resource nearby means this one: by its id
    /// or by its name.
    pub fn is_meant_by(&self, reference: &Reference) -> bool {
        is_meant_by(reference, self.kind, &self.id, &self.name)
    }

    /// What it belongs to, as its listing says: a custom domain to its Worker.
    pub fn owner(&self) -> Option<&Reference> {
        let of = self.kind.belongs_to?;
        self.links.iter().find_map(|link| match link {
            Link::Uses(reference) if reference.kind == of => Some(reference),
            Link::Uses(_)
            | Link::UsedBy(_)
            | Link::ServedBy(_)
            | Link::LeftBy(_)
            | Link::MayUse(_)
            | Link::Guards(_) => None,
        })
    }

    /// One of which nothing but this is known: it has no times of its own.
    pub fn new(kind: KindRef, place: &Arc<Place>, id: Box<str>, name: Box<str>) -> Self {
        Self {
            kind,
            place: Arc::clone(place),
            id,
            name,
            holder: None,
            incarnation: None,
            created_at: Time::Unsupported,
            changed_at: Time::Unsupported,
            active_at: Time::Unsupported,
            expires_at: None,
            protection: None,
            parent: None,
            attributes: Vec::new(),
            links: Vec::new(),
            addresses: Vec::new(),
            foreign_address: None,
            recorded: None,
            unread: None,
            original: None,
        }
    }

    /// What it is addressed by.
    pub fn identity(&self) -> ResourceId {
        ResourceId {
            kind: self.kind,
            place: Arc::clone(&self.place),
            id: self.id.clone(),
            name: self.name.clone(),
            holder: self.holder.clone(),
            incarnation: self.incarnation.clone(),
        }
    }

    /// An address that it serves until another takes it over.
    pub fn held_address(&self) -> Option<&str> {
        match self.attribute(self.kind.serves?)? {
            Attribute::List(addresses) => addresses.first().map(AsRef::as_ref),
            Attribute::Text(address) => Some(address),
            Attribute::Flag(_) => None,
        }
    }

    /// What the provider itself says of what made it, where it says that it is gone.
    pub fn orphaned(&self) -> Option<&'static str> {
        let (flag, words) = self.kind.orphaned?;
        (self.attribute(flag) == Some(&Attribute::Flag(true))).then_some(words)
    }

    /// The value of an attribute, where the answer had it.
    pub fn attribute(&self, key: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KindAbout;

    #[test]
    fn a_renamed_resource_is_the_same_and_a_recreated_one_is_not() {
        static ABOUT: KindAbout = KindAbout {
            name: "thing",
            ..KindAbout::BLANK
        };
        static OTHER: KindAbout = KindAbout {
            name: "other",
            ..KindAbout::BLANK
        };
        let account = |id: &str| Arc::new(Place::Account(id.to_owned()));
        let id = ResourceId {
            kind: KindRef(&ABOUT),
            place: account("a"),
            id: "1".into(),
            name: "one".into(),
            holder: Some("site".into()),
            incarnation: Some("tag".into()),
        };
        let known = std::collections::HashSet::from([id.clone()]);
        let changed = |change: fn(&mut ResourceId)| {
            let mut other = id.clone();
            change(&mut other);
            other
        };
        let renamed = changed(|other| other.name = "two".into());
        assert_eq!(renamed, id);
        assert_eq!(renamed.cmp(&id), std::cmp::Ordering::Equal);
        assert!(known.contains(&renamed));
        let elsewhere = ResourceId {
            place: account("b"),
            ..id.clone()
        };
        for other in [
            elsewhere,
            changed(|other| other.kind = KindRef(&OTHER)),
            changed(|other| other.id = "2".into()),
            changed(|other| other.holder = None),
            changed(|other| other.incarnation = Some("new tag".into())),
            changed(|other| other.incarnation = None),
        ] {
            assert_ne!(other, id);
            assert_ne!(other.cmp(&id), std::cmp::Ordering::Equal, "{other:?}");
        }
    }
}
