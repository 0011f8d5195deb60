//! A step that may be sent, with everything that its requests need.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::call::Call;

/// A step with everything that its requests need.
pub(super) struct ReadyStep {
    pub(super) step: usize,
    /// The requests that remove bindings to its resource.
    pub(super) unbinds: Vec<Unbind>,
    /// The contents of its resource, if they are backed up.
    pub(super) backup: Option<Value>,
    /// The expiry that it sets, if it sets one.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl ReadyStep {
    /// Creates the step with the requests that remove bindings to its resource.
    pub(super) fn new(step: usize, unbinds: Vec<Unbind>) -> Self {
        Self {
            step,
            unbinds,
            backup: None,
            expires_at: None,
        }
    }
}

/// A request that removes another resource's binding to the resource of a step.
#[derive(Debug, Clone)]
pub(super) struct Unbind {
    /// The step of that other resource, which is deleted later.
    pub(super) user: usize,
    /// The request.
    pub(super) call: Call,
    /// The names of the bindings that it removes.
    pub(super) removed: Vec<String>,
    /// The bindings that remain.
    pub(super) rest: Vec<Value>,
}

impl Unbind {
    /// Returns the text for the journal.
    pub(super) fn written(&self) -> String {
        let Call { method, path, .. } = &self.call;
        format!("{method} {path} (removes {})", self.removed.join(", "))
    }
}
