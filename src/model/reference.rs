//! References between resources, and the bindings that may be references.

/// What a resource uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The kind of what is used.
    pub kind: &'static str,
    /// Which one.
    pub key: ReferenceKey,
}

/// What a listing says about who uses what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The listed resource uses this one: a custom domain its Worker.
    Uses(Reference),
    /// This one uses the listed resource: a producer its queue.
    UsedBy(Reference),
    /// This one uses the listed resource, and cannot be deleted as long as the
    /// listed one is there with this link: a consumer of a queue.
    ServedBy(Reference),
    /// This one made the listed resource and is gone, as the provider says. If it is
    /// listed all the same, it uses the listed resource.
    LeftBy(Reference),
    /// The listed resource has a binding that may name others.
    MayUse(UnknownBinding),
    /// The listed resource guards this host, in which a star stands for any
    /// characters: everything of a kind that may use it and is reached there uses it.
    Guards(Box<str>),
}

impl Link {
    /// The resource at the other end, where the link names one.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Uses(reference)
            | Self::UsedBy(reference)
            | Self::ServedBy(reference)
            | Self::LeftBy(reference) => Some(reference),
            Self::MayUse(_) | Self::Guards(_) => None,
        }
    }
}

/// A binding whose type this version does not know, or whose target it cannot
/// resolve. What it could name must not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownBinding {
    /// The provider's name for the type of the binding.
    pub sort: Box<str>,
    /// Every text in the binding: ids or names of what it could refer to.
    pub texts: Vec<Box<str>>,
    /// A kind of which it could refer to any resource.
    pub any_of: Option<&'static str>,
}

/// Everything that one user refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// What it uses.
    pub uses: Vec<Reference>,
    /// Bindings that may name more.
    pub unknown: Vec<UnknownBinding>,
}

impl References {
    /// Adds what another answer says.
    pub fn extend(&mut self, more: Self) {
        for reference in more.uses {
            if !self.uses.contains(&reference) {
                self.uses.push(reference);
            }
        }
        for binding in more.unknown {
            if !self.unknown.contains(&binding) {
                self.unknown.push(binding);
            }
        }
    }

    /// The same as links of a listed resource.
    pub fn into_links(self) -> impl Iterator<Item = Link> {
        let uses = self.uses.into_iter().map(Link::Uses);
        uses.chain(self.unknown.into_iter().map(Link::MayUse))
    }
}

/// How a reference names what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKey {
    /// By id.
    Id(Box<str>),
    /// By name.
    Name(Box<str>),
    /// By the address at which it is reached, wherever it is: a host name, or the id of
    /// a compute endpoint or of a Durable Object namespace.
    Address(Box<str>),
}

impl ReferenceKey {
    /// The id, the name or the address.
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) | Self::Address(text) => text,
        }
    }
}

impl Reference {
    /// A reference by id.
    pub fn by_id(kind: &'static str, id: String) -> Self {
        let key = ReferenceKey::Id(id.into());
        Self { kind, key }
    }

    /// A reference by name.
    pub fn by_name(kind: &'static str, name: String) -> Self {
        let key = ReferenceKey::Name(name.into());
        Self { kind, key }
    }

    /// A reference by address.
    pub fn by_address(kind: &'static str, address: String) -> Self {
        let key = ReferenceKey::Address(address.into());
        Self { kind, key }
    }
}
