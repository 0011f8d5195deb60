//! The stand-in cloud.

pub mod face;
pub mod message;
pub mod world;
