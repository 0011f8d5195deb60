//! The zones and projects where a rule or a `protect` entry applies.

use super::Span;
use crate::model::{Place, Resource};

/// The zones and projects where something applies; everywhere without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// Zones by name or id.
    pub zones: Option<Vec<PlaceName>>,
    /// Projects by id.
    pub projects: Option<Vec<PlaceName>>,
}

/// A zone or project that a rule or a `protect` entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceName {
    /// The name or id, in its normal form.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Where {
    pub(super) fn covers(&self, resource: &Resource) -> bool {
        // What an account holds by project is known by the resource alone.
        let held = || {
            let holder = resource.holder.as_deref();
            self.projects
                .as_ref()
                .is_none_or(|list| list.iter().any(|one| Some(one.name.as_str()) == holder))
        };
        self.reaches(&resource.place)
            && (matches!(&*resource.place, Place::Zone { .. } | Place::Project(_)) || held())
    }

    /// Whether it may cover anything in a place.
    pub fn reaches(&self, place: &Place) -> bool {
        let among = |list: &Option<Vec<PlaceName>>, names: &[&str]| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|one| names.contains(&one.name.as_str())))
        };
        match place {
            Place::Zone { id, name, .. } => among(&self.zones, &[id, name]),
            Place::Project(id) => among(&self.projects, &[id]),
            // A rule for accounts cannot also be one for a zone.
            Place::Account(_) | Place::Repository(_) => self.zones.is_none(),
        }
    }
}
