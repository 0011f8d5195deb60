//! preview-gc

pub mod sandbox;
