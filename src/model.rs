//! What exists: resources, where they are, when they changed, what they refer
//! to. Plain values without I/O, shared by every later step.

mod claim;
pub mod code;
pub mod identifier;
mod kind;
mod place;
mod production;
mod reference;
mod repository;
mod resource;
mod time;

pub use claim::{Claim, PullRequestNumber, RunId};
pub use kind::{
    AttributeAbout, AttributeSort, Headroom, KindAbout, KindName, KindRef, NamesOnlyProtected,
    ReferencesFrom, UsedBy,
};
pub use place::{Api, Place, PlaceSort, ScopeKey, ScopeTable};
pub use production::production_words;
pub use reference::{Link, Reference, ReferenceKey, References, UnknownBinding};
pub use repository::Repository;
pub use resource::{
    Attribute, BuiltInProtection, KEEP_MARK, Provenance, Resource, ResourceId, is_marked,
};
pub use time::Time;
