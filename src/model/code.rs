//! The stable codes of everything that is reported to users: why a verdict is
//! unknown, what could not be read, what stops a sweep, why a command failed, and
//! what is wrong in a policy.
//!
//! A message may be reworded at any time; its code stays. `.github/CODES.md`
//! lists them all.

use serde::{Serialize, Serializer};

/// What a code is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Why a verdict is `unknown`.
    Doubt,
    /// What could not be read.
    Gap,
    /// What stops a sweep before its first deletion.
    Brake,
    /// Why a command failed.
    Failure,
    /// What is wrong or doubtful in a policy.
    Policy,
}

macro_rules! codes {
    ($($variant:ident = $name:literal, $area:ident, $meaning:literal $(, $advice:literal)?;)+) => {
        /// A stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// All codes, by area.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Returns the code as it is written.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns what the code is about.
            pub fn area(self) -> Area {
                match self {
                    $(Self::$variant => Area::$area,)+
                }
            }

            /// Returns what the code means, as a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }

            /// Returns what a user can do about it, as far as the meaning does not
            /// say that already.
            pub fn advice(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => None$(.or(Some($advice)))?,)+
                }
            }
        }
    };
}

codes! {
    OwnerMissing = "owner-missing", Doubt,
        "The pull request, branch or run in the name does not exist, and the rule keeps such resources.",
        "If it is garbage, delete it by hand, or set `missing = \"dead\"` in the rule.";
    OwnerUnknown = "owner-unknown", Doubt,
        "The pull request, branch or run in the name could not be looked up.",
        "Run again, or give the token access to the repository.";
    RootsIncomplete = "roots-incomplete", Doubt,
        "Pull requests, branches, runs or the tracking issue could not be read completely, so nothing is known to be garbage.",
        "Fix what the run names as not read (next table).";
    ListingIncomplete = "listing-incomplete", Doubt,
        "A listing that the verdict depends on is incomplete.",
        "Fix what the run names as not read (next table), or run again.";
    HostUnseen = "host-unseen", Doubt,
        "It guards a host in a zone that was not listed, so that host may still be in use.",
        "Give the token access to that zone.";
    TargetUncounted = "target-uncounted", Doubt,
        "The account's list of tunnels is empty or has no total, so it does not prove that the tunnel is gone.",
        "Run again, or delete the record by hand if its tunnel is gone.";
    TimeMissing = "time-missing", Doubt,
        "The answer lacks a time that the provider always gives.",
        "Run again; if the time is still missing, report a bug.";
    FieldUnread = "field-unread", Doubt,
        "A field that may mark the resource or say whose it is could not be read in the answer.",
        "Run again; if that does not help, report a bug.";
    ConditionUnknown = "condition-unknown", Doubt,
        "The answer lacks an attribute that a condition of the rule needs.",
        "Run again, or remove the condition from the rule.";
    ClockMissing = "clock-missing", Doubt,
        "The resource has no time for the `clock` of its rule.",
        "Use another clock in the rule.";
    EndUnknown = "end-unknown", Doubt,
        "It is unknown when the pull request, branch or run in the name ended.",
        "Run again.";
    ReferencesUnknown = "references-unknown", Doubt,
        "The bindings or addresses of some resources could not be read, so one of them may use it.",
        "See `references-unread` in the next table.";
    UsersUnknown = "users-unknown", Doubt,
        "Resources of another kind may use it, and could not be read.",
        "Give the token read access to that kind.";
    AddressUnknown = "address-unknown", Doubt,
        "The addresses at which it is reached could not be read, so its users cannot be recognized.",
        "See `references-unread` in the next table.";
    ContentsUnknown = "contents-unknown", Doubt,
        "Resources that no listing shows may belong to it, and could not be read.",
        "Give the token the permission that the reason names, or run again.";
    BindingTypeUnknown = "binding-type-unknown", Doubt,
        "A binding may lead to it: its type is one that this version does not know, or it does not name what it leads to.",
        "If the reason says that this version cannot read the type, use a newer version of preview-gc, or report the type. Otherwise delete it by hand if nothing uses it.";
    UsersUndeclared = "users-undeclared", Doubt,
        "This version does not know what may use resources of its kind.",
        "Report a bug.";
    BornOutsidePullRequest = "born-outside-pull-request", Doubt,
        "It, or another resource of the same number, was created when the pull request of its name was not open. A git branch in the name counts from 90 days before its first pull request, and in a host name from 7 days before to 7 days after.",
        "If it is garbage, delete it by hand, or set `born = \"any\"` in the rule.";
    OpeningUnknown = "opening-unknown", Doubt,
        "It is unknown when the pull request in the name was opened.",
        "Run again.";
    SlugIsPrefix = "slug-is-prefix", Doubt,
        "The slug in the name is the beginning of the slug of an existing branch.",
        "If it is garbage, delete it by hand, or wait until that branch is gone.";
    SlugUnproven = "slug-unproven", Doubt,
        "No listed name shows how names are made of git branches, so the absence of a branch proves nothing about this rule.",
        "Compare names with `preview-gc check --branch`, and correct `[slug]`.";
    HeadUnlisted = "head-unlisted", Doubt,
        "The rule matches no name of the branch of an open pull request, so that a name which nothing explains may be its.",
        "Compare names with `preview-gc check --branch`, and correct `[slug]`; else it is decided once that pull request is deployed or closed.";
    NumberAndBranchDiffer = "number-and-branch-differ", Doubt,
        "The name has a pull request's number and a git branch, and the pull request is not known to come from that branch.",
        "If it is garbage, delete it by hand.";
    ProviderUnread = "provider-unread", Gap,
        "The rules need a provider that has no token, or for which no account, zone or project is configured. Set its variables (`preview-gc check` names them), or remove the rules.";
    PolicyPlaceUnread = "policy-place-unread", Gap,
        "A policy names a zone or project, and the look-up that would show whether it is in the scope failed. Give the token read access to it, or correct the name.";
    ZoneUnread = "zone-unread", Gap,
        "The list of zones failed or is incomplete, and routes in any zone may send visitors to Workers. Give the token the permission Zone Read for all zones of the account.";
    RepositoryUnread = "repository-unread", Gap,
        "The repository is not visible to the token, or another one has its name now, so its pull requests prove nothing. Check the token's access, and correct `repository` after a rename.";
    PullRequestsUnread = "pull-requests-unread", Gap,
        "The token may not read pull requests, or GitHub's answer was incomplete, so any of them may be open. Give the token the permission Pull requests: read, or run again after an outage.";
    BranchesUnread = "branches-unread", Gap,
        "The token may not read the contents, or the list lacks the default branch, so any branch may exist. Give the token the permission Contents: read.";
    RunsUnread = "runs-unread", Gap,
        "The token may not read Actions, so any run may be unfinished. Give the token the permission Actions: read.";
    IssueUnread = "issue-unread", Gap,
        "People may have checked \"keep\" in the tracking issue, and it could not be read, so nothing is deleted. Give the token the permission Issues: read.";
    ListingUnread = "listing-unread", Gap,
        "A page failed, or the pages do not agree with the total, so a listed resource may have an unlisted user. Give the token read access to the kind, or run again if resources changed meanwhile.";
    ReferencesUnread = "references-unread", Gap,
        "A request about bindings or addresses failed or was beyond the budget, so garbage may be in use. Give the token the permission that the message names, or raise `--reference-reads`, `--quota-share` or `--deadline`.";
    ActivityUnread = "activity-unread", Gap,
        "A rule judges by activity, and the request for it failed, so resources may be active. Give the token read access, or use another clock in the rule.";
    BrakeCount = "brake-count", Brake,
        "There is more garbage of a kind than `brake.count` allows.";
    BrakeShare = "brake-share", Brake,
        "A larger share of a kind is garbage than `brake.share` allows.";
    UsageError = "usage-error", Failure,
        "The arguments, the environment or the configuration cannot be used (exit code 2).";
    PolicyError = "policy-error", Failure,
        "The policies have mistakes, each with a code of its own (exit code 2).";
    NoConsent = "no-consent", Failure,
        "The command needs a confirmation and has none (exit code 7).";
    EvidenceIncomplete = "evidence-incomplete", Failure,
        "Data that everything depends on could not be read (exit code 3).";
    Interrupted = "interrupted", Failure,
        "The user interrupted the run (exit code 130).";
    UnexpectedError = "unexpected-error", Failure,
        "Anything else failed (exit code 1).";
    NotToml = "not-toml", Policy,
        "The file is not TOML.";
    PolicyEmpty = "policy-empty", Policy,
        "The file has no `[[rule]]` and no `[[protect]]`.";
    KeyMissing = "key-missing", Policy,
        "A table lacks a required key.";
    KeyUnknown = "key-unknown", Policy,
        "A table has a key that is not defined; the message suggests what to write.";
    TypeWrong = "type-wrong", Policy,
        "A value has the wrong type.";
    ValueUnknown = "value-unknown", Policy,
        "A value is not one of those that the key allows.";
    ValueMalformed = "value-malformed", Policy,
        "A value does not have the form of an account, zone, project or host.";
    DurationMalformed = "duration-malformed", Policy,
        "A value is not a duration: a whole number and `s`, `m`, `h`, `d` or `w`, such as `24h`.";
    LimitsDiffer = "limits-differ", Policy,
        "Several files have `[limits]` that differ.";
    QuotaShareZero = "quota-share-zero", Policy,
        "`quota-share` is 0.";
    LimitZero = "limit-zero", Policy,
        "A limit is 0 and the run could do nothing.";
    RepositoryMissing = "repository-missing", Policy,
        "No repository is known whose pull requests decide.";
    RepositoryMalformed = "repository-malformed", Policy,
        "`repository` is not `owner/name`.";
    AccountNotSingle = "account-not-single", Policy,
        "`account` names several accounts.";
    VariableMalformed = "variable-malformed", Policy,
        "The value of an environment variable does not have the form that the key needs.";
    VariableIsSecret = "variable-is-secret", Policy,
        "The scope names an environment variable that holds a secret.";
    VariableNotSet = "variable-not-set", Policy,
        "The scope names an environment variable that is not set.";
    WordListNameTaken = "word-list-name-taken", Policy,
        "A word list has the name of a capture.";
    WordEmpty = "word-empty", Policy,
        "A word list has an empty word.";
    CharactersMalformed = "characters-malformed", Policy,
        "A slug function has a malformed set of characters.";
    SlugLengthTooShort = "slug-length-too-short", Policy,
        "The length of a slug leaves no room for it.";
    HashWithoutLength = "hash-without-length", Policy,
        "A slug function has a `hash` and no `length`.";
    HashDigitsOutOfRange = "hash-digits-out-of-range", Policy,
        "A hash has fewer than 1 or more than 40 digits.";
    RuleIdTaken = "rule-id-taken", Policy,
        "Two rules have the same id; give each its own.";
    KindUnknown = "kind-unknown", Policy,
        "There is no such kind; `preview-gc audit --help` lists them.";
    AttributeUnknown = "attribute-unknown", Policy,
        "The kind does not have the attribute of a condition.";
    ConditionIsGlob = "condition-is-glob", Policy,
        "A condition looks like a glob, and its attribute is compared as it is written.";
    WhereNeedsKind = "where-needs-kind", Policy,
        "`where` needs a `kind`.";
    CaptureUnknown = "capture-unknown", Policy,
        "A condition uses a capture that the `name` does not have.";
    ProtectHasNoPullRequest = "protect-has-no-pull-request", Policy,
        "A `[[protect]]` entry asks about times of a pull request.";
    ProtectPullRequestNotAlone = "protect-pull-request-not-alone", Policy,
        "`pull-request` stands beside other keys in a `[[protect]]`.";
    NamesFileUnread = "names-file-unread", Policy,
        "The file of names that a `[[protect]]` entry mentions cannot be read.";
    NamesFileEmpty = "names-file-empty", Policy,
        "The file of names that a `[[protect]]` entry mentions has no names.";
    NamesFileBesideName = "names-file-beside-name", Policy,
        "A `[[protect]]` entry has both `name` and `names-file`.";
    ProtectCoversEverything = "protect-covers-everything", Policy,
        "A `[[protect]]` entry would cover everything.";
    PullRequestNumberMalformed = "pull-request-number-malformed", Policy,
        "A value is not the number of a pull request.";
    NameAndBranch = "name-and-branch", Policy,
        "A rule has both `name` and `branch`.";
    ClaimNotSingle = "claim-not-single", Policy,
        "The claim of a rule is not in exactly one attribute.";
    KindHasNoBranch = "kind-has-no-branch", Policy,
        "Resources of this kind have no git branch, so `branch` cannot be used.";
    TemplateMalformed = "template-malformed", Policy,
        "A template cannot be parsed, or it would match too much.";
    TemplateMatchesNothing = "template-matches-nothing", Policy,
        "The name in a rule is a glob or a regular expression, which would match only that text.";
    KindNamedById = "kind-named-by-id", Policy,
        "The rule has a `name`, and the names of its kind are ids; it needs a `branch`.";
    ExceptCoversEverything = "except-covers-everything", Policy,
        "The `except` of a rule covers every name.";
    TemplateLacksCapture = "template-lacks-capture", Policy,
        "A key needs a capture that the template lacks.";
    NameEmpty = "name-empty", Policy,
        "A name is empty.";
    PlaceDoesNotApply = "place-does-not-apply", Policy,
        "The kind is not in such a place.";
    AnyBesideNumber = "any-beside-number", Policy,
        "`{any}` beside a number also matches names that others made.";
    NamesOnlyProtected = "names-only-protected", Policy,
        "The rule can only match what is always protected.";
    AgeOnPullRequest = "age-on-pull-request", Policy,
        "The rule has an age, and its name has a pull request that may be open.";
    AgeIgnoresDeployments = "age-ignores-deployments", Policy,
        "The rule counts from the creation of resources that are deployed again.";
    MissingIsDead = "missing-is-dead", Policy,
        "With `missing = \"dead\"` the rule also deletes resources whose branch never existed.";
    ClockNotAvailable = "clock-not-available", Policy,
        "The kind does not have the time by which the rule judges (a warning), or `newer` cannot count it (an error).";
    WithDoesNotBelong = "with-does-not-belong", Policy,
        "`with` lists a kind that does not belong to those of the rule.";
    NoBackup = "no-backup", Policy,
        "There is no backup of this kind.";
    CannotBeEmptied = "cannot-be-emptied", Policy,
        "Resources of this kind are not emptied before they are deleted.";
    CannotExpire = "cannot-expire", Policy,
        "Resources of this kind cannot expire.";
    EventUnknown = "event-unknown", Policy,
        "`dead-when` is neither an event nor a duration.";
    NewerMalformed = "newer-malformed", Policy,
        "`newer` is 0, `without-label` is empty, or one of them stands twice in a `dead-when`.";
    TargetUnknown = "target-unknown", Policy,
        "`target-gone` is false, or in a rule about a kind that points at nothing whose absence can be told.";
    RulesOverlap = "rules-overlap", Policy,
        "Two rules match the same names.";
    PlaceOutOfScope = "place-out-of-scope", Policy,
        "A rule or entry names a zone or project outside of the scope.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_is_unique_and_in_kebab_case() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            let plain =
                |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
            assert!(name.split('-').all(plain), "{name}");
        }
    }
}
