//! From a file's text to a [`Policy`], with every mistake at once.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Severity};
use super::fields::{self, At, Fields, Mistakes};
use super::limits::LimitsWritten;
use super::rule::{
    Action, Age, AgeClock, Condition, Death, Event, Missing, Pattern, Protect, Rule, Test, Timing,
    Where,
};
use super::template::{Template, Words};
use super::{Environment, Loaded, Location, Policies, Policy, ScopeWritten, Source, Vocabulary};
use crate::model::{AttributeSort, KindRef, PlaceSort, Repository};

pub(super) fn read(
    sources: &[Source],
    vocabulary: &Vocabulary<'_>,
    environment: &Environment<'_>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut files = Vec::new();
    let mut found = Vec::new();
    let mut limits: Option<(LimitsWritten, Range<usize>, usize)> = None;
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
                    let differs = first.differs(&written);
                    if !differs.is_empty() {
                        reader.mistakes.error(
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

struct Reader<'a> {
    source: &'a Source,
    vocabulary: &'a Vocabulary<'a>,
    environment: &'a Environment<'a>,
    mistakes: Mistakes,
}

type LimitsAt = (LimitsWritten, Range<usize>);

impl Reader<'_> {
    fn file(&mut self) -> (Option<Policy>, Option<LimitsAt>) {
        // A byte order mark is not part of TOML, and some editors write one.
        let (table, errors) = DeTable::parse_recoverable(&self.source.text);
        for error in &errors {
            self.mistakes.error(
                error.span().unwrap_or(0..0),
                format!("this is not TOML: {}", error.message().trim()),
                "here",
                None,
            );
        }
        if !errors.is_empty() {
            return (None, None);
        }
        let mut fields = Fields::new("policy file", table.get_ref(), 0..0);
        let repository = self.repository(&mut fields);
        let scope = self.scope(&mut fields);
        let limits = fields.take("limits").and_then(|value| {
            if let DeValue::Table(table) = value.get_ref() {
                let fields = Fields::new("[limits]", table, value.span());
                return Some((
                    LimitsWritten::read(fields, &mut self.mistakes),
                    value.span(),
                ));
            }
            fields::wrong("limits", value, "a table", &mut self.mistakes);
            None
        });
        let words = self.words(&mut fields);
        let protects: Vec<_> = fields
            .tables("protect", "[[protect]]", &mut self.mistakes)
            .into_iter()
            .filter_map(|fields| self.protect(fields, &words))
            .collect();
        let rules: Vec<_> = fields
            .tables("rule", "[[rule]]", &mut self.mistakes)
            .into_iter()
            .map(|fields| self.rule(fields, &words))
            .collect();
        self.unique(&rules);
        let empty = rules.is_empty() && protects.is_empty();
        fields.end(&mut self.mistakes);
        if empty && self.mistakes.found.is_empty() {
            self.mistakes.error(
                0..0,
                "this policy has no [[rule]] and no [[protect]]",
                "nothing to do",
                Some("write at least one rule, or leave the file away".to_owned()),
            );
        }
        let policy = repository.map(|(repository, repository_written)| Policy {
            path: self.source.path.as_str().into(),
            repository,
            repository_written,
            scope,
            protects,
            rules: rules.into_iter().filter_map(|(rule, _)| rule).collect(),
        });
        (policy, limits)
    }

    fn repository(&mut self, fields: &mut Fields<'_>) -> Option<(Repository, bool)> {
        let Some(text) = fields.text("repository", &mut self.mistakes) else {
            let outside = self.environment.repository.cloned();
            if outside.is_none() {
                self.mistakes.error(
                    0..0,
                    "no repository: whose pull requests are meant?",
                    "no `repository` here",
                    Some("write repository = \"owner/name\", or set GITHUB_REPOSITORY".to_owned()),
                );
            }
            return outside.map(|repository| (repository, false));
        };
        let Some(repository) = Repository::parse(&text.value) else {
            self.mistakes.error(
                text.span,
                format!("{:?} is not a repository", text.value),
                "not owner/name",
                Some("write it as owner/name, such as \"acme/shop\"".to_owned()),
            );
            return None;
        };
        Some((repository, true))
    }

    fn scope(&mut self, fields: &mut Fields<'_>) -> ScopeWritten {
        let mut scope = ScopeWritten::default();
        let Some(mut table) = fields.table("scope", "[scope]", &mut self.mistakes) else {
            return scope;
        };
        if let Some(mut cloudflare) = table.table("cloudflare", "`cloudflare`", &mut self.mistakes)
        {
            let account = cloudflare.text("account", &mut self.mistakes);
            scope.account = account.and_then(|text| self.expand(text)?.pop());
            let zones = cloudflare.texts("zones", &mut self.mistakes);
            scope.zones = zones.and_then(|zones| self.expand_all(zones));
            cloudflare.end(&mut self.mistakes);
        }
        if let Some(mut neon) = table.table("neon", "`neon`", &mut self.mistakes) {
            let projects = neon.texts("projects", &mut self.mistakes);
            scope.projects = projects.and_then(|projects| self.expand_all(projects));
            neon.end(&mut self.mistakes);
        }
        table.end(&mut self.mistakes);
        scope
    }

    fn expand_all(&mut self, texts: Vec<At<String>>) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for text in texts {
            all.extend(self.expand(text)?);
        }
        Some(all)
    }

    /// A literal, or the values of a `$NAME` (several are separated by commas).
    fn expand(&mut self, text: At<String>) -> Option<Vec<String>> {
        let Some(name) = text.value.strip_prefix('$') else {
            return Some(vec![text.value]);
        };
        let value = (self.environment.lookup)(name);
        let values: Vec<String> = value
            .iter()
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() {
            self.mistakes.error(
                text.span,
                format!("the environment variable {name} is not set"),
                "not set",
                Some(format!("set {name}, or write the id itself")),
            );
            return None;
        }
        Some(values)
    }

    fn words(&mut self, fields: &mut Fields<'_>) -> Words {
        let mut words = Words::new();
        let Some(mut table) = fields.table("words", "[words]", &mut self.mistakes) else {
            return words;
        };
        for (name, value) in table.rest() {
            if ["pr", "any", "run", "epoch", "date", "branch", "slug"]
                .contains(&name.value.as_str())
                || name.value.contains([':', '{', '}'])
            {
                self.mistakes.error(
                    name.span,
                    format!("a list of words cannot be called {:?}", name.value),
                    "the name of a capture",
                    Some("choose another name".to_owned()),
                );
                continue;
            }
            let Some(list) = fields::texts(&name.value, value, &mut self.mistakes) else {
                continue;
            };
            if let Some(empty) = list.iter().find(|word| word.value.is_empty()) {
                self.mistakes.error(
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

    fn kinds(&mut self, names: &[At<String>]) -> (Vec<KindRef>, Vec<&'static str>) {
        let (mut kinds, mut unscanned) = (Vec::new(), Vec::new());
        for name in names {
            let scanned = self
                .vocabulary
                .kinds
                .iter()
                .find(|kind| kind.name() == name.value);
            let later = self
                .vocabulary
                .unscanned
                .iter()
                .find(|later| **later == name.value);
            match (scanned, later) {
                (Some(kind), _) => kinds.push(*kind),
                (None, Some(later)) => {
                    unscanned.push(*later);
                    self.mistakes.warning(
                        name.span.clone(),
                        format!("`{later}` is not scanned yet"),
                        "this does nothing for now",
                        None,
                    );
                }
                (None, None) => {
                    let known: Vec<_> = self
                        .vocabulary
                        .kinds
                        .iter()
                        .map(|kind| kind.name())
                        .chain(self.vocabulary.unscanned.iter().copied())
                        .collect();
                    self.mistakes.error(
                        name.span.clone(),
                        format!("there is no kind {:?}", name.value),
                        "unknown kind",
                        Some(fields::suggestion(&name.value, &known)),
                    );
                }
            }
        }
        (kinds, unscanned)
    }

    fn place(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef], all_scanned: bool) -> Where {
        let zones = fields.texts("zone", &mut self.mistakes);
        let projects = fields.texts("project", &mut self.mistakes);
        for (key, list, sort) in [
            ("zone", &zones, PlaceSort::Zone),
            ("project", &projects, PlaceSort::Project),
        ] {
            let Some(first) = list.as_ref().and_then(|list| list.first()) else {
                continue;
            };
            let elsewhere = kinds.iter().find(|kind| kind.0.place != sort);
            if let Some(kind) = elsewhere.filter(|_| all_scanned) {
                self.mistakes.error(
                    first.span.clone(),
                    format!("`{key}` does not apply to {kind}"),
                    format!("a {} is in no {key}", kind.0.noun),
                    Some(format!(
                        "leave `{key}` away, or write a rule of its own for {kind}"
                    )),
                );
            }
        }
        let plain = |list: Option<Vec<At<String>>>| {
            list.map(|list| list.into_iter().map(|item| item.value).collect())
        };
        Where {
            zones: plain(zones),
            projects: plain(projects),
        }
    }

    fn template(&mut self, text: &At<String>, words: &Words) -> Option<(Template, Template)> {
        let both = Template::parse(&text.value, words, false)
            .and_then(|exact| Ok((exact, Template::parse(&text.value, words, true)?)));
        both.map_err(|error| {
            let span = self.within(text, error.span);
            self.mistakes
                .error(span, error.message, "here", Some(error.help));
        })
        .ok()
    }

    /// The bytes of a part of a string, if the file writes it without escapes.
    fn within(&self, text: &At<String>, part: Range<usize>) -> Range<usize> {
        let start = text.span.start + 1;
        let literal = self.source.text.get(start..start + text.value.len());
        if literal == Some(&text.value) {
            start + part.start..start + part.end
        } else {
            text.span.clone()
        }
    }

    fn pattern(&mut self, text: &At<String>, words: &Words) -> Option<(Pattern, Pattern)> {
        if text.value.contains('{') {
            let (exact, caseless) = self.template(text, words)?;
            return Some((Pattern::Template(exact), Pattern::Template(caseless)));
        }
        if text.value.is_empty() {
            self.mistakes.error(
                text.span.clone(),
                "an empty name matches nothing",
                "empty",
                None,
            );
            return None;
        }
        let glob = |text: &str, caseless| Pattern::Glob {
            text: text.into(),
            caseless,
        };
        Some((
            glob(&text.value, false),
            glob(&text.value.to_ascii_lowercase(), true),
        ))
    }

    fn protect(&mut self, mut fields: Fields<'_>, words: &Words) -> Option<Protect> {
        let names = fields.texts("kind", &mut self.mistakes);
        let (kinds, unscanned) = names
            .as_ref()
            .map(|names| self.kinds(names))
            .unwrap_or_default();
        let all_scanned = unscanned.is_empty();
        let place = self.place(&mut fields, &kinds, all_scanned && names.is_some());
        let patterns = fields.texts("name", &mut self.mistakes);
        let given = patterns.is_some();
        let patterns: Option<Vec<_>> = patterns.map(|patterns| {
            patterns
                .iter()
                .filter_map(|text| self.pattern(text, words))
                .collect()
        });
        let (conditions, timing) = self.conditions(&mut fields, &kinds, all_scanned, &[]);
        if timing != Timing::default() {
            self.mistakes.error(
                fields.span(),
                "a `protect` entry knows no pull request",
                "only rules can ask about its times",
                None,
            );
        }
        let reason = fields.text("reason", &mut self.mistakes);
        let reason = fields.require(
            "reason",
            reason,
            "say why, for whoever reads the report",
            &mut self.mistakes,
        );
        let span = fields.span();
        if names.is_none() && !given && conditions.is_empty() && !fields.has("branch") {
            self.mistakes.error(
                span.clone(),
                "this [[protect]] says neither `kind` nor `name`",
                "it would protect everything",
                Some("name what it protects".to_owned()),
            );
        }
        fields.end(&mut self.mistakes);
        Some(Protect {
            kinds: names.map(|_| kinds),
            place,
            names: patterns,
            conditions,
            reason: reason?.value.into(),
            location: self.location(&span),
        })
    }

    fn rule(
        &mut self,
        mut fields: Fields<'_>,
        words: &Words,
    ) -> (Option<Rule>, Option<At<String>>) {
        let span = fields.span();
        let id = fields.text("id", &mut self.mistakes);
        let id = fields.require(
            "id",
            id,
            "verdicts name the rule they come from",
            &mut self.mistakes,
        );
        let names = fields.texts("kind", &mut self.mistakes);
        let names = fields.require(
            "kind",
            names,
            "such as kind = \"worker\"",
            &mut self.mistakes,
        );
        let (kinds, unscanned) = names
            .as_ref()
            .map(|names| self.kinds(names))
            .unwrap_or_default();
        let all_scanned = unscanned.is_empty();
        let place = self.place(&mut fields, &kinds, all_scanned);
        let texts = fields.texts("name", &mut self.mistakes);
        let texts = fields.require(
            "name",
            texts,
            "such as name = \"{service}-preview-{pr}\"",
            &mut self.mistakes,
        );
        let texts = texts.unwrap_or_default();
        let templates: Vec<_> = texts
            .iter()
            .filter_map(|text| self.template(text, words))
            .collect();
        let except = fields
            .texts("except", &mut self.mistakes)
            .unwrap_or_default();
        let except = except
            .iter()
            .filter_map(|text| self.pattern(text, words))
            .collect();
        let (conditions, timing) = self.conditions(&mut fields, &kinds, all_scanned, &templates);
        let death = self.death(&mut fields);
        let missing = self.choice(
            &mut fields,
            "missing",
            &[("keep", Missing::Keep), ("dead", Missing::Dead)],
        );
        let grace = fields
            .duration("grace", &mut self.mistakes)
            .map(|grace| grace.value);
        let action = self.action(&mut fields, &kinds, all_scanned);
        self.sensible(&texts, &templates, death.as_ref(), &timing);
        fields.end(&mut self.mistakes);
        let rule = id.clone().map(|id| Rule {
            id: id.value.into(),
            kinds,
            unscanned,
            place,
            templates,
            except,
            conditions,
            timing,
            death: death.map(|death| death.value).unwrap_or_default(),
            missing: missing.unwrap_or_default(),
            grace,
            action,
            location: self.location(&span),
        });
        (rule, id)
    }

    /// An event needs a number to happen to.
    fn sensible(
        &mut self,
        texts: &[At<String>],
        templates: &[(Template, Template)],
        death: Option<&At<Death>>,
        timing: &Timing,
    ) {
        let Some(death) = death else { return };
        let needs_number = !death.value.events.is_empty()
            || death
                .value
                .ages
                .iter()
                .any(|age| age.clock == AgeClock::Merged)
            || *timing != Timing::default();
        if !needs_number || templates.len() != texts.len() {
            return;
        }
        for (text, (template, _)) in texts.iter().zip(templates) {
            if !template.has_pull_request() {
                self.mistakes.error(
                    text.span.clone(),
                    "this template captures no pull request",
                    "no {pr} here",
                    Some(
                        "`dead-when` needs a {pr} to ask about; for names without one use \
                         { older-than = \"…\", clock = \"created\" }"
                            .to_owned(),
                    ),
                );
            }
        }
    }

    fn action(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef], all_scanned: bool) -> Action {
        let span = fields.value_span("action");
        let action = self.choice(
            fields,
            "action",
            &[
                ("delete", Action::Delete),
                ("report", Action::Report),
                ("expire", Action::Expire),
            ],
        );
        let action = action.unwrap_or_default();
        let cannot = kinds.iter().find(|kind| !kind.0.expires);
        if let (Action::Expire, Some(kind), Some(span)) =
            (action, cannot.filter(|_| all_scanned), span)
        {
            self.mistakes.error(
                span,
                format!("a {} cannot expire", kind.0.noun),
                "only Neon branches can",
                Some("use \"delete\" or \"report\"".to_owned()),
            );
        }
        action
    }

    fn choice<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = fields.text(key, &mut self.mistakes)?;
        let chosen = choices.iter().find(|(name, _)| *name == text.value);
        if chosen.is_none() {
            let known: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.mistakes.error(
                text.span,
                format!("`{key}` cannot be {:?}", text.value),
                "unknown value",
                Some(fields::suggestion(&text.value, &known)),
            );
        }
        chosen.map(|(_, value)| *value)
    }

    fn death(&mut self, fields: &mut Fields<'_>) -> Option<At<Death>> {
        let value = fields.take("dead-when");
        let value = fields.require(
            "dead-when",
            value,
            "such as dead-when = \"closed\"",
            &mut self.mistakes,
        )?;
        let mut death = Death::default();
        match value.get_ref() {
            DeValue::Array(items) => {
                if items.is_empty() {
                    fields::wrong(
                        "dead-when",
                        value,
                        "at least one condition",
                        &mut self.mistakes,
                    );
                }
                for item in items {
                    self.one_death(item, &mut death);
                }
            }
            _ => self.one_death(value, &mut death),
        }
        Some(At::new(death, value.span()))
    }

    fn one_death(&mut self, value: &Spanned<DeValue<'_>>, death: &mut Death) {
        match value.get_ref() {
            DeValue::String(text) => match text.as_ref() {
                "closed" => death.events.push(Event::Closed),
                "merged" => death.events.push(Event::Merged),
                other => self.mistakes.error(
                    value.span(),
                    format!("`dead-when` cannot be {other:?}"),
                    "unknown event",
                    Some(fields::suggestion(other, &["closed", "merged"])),
                ),
            },
            DeValue::Table(table) => {
                let mut fields = Fields::new("`dead-when`", table, value.span());
                let age = fields.duration("older-than", &mut self.mistakes);
                let age = fields.require(
                    "older-than",
                    age,
                    "such as { older-than = \"30d\", clock = \"created\" }",
                    &mut self.mistakes,
                );
                let clock = self.choice(
                    &mut fields,
                    "clock",
                    &[
                        ("created", AgeClock::Created),
                        ("changed", AgeClock::Changed),
                        ("merged", AgeClock::Merged),
                    ],
                );
                fields.end(&mut self.mistakes);
                if let Some(age) = age {
                    death.ages.push(Age {
                        longer_than: age.value,
                        clock: clock.unwrap_or(AgeClock::Created),
                    });
                }
            }
            _ => fields::wrong(
                "dead-when",
                value,
                "\"closed\", \"merged\", { older-than = … } or a list of them",
                &mut self.mistakes,
            ),
        }
    }

    fn conditions(
        &mut self,
        fields: &mut Fields<'_>,
        kinds: &[KindRef],
        all_scanned: bool,
        templates: &[(Template, Template)],
    ) -> (Vec<Condition>, Timing) {
        let mut conditions = Vec::new();
        let mut timing = Timing::default();
        let Some(mut table) = fields.table("where", "`where`", &mut self.mistakes) else {
            return (conditions, timing);
        };
        for (key, value) in table.rest() {
            let flag = match value.get_ref() {
                DeValue::Boolean(flag) => Some(*flag),
                _ => None,
            };
            let slot = match key.value.as_str() {
                "created-after-opened" => Some(&mut timing.created_after_opened),
                "ended-after-created" => Some(&mut timing.ended_after_created),
                _ => None,
            };
            if let Some(slot) = slot {
                *slot = flag;
                if flag.is_none() {
                    fields::wrong(&key.value, value, "true or false", &mut self.mistakes);
                }
                continue;
            }
            conditions.extend(self.condition(&key, value, kinds, all_scanned, templates));
        }
        (conditions, timing)
    }

    fn condition(
        &mut self,
        key: &At<String>,
        value: &Spanned<DeValue<'_>>,
        kinds: &[KindRef],
        all_scanned: bool,
        templates: &[(Template, Template)],
    ) -> Option<Condition> {
        let mut about = None;
        for kind in kinds {
            let found = kind
                .0
                .attributes
                .iter()
                .find(|about| about.key == key.value);
            if found.is_none() {
                let mut known: Vec<_> = kind.0.attributes.iter().map(|about| about.key).collect();
                known.extend(["created-after-opened", "ended-after-created"]);
                self.mistakes.error(
                    key.span.clone(),
                    format!("a {} has no `{}` to ask about", kind.0.noun, key.value),
                    "unknown attribute",
                    Some(fields::suggestion(&key.value, &known)),
                );
                return None;
            }
            about = found;
        }
        let Some(about) = about else {
            // Only kinds that are not scanned yet: nothing to check against.
            if all_scanned {
                self.mistakes.error(
                    key.span.clone(),
                    "`where` needs a `kind` whose attributes it asks about",
                    "no kind",
                    None,
                );
            }
            return None;
        };
        let test = match about.sort {
            AttributeSort::Flag => match value.get_ref() {
                DeValue::Boolean(flag) => Test::Flag(*flag),
                _ => {
                    fields::wrong(&key.value, value, "true or false", &mut self.mistakes);
                    return None;
                }
            },
            AttributeSort::Text | AttributeSort::Host | AttributeSort::List => {
                let texts = fields::texts(&key.value, value, &mut self.mistakes)?;
                self.captures_exist(&texts, templates);
                let word = about
                    .words
                    .iter()
                    .find(|(word, _)| texts.len() == 1 && texts[0].value == *word);
                let texts = texts.into_iter().map(|text| text.value.into()).collect();
                match (word, about.sort) {
                    (Some((_, flag)), _) => Test::Word(flag),
                    (None, AttributeSort::List) => Test::AllOf(texts),
                    (None, _) => Test::AnyOf(texts),
                }
            }
        };
        Some(Condition {
            key: about.key,
            sort: about.sort,
            test,
        })
    }

    /// A condition may use what every template of its rule captures.
    fn captures_exist(&mut self, texts: &[At<String>], templates: &[(Template, Template)]) {
        for text in texts {
            for part in text.value.split('{').skip(1) {
                let name = part.split('}').next().unwrap_or_default();
                let everywhere = !templates.is_empty()
                    && templates
                        .iter()
                        .all(|(template, _)| template.capture_names().contains(name));
                if !everywhere {
                    self.mistakes.error(
                        text.span.clone(),
                        format!("{{{name}}} is not captured by this rule's `name`"),
                        "unknown capture",
                        Some("a condition may use {pr} and listed words of the name".to_owned()),
                    );
                }
            }
        }
    }
}
