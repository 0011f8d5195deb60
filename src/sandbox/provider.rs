//! What one provider is to the stand-in: a state that can be filled from a
//! world file, shown again in that form, and talked to over HTTP.

use chrono::{DateTime, Utc};

use super::message::{Request, Response};
use super::world;

/// Why a resource of a world file cannot exist at this provider.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// A provider's whole state together with its HTTP face.
pub trait ProviderApi: Send {
    /// The kinds that live here.
    fn kinds(&self) -> &'static [&'static str];

    /// Makes a resource exist, as a world file or the `/_sandbox/resources`
    /// door describes it.
    ///
    /// # Errors
    ///
    /// When the provider could not hold such a resource (a name taken, an
    /// attribute that the kind does not have).
    fn add(&mut self, resource: &world::Resource, now: DateTime<Utc>) -> Result<(), Refusal>;

    /// What exists now, in the world format, with ids.
    fn resources(&self) -> Vec<world::Resource>;

    /// Answers one request. Quota, authorization and faults were dealt with.
    fn answer(&mut self, request: &Request) -> Response;
}
