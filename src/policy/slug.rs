//! Slugs: what an owner's tool makes of a git branch's name, computed forward,
//! because no slug can be turned back.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::characters::Characters;

/// What happens to upper and lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Case {
    /// It stays.
    #[default]
    Keep,
    /// Everything becomes lower case.
    Lower,
    /// Everything becomes upper case.
    Upper,
}

/// What takes the place of characters that do not stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replace {
    /// This; nothing when it is empty.
    pub with: Box<str>,
    /// One for a whole run of them, or one for each.
    pub runs: bool,
}

/// Where the replacement is taken away at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strip {
    /// At neither end.
    #[default]
    None,
    /// Before the slug is cut.
    BeforeCut,
    /// Before and after.
    Both,
}

/// How a hash is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// The hash of the raw name that ends a slug which was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Its first so many digits, in lower-case hex.
    pub digits: usize,
}

impl Hash {
    fn of(self, name: &str) -> String {
        let bytes: Vec<u8> = match self.algorithm {
            Algorithm::Sha1 => Sha1::digest(name).to_vec(),
            Algorithm::Sha256 => Sha256::digest(name).to_vec(),
        };
        let mut hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        hex.truncate(self.digits);
        hex
    }
}

/// A function from git branch names to slugs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug {
    /// The owner's name for it.
    pub name: Box<str>,
    /// What happens to case, first of all.
    pub case: Case,
    /// The characters that stay; all of them without any.
    pub keep: Option<Characters>,
    /// What takes the place of the others.
    pub replace: Replace,
    /// Where the replacement is taken away at the ends.
    pub strip: Strip,
    /// The most characters, hash and its dash included: several generations of
    /// the function are several lengths. No limit without any.
    pub lengths: Vec<usize>,
    /// The hash that ends a slug which was cut.
    pub hash: Option<Hash>,
    /// What an empty slug becomes; resources with it are left alone.
    pub empty: Option<Box<str>>,
}

impl Slug {
    /// The slugs of a branch, one for each generation, each once. An empty one
    /// names nothing.
    pub fn of(&self, branch: &str) -> BTreeSet<String> {
        let whole = self.sanitised(branch);
        let mut slugs = BTreeSet::new();
        if self.lengths.is_empty() {
            slugs.insert(self.stripped(&whole, self.strip != Strip::None).to_owned());
        }
        for &length in &self.lengths {
            slugs.insert(self.cut(branch, &whole, length));
        }
        slugs.retain(|slug| !slug.is_empty() && !self.is_fallback(slug));
        slugs
    }

    /// What a branch would give if nothing were cut and no hash added.
    pub fn uncut(&self, branch: &str) -> String {
        let whole = self.sanitised(branch);
        self.stripped(&whole, self.strip != Strip::None).to_owned()
    }

    fn sanitised(&self, branch: &str) -> String {
        let cased = match self.case {
            Case::Keep => branch.to_owned(),
            Case::Lower => branch.to_lowercase(),
            Case::Upper => branch.to_uppercase(),
        };
        let Some(keep) = &self.keep else {
            return cased;
        };
        let mut text = String::with_capacity(cased.len());
        let mut in_run = false;
        for c in cased.chars() {
            let stays = keep.contains(c);
            if stays {
                text.push(c);
            } else if !(in_run && self.replace.runs) {
                text.push_str(&self.replace.with);
            }
            in_run = !stays;
        }
        text
    }

    fn stripped<'a>(&self, text: &'a str, wanted: bool) -> &'a str {
        let with = &*self.replace.with;
        if wanted && !with.is_empty() {
            text.trim_start_matches(with).trim_end_matches(with)
        } else {
            text
        }
    }

    fn cut(&self, branch: &str, whole: &str, length: usize) -> String {
        let whole = self.stripped(whole, self.strip != Strip::None);
        if whole.chars().count() <= length {
            return whole.to_owned();
        }
        let room = length - self.hash.map_or(0, |hash| hash.digits + 1);
        let end = whole
            .char_indices()
            .nth(room)
            .map_or(whole.len(), |(end, _)| end);
        let text = self.stripped(&whole[..end], self.strip == Strip::Both);
        match self.hash {
            Some(hash) => format!("{text}-{}", hash.of(branch)),
            None => text.to_owned(),
        }
    }

    /// Whether the function could give a text with this character.
    pub(super) fn may_contain(&self, c: char) -> bool {
        let hashed = self.hash.is_some() && (c == '-' || matches!(c, '0'..='9' | 'a'..='f'));
        hashed
            || self.replace.with.contains(c)
            || self.keep.as_ref().is_none_or(|keep| keep.contains(c))
    }

    /// The characters that the function could give, both ends of each range
    /// included.
    pub(super) fn ranges(&self) -> Vec<(char, char)> {
        let Some(keep) = &self.keep else {
            return vec![('\0', char::MAX)];
        };
        let mut ranges = keep.ranges().to_vec();
        ranges.extend(self.replace.with.chars().map(|c| (c, c)));
        if self.hash.is_some() {
            ranges.extend([('-', '-'), ('0', '9'), ('a', 'f')]);
        }
        ranges
    }

    /// The maximum number of characters in a slug.
    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(usize::MAX)
    }

    /// Returns whether the function gives this text for some branch, as far as
    /// the text shows: a separator is neither repeated nor at an end where the
    /// function collapses or strips it. The characters and the length are checked
    /// separately.
    pub fn could_produce(&self, text: &str) -> bool {
        let was_cut = self.lengths.contains(&text.chars().count());
        self.has_separators_in_place(text, was_cut && self.hash.is_none())
            || self
                .without_hash(text)
                .is_some_and(|before| self.has_separators_in_place(before, true))
    }

    /// The part before the dash and the hash, if the text may end in a hash.
    fn without_hash<'a>(&self, text: &'a str) -> Option<&'a str> {
        let hash = self.hash?;
        let (before, digits) = text.rsplit_once('-')?;
        let is_hash =
            digits.len() == hash.digits && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then_some(before)
    }

    fn has_separators_in_place(&self, text: &str, was_cut: bool) -> bool {
        let with = &*self.replace.with;
        // A letter in a name without case may be any letter of the branch.
        if with.is_empty() || with.contains(char::is_alphabetic) {
            return true;
        }
        let only_replaces = self
            .keep
            .as_ref()
            .is_some_and(|keep| !with.chars().any(|c| keep.contains(c)));
        let collapses = self.replace.runs && only_replaces;
        let ends_stripped = match self.strip {
            Strip::None => false,
            Strip::BeforeCut => !was_cut,
            Strip::Both => true,
        };
        let repeated = collapses && text.contains(&with.repeat(2));
        let at_start = self.strip != Strip::None && text.starts_with(with);
        let at_end = ends_stripped && text.ends_with(with);
        !repeated && !at_start && !at_end
    }

    /// Whether this is the fallback for empty slugs, which no branch owns.
    pub(super) fn is_fallback(&self, text: &str) -> bool {
        self.empty
            .as_deref()
            .is_some_and(|empty| empty.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug() -> Slug {
        Slug {
            name: "test".into(),
            case: Case::Lower,
            keep: Characters::parse("a-z0-9"),
            replace: Replace {
                with: "-".into(),
                runs: true,
            },
            strip: Strip::BeforeCut,
            lengths: Vec::new(),
            hash: None,
            empty: None,
        }
    }

    fn one(slug: &Slug, branch: &str) -> String {
        let slugs = slug.of(branch);
        assert!(slugs.len() <= 1, "{slugs:?}");
        slugs.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn steps_come_in_their_order() {
        let plain = slug();
        assert_eq!(one(&plain, "Feature/Ünï--Code!"), "feature-n-code");
        let each = Slug {
            replace: Replace {
                with: "-".into(),
                runs: false,
            },
            strip: Strip::None,
            ..slug()
        };
        assert_eq!(one(&each, "_a//b."), "-a--b-");
        let inner = Slug {
            keep: Characters::parse("a-z0-9-"),
            ..slug()
        };
        assert_eq!(
            one(&inner, "a--b__c"),
            "a--b-c",
            "dashes that stay are no run"
        );
        let dropped = Slug {
            replace: Replace::default(),
            ..slug()
        };
        assert_eq!(one(&dropped, "fix/a_b"), "fixab");
    }

    #[test]
    fn a_cut_may_leave_a_dash_and_may_not() {
        let length = |strip| Slug {
            strip,
            lengths: vec![6],
            ..slug()
        };
        assert_eq!(one(&length(Strip::BeforeCut), "/abcde/fgh"), "abcde-");
        assert_eq!(one(&length(Strip::Both), "/abcde/fgh"), "abcde");
        assert_eq!(one(&length(Strip::None), "/abcde/fgh"), "-abcde");
        assert_eq!(one(&length(Strip::Both), "abcdef"), "abcdef", "it fits");
    }

    #[test]
    fn a_hash_of_the_raw_name_ends_what_was_cut() {
        let hashed = |algorithm, digits| Slug {
            strip: Strip::Both,
            lengths: vec![20],
            hash: Some(Hash { algorithm, digits }),
            ..slug()
        };
        let sha256 = hashed(Algorithm::Sha256, 8);
        // printf %s feature/checkout-rounding | sha256sum
        assert_eq!(
            one(&sha256, "feature/checkout-rounding"),
            "feature-che-ebd3fd7e"
        );
        let sha1 = hashed(Algorithm::Sha1, 7);
        assert_eq!(
            one(&sha1, "feature/checkout-rounding"),
            "feature-chec-e3c23ee"
        );
        assert_eq!(one(&sha256, "short"), "short", "it was not cut");
    }

    #[test]
    fn several_lengths_are_several_generations() {
        let both = Slug {
            lengths: vec![10, 20],
            strip: Strip::None,
            ..slug()
        };
        let slugs = both.of("feature/long-name-here");
        assert_eq!(
            slugs.into_iter().collect::<Vec<_>>(),
            ["feature-lo", "feature-long-name-he"]
        );
    }

    #[test]
    fn an_empty_slug_names_nothing() {
        assert!(slug().of("///").is_empty());
        let fallback = Slug {
            empty: Some("preview".into()),
            ..slug()
        };
        assert!(fallback.of("///").is_empty());
        assert!(fallback.of("preview").is_empty(), "it cannot be told apart");
        assert!(fallback.is_fallback("preview"));
    }

    #[test]
    fn a_slug_is_of_what_stays_what_replaces_and_the_hash() {
        let plain = Slug {
            keep: Characters::parse("g-z"),
            replace: Replace {
                with: "_".into(),
                runs: true,
            },
            ..slug()
        };
        let hashed = Slug {
            hash: Some(Hash {
                algorithm: Algorithm::Sha1,
                digits: 7,
            }),
            ..plain.clone()
        };
        let every = Slug {
            keep: None,
            ..slug()
        };
        let within = |function: &Slug, c: char| {
            let ranges = function.ranges();
            let spanned = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            assert_eq!(function.may_contain(c), spanned, "{c:?}");
            spanned
        };
        for (c, without_hash, with_hash) in [
            ('g', true, true),
            ('z', true, true),
            ('_', true, true),
            ('-', false, true),
            ('0', false, true),
            ('9', false, true),
            ('a', false, true),
            ('f', false, true),
            ('G', false, false),
            ('F', false, false),
            ('.', false, false),
            ('\0', false, false),
        ] {
            assert_eq!(within(&plain, c), without_hash, "{c:?}");
            assert_eq!(within(&hashed, c), with_hash, "{c:?}");
            assert!(within(&every, c), "{c:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_produced_slug_could_be_produced(branch in "\\PC{1,60}", length in 10_usize..40) {
            let function = Slug {
                lengths: vec![length],
                hash: Some(Hash { algorithm: Algorithm::Sha256, digits: 6 }),
                ..slug()
            };
            for text in function.of(&branch) {
                proptest::prop_assert!(text.chars().count() <= function.longest());
                proptest::prop_assert!(text.chars().all(|c| function.may_contain(c)));
            }
        }

        #[test]
        fn slugs_have_no_repeated_or_outer_separators(
            branch in "[a-c/_-]{1,30}",
            length in 10_usize..20,
            keep in proptest::sample::select(vec!["a-z0-9", "a-z0-9-"]),
            runs: bool,
            strip in proptest::sample::select(vec![Strip::None, Strip::BeforeCut, Strip::Both]),
            digits in proptest::option::of(6_usize..7),
        ) {
            let function = Slug {
                keep: Characters::parse(keep),
                replace: Replace { with: "-".into(), runs },
                strip,
                lengths: vec![length],
                hash: digits.map(|digits| Hash { algorithm: Algorithm::Sha256, digits }),
                ..slug()
            };
            for text in function.of(&branch) {
                proptest::prop_assert!(function.could_produce(&text), "{text}");
            }
        }
    }

    #[test]
    fn separators_that_a_function_collapses_or_strips_are_not_its_own() {
        let cut = Slug {
            lengths: vec![8],
            ..slug()
        };
        let hashed = Slug {
            strip: Strip::Both,
            lengths: vec![20],
            hash: Some(Hash {
                algorithm: Algorithm::Sha1,
                digits: 7,
            }),
            ..slug()
        };
        let dashes_stay = Slug {
            keep: Characters::parse("a-z0-9-"),
            ..slug()
        };
        for (function, text, expected) in [
            (&cut, "feature", true),
            (&cut, "fea--ure", false),
            (&cut, "-feature", false),
            (&cut, "feature-", true),
            (&cut, "featur-", false),
            (&hashed, "feature-chec-e3c23ee", true),
            (&hashed, "feature-che--e3c23ee", false),
            (&hashed, "feature-", false),
            (&dashes_stay, "fea--ure", true),
            (&dashes_stay, "-feature", false),
        ] {
            assert_eq!(function.could_produce(text), expected, "{text}");
        }
    }
}
