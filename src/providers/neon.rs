//! Neon: the branches of projects.

mod neon_branch;

use super::{Provider, ProviderAbout};
use crate::kind::Kind;
use crate::model::Api;

/// Neon.
pub(super) struct Neon;

static ABOUT: ProviderAbout = ProviderAbout { api: Api::Neon };

impl Provider for Neon {
    fn about(&self) -> &'static ProviderAbout {
        &ABOUT
    }

    fn kinds(&self) -> &'static [&'static dyn Kind] {
        &[&neon_branch::NeonBranch]
    }
}
