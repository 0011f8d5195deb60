//! From a file's text to a [`Policy`], with every mistake at once.

mod condition;
mod names;
mod protect;
mod rule;
mod slug;

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Severity};
use super::fields::{self, At, Fields, Mistakes};
use super::keys::{self, Key, Text, Texts};
use super::limits;
use super::rule::{Rule, Span};
use super::spelling;
use super::template::{CAPTURES, Names, WordLists};
use super::{
    Loaded, Location, Policies, Policy, PolicyContext, PolicySource, ScopeWritten, Vocabulary,
};
use crate::limits::LimitValues;
use crate::model::code::Code;
use crate::model::identifier::IdentifierSort;
use crate::model::{KindRef, PlaceSort, Repository, ScopeKey, ScopeTable};

pub(super) fn read(
    sources: &[PolicySource],
    vocabulary: &Vocabulary<'_>,
    environment: &PolicyContext<'_>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut files = Vec::new();
    let mut found = Vec::new();
    let mut limits: Option<(LimitValues, Range<usize>, usize)> = None;
    for (index, source) in sources.iter().enumerate() {
        let mut reader = Reader {
            source,
            vocabulary,
            environment,
            mistakes: Mistakes {
                source: index,
                found: Vec::new(),
            },
        };
        let (policy, written) = reader.file();
        if let Some((written, span)) = written {
            match &limits {
                None => limits = Some((written, span, index)),
                Some((first, _, file)) => {
                    let differs = first.differences(&written);
                    if !differs.is_empty() {
                        reader.mistakes.error(
                            Code::LimitsDiffer,
                            span,
                            format!(
                                "[limits] differ from those in {}: {}",
                                sources[*file].path,
                                differs.join(", ")
                            ),
                            "the limits of a run come from one place",
                            Some("write [limits] in one file only".to_owned()),
                        );
                    }
                }
            }
        }
        files.extend(policy);
        found.append(&mut reader.mistakes.found);
    }
    if found.iter().any(|one| one.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Loaded {
        policies: Policies {
            files,
            limits: limits.map(|(limits, _, _)| limits).unwrap_or_default(),
        },
        warnings: found,
    })
}

/// The label that keeps a pull request's resources where a file names none.
const KEEP_LABEL: &str = "preview-keep";

struct Reader<'a> {
    source: &'a PolicySource,
    vocabulary: &'a Vocabulary<'a>,
    environment: &'a PolicyContext<'a>,
    mistakes: Mistakes,
}

type LimitsAt = (LimitValues, Range<usize>);

impl Reader<'_> {
    fn file(&mut self) -> (Option<Policy>, Option<LimitsAt>) {
        // A byte order mark is not part of TOML, and some editors write one.
        let (table, errors) = DeTable::parse_recoverable(&self.source.text);
        for error in &errors {
            self.mistakes.error(
                Code::NotToml,
                error.span().unwrap_or(0..0),
                format!("this is not TOML: {}", error.message().trim()),
                "here",
                None,
            );
        }
        if !errors.is_empty() {
            return (None, None);
        }
        let mut fields = Fields::of(&keys::file::TABLE, table.get_ref(), 0..0);
        let repository = self.repository(&mut fields);
        let scope = self.scope(&mut fields);
        let limits = fields.table(&keys::file::LIMITS, "[limits]", &mut self.mistakes);
        let limits = limits.map(|fields| {
            let span = fields.span();
            (limits::read(fields, &mut self.mistakes), span)
        });
        let keep_label = self.keep_label(&mut fields);
        let names = Names {
            words: self.words(&mut fields),
            slugs: self.slugs(&mut fields),
        };
        let protects: Vec<_> = fields
            .tables(&keys::file::PROTECT, &mut self.mistakes)
            .into_iter()
            .filter_map(|fields| self.protect(fields, &names))
            .collect();
        let rules: Vec<_> = fields
            .tables(&keys::file::RULE, &mut self.mistakes)
            .into_iter()
            .map(|fields| self.rule(fields, &names))
            .collect();
        self.unique(&rules);
        let empty = rules.is_empty() && protects.is_empty();
        fields.end(&mut self.mistakes);
        if empty && self.mistakes.found.is_empty() {
            self.mistakes.error(
                Code::PolicyEmpty,
                0..0,
                "this policy has no [[rule]] and no [[protect]]",
                "nothing to do",
                Some("write at least one rule, or delete the file".to_owned()),
            );
        }
        let policy = repository.map(|(repository, repository_written)| Policy {
            path: self.source.path.as_str().into(),
            repository,
            repository_written,
            forge: forge(self.environment),
            scope,
            keep_label,
            slugs: names.slugs.clone(),
            protects,
            rules: rules.into_iter().filter_map(|(rule, _)| rule).collect(),
        });
        (policy, limits)
    }

    fn repository(&mut self, fields: &mut Fields<'_>) -> Option<(Repository, bool)> {
        let Some(text) = fields.text(&keys::file::REPOSITORY, &mut self.mistakes) else {
            let outside = self.environment.repository.cloned();
            if outside.is_none() {
                self.mistakes.error(
                    Code::RepositoryMissing,
                    0..0,
                    "no repository: it is unknown whose pull requests decide",
                    "no `repository` here",
                    Some("write repository = \"owner/name\", or set GITHUB_REPOSITORY".to_owned()),
                );
            }
            return outside.map(|repository| (repository, false));
        };
        let Some(repository) = Repository::parse(&text.value) else {
            self.mistakes.masked(
                Code::RepositoryMalformed,
                text.span,
                "`repository` does not name a repository",
                "not owner/name",
                Some("write it as owner/name, such as \"acme/shop\"".to_owned()),
            );
            return None;
        };
        Some((repository, true))
    }

    fn keep_label(&mut self, fields: &mut Fields<'_>) -> Box<str> {
        let label = fields.text(&keys::file::KEEP_LABEL, &mut self.mistakes);
        if let Some(empty) = label.as_ref().filter(|label| label.value.is_empty()) {
            self.mistakes.error(
                Code::NameEmpty,
                empty.span.clone(),
                "an empty label is on no pull request",
                "empty",
                Some(format!(
                    "write the name of a label, or leave it out for {KEEP_LABEL:?}"
                )),
            );
        }
        label.map_or_else(|| KEEP_LABEL.into(), |label| label.value.into())
    }

    fn scope(&mut self, fields: &mut Fields<'_>) -> ScopeWritten {
        let mut scope = ScopeWritten::default();
        let Some(mut table) = fields.table(&keys::file::SCOPE, "[scope]", &mut self.mistakes)
        else {
            return scope;
        };
        for ScopeTable { provider, keys } in self.vocabulary.scopes {
            let what = format!("`{provider}`");
            let Some(mut fields) = table.table(&Key::new(provider, ()), what, &mut self.mistakes)
            else {
                continue;
            };
            for key in *keys {
                let texts = if key.takes_list {
                    fields.texts(&Key::new(key.key, Texts).verbatim(), &mut self.mistakes)
                } else {
                    let text = fields.text(&Key::new(key.key, Text).verbatim(), &mut self.mistakes);
                    text.map(|text| vec![text])
                };
                let Some(texts) = texts else { continue };
                let values = if key.takes_list {
                    self.scoped(key.key, texts, key.identifier)
                } else {
                    self.single(key, texts)
                };
                match key.sort {
                    PlaceSort::Account => scope.account = values.and_then(|mut one| one.pop()),
                    PlaceSort::Zone => scope.zones = values,
                    PlaceSort::Project => scope.projects = values,
                    // The repository is a key of the file itself.
                    PlaceSort::Repository => {}
                }
            }
            fields.end(&mut self.mistakes);
        }
        table.end(&mut self.mistakes);
        scope
    }

    /// The identifier of a key that takes one value only, which a variable may
    /// break.
    fn single(&mut self, key: &ScopeKey, texts: Vec<At<String>>) -> Option<Vec<String>> {
        let span = texts.first()?.span.clone();
        let values = self.scoped(key.key, texts, key.identifier)?;
        if values.len() > 1 {
            self.mistakes.error(
                Code::AccountNotSingle,
                span,
                format!(
                    "`{0}` names several {0}s, and a policy file is about one",
                    key.key
                ),
                "more than one value",
                Some(format!("write a policy file for each {}", key.key)),
            );
        }
        Some(values)
    }

    /// The identifiers of one key of `[scope]`, each in its normal form.
    fn scoped(
        &mut self,
        key: &str,
        texts: Vec<At<String>>,
        sort: IdentifierSort,
    ) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for text in texts {
            let variable = text.value.strip_prefix('$').map(ToOwned::to_owned);
            let span = text.span.clone();
            for value in self.expand(text)? {
                if let Some(identifier) = sort.parse(&value) {
                    all.push(identifier);
                    continue;
                }
                let form = sort.form();
                match &variable {
                    Some(variable) => self.mistakes.error(
                        Code::VariableMalformed,
                        span.clone(),
                        format!(
                            "`{key}` takes the environment variable {variable}, which does not \
                             hold {sort}"
                        ),
                        format!("its value is not {form}, and is not shown here"),
                        Some(format!(
                            "set {variable} to {sort}, or name another variable"
                        )),
                    ),
                    None => self.mistakes.masked(
                        Code::ValueMalformed,
                        span.clone(),
                        format!("`{key}` does not have the form of {sort}"),
                        format!("not {form}"),
                        Some(format!(
                            "write {sort}, or $NAME for the environment variable that holds it"
                        )),
                    ),
                }
                return None;
            }
        }
        Some(all)
    }

    /// A literal, or the values of a `$NAME` (several are separated by commas).
    fn expand(&mut self, text: At<String>) -> Option<Vec<String>> {
        let Some(name) = text.value.strip_prefix('$') else {
            return Some(vec![text.value]);
        };
        if holds_a_secret(name) {
            self.mistakes.error(
                Code::VariableIsSecret,
                text.span,
                format!("the environment variable {name} holds a secret, not a place"),
                "would be sent in addresses and printed",
                Some("name the variable that holds the id, or write the id itself".to_owned()),
            );
            return None;
        }
        let value = (self.environment.lookup)(name);
        let values: Vec<String> = value
            .iter()
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() {
            self.mistakes.error(
                Code::VariableNotSet,
                text.span,
                format!("the environment variable {name} is not set"),
                "not set",
                Some(format!("set {name}, or write the id itself")),
            );
            return None;
        }
        Some(values)
    }

    fn words(&mut self, fields: &mut Fields<'_>) -> WordLists {
        let mut words = WordLists::new();
        let Some(mut table) = fields.table(&keys::file::WORDS, "[words]", &mut self.mistakes)
        else {
            return words;
        };
        for (name, value) in table.rest() {
            if CAPTURES.contains(&name.value.as_str()) || name.value.contains([':', '{', '}']) {
                self.mistakes.error(
                    Code::WordListNameTaken,
                    name.span,
                    format!("a list of words cannot be called {:?}", name.value),
                    "the name of a capture",
                    Some("choose another name".to_owned()),
                );
                continue;
            }
            let Some(list) = fields::compared_texts(&name.value, value, &mut self.mistakes) else {
                continue;
            };
            if let Some(empty) = list.iter().find(|word| word.value.is_empty()) {
                self.mistakes.error(
                    Code::WordEmpty,
                    empty.span.clone(),
                    "an empty word matches everywhere",
                    "empty",
                    Some("remove it, or write a second template without the word".to_owned()),
                );
            }
            words.insert(
                name.value,
                list.into_iter().map(|word| word.value.into()).collect(),
            );
        }
        words
    }

    fn unique(&mut self, rules: &[(Option<Rule>, Option<At<String>>)]) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (_, id) in rules {
            let Some(id) = id else { continue };
            let line = self.source.line(id.span.start);
            if let Some(first) = seen.insert(&id.value, line) {
                self.mistakes.error(
                    Code::RuleIdTaken,
                    id.span.clone(),
                    format!("two rules are called {:?}", id.value),
                    format!("the first is in line {first}"),
                    Some("verdicts name their rule, so each needs an id of its own".to_owned()),
                );
            }
        }
    }

    fn location(&self, span: &Range<usize>) -> Location {
        Location {
            path: self.source.path.as_str().into(),
            line: self.source.line(span.start),
        }
    }

    fn span(&self, span: &Range<usize>) -> Span {
        Span {
            source: self.mistakes.source,
            bytes: span.clone(),
        }
    }

    fn kinds(&mut self, names: &[At<String>]) -> Vec<KindRef> {
        let known = self.vocabulary.kinds;
        let mut kinds = Vec::new();
        for name in names {
            if let Some(kind) = known.iter().find(|kind| kind.name() == name.value) {
                kinds.push(*kind);
                continue;
            }
            let known: Vec<_> = known.iter().map(|kind| kind.name()).collect();
            self.mistakes.error(
                Code::KindUnknown,
                name.span.clone(),
                format!("there is no kind {:?}", name.value),
                "unknown kind",
                Some(spelling::suggestion(&name.value, &known)),
            );
        }
        kinds
    }
}

/// Whether a variable of this name holds what must not be sent in an address.
fn holds_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL"]
        .iter()
        .any(|word| name.contains(word))
}

/// The host of the forge: that of an Enterprise Server where one is named.
fn forge(environment: &PolicyContext<'_>) -> std::sync::Arc<str> {
    let server = (environment.lookup)("GITHUB_SERVER_URL");
    let server = server.and_then(|server| url::Url::parse(&server).ok());
    let host = server.as_ref().and_then(url::Url::host_str);
    host.unwrap_or("github.com").into()
}

#[cfg(test)]
mod tests {
    use crate::policy::diagnostic::Severity;
    use crate::policy::tests::{mistakes, read};

    /// A rule that reads names by this template.
    fn rule(name: &str) -> String {
        format!(
            "[[rule]]\nid = \"one\"\nkind = \"worker\"\nname = \"{name}\"\ndead-when = {{ \
             older-than = \"1d\" }}\n"
        )
    }

    /// What is compared with names protects nothing with a space that nobody sees.
    #[test]
    fn white_space_around_a_string_is_a_mistake_at_its_place() {
        let protect = |keys: &str| format!("[[protect]]\nreason = \" x \"\n{keys}\n");
        let complete = rule("app-{pr}");
        for (text, key) in [
            (
                format!("keep-label = \" stays \"\n{complete}"),
                "keep-label",
            ),
            (
                format!("keep-label = \"\tstays\"\n{complete}"),
                "keep-label",
            ),
            (protect("name = \" stays\""), "name"),
            (protect("name = [\"api\", \"stays\u{a0}\"]"), "name"),
            (protect("name = \"stays-{any} \""), "name"),
            (protect("branch = \"stays \""), "branch"),
            (
                protect("kind = \"neon_branch\"\nwhere = { parent = \" stays\" }"),
                "parent",
            ),
            (
                protect("kind = \"dns_record\"\nwhere = { content = \"stays \" }"),
                "content",
            ),
            (format!("{complete}except = \" stays\"\n"), "except"),
            (
                format!("[words]\nat = [\"stays \"]\n{}", rule("{at}-{pr}")),
                "at",
            ),
            (
                complete.replace("{ older-than = \"1d\" }", "{ without-label = \" stays\" }"),
                "without-label",
            ),
        ] {
            let wrong = format!(
                "a string of `{key}` begins or ends with white space, so it is equal to no name: \
                 \"stays"
            );
            let mut found = read(&text).unwrap_err();
            found.retain(|one| one.severity == Severity::Error);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].message.starts_with(&wrong), "{text}: {found:?}");
            assert!(text[found[0].span.clone()].contains("stays"), "{text}");
        }
        let hidden = mistakes(&protect("name = \"sta\u{200b}ys\""));
        assert!(hidden[0].contains("has invisible characters"), "{hidden:?}");
        // A path, and what joins two visible characters.
        assert!(mistakes(&protect("name = \"a\u{200d}b c\"")).is_empty());
    }

    #[test]
    fn a_list_of_words_cannot_be_called_like_a_capture() {
        for (name, shown) in [
            ("pr", "pr"),
            ("any", "any"),
            ("\"a:b\"", "a:b"),
            ("\"a}\"", "a}"),
        ] {
            let text = format!("[words]\n{name} = [\"x\"]\n{}", rule("app-{pr}"));
            let expected = format!("a list of words cannot be called {shown:?}");
            assert_eq!(mistakes(&text), [expected]);
        }
        let text = format!("[words]\nprs = [\"x\"]\n{}", rule("{prs}-{pr}"));
        assert!(mistakes(&text).is_empty(), "{:?}", mistakes(&text));
    }

    #[test]
    fn a_cut_slug_has_room_for_a_character_its_dash_and_its_hash() {
        let hash = "hash = { algorithm = \"sha256\", digits = 8 }";
        for (function, short) in [
            ("length = 1".to_owned(), None),
            ("length = 0".to_owned(), Some(0)),
            (format!("{hash}\nlength = 10"), None),
            (format!("{hash}\nlength = 63"), None),
            (format!("{hash}\nlength = 9"), Some(9)),
            (format!("{hash}\nlength = [63, 1]"), Some(1)),
        ] {
            let text = format!("[slug.shop]\n{function}\n{}", rule("app-{slug:shop}"));
            let expected: Vec<_> = short
                .iter()
                .map(|short: &usize| format!("a length of {short} leaves no room for the slug"))
                .collect();
            assert_eq!(mistakes(&text), expected, "{function}");
        }
    }
}
