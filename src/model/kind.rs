//! The description of a kind: its name, its place, its permissions, its
//! attributes and its relations to other kinds.

use std::fmt;

use serde::{Serialize, Serializer};

use super::place::{Api, PlaceSort};

/// The type of an attribute, which says how a `where` condition compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeSort {
    /// Text, compared byte by byte.
    Text,
    /// A host name, compared without case and without the trailing dot.
    Host,
    /// True or false.
    Flag,
    /// A list of texts; a condition names texts that must all be among them.
    List,
}

/// An attribute that a kind declares, so that policies can be checked when
/// they are read.
#[derive(Debug, Clone, Copy)]
pub struct AttributeAbout {
    /// The key in `where` and in the JSON.
    pub key: &'static str,
    /// How it compares.
    pub sort: AttributeSort,
    /// Special values of a condition, each with the flag among the attributes
    /// that it asks about instead.
    pub words: &'static [(&'static str, &'static str)],
    /// Values that the provider writes exactly like this. A condition that spells
    /// one in another case is a mistake; other values may come with time.
    pub values: &'static [&'static str],
    /// What it means, for documentation.
    pub about: &'static str,
}

/// A limit that the provider sets on how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Headroom {
    /// What is counted.
    pub what: &'static str,
    /// The limit of the free plan.
    pub free: Option<u64>,
    /// The limit of paid plans.
    pub paid: Option<u64>,
    /// The attribute by which resources are counted; by place without one.
    pub per: Option<&'static str>,
}

/// Whether a template for names, in these zones and with these values of `type`,
/// names protected resources only.
pub type NamesOnlyProtected = fn(&str, &[&str], &[&str]) -> bool;

/// What a kind is called and what its resources have: all that policies and
/// reports need to know of it.
#[derive(Debug)]
pub struct KindAbout {
    /// The name in policies and JSON.
    pub name: &'static str,
    /// What people call one of them.
    pub noun: &'static str,
    /// The provider whose API has it.
    pub api: Api,
    /// What sort of place contains it.
    pub place: PlaceSort,
    /// Whether names compare without case (DNS).
    pub caseless: bool,
    /// Whether its provider takes names that differ only in case for the same, and shows
    /// them as they were written.
    pub ignores_case: bool,
    /// Whether a name begins with a host and goes on with a path that has case,
    /// as the pattern of a route does. `protect` and `except` then match either
    /// form of the host, in any case.
    pub begins_with_host: bool,
    /// Whether the API of the kind returns a creation time.
    pub created: bool,
    /// Whether the API of the kind returns a modification time.
    pub changed: bool,
    /// Whether one is deployed again under the same identity, so that its creation
    /// says nothing about its use.
    pub redeployed: bool,
    /// Whether a template for names, in these zones and with these values of
    /// `type`, can only name resources that are always protected.
    pub never: Option<NamesOnlyProtected>,
    /// Whether its API returns when it was last active.
    pub active: bool,
    /// The flag among the attributes without which one takes no older one's place: a
    /// build that failed.
    pub complete: Option<&'static str>,
    /// The attribute with the addresses that one serves until another takes them
    /// over: the alias of a git branch.
    pub serves: Option<&'static str>,
    /// The attribute that holds the git branch it was made for.
    pub branch: Option<&'static str>,
    /// Whether it can be given an expiry instead of being deleted.
    pub expires: bool,
    /// The permission that reading it needs, in the provider's own words.
    pub read_permission: &'static str,
    /// The permission that deleting it needs, in the provider's own words.
    pub write_permission: &'static str,
    /// Whether its provider carries out one deletion in a place at a time.
    pub serial: bool,
    /// Whether its provider answers a deletion before it has carried that out.
    pub asynchronous: bool,
    /// Whether a rule may ask for more to be kept than the listings give
    /// (`backup = true`).
    pub backup: bool,
    /// Whether a rule may ask for what it holds to be deleted first, without which
    /// it cannot be deleted (`empty = true`).
    pub emptied: bool,
    /// What can be restored of one that was deleted.
    pub undo: &'static str,
    /// What `where` may ask about.
    pub attributes: &'static [AttributeAbout],
    /// What holds its resources where they are listed one holder at a time: a
    /// Pages project, a Worker.
    pub holder: Option<&'static str>,
    /// The kind that its resources belong to. One that no rule matches goes
    /// with its owner, unless it [stands alone](Self::stands_alone).
    pub belongs_to: Option<&'static str>,
    /// Whether one may be wanted for its own sake, whatever its owner is called:
    /// a host name that people visit. Then it goes with its owner only if its
    /// own name contains the owner's claim, or the rule lists its kind under
    /// `with`; otherwise it keeps its owner.
    pub stands_alone: bool,
    /// The kinds whose resources make its resources, use them and leave them behind.
    /// One that no rule matches goes after the resource that made it, in the same
    /// run, if the rule of that lists its kind under `with`.
    pub satellite_of: &'static [&'static str],
    /// Whether it runs the code of what made it, so that one which stays, or which
    /// something else uses that stays, keeps that.
    pub keeps_maker: bool,
    /// The [user source](crate::kind::UserSource) that shows what made each of its
    /// resources, where their own listing does not. Once what made one is gone, nothing
    /// shows it any more.
    pub maker_shown_by: Option<&'static str>,
    /// Kinds that its resources may use as well. Where they are listed anyway they keep
    /// what they use, and no rule about these kinds has them listed.
    pub also_uses: &'static [&'static str],
    /// The flag among the attributes by which the provider itself says that what
    /// made a resource is gone, with the words for it in a reason.
    pub orphaned: Option<(&'static str, &'static str)>,
    /// The kind whose deletion its resources may block, until they release it.
    pub blocks: Option<&'static str>,
    /// Whether the provider refuses to delete one that another of the same kind
    /// binds, and that binding can be removed first.
    pub unbinds: bool,
    /// Who may use its resources.
    pub used_by: UsedBy,
    /// How it becomes known what its resources use.
    pub references: ReferencesFrom,
    /// Whether the API lists who uses its resources, many at a time.
    pub users_listed: bool,
    /// Whether the addresses at which its resources are reached have to be asked
    /// for.
    pub addresses_asked: bool,
    /// Whether others can take over what one points at, when that is gone: a host
    /// name that points at a Worker.
    pub dangles: bool,
    /// The kinds of which it may point at one by its id, and only at one of its own
    /// account: where a complete listing lacks that, it is gone.
    pub points_at: &'static [&'static str],
    /// The kind whose resources of the same name it makes and removes.
    pub manages: Option<&'static str>,
    /// The provider's limit on how many there may be.
    pub headroom: Option<Headroom>,
}

/// Who may use the resources of a kind. What a user that stays uses is kept, so
/// a kind whose users are not declared can never be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// It is not declared. A test fails on it, and no resource of such a kind is
    /// ever garbage.
    Undeclared,
    /// These kinds and [user sources](crate::kind::UserSource), by name.
    These(&'static [&'static str]),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// How it becomes known what the resources of a kind use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferencesFrom {
    /// Its listing shows all of it.
    Listing,
    /// Each resource has to be asked about.
    Each,
}

impl KindAbout {
    /// Whether names that differ only in case are those of the same resource.
    pub fn has_names_without_case(&self) -> bool {
        self.caseless || self.ignores_case
    }

    /// A kind with nothing special about it, for `..` in declarations. The
    /// names, the place and the users of a kind must always be stated.
    pub const BLANK: Self = Self {
        name: "",
        noun: "",
        api: Api::Cloudflare,
        place: PlaceSort::Account,
        caseless: false,
        ignores_case: false,
        begins_with_host: false,
        created: false,
        changed: false,
        redeployed: false,
        never: None,
        active: false,
        complete: None,
        serves: None,
        branch: None,
        expires: false,
        read_permission: "",
        write_permission: "",
        serial: false,
        asynchronous: false,
        backup: false,
        emptied: false,
        undo: "",
        attributes: &[],
        holder: None,
        belongs_to: None,
        stands_alone: false,
        satellite_of: &[],
        keeps_maker: false,
        maker_shown_by: None,
        also_uses: &[],
        orphaned: None,
        blocks: None,
        unbinds: false,
        used_by: UsedBy::Undeclared,
        references: ReferencesFrom::Listing,
        users_listed: false,
        addresses_asked: false,
        dangles: false,
        points_at: &[],
        manages: None,
        headroom: None,
    };
}

/// A kind, compared and ordered by its name.
#[derive(Clone, Copy)]
pub struct KindRef(pub &'static KindAbout);

impl KindRef {
    /// The kind's name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How policies and people call it.
    pub fn named(self) -> KindName {
        KindName {
            id: self.0.name,
            noun: self.0.noun,
        }
    }
}

impl std::ops::Deref for KindRef {
    type Target = KindAbout;

    fn deref(&self) -> &KindAbout {
        self.0
    }
}

impl PartialEq for KindRef {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.0.name == other.0.name
    }
}

impl Eq for KindRef {}

impl std::hash::Hash for KindRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl PartialOrd for KindRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KindRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.cmp(other.0.name)
    }
}

impl fmt::Debug for KindRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// How a kind of resource, or of users that are no resources, is called: by policies and
/// by people. As text it is the word for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindName {
    /// Its name in policies and reports.
    pub id: &'static str,
    /// The word for one of them.
    pub noun: &'static str,
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun)
    }
}

impl fmt::Display for KindRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for KindRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}
