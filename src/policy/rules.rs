//! All rules of a file, found by how a name begins: most rules spell out the
//! beginning of what they read, so that a thousand of them cost a name little
//! more than the one that reads it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use super::rule::{MatchSubject, RefusedMatch, Rule, RuleMatch};
use crate::model::identifier::host_name;
use crate::model::{Claim, KindRef, Resource};

/// The rules of a file, in its order.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    by_kind: BTreeMap<KindRef, Readers>,
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.rules
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let rules: Vec<Rule> = rules.into_iter().collect();
        let mut by_kind: BTreeMap<KindRef, Readers> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            for kind in &rule.kinds {
                by_kind.entry(*kind).or_default().add(index, rule, *kind);
            }
        }
        Self { rules, by_kind }
    }
}

impl Rules {
    /// What each rule takes a resource for, with the rule's index.
    pub fn read(&self, resource: &Resource) -> Vec<(usize, RuleMatch)> {
        self.candidates(resource.kind, &resource.name, |rule| rule.read(resource))
    }

    /// Returns the rules whose template matches a resource and whose condition does
    /// not hold, with that condition.
    pub fn refusals(&self, resource: &Resource) -> Vec<RefusedMatch> {
        let found = self.candidates(resource.kind, &resource.name, |rule| {
            rule.refusal(resource).into_iter().collect()
        });
        found.into_iter().map(|(_, refusal)| refusal).collect()
    }

    /// What each rule takes a name of this kind for, wherever the resource is
    /// and whatever else it has, with the rule's index.
    pub fn match_name(&self, kind: KindRef, name: &str) -> Vec<(usize, Claim)> {
        // People write a host name in any spelling.
        let normal = kind.caseless.then(|| host_name(name));
        let name = normal.as_deref().unwrap_or(name);
        self.candidates(kind, name, |rule| rule.match_name(kind, name))
    }

    /// What each rule takes a resource for whatever its conditions say, with the rule's
    /// index.
    pub fn claims(&self, resource: &Resource) -> Vec<(usize, Claim)> {
        self.candidates(resource.kind, &resource.name, |rule| rule.claims(resource))
    }

    fn candidates<T>(
        &self,
        kind: KindRef,
        name: &str,
        read: impl Fn(&Rule) -> Vec<T>,
    ) -> Vec<(usize, T)> {
        let Some(readers) = self.by_kind.get(&kind) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for index in readers.of(kind, name) {
            let matches = read(&self.rules[index]).into_iter();
            found.extend(matches.map(|rule_match| (index, rule_match)));
        }
        found
    }
}

/// The rules that may match a name of one kind.
#[derive(Debug, Clone, Default)]
struct Readers {
    /// By how the name has to begin, for each length of such a beginning.
    by_beginning: BTreeMap<usize, HashMap<Box<[u8]>, Vec<usize>>>,
}

impl Readers {
    fn add(&mut self, index: usize, rule: &Rule, kind: KindRef) {
        let beginnings = match rule.subject {
            MatchSubject::Name => rule.beginnings(kind),
            // The name says nothing about the branch or the attribute.
            MatchSubject::Branch | MatchSubject::Attribute(_) => vec![String::new()],
        };
        for beginning in beginnings {
            let rules = self
                .by_beginning
                .entry(beginning.len())
                .or_default()
                .entry(beginning.into_bytes().into())
                .or_default();
            if rules.last() != Some(&index) {
                rules.push(index);
            }
        }
    }

    /// Their indices, in order.
    fn of(&self, kind: KindRef, name: &str) -> Vec<usize> {
        let lower;
        let name = if kind.caseless {
            lower = name.to_ascii_lowercase();
            lower.as_bytes()
        } else {
            name.as_bytes()
        };
        let mut found = Vec::new();
        for (length, rules) in &self.by_beginning {
            let Some(beginning) = name.get(..*length) else {
                break;
            };
            found.extend(rules.get(beginning).into_iter().flatten().copied());
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{kind, policy, resource};

    fn rules() -> Rules {
        let rule = |id: &str, kind: &str, name: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\nname = \"{name}\"\ndead-when = {{ \
                 older-than = \"1d\" }}\n"
            )
        };
        let text = [
            rule("api", "worker", "api-pr-{pr}"),
            rule("web", "worker", "web-pr-{pr}"),
            rule("old", "worker", "{any}-pr-7"),
            rule("hosts", "dns_record", "API-pr-{pr}.example.com"),
        ];
        policy(&text.concat()).rules
    }

    #[test]
    fn each_rule_that_matches_a_name_is_returned_with_its_match() {
        let rules = rules();
        let both = [(1, "pull request #7"), (2, "its own age")];
        let read: Vec<_> = rules
            .read(&resource("worker", "web-pr-7"))
            .into_iter()
            .map(|(rule, rule_match)| (rule, rule_match.claim.to_string()))
            .collect();
        assert_eq!(read, both.map(|(rule, claim)| (rule, claim.to_owned())));
        for (sort, name, expected) in [
            ("worker", "web-pr-7", &both[..]),
            ("worker", "api-pr-3", &[(0, "pull request #3")]),
            (
                "dns_record",
                "api-PR-3.Example.com",
                &[(3, "pull request #3")],
            ),
            ("worker", "docs-pr-3", &[]),
            ("d1", "api-pr-3", &[]),
        ] {
            let read = rules.match_name(kind(sort), name);
            let read: Vec<_> = read
                .iter()
                .map(|(rule, claim)| (*rule, claim.to_string()))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(rule, claim)| (*rule, (*claim).to_owned()))
                .collect();
            assert_eq!(read, expected, "{sort} {name}");
        }
    }

    #[test]
    fn only_rules_whose_beginning_a_name_has_are_asked() {
        let rules = rules();
        let asked = |sort: &str, name: &str| {
            let kind = kind(sort);
            rules.by_kind[&kind].of(kind, name)
        };
        assert_eq!(asked("worker", "web-pr-x"), [1, 2]);
        assert_eq!(asked("worker", "WEB-pr-x"), [2]);
        assert_eq!(asked("dns_record", "API-PR-x"), [3]);
        assert!(asked("dns_record", "web-pr-x").is_empty());
    }
}
