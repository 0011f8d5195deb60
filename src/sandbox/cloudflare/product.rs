//! What a product of Cloudflare is: its kind, its routes and what can be bound.

use chrono::{DateTime, Utc};

use super::Cloudflare;
use super::answer::Answer;
use super::binding::{Bindable, Binding};
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// A product. Its state is a field of [`Cloudflare`], because products refer to one
/// another: a Worker cannot be deleted while a queue has it as a consumer.
pub(super) trait Product: Sync {
    /// Its kind in world files, where it has one.
    fn kind(&self) -> Option<&'static WorldKind>;

    /// Returns whether an id of its kind is taken.
    fn has_id(&self, _cloud: &Cloudflare, _id: &str) -> bool {
        false
    }

    /// Creates a resource of its kind, as a world describes it.
    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource>;

    /// Returns the existing resources of its kind, in the world format.
    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource>;

    /// Answers a request below the account; none if its path is another's.
    fn route(
        &self,
        _cloud: &mut Cloudflare,
        _method: &str,
        _path: &[&str],
        _request: &Request,
    ) -> Option<Answer> {
        None
    }

    /// Answers a request below a zone; none if its path is another's.
    fn route_in_zone(
        &self,
        _cloud: &mut Cloudflare,
        _method: &str,
        _zone: &str,
        _path: &[&str],
        _request: &Request,
    ) -> Option<Answer> {
        None
    }

    /// How its resources are bound, where they can be.
    fn bindable(&self) -> Option<&'static Bindable> {
        None
    }

    /// The ids and names of its resources, where they are bound by id.
    fn targets<'c>(&self, _cloud: &'c Cloudflare) -> Vec<(&'c str, &'c str)> {
        Vec::new()
    }

    /// The bindings that its resources have.
    fn bindings<'c>(&self, _cloud: &'c mut Cloudflare) -> Vec<&'c mut Binding> {
        Vec::new()
    }
}
