//! What a pull request's environment stores things in, and Workers bind: all that
//! the simulation has to know of such a kind, in one row.

/// A kind of storage.
pub struct Storage {
    pub kind: &'static str,
    /// Where its resources are below the account.
    pub path: &'static str,
    /// The type of its bindings in uploads, and the field with their target.
    pub binding: (&'static str, &'static str),
    /// Whether that field has the name, and not the id.
    pub bound_by_name: bool,
    pub id: Id,
    pub times: Times,
    /// Whether only some worlds have it.
    pub rare: bool,
    /// What its rule matches.
    pub template: &'static str,
    /// What the names end with that an environment has, each with its variable.
    pub names: &'static [(&'static str, &'static str)],
}

/// What an id looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    Hex,
    Uuid,
    /// It is the name.
    Name,
    /// Requests have the name; the id tells two of one name apart.
    NameAndUuid,
}

/// Which times its API tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    None,
    Created,
    CreatedAndChanged,
}

pub const STORAGE: [Storage; 7] = [
    Storage {
        kind: "kv_namespace",
        path: "/storage/kv/namespaces",
        binding: ("kv_namespace", "namespace_id"),
        bound_by_name: false,
        id: Id::Hex,
        times: Times::None,
        rare: false,
        template: "app-pr-{pr}-{any:a-z}",
        names: &[("cache", "CACHE"), ("files", "FILES")],
    },
    Storage {
        kind: "d1",
        path: "/d1/database",
        binding: ("d1", "id"),
        bound_by_name: false,
        id: Id::Uuid,
        times: Times::Created,
        rare: false,
        template: "app-pr-{pr}-db",
        names: &[("db", "DB")],
    },
    Storage {
        kind: "r2",
        path: "/r2/buckets",
        binding: ("r2_bucket", "bucket_name"),
        bound_by_name: true,
        id: Id::Name,
        times: Times::Created,
        rare: true,
        template: "app-pr-{pr}-files",
        names: &[("files", "BUCKET")],
    },
    Storage {
        kind: "hyperdrive",
        path: "/hyperdrive/configs",
        binding: ("hyperdrive", "id"),
        bound_by_name: false,
        id: Id::Hex,
        times: Times::CreatedAndChanged,
        rare: true,
        template: "app-pr-{pr}-sql",
        names: &[("sql", "SQL")],
    },
    Storage {
        kind: "queue",
        path: "/queues",
        binding: ("queue", "queue_name"),
        bound_by_name: true,
        id: Id::Hex,
        times: Times::CreatedAndChanged,
        rare: true,
        template: "app-pr-{pr}-{any:a-z}",
        names: &[("jobs", "JOBS"), ("mail", "MAIL")],
    },
    Storage {
        kind: "vectorize_index",
        path: "/vectorize/v2/indexes",
        binding: ("vectorize", "index_name"),
        bound_by_name: true,
        id: Id::Name,
        times: Times::CreatedAndChanged,
        rare: true,
        template: "app-pr-{pr}-words",
        names: &[("words", "WORDS")],
    },
    Storage {
        kind: "workflow",
        path: "/workflows",
        binding: ("workflow", "workflow_name"),
        bound_by_name: true,
        id: Id::NameAndUuid,
        times: Times::CreatedAndChanged,
        rare: true,
        template: "app-pr-{pr}-flow",
        names: &[("flow", "FLOW")],
    },
];

/// Returns what there is to know of a kind, if it is one of storage.
pub fn storage(kind: &str) -> Option<&'static Storage> {
    STORAGE.iter().find(|one| one.kind == kind)
}

/// Returns the storage that a path below an account is one of, with its id.
pub fn at(path: &str) -> Option<(&'static str, &str)> {
    STORAGE.iter().find_map(|one| {
        let id = path.strip_prefix(one.path)?.strip_prefix('/')?;
        (!id.contains('/')).then_some((one.kind, id))
    })
}

/// Returns whether the id of a kind's resources is their name.
pub fn is_known_by_name(kind: &str) -> bool {
    kind == "github_environment" || storage(kind).is_some_and(|one| one.id == Id::Name)
}

/// Returns whether requests have the name of a resource of this kind, and its id only
/// tells it apart from another of the same name.
pub fn is_addressed_by_name(kind: &str) -> bool {
    kind == "worker" || storage(kind).is_some_and(|one| one.id == Id::NameAndUuid)
}
