//! Why the evidence does not decide.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::code::Code;
use crate::model::{Claim, KindName, PullRequestNumber};

/// Why the evidence does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// What it belongs to does not exist: an issue, or a number of something
    /// else.
    Missing(Claim),
    /// What it belongs to is unknown.
    NotAnswered {
        /// What that is.
        claim: Claim,
        /// Why it is unknown.
        why: Arc<str>,
    },
    /// The roots are not complete, so nothing is known to be dead.
    Roots(Arc<str>),
    /// A listing that the verdict depends on is not complete.
    Listing {
        /// The kind that was listed.
        kind: KindName,
    },
    /// It guards this host, and what is reached there is not known.
    UnseenHost(Box<str>),
    /// The listing that lacks its target is empty, or nobody counted it.
    TargetsUncounted {
        /// The kind that was listed.
        kind: KindName,
    },
    /// The answer lacks a time that the API always returns.
    Time(&'static str),
    /// A field that may mark the resource or say whose it is cannot be read.
    Unread(&'static str),
    /// An attribute that a condition asks about is not in the answer.
    Condition(&'static str),
    /// It never had the time by which its rule judges.
    NoClock(&'static str),
    /// What it belongs to ended without a time.
    NoEnd(Claim),
    /// What some others use is not known.
    References {
        /// How many of them.
        unread: usize,
        /// The kind of the users.
        kind: KindName,
        /// Why the first of them is not known; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// Whether anything of another kind uses it could not be read.
    Users {
        /// The kind or user source that may use it.
        kind: KindName,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// The addresses at which it is reached could not be read, so its users cannot
    /// be recognized.
    Address {
        /// The kind of a resource that uses some address.
        user: KindName,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// What belongs to it could not be read.
    Holds {
        /// The kind of what may belong to it.
        kind: KindName,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// A binding that this version cannot read may name it.
    Binding {
        /// The provider's name for the type of the binding.
        sort: Box<str>,
        /// The kind of whose binding it is.
        kind: KindName,
        /// The name of whose binding it is.
        name: Box<str>,
        /// Whether the type is known, and the binding does not say which resource of a
        /// kind it means.
        is_known: bool,
    },
    /// Its kind does not say who uses its resources.
    UsersUndeclared,
    /// It was created while the pull request in its name was not open.
    Birth {
        /// The pull request.
        number: PullRequestNumber,
        /// When it was created; `None` if its kind has no creation time and another
        /// resource of the same number was created at such a time.
        made: Option<DateTime<Utc>>,
    },
    /// When the pull request that its name claims was opened is not known.
    NoOpening(PullRequestNumber),
    /// The slug is the beginning of what an existing branch gives.
    Beginning(Claim),
    /// No name that was listed shows that the rule's branch or slug function
    /// gives real names: another function would have given the same ones.
    NotCalibrated(Claim),
    /// No name of its rule is that of this head of an open pull request: it may be the
    /// one that is made otherwise than the rule says.
    HeadUnlisted {
        /// What its name says it belongs to.
        claim: Claim,
        /// The git branch.
        head: Arc<str>,
    },
    /// Its name has a number and a git branch that are not known to belong together.
    HeadDiffers {
        /// The pull request.
        number: PullRequestNumber,
        /// The branch, or the slug of one.
        head: Claim,
        /// The branch that the pull request comes from, if it is known.
        comes_from: Option<Arc<str>>,
    },
}

impl Doubt {
    /// Returns its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::OwnerMissing,
            Self::NotAnswered { .. } => Code::OwnerUnknown,
            Self::Roots(_) => Code::RootsIncomplete,
            Self::Listing { .. } => Code::ListingIncomplete,
            Self::UnseenHost(_) => Code::HostUnseen,
            Self::TargetsUncounted { .. } => Code::TargetUncounted,
            Self::Time(_) => Code::TimeMissing,
            Self::Unread(_) => Code::FieldUnread,
            Self::Condition(_) => Code::ConditionUnknown,
            Self::NoClock(_) => Code::ClockMissing,
            Self::NoEnd(_) => Code::EndUnknown,
            Self::References { .. } => Code::ReferencesUnknown,
            Self::Users { .. } => Code::UsersUnknown,
            Self::Address { .. } => Code::AddressUnknown,
            Self::Holds { .. } => Code::ContentsUnknown,
            Self::Binding { .. } => Code::BindingTypeUnknown,
            Self::UsersUndeclared => Code::UsersUndeclared,
            Self::Birth { .. } => Code::BornOutsidePullRequest,
            Self::NoOpening(_) => Code::OpeningUnknown,
            Self::Beginning(_) => Code::SlugIsPrefix,
            Self::NotCalibrated(_) => Code::SlugUnproven,
            Self::HeadUnlisted { .. } => Code::HeadUnlisted,
            Self::HeadDiffers { .. } => Code::NumberAndBranchDiffer,
        }
    }

    /// Whether it leaves every resource of a kind undecided that is in the same
    /// place and may be deleted, because their users are not known.
    pub fn is_about_all_of_a_kind(&self) -> bool {
        matches!(
            self,
            Self::References { .. } | Self::Users { .. } | Self::Address { .. }
        )
    }
}
