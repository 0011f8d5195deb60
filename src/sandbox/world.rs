//! World files: what exists in the stand-in cloud, as JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One resource of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The kind, in preview-gc's names (`worker`, `kv_namespace`, …).
    pub kind: String,
    /// Script name, namespace title, FQDN, hostname, route pattern,
    /// deployment id for Pages, environment name.
    pub name: String,
    /// The provider's id; a stable one is made when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was made; a field left out of answers when null or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// What else its kind has.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// The Cloudflare account of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its id, 32 hex digits; a stable one is made when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A DNS zone of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its id, 32 hex digits; a stable one is made when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its domain name.
    pub name: String,
}
