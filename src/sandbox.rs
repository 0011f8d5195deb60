//! The stand-in cloud.

pub mod cloudflare;
pub mod face;
pub mod message;
pub mod world;
