//! What exists: resources, where they are, when they changed, what they refer
//! to. Plain values without I/O, shared by every later step.

pub mod code;
pub mod identifier;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};

/// The providers that preview-gc talks to. What is true of each is in
/// [`crate::providers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// Workers, storage, DNS and Pages.
    Cloudflare,
    /// Branches of databases.
    Neon,
    /// The repository, REST and GraphQL.
    GitHub,
}

/// What sort of place a kind lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceSort {
    /// A Cloudflare account.
    Account,
    /// A Cloudflare zone.
    Zone,
    /// A Neon project.
    Project,
    /// A GitHub repository.
    Repository,
}

/// Where a resource is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A Cloudflare account, by id.
    Account(String),
    /// A Cloudflare zone.
    Zone {
        /// The 32-digit id.
        id: String,
        /// The domain name of its apex.
        name: String,
        /// The account that it belongs to.
        account: String,
    },
    /// A Neon project, by id.
    Project(String),
    /// A GitHub repository, `owner/name`.
    Repository(String),
}

impl From<&Repository> for Place {
    /// One repository is one place, however a policy spells it.
    fn from(repository: &Repository) -> Self {
        Self::Repository(repository.full_name().to_ascii_lowercase())
    }
}

impl Place {
    /// What its provider's paths call it: an id, of a repository its full name.
    pub fn id(&self) -> &str {
        match self {
            Self::Account(id) | Self::Project(id) | Self::Zone { id, .. } => id,
            Self::Repository(name) => name,
        }
    }

    /// The Cloudflare account that it is or belongs to.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(id) => Some(id),
            Self::Zone { account, .. } => Some(account),
            Self::Project(_) | Self::Repository(_) => None,
        }
    }

    /// Whether what is here may use or hold what is there: the same place, or a
    /// zone and its account.
    pub fn is_near(&self, other: &Self) -> bool {
        self == other || (self.account().is_some() && self.account() == other.account())
    }

    /// Its sort.
    pub fn sort(&self) -> PlaceSort {
        match self {
            Self::Account(_) => PlaceSort::Account,
            Self::Zone { .. } => PlaceSort::Zone,
            Self::Project(_) => PlaceSort::Project,
            Self::Repository(_) => PlaceSort::Repository,
        }
    }

    /// The word of the scope and the value a user writes for it.
    pub fn scope(&self) -> (&'static str, &str) {
        match self {
            Self::Account(id) => ("account", id),
            Self::Zone { name, .. } => ("zone", name),
            Self::Project(id) => ("project", id),
            Self::Repository(name) => ("repository", name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, value) = self.scope();
        write!(f, "{word} {value}")
    }
}

/// `owner/name` of a GitHub repository. Compared without case, as GitHub does.
#[derive(Debug, Clone)]
pub struct Repository {
    full_name: String,
}

impl Repository {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        (plain(owner) && plain(name)).then(|| Self {
            full_name: text.to_owned(),
        })
    }

    /// The owner's login.
    pub fn owner(&self) -> &str {
        self.full_name
            .split_once('/')
            .map_or("", |(owner, _)| owner)
    }

    /// The name without its owner.
    pub fn name(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(_, name)| name)
    }

    /// `owner/name`
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    fn key(&self) -> impl Iterator<Item = u8> {
        self.full_name.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.full_name.eq_ignore_ascii_case(&other.full_name)
    }
}
impl Eq for Repository {}
impl PartialOrd for Repository {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Repository {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}
impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_name)
    }
}
impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full_name)
    }
}

/// A pull request's number: 1 to 2147483647, as GitHub's own type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PullRequestNumber(NonZeroU32);

impl PullRequestNumber {
    /// A number that GitHub could give.
    pub fn new(number: u32) -> Option<Self> {
        (number <= i32::MAX.unsigned_abs())
            .then(|| NonZeroU32::new(number))
            .flatten()
            .map(Self)
    }

    /// Reads the digits of a name: ASCII, no sign, no leading zero.
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(digits.parse().ok()?)
    }

    /// The plain number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for PullRequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an Actions run: 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunId(NonZeroU64);

impl RunId {
    /// Reads the digits of a name: ASCII, no sign, no leading zero.
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }

    /// The plain number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a resource's name says it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A pull request, by number.
    PullRequest(PullRequestNumber),
    /// A git branch, by its raw name.
    Branch(Box<str>),
    /// Whatever git branch this slug was made of.
    Slug {
        /// The function that made it.
        function: Box<str>,
        /// The slug.
        text: Box<str>,
    },
    /// An Actions run.
    Run(RunId),
    /// Nothing that lives or dies elsewhere: only its own age counts.
    Itself,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest(number) => write!(f, "pull request #{number}"),
            Self::Branch(branch) => write!(f, "git branch {branch}"),
            Self::Slug { function, text } => write!(f, "slug {text} ({function})"),
            Self::Run(run) => write!(f, "Actions run {run}"),
            Self::Itself => f.write_str("its own age"),
        }
    }
}

/// One of a resource's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The API said so.
    At(DateTime<Utc>),
    /// The API always says so, and this answer did not.
    Missing,
    /// The kind does not have it.
    Unsupported,
}

impl Time {
    /// The time, where it is known.
    pub fn known(self) -> Option<DateTime<Utc>> {
        match self {
            Self::At(at) => Some(at),
            Self::Missing | Self::Unsupported => None,
        }
    }

    /// The later of two; one that is missing could be the latest of all.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => Self::Missing,
            (Self::Unsupported, time) | (time, Self::Unsupported) => time,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
        }
    }

    /// A time that the API always returns.
    pub fn always(at: Option<DateTime<Utc>>) -> Self {
        at.map_or(Self::Missing, Self::At)
    }
}

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

/// What a resource uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The kind of what is used.
    pub kind: &'static str,
    /// Which one.
    pub key: ReferenceKey,
}

/// What a listing says about who uses what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The listed resource uses this one: a custom domain its Worker.
    Uses(Reference),
    /// This one uses the listed resource: a producer its queue.
    UsedBy(Reference),
    /// This one uses the listed resource, and cannot be deleted as long as the
    /// listed one is there with this link: a consumer of a queue.
    ServedBy(Reference),
    /// The listed resource has a binding that may name others.
    MayUse(UnknownBinding),
}

impl Link {
    /// The resource at the other end, where the link names one.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Uses(reference) | Self::UsedBy(reference) | Self::ServedBy(reference) => {
                Some(reference)
            }
            Self::MayUse(_) => None,
        }
    }
}

/// A binding whose type this version does not know, or whose target it cannot
/// resolve. What it could name must not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownBinding {
    /// The provider's name for the type of the binding.
    pub sort: Box<str>,
    /// Every text in the binding: ids or names of what it could refer to.
    pub texts: Vec<Box<str>>,
    /// A kind of which it could refer to any resource.
    pub any_of: Option<&'static str>,
}

/// Everything that one user refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// What it uses.
    pub uses: Vec<Reference>,
    /// Bindings that may name more.
    pub unknown: Vec<UnknownBinding>,
}

impl References {
    /// Adds what another answer says.
    pub fn extend(&mut self, more: Self) {
        for reference in more.uses {
            if !self.uses.contains(&reference) {
                self.uses.push(reference);
            }
        }
        for binding in more.unknown {
            if !self.unknown.contains(&binding) {
                self.unknown.push(binding);
            }
        }
    }

    /// The same as links of a listed resource.
    pub fn into_links(self) -> impl Iterator<Item = Link> {
        let uses = self.uses.into_iter().map(Link::Uses);
        uses.chain(self.unknown.into_iter().map(Link::MayUse))
    }
}

/// How a reference names what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKey {
    /// By id.
    Id(Box<str>),
    /// By name.
    Name(Box<str>),
    /// By the address at which it is reached, wherever it is: a host name, or
    /// the id of a compute endpoint.
    Address(Box<str>),
}

impl ReferenceKey {
    /// The id, the name or the address.
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) | Self::Address(text) => text,
        }
    }
}

impl Reference {
    /// A reference by id.
    pub fn by_id(kind: &'static str, id: String) -> Self {
        let key = ReferenceKey::Id(id.into());
        Self { kind, key }
    }

    /// A reference by name.
    pub fn by_name(kind: &'static str, name: String) -> Self {
        let key = ReferenceKey::Name(name.into());
        Self { kind, key }
    }

    /// A reference by address.
    pub fn by_address(kind: &'static str, address: String) -> Self {
        let key = ReferenceKey::Address(address.into());
        Self { kind, key }
    }
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Attribute {
    /// For [`AttributeSort::Text`] and [`AttributeSort::Host`].
    Text(Box<str>),
    /// For [`AttributeSort::Flag`].
    Flag(bool),
    /// For [`AttributeSort::List`].
    List(Vec<Box<str>>),
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
    /// Whose API it lives in.
    pub api: Api,
    /// Where it lives.
    pub place: PlaceSort,
    /// Whether names compare without case (DNS).
    pub caseless: bool,
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
    /// Whether its API tells when it was last active.
    pub active: bool,
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
    /// Whether a rule may ask for more to be kept than the listings give
    /// (`backup = true`).
    pub backup: bool,
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
    /// The kind whose deletion its resources may stand in the way of, until they
    /// are told to let go.
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
    /// The kind whose resources of the same name it makes and removes.
    pub manages: Option<&'static str>,
    /// The provider's limit on how many there may be.
    pub headroom: Option<Headroom>,
}

/// Who may use the resources of a kind. What a user that stays uses is kept, so
/// a kind whose users are not declared can never be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// Nobody has said so yet. A test fails on it, and nothing of such a kind is
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
    /// A kind with nothing special about it, for `..` in declarations. The
    /// names, the place and the users of a kind must always be stated.
    pub const BLANK: Self = Self {
        name: "",
        noun: "",
        api: Api::Cloudflare,
        place: PlaceSort::Account,
        caseless: false,
        created: false,
        changed: false,
        redeployed: false,
        never: None,
        active: false,
        branch: None,
        expires: false,
        read_permission: "",
        write_permission: "",
        serial: false,
        backup: false,
        undo: "",
        attributes: &[],
        holder: None,
        belongs_to: None,
        stands_alone: false,
        blocks: None,
        unbinds: false,
        used_by: UsedBy::Undeclared,
        references: ReferencesFrom::Listing,
        users_listed: false,
        addresses_asked: false,
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

/// Why a resource is kept whatever the rules say: facts that its kind knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltInProtection {
    /// Neon: the project's default branch.
    DefaultBranch,
    /// Neon: a protected branch.
    ProtectedBranch,
    /// Neon: a branch without a parent (schema-only branches are roots too).
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
    /// GitHub: an environment with protection rules.
    ProtectionRules,
}

impl fmt::Display for BuiltInProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DefaultBranch => "the project's default branch",
            Self::ProtectedBranch => "a protected branch",
            Self::RootBranch => "a root branch (it has no parent)",
            Self::Apex => "the apex of its zone",
            Self::RecordType => "NS, SOA, MX and the like run the zone or its mail",
            Self::Underscore => "names with `_` hold verification and service records",
            Self::Wildcard => "a wildcard serves names that no rule can see",
            Self::DisableRule => "a route without a script switches Workers off for its pattern",
            Self::Production => "it is production",
            Self::ProtectionRules => "an environment with protection rules",
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
    pub within: Option<Box<str>>,
    /// What changes when the same name is made anew (a Worker's `tag`); none
    /// where the id itself does.
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
    /// The id of the resource of the same kind and place that it hangs on (a
    /// Neon branch's parent).
    pub parent: Option<Box<str>>,
    /// What its kind has besides, in the order the kind declares.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What its listing says about who uses what.
    pub links: Vec<Link>,
    /// The addresses at which it is reached, as its listing shows them: host
    /// names in lower case.
    pub addresses: Vec<Box<str>>,
    /// What its provider recorded when it was made, where it did.
    pub recorded: Option<Provenance>,
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
    pub within: Option<Box<str>>,
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
            within,
            incarnation,
        } = self;
        (*kind, place, id, within.as_deref(), incarnation.as_deref())
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

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.noun, self.name)
    }
}

impl Resource {
    /// What it belongs to, as its listing says: a custom domain to its Worker.
    pub fn owner(&self) -> Option<&Reference> {
        let of = self.kind.belongs_to?;
        self.links.iter().find_map(|link| match link {
            Link::Uses(reference) if reference.kind == of => Some(reference),
            Link::Uses(_) | Link::UsedBy(_) | Link::ServedBy(_) | Link::MayUse(_) => None,
        })
    }

    /// One of which nothing but this is known: it has no times of its own.
    pub fn new(kind: KindRef, place: &Arc<Place>, id: Box<str>, name: Box<str>) -> Self {
        Self {
            kind,
            place: Arc::clone(place),
            id,
            name,
            within: None,
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
            recorded: None,
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
            within: self.within.clone(),
            incarnation: self.incarnation.clone(),
        }
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

    #[test]
    fn a_pull_request_number_is_what_github_could_give() {
        let read = |text| PullRequestNumber::parse(text).map(PullRequestNumber::get);
        assert_eq!(read("1"), Some(1));
        assert_eq!(read("2147483647"), Some(2_147_483_647));
        for text in [
            "",
            "0",
            "012",
            "+1",
            "2147483648",
            "24308663446",
            "１２",
            "1a",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

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
            within: Some("site".into()),
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
            changed(|other| other.within = None),
            changed(|other| other.incarnation = Some("new tag".into())),
            changed(|other| other.incarnation = None),
        ] {
            assert_ne!(other, id);
            assert_ne!(other.cmp(&id), std::cmp::Ordering::Equal, "{other:?}");
        }
    }

    #[test]
    fn a_repository_is_compared_without_case_and_never_a_path() {
        assert_eq!(
            Repository::parse("Acme/Shop"),
            Repository::parse("acme/shop")
        );
        for text in [
            "acme",
            "acme/",
            "/shop",
            "acme/shop/x",
            "acme/..",
            "a me/shop",
            "acme/sh%2fop",
        ] {
            assert!(Repository::parse(text).is_none(), "{text}");
        }
    }
}
