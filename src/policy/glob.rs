//! Globs of `protect` and `except`: only `*` is special, and it stands for any
//! text, slashes included.

/// Whether a glob matches the whole text.
pub(super) fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn only_the_star_is_special() {
        for (glob, text, expected) in [
            ("*-production", "api-production", true),
            ("*-production", "api-production-2", false),
            ("a*b*c", "a/x/b/y/c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            // No character counts for two parts of the glob.
            ("a*b*b", "axb", false),
            ("a*bc*cd", "axbcd", false),
            ("a*bc*cd", "axbccd", true),
            ("dev", "dev", true),
            ("dev", "dev2", false),
            ("*", "", true),
            ("a?[x]", "a?[x]", true),
            ("a?[x]", "abx", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }
}
