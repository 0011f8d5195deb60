//! The keys of a policy file, declared once: the reader takes them, the JSON
//! schema lists them, and messages about an unknown key name them.
//!
//! `[limits]` and `[scope]` are declared elsewhere, in [`crate::limits`] and by the
//! providers; conditions are the attributes of the kinds.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::Vocabulary;

/// The form of a value, which decides how the reader takes it.
pub(super) trait Form: Sync {
    /// Returns the JSON schema of such a value.
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value;
}

/// A string.
pub(super) struct Text;

/// `owner/name` of a repository.
pub(super) struct RepositoryName;

/// A string or a list of strings.
pub(super) struct Texts;

/// The name of a kind or a list of them.
pub(super) struct Kinds;

/// A whole number and a unit of time.
pub(super) struct Duration;

/// True or false.
pub(super) struct Flag;

/// A number from 0 to 1.
pub(super) struct Share;

/// A whole number, with the bounds that the reader checks.
pub(super) struct Whole(pub(super) RangeInclusive<u64>);

/// A whole number or a list of them.
pub(super) struct Wholes;

/// One of these words, each with its value.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T)]);

/// A table.
pub(super) struct Inner(pub(super) &'static Table);

/// A list of tables (`[[key]]`).
pub(super) struct Tables(pub(super) &'static Table);

/// A table whose keys the owner chooses.
pub(super) struct Named<F>(pub(super) F);

/// `[scope]`: the tables of [`Vocabulary::scopes`].
pub(super) struct ScopeKeys;

/// `[limits]`: [`crate::limits::ALL`].
pub(super) struct LimitKeys;

/// `where`: attributes of the kinds, and what [`Table::keys`] has besides.
pub(super) struct Conditions(pub(super) &'static Table);

/// `claim`: one attribute, with the templates of the claim that it holds.
pub(super) struct ClaimKey;

/// `dead-when`: one of these events, one of these conditions, or a list of both.
pub(super) struct DeadWhen<T: 'static>(pub(super) OneOf<T>, pub(super) &'static Table);

/// A key of a table.
pub(super) struct Key<F> {
    pub(super) name: &'static str,
    pub(super) form: F,
    /// What it means, for editors; may be empty.
    about: &'static str,
    /// What to write, if the key is required.
    required: Option<&'static str>,
    /// Whether white space around its strings means something, or is harmless.
    verbatim: bool,
}

impl<F> Key<F> {
    pub(super) const fn new(name: &'static str, form: F) -> Self {
        Self {
            name,
            form,
            about: "",
            required: None,
            verbatim: false,
        }
    }

    /// Takes strings with white space around them.
    pub(super) const fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// Returns whether its strings may have white space around them.
    pub(super) fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    const fn required(mut self, help: &'static str) -> Self {
        self.required = Some(help);
        self
    }

    /// Returns what to write, if the key is required.
    pub(super) fn help(&self) -> Option<&'static str> {
        self.required
    }
}

/// A key of any form.
pub(super) trait AnyKey: Sync {
    fn name(&self) -> &'static str;
    fn is_required(&self) -> bool;

    /// Returns the JSON schema of the value, with what it means.
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value;
}

impl<F: Form> AnyKey for Key<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_required(&self) -> bool {
        self.required.is_some()
    }

    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let mut schema = self.form.schema(vocabulary);
        if !self.about.is_empty() {
            schema["description"] = self.about.into();
        }
        schema
    }
}

/// A table with its keys, in the order in which messages list them.
pub(super) struct Table {
    /// What it is called in messages.
    pub(super) title: &'static str,
    pub(super) keys: &'static [&'static dyn AnyKey],
    /// Keys of which exactly one is written.
    pub(super) one_of: &'static [&'static str],
}

/// The file itself.
pub(super) mod file {
    use super::{
        Inner, Key, LimitKeys, Named, RepositoryName, ScopeKeys, Table, Tables, Text, Texts,
    };

    pub(in crate::policy) static REPOSITORY: Key<RepositoryName> =
        Key::new("repository", RepositoryName).about(
            "the repository whose pull requests and branches decide; default: GITHUB_REPOSITORY",
        );
    pub(in crate::policy) static SCOPE: Key<ScopeKeys> = Key::new("scope", ScopeKeys);
    pub(in crate::policy) static LIMITS: Key<LimitKeys> = Key::new("limits", LimitKeys);
    pub(in crate::policy) static KEEP_LABEL: Key<Text> = Key::new("keep-label", Text).about(
        "the label of a pull request that keeps everything which belongs to it \
         (default: preview-keep)",
    );
    pub(in crate::policy) static WORDS: Key<Named<Texts>> = Key::new("words", Named(Texts));
    pub(in crate::policy) static SLUG: Key<Named<Inner>> =
        Key::new("slug", Named(Inner(&super::slug::TABLE)));
    pub(in crate::policy) static PROTECT: Key<Tables> =
        Key::new("protect", Tables(&super::protect::TABLE));
    pub(in crate::policy) static RULE: Key<Tables> = Key::new("rule", Tables(&super::rule::TABLE));

    pub(in crate::policy) static TABLE: Table = Table {
        title: "policy file",
        keys: &[
            &REPOSITORY,
            &SCOPE,
            &LIMITS,
            &KEEP_LABEL,
            &WORDS,
            &SLUG,
            &PROTECT,
            &RULE,
        ],
        one_of: &[],
    };
}

/// A function under `[slug]`.
pub(super) mod slug {
    use super::super::slug::{Algorithm, Case, Strip};
    use super::super::words;
    use super::{Flag, Inner, Key, OneOf, Table, Text, Whole, Wholes};

    pub(in crate::policy) static CASE: Key<OneOf<Case>> = Key::new("case", OneOf(words::CASES));
    pub(in crate::policy) static KEEP: Key<Text> = Key::new("keep", Text)
        .about("the characters that stay, such as a-z0-9")
        .verbatim();
    pub(in crate::policy) static REPLACE: Key<Inner> = Key::new("replace", Inner(&REPLACE_TABLE));
    pub(in crate::policy) static STRIP: Key<OneOf<Strip>> = Key::new("strip", OneOf(words::STRIPS));
    pub(in crate::policy) static LENGTH: Key<Wholes> = Key::new("length", Wholes);
    pub(in crate::policy) static HASH: Key<Inner> = Key::new("hash", Inner(&HASH_TABLE));
    pub(in crate::policy) static EMPTY: Key<Text> = Key::new("empty", Text)
        .about("what an empty slug becomes")
        .verbatim();

    pub(in crate::policy) static TABLE: Table = Table {
        title: "[slug] function",
        keys: &[&CASE, &KEEP, &REPLACE, &STRIP, &LENGTH, &HASH, &EMPTY],
        one_of: &[],
    };

    pub(in crate::policy) static WITH: Key<Text> = Key::new("with", Text).verbatim();
    pub(in crate::policy) static RUNS: Key<Flag> = Key::new("runs", Flag);

    static REPLACE_TABLE: Table = Table {
        title: "`replace`",
        keys: &[&WITH, &RUNS],
        one_of: &[],
    };

    pub(in crate::policy) static ALGORITHM: Key<OneOf<Algorithm>> =
        Key::new("algorithm", OneOf(words::ALGORITHMS)).required("\"sha256\" or \"sha1\"");
    pub(in crate::policy) static DIGITS: Key<Whole> =
        Key::new("digits", Whole(1..=40)).required("how many hex digits of it are added");

    static HASH_TABLE: Table = Table {
        title: "`hash`",
        keys: &[&ALGORITHM, &DIGITS],
        one_of: &[],
    };
}

/// Where a rule or a `[[protect]]` entry applies.
pub(super) mod place {
    use super::{Key, Texts};

    pub(in crate::policy) static ZONE: Key<Texts> = Key::new("zone", Texts).verbatim();
    pub(in crate::policy) static PROJECT: Key<Texts> = Key::new("project", Texts).verbatim();
}

/// `[[protect]]`.
pub(super) mod protect {
    use super::place::{PROJECT, ZONE};
    use super::{Conditions, Key, Kinds, Table, Text, Texts, Whole};

    pub(in crate::policy) static KIND: Key<Kinds> = Key::new("kind", Kinds);
    pub(in crate::policy) static NAMES_FILE: Key<Text> = Key::new("names-file", Text)
        .about("a file with one name a line, relative to this policy")
        .verbatim();
    pub(in crate::policy) static NAME: Key<Texts> = Key::new("name", Texts);
    pub(in crate::policy) static BRANCH: Key<Texts> = Key::new("branch", Texts);
    pub(in crate::policy) static WHERE: Key<Conditions> =
        Key::new("where", Conditions(&WHERE_TABLE));
    pub(in crate::policy) static PULL_REQUEST: Key<Whole> =
        Key::new("pull-request", Whole(1..=i32::MAX as u64));
    pub(in crate::policy) static REASON: Key<Text> = Key::new("reason", Text)
        .about("shown in the report")
        .verbatim()
        .required("give a reason, which the report shows");

    pub(in crate::policy) static TABLE: Table = Table {
        title: "[[protect]]",
        keys: &[
            &KIND,
            &ZONE,
            &PROJECT,
            &NAMES_FILE,
            &NAME,
            &BRANCH,
            &WHERE,
            &PULL_REQUEST,
            &REASON,
        ],
        one_of: &[],
    };

    static WHERE_TABLE: Table = Table {
        title: "`where`",
        keys: &[],
        one_of: &[],
    };
}

/// `[[rule]]`.
pub(super) mod rule {
    use super::super::rule::{Action, Born, DeathEvent, Missing};
    use super::super::{rule, words};
    use super::place::{PROJECT, ZONE};
    use super::{
        ClaimKey, Conditions, DeadWhen, Duration, Flag, Key, Kinds, OneOf, Table, Text, Texts,
    };

    pub(in crate::policy) static ID: Key<Text> =
        Key::new("id", Text).required("verdicts name the rule they come from");
    pub(in crate::policy) static KIND: Key<Kinds> =
        Key::new("kind", Kinds).required("such as kind = \"worker\"");
    pub(in crate::policy) static CLAIM: Key<ClaimKey> =
        Key::new("claim", ClaimKey).about("the attribute that says what a resource belongs to");
    pub(in crate::policy) static NAME: Key<Texts> = Key::new("name", Texts);
    pub(in crate::policy) static BRANCH: Key<Texts> = Key::new("branch", Texts);
    pub(in crate::policy) static EXCEPT: Key<Texts> = Key::new("except", Texts);
    pub(in crate::policy) static WHERE: Key<Conditions> =
        Key::new("where", Conditions(&WHERE_TABLE));
    pub(in crate::policy) static DEAD_WHEN: Key<DeadWhen<DeathEvent>> = Key::new(
        "dead-when",
        DeadWhen(OneOf(words::EVENTS), &super::death::TABLE),
    )
    .required("such as dead-when = \"closed\"");
    pub(in crate::policy) static MISSING: Key<OneOf<Missing>> =
        Key::new("missing", OneOf(words::MISSING));
    pub(in crate::policy) static BORN: Key<OneOf<Born>> = Key::new("born", OneOf(words::BORN));
    pub(in crate::policy) static EVEN_OPEN: Key<Flag> = Key::new("even-open", Flag);
    pub(in crate::policy) static WITH: Key<Kinds> = Key::new("with", Kinds);
    pub(in crate::policy) static GRACE: Key<Duration> = Key::new("grace", Duration);
    pub(in crate::policy) static ACTION: Key<OneOf<Action>> =
        Key::new("action", OneOf(words::ACTIONS));
    pub(in crate::policy) static BACKUP: Key<Flag> = Key::new("backup", Flag);
    pub(in crate::policy) static EMPTY: Key<Flag> = Key::new("empty", Flag);

    pub(in crate::policy) static TABLE: Table = Table {
        title: "[[rule]]",
        keys: &[
            &ID, &KIND, &ZONE, &PROJECT, &CLAIM, &NAME, &BRANCH, &EXCEPT, &WHERE, &DEAD_WHEN,
            &MISSING, &BORN, &EVEN_OPEN, &WITH, &GRACE, &ACTION, &BACKUP, &EMPTY,
        ],
        one_of: &[NAME.name, BRANCH.name],
    };

    static CREATED_AFTER_OPENED: Key<Flag> = Key::new(rule::CREATED_AFTER_OPENED, Flag)
        .about("the resource was made when its pull request was open already");
    static ENDED_AFTER_CREATED: Key<Flag> = Key::new(rule::ENDED_AFTER_CREATED, Flag)
        .about("its pull request ended after the resource was made");

    static WHERE_TABLE: Table = Table {
        title: "`where`",
        keys: &[&CREATED_AFTER_OPENED, &ENDED_AFTER_CREATED],
        one_of: &[],
    };
}

/// A table in `dead-when`.
pub(super) mod death {
    use super::super::rule::{AgeClock, Per};
    use super::super::words;
    use super::{Duration, Flag, Key, OneOf, Table, Text, Whole};

    pub(in crate::policy) static OLDER_THAN: Key<Duration> = Key::new("older-than", Duration);
    pub(in crate::policy) static CLOCK: Key<OneOf<AgeClock>> =
        Key::new("clock", OneOf(words::CLOCKS));
    pub(in crate::policy) static NEWER: Key<Whole> = Key::new("newer", Whole(1..=u64::MAX))
        .about("how many newer ones of the same rule and claim there must be");
    pub(in crate::policy) static PER: Key<OneOf<Per>> = Key::new("per", OneOf(words::PER));
    pub(in crate::policy) static WITHOUT_LABEL: Key<Text> =
        Key::new("without-label", Text).about("the label that its open pull request has lost");

    pub(in crate::policy) static TARGET_GONE: Key<Flag> =
        Key::new("target-gone", Flag).about("that what it points at does not exist");

    pub(in crate::policy) static TABLE: Table = Table {
        title: "`dead-when`",
        keys: &[
            &OLDER_THAN,
            &CLOCK,
            &NEWER,
            &PER,
            &WITHOUT_LABEL,
            &TARGET_GONE,
        ],
        one_of: &[
            OLDER_THAN.name,
            NEWER.name,
            WITHOUT_LABEL.name,
            TARGET_GONE.name,
        ],
    };
}
