//! The interface of a provider in the sandbox: a state that is filled from a
//! world file, exported in the same form, and served over HTTP.

use chrono::{DateTime, Utc};

use super::message::{Request, Response};
use super::world;

/// Why a resource of a world file cannot exist at this provider.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImpossibleResource(pub String);

impl ImpossibleResource {
    /// The name is taken; `what` is a noun with its article.
    pub(super) fn exists(what: &str, name: &str) -> Self {
        Self(format!("{what} {name} exists already"))
    }
}

/// A kind as world files and faults know it.
#[derive(Debug)]
pub struct WorldKind {
    /// Its name.
    pub name: &'static str,
    /// The attributes that one may have in a world.
    pub attributes: &'static [&'static str],
    /// The parts of paths by which its requests are known.
    pub paths: &'static [&'static str],
}

/// A provider's state with its HTTP API.
pub trait ProviderApi: Send {
    /// Returns the kinds of this provider.
    fn kinds(&self) -> Vec<&'static WorldKind>;

    /// Creates a resource, as a world file or the control endpoint
    /// `/_sandbox/resources` describes it.
    ///
    /// # Errors
    ///
    /// When the provider rejects such a resource (a name that is taken, an
    /// attribute that the kind does not have).
    fn add(
        &mut self,
        resource: &world::WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource>;

    /// Returns the existing resources in the world format, with ids.
    fn resources(&self) -> Vec<world::WorldResource>;

    /// Answers one request. Quota, authorization and faults are already
    /// handled.
    fn answer(&mut self, request: &Request) -> Response;
}
