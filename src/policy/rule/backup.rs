//! Names that look like backups. A rule matches them only if it spells them.

use super::super::template::Template;

/// What backups are called. `*` stands for any text, a separator for any other one,
/// and letters have no case. Only the `_` of `_old_` matches no `-`: slugs join the
/// words of a git branch with it, and `remove-old-login` is none.
const PATTERNS: [&str; 4] = [
    "rollback-*",
    "pre-deploy-*",
    "emergency-restore-*",
    "*_old_*",
];

/// Returns the backup pattern that a name looks like and that the template does
/// not spell: one that it does not spell keeps the name, whatever others it does.
pub(super) fn unspelled(template: &Template, name: &str) -> Option<&'static str> {
    let mut patterns = PATTERNS.into_iter();
    patterns.find(|pattern| has(name, pattern) && !has(template.literal_text(), pattern))
}

fn has(text: &str, pattern: &str) -> bool {
    let part = pattern.trim_matches('*').as_bytes();
    let anywhere = pattern.starts_with('*');
    let separators: &[u8] = if anywhere { b"_." } else { b"-_." };
    let is_alike = |place: &[u8]| {
        let mut pairs = place.iter().zip(part);
        pairs.all(|(a, b)| {
            let separate = separators.contains(a) && separators.contains(b);
            a.eq_ignore_ascii_case(b) || separate
        })
    };
    let mut places = text.as_bytes().windows(part.len());
    if anywhere {
        places.any(is_alike)
    } else {
        places.next().is_some_and(is_alike)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::template::{Anchor, NameForm, Names};
    use super::*;

    fn unspelled_by(template: &str, name: &str) -> Option<&'static str> {
        let names = Names::default();
        let template = Template::parse(template, &names, NameForm::Exact, Anchor::Itself);
        unspelled(&template.unwrap(), name)
    }

    #[test]
    fn a_template_spells_every_backup_pattern_that_a_name_has() {
        for (template, name, expected) in [
            ("rollback-{any}-pr-{pr}", "rollback-x-pr-12", None),
            (
                "rollback-{any}-pr-{pr}",
                "rollback-x_old_1-pr-12",
                Some("*_old_*"),
            ),
            (
                "{any}_old_{any}-pr-{pr}",
                "rollback-x_old_1-pr-12",
                Some("rollback-*"),
            ),
            (
                "rollback-{any}_old_{any}-pr-{pr}",
                "rollback-x_old_1-pr-12",
                None,
            ),
            ("{any}back-pr-{pr}", "rollback-pr-12", Some("rollback-*")),
            // A pattern at the beginning has to be spelled at the beginning of the
            // template.
            (
                "{any}-rollback-{pr}",
                "rollback-rollback-12",
                Some("rollback-*"),
            ),
            ("app-rollback-{pr}", "app-rollback-12", None),
            ("app-{any}-{pr}", "app-older-12", None),
        ] {
            assert_eq!(unspelled_by(template, name), expected, "{template}: {name}");
        }
    }

    #[test]
    fn backups_are_known_in_any_case_and_with_any_separator() {
        for (name, pattern) in [
            ("Rollback_app-pr-12", "rollback-*"),
            ("pre_deploy.app-pr-12", "pre-deploy-*"),
            ("EMERGENCY-RESTORE-app-pr-12", "emergency-restore-*"),
            ("main_OLD_1-app-pr-12", "*_old_*"),
            ("main.Old.1-app-pr-12", "*_old_*"),
        ] {
            let found = unspelled_by("{any}app-pr-{pr}", name);
            assert_eq!(found, Some(pattern), "{name}");
        }
        // The slug of a git branch.
        assert_eq!(
            unspelled_by("app-{any}-{pr}", "app-remove-old-login-12"),
            None
        );
        assert_eq!(unspelled_by("Rollback_{any}-{pr}", "rollback-x-12"), None);
    }
}
