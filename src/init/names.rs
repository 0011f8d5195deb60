//! How names are built: numbers, the words before them, random tails.

use crate::model::PullRequestNumber;

/// A number in a name and the text around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split {
    /// The text before the number.
    pub before: String,
    /// The number.
    pub number: PullRequestNumber,
    /// The text after it; a random tail stands as `{any:…}`.
    pub after: String,
    /// Whether [`Self::after`] has a random tail.
    pub random: bool,
}

/// Words that say what a number beside them is.
const MARKERS: [&str; 6] = ["pr", "pull", "pulls", "request", "preview", "mr"];

/// Words in names of permanent resources. A person has to confirm a rule about
/// them.
const PERMANENT_WORDS: [&str; 20] = [
    "prod",
    "production",
    "staging",
    "stage",
    "main",
    "master",
    "live",
    "shared",
    "backup",
    "backups",
    "dev",
    "develop",
    "development",
    "release",
    "canary",
    "template",
    "rollback",
    "restore",
    "old",
    "legacy",
];

/// Words beside numbers that are not those of pull requests.
const OTHERS: [&str; 12] = [
    "v", "version", "slot", "run", "ci", "issue", "year", "build", "shard", "region", "node", "job",
];

/// Whether a name has only characters that a template can spell.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !name.is_empty() && name.len() <= 255 && name.chars().all(plain)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// Whether a text has a word of a permanent name.
pub fn has_permanent_word(text: &str) -> bool {
    words(text).any(|word| PERMANENT_WORDS.contains(&word.as_str()))
}

/// The word right before a number, if it says that the number is one of a pull
/// request.
pub fn marker(before: &str) -> Option<&'static str> {
    let word = words(before).last()?;
    MARKERS.into_iter().find(|marker| *marker == word)
}

/// Whether a text looks random: long, with letters and digits mixed.
fn is_random(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let lower = text.bytes().filter(u8::is_ascii_lowercase).count();
    (6..=40).contains(&text.len()) && digits + lower == text.len() && digits >= 2 && lower >= 2
}

/// Every way to see a pull request's number in a name.
pub fn splits(name: &str) -> Vec<Split> {
    let bytes = name.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = at
            + bytes[at..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
        let (before, digits, after) = (&name[..at], &name[at..end], &name[end..]);
        at = end;
        let glued = before.ends_with(|c: char| c.is_ascii_alphabetic());
        let ends = !after.starts_with(|c: char| c.is_ascii_alphanumeric());
        // Digits within a longer word are a hash or a version, except behind `pr`.
        if (glued && marker(before).is_none()) || !ends {
            continue;
        }
        // A decimal point makes a version or an address.
        let digit = |c: char| c.is_ascii_digit();
        let dotted = after
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(digit))
            || before
                .strip_suffix('.')
                .is_some_and(|rest| rest.ends_with(digit));
        let other = words(before).last();
        if dotted || other.is_some_and(|word| OTHERS.contains(&word.as_str())) {
            continue;
        }
        let Some(number) = PullRequestNumber::parse(digits) else {
            continue;
        };
        found.push(split(before, number, after));
    }
    // A number with a marker takes precedence over numbers without one; `pr-7-v2`
    // is about 7.
    if found.iter().any(|one| marker(&one.before).is_some()) {
        found.retain(|one| marker(&one.before).is_some());
    }
    found
}

fn split(before: &str, number: PullRequestNumber, after: &str) -> Split {
    let cut = after.rfind('-').map_or(0, |at| at + 1);
    let tail = &after[cut..];
    let random = cut > 0 && is_random(tail);
    let after = if random {
        format!("{}{{any:a-z0-9:{}}}", &after[..cut], tail.len())
    } else {
        after.to_owned()
    };
    Split {
        before: before.to_owned(),
        number,
        after,
        random,
    }
}

/// The name without the part of the preview: `api-worker-leipzig` of
/// `api-worker-leipzig-pr-7`.
pub fn permanent(before: &str, after: &str) -> Option<String> {
    let marker = marker(before)?;
    let lower = before.to_ascii_lowercase();
    let cut = lower.rfind(marker)?;
    let stem = before[..cut].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let stem = stem
        .strip_suffix("-pull")
        .or_else(|| stem.strip_suffix("-pr"))
        .unwrap_or(stem);
    (stem.len() >= 3).then(|| format!("{stem}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str) -> Vec<String> {
        let all = splits(name).into_iter();
        all.map(|one| format!("{}<{}>{}", one.before, one.number, one.after))
            .collect()
    }

    #[test]
    fn numbers_are_taken_whole_and_versions_are_none() {
        assert_eq!(seen("api-preview-97"), ["api-preview-<97>"]);
        assert_eq!(seen("pr12"), ["pr<12>"]);
        assert_eq!(seen("kody-pr-20-db-2"), ["kody-pr-<20>-db-2"]);
        assert_eq!(seen("web-3"), ["web-<3>"]);
        for none in [
            "app-v4",
            "app-1.2.3",
            "os-a1b2c3",
            "app-pr-012",
            "slot-3",
            "ci-101",
            "preview-24308663446",
            "pr-12a",
        ] {
            assert_eq!(seen(none), Vec::<String>::new(), "{none}");
        }
        assert_eq!(
            seen("x-pr-12-k3v9qz2m7x4b8n1c"),
            ["x-pr-<12>-{any:a-z0-9:16}"]
        );
        assert_eq!(seen("x-pr-12-something"), ["x-pr-<12>-something"]);
    }

    #[test]
    fn the_permanent_sibling_lacks_the_number_and_its_word() {
        assert_eq!(permanent("db-eu-pr-", "").as_deref(), Some("db-eu"));
        assert_eq!(permanent("shop-pr-", "-kv").as_deref(), Some("shop-kv"));
        assert_eq!(permanent("pr-", ""), None);
        assert_eq!(permanent("shop-", ""), None);
    }
}
