//! The state of a project and of its branches.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::super::message::Response;
use super::{SCHEMA_ONLY, error, hash, time};

/// How long an operation keeps its project locked.
const OPERATION: TimeDelta = TimeDelta::milliseconds(200);

/// How long a deleted branch can be recovered.
pub(super) const RECOVERY: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) parent: Option<String>,
    pub(super) default: bool,
    pub(super) protected: bool,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) last_reset_at: Option<DateTime<Utc>>,
    pub(super) last_active: Option<DateTime<Utc>>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    /// The time from when its expiry was set to that expiry.
    pub(super) ttl: Option<TimeDelta>,
    pub(super) creation_source: String,
    pub(super) init_source: String,
    pub(super) deleted_at: Option<DateTime<Utc>>,
    /// Created because a world names it as a parent; not part of the state.
    pub(super) implied: bool,
    /// The annotations recorded at its creation.
    pub(super) annotations: Map<String, Value>,
}

#[derive(Debug, Default)]
pub(super) struct Project {
    pub(super) branches: Vec<Branch>,
    /// Until when an operation runs.
    pub(super) locked_until: Option<DateTime<Utc>>,
    pub(super) operations: Vec<Value>,
}

impl Branch {
    /// Returns the annotations as the API shows them.
    pub(super) fn annotation(&self) -> Value {
        let mut shown = json!({
            "object": {"type": "console/branch", "id": self.id}, "value": self.annotations,
        });
        if let Some(at) = self.created_at {
            shown["created_at"] = time(at);
        }
        shown
    }

    /// Returns whether it has the schema of another branch and no parent.
    pub(super) fn is_schema_only(&self) -> bool {
        self.init_source == SCHEMA_ONLY
    }

    pub(super) fn json(&self, project: &str, now: DateTime<Utc>) -> Value {
        let mut fields = json!({
            "id": self.id, "project_id": project, "name": self.name,
            "current_state": "ready", "creation_source": self.creation_source,
            "default": self.default, "primary": self.default, "protected": self.protected,
            "cpu_used_sec": 0, "compute_time_seconds": 0, "active_time_seconds": 0,
            "written_data_bytes": 0, "data_transfer_bytes": 0, "logical_size": 30_785_536,
            "init_source": self.init_source,
        });
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields[key] = value;
            }
        };
        put("parent_id", self.parent.clone().map(Value::from));
        put(
            "parent_lsn",
            self.parent.as_ref().map(|_| json!("0/1DE2850")),
        );
        put("created_at", self.created_at.map(time));
        put("updated_at", self.updated_at.map(time));
        put(
            "state_changed_at",
            self.created_at.or(self.updated_at).or(Some(now)).map(time),
        );
        put("last_reset_at", self.last_reset_at.map(time));
        put("expires_at", self.expires_at.map(time));
        put(
            "ttl_interval_seconds",
            self.ttl.map(|ttl| json!(ttl.num_seconds())),
        );
        put(
            "recovery",
            self.deleted_at.map(|at| {
                let method = if self.expires_at == Some(at) { "ttl" } else { "user" };
                json!({"deleted_at": time(at), "recoverable_until": time(at + RECOVERY), "deletion_method": method})
            }),
        );
        fields
    }

    pub(super) fn there(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Whether it is there or can still be recovered.
    pub(super) fn is_kept(&self, now: DateTime<Utc>) -> bool {
        self.deleted_at.is_none_or(|at| at + RECOVERY > now)
    }
}

impl Project {
    pub(super) fn branch(&self, id: &str) -> Option<&Branch> {
        self.branches
            .iter()
            .find(|branch| branch.id == id && branch.there())
    }

    /// Locks the project for one operation, or returns an error if another one
    /// is running.
    pub(super) fn operate(
        &mut self,
        id: &str,
        branch: &str,
        action: &str,
        now: DateTime<Utc>,
    ) -> Result<Value, Box<Response>> {
        if self.locked_until.is_some_and(|until| until > now) {
            return Err(Box::new(error(
                423,
                "project already has running conflicting operations, scheduling of new ones is \
                 prohibited",
            )));
        }
        self.locked_until = Some(now + OPERATION);
        let hash = hash(&format!("{branch}{action}{}", self.operations.len()));
        let operation = json!({
            "id": format!("b6afbc21-2990-4a76-980b-{:012x}", hash & 0xffff_ffff_ffff),
            "project_id": id, "branch_id": branch, "action": action, "status": "scheduling",
            "failures_count": 0, "created_at": time(now), "updated_at": time(now), "total_duration_ms": 0,
        });
        self.operations.push(operation.clone());
        Ok(operation)
    }
}
