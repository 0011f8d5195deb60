//! `[[rule]]` and `[[protect]]`.

mod advice;

use toml::Spanned;
use toml::de::DeValue;

use super::Reader;
use super::names::Templates;
use crate::model::code::Code;
use crate::model::{KindRef, PullRequestNumber};
use crate::policy::fields::{self, At, Fields};
use crate::policy::rule::{
    Action, Age, AgeClock, Death, Missing, Protect, Rule, Subject, Timing, Where,
};
use crate::policy::template::{Anchor, Names};
use crate::policy::words;

impl Reader<'_> {
    pub(super) fn protect(&mut self, mut fields: Fields<'_>, names: &Names) -> Option<Protect> {
        let span = fields.span();
        let words = fields.texts("kind", &mut self.mistakes);
        let kinds = words
            .as_ref()
            .map(|words| self.kinds(words))
            .unwrap_or_default();
        let place = self.place(&mut fields, &kinds);
        let name = self.patterns(&mut fields, "name", names);
        let branch_span = fields.value_span("branch");
        let branch = self.patterns(&mut fields, "branch", names);
        if let (Some(span), true) = (branch_span, words.is_some()) {
            self.carries_branch(span, &kinds);
        }
        let (conditions, timing) = self.conditions(&mut fields, &kinds, &[]);
        if timing != Timing::default() {
            self.mistakes.error(
                Code::ProtectHasNoPullRequest,
                fields.span(),
                "a [[protect]] entry has no pull request",
                "only rules can ask about its times",
                None,
            );
        }
        let pull_request = self.pull_request(&mut fields);
        let alone = words.is_none() && name.is_none() && branch.is_none() && conditions.is_empty();
        if let (Some(span), false) = (&pull_request.1, alone) {
            self.mistakes.error(
                Code::ProtectPullRequestNotAlone,
                span.clone(),
                "`pull-request` stands alone in a [[protect]]",
                "it covers everything that belongs to the pull request",
                Some("write a second [[protect]] for the rest".to_owned()),
            );
        }
        let reason = fields.text("reason", &mut self.mistakes);
        let reason = fields.require(
            "reason",
            reason,
            "give a reason, which the report shows",
            &mut self.mistakes,
        );
        if alone && pull_request.1.is_none() {
            self.mistakes.error(
                Code::ProtectCoversEverything,
                span.clone(),
                "this [[protect]] says neither `kind`, `name` nor `pull-request`",
                "it would protect everything",
                Some("name what it protects".to_owned()),
            );
        }
        fields.end(&mut self.mistakes);
        Some(Protect {
            pull_request: pull_request.0,
            kinds: words.map(|_| kinds),
            place,
            names: name,
            branches: branch,
            conditions,
            reason: reason?.value.into(),
            location: self.location(&span),
            span: self.span(&span),
        })
    }

    /// The number of `pull-request`, and where it stands.
    fn pull_request(
        &mut self,
        fields: &mut Fields<'_>,
    ) -> (Option<PullRequestNumber>, Option<std::ops::Range<usize>>) {
        let span = fields.value_span("pull-request");
        let number = fields.whole("pull-request", &mut self.mistakes);
        let number = number.and_then(|number| {
            let found = u32::try_from(number.value).ok();
            let found = found.and_then(PullRequestNumber::new);
            if found.is_none() {
                self.mistakes.error(
                    Code::PullRequestNumberMalformed,
                    number.span,
                    "this is not a pull request number",
                    "it must lie between 1 and 2147483647",
                    None,
                );
            }
            found
        });
        (number, span)
    }

    fn patterns(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        names: &Names,
    ) -> Option<Vec<crate::policy::rule::Patterns>> {
        let texts = fields.texts(key, &mut self.mistakes)?;
        Some(
            texts
                .iter()
                .filter_map(|text| self.pattern(text, names))
                .collect(),
        )
    }

    pub(super) fn rule(
        &mut self,
        mut fields: Fields<'_>,
        names: &Names,
    ) -> (Option<Rule>, Option<At<String>>) {
        let span = fields.span();
        let id = fields.text("id", &mut self.mistakes);
        let id = fields.require(
            "id",
            id,
            "verdicts name the rule they come from",
            &mut self.mistakes,
        );
        let words = fields.texts("kind", &mut self.mistakes);
        let words = fields.require(
            "kind",
            words,
            "such as kind = \"worker\"",
            &mut self.mistakes,
        );
        let kinds = words
            .as_ref()
            .map(|words| self.kinds(words))
            .unwrap_or_default();
        let place = self.place(&mut fields, &kinds);
        let (subject, texts, templates) = self.templates(&mut fields, names, &kinds, &place);
        let except = self
            .patterns(&mut fields, "except", names)
            .unwrap_or_default();
        let (conditions, timing) = self.conditions(&mut fields, &kinds, &templates);
        let death = self.death(&mut fields);
        let missing = self.choice(&mut fields, "missing", &words::MISSING);
        let born = self.choice(&mut fields, "born", &words::BORN);
        let even_open = fields.flag("even-open", &mut self.mistakes);
        let with = self.with(&mut fields, &kinds);
        let grace = fields
            .duration("grace", &mut self.mistakes)
            .map(|grace| grace.value);
        let action = self.action(&mut fields, &kinds);
        let backup = self.backup(&mut fields, &kinds);
        self.numbers_are_ours(&texts, &kinds);
        self.something_can_go(&texts, &kinds, &place, &conditions);
        if let Some(death) = &death {
            self.ages_keep_the_open(&texts, death, even_open);
            self.creation_is_no_deployment(death, &kinds);
        }
        if missing == Some(Missing::Dead) {
            self.heads_are_missed(&texts);
        }
        if let Some(death) = &death {
            self.clocks_are_kept(death, &kinds);
            // A template with a mistake of its own is not blamed twice.
            if templates.len() == texts.len() {
                for (text, (template, _)) in texts.iter().zip(&templates) {
                    self.sensible(text, template, &death.value, &timing);
                }
            }
        }
        fields.end(&mut self.mistakes);
        let rule = id.clone().map(|id| Rule {
            id: id.value.into(),
            kinds,
            place,
            subject,
            templates,
            except,
            conditions,
            timing,
            death: death.map(|death| death.value).unwrap_or_default(),
            with,
            missing: missing.unwrap_or_default(),
            born: born.unwrap_or_default(),
            even_open: even_open.unwrap_or_default(),
            grace,
            action,
            backup,
            location: self.location(&span),
            span: self.span(&span),
        });
        (rule, id)
    }

    /// The templates of a rule, and what they are matched against.
    fn templates(
        &mut self,
        fields: &mut Fields<'_>,
        names: &Names,
        kinds: &[KindRef],
        place: &Where,
    ) -> (Subject, Vec<At<String>>, Vec<Templates>) {
        let branch_span = fields.value_span("branch");
        let name = fields.texts("name", &mut self.mistakes);
        let branch = fields.texts("branch", &mut self.mistakes);
        let (subject, texts) = match (name, branch) {
            (Some(_), Some(_)) => {
                self.mistakes.error(
                    Code::NameAndBranch,
                    branch_span.unwrap_or_else(|| fields.span()),
                    "a rule matches `name` or `branch`, not both",
                    "the second of the two",
                    Some("write two rules".to_owned()),
                );
                (Subject::Name, None)
            }
            (name, None) => {
                let name = fields.require(
                    "name",
                    name,
                    "such as name = \"{service}-preview-{pr}\"",
                    &mut self.mistakes,
                );
                (Subject::Name, name)
            }
            (None, branch) => {
                if let Some(span) = branch_span {
                    self.carries_branch(span, kinds);
                }
                (Subject::Branch, branch)
            }
        };
        let literal_project = place
            .projects
            .as_ref()
            .is_some_and(|projects| !projects.is_empty());
        let anchor = if subject == Subject::Branch && literal_project {
            Anchor::Project
        } else {
            Anchor::Itself
        };
        let texts = texts.unwrap_or_default();
        let templates = texts
            .iter()
            .filter_map(|text| self.template(text, names, kinds, anchor))
            .collect();
        (subject, texts, templates)
    }

    fn carries_branch(&mut self, span: std::ops::Range<usize>, kinds: &[KindRef]) {
        let without = kinds.iter().find(|kind| kind.branch.is_none());
        if let Some(kind) = without {
            self.mistakes.error(
                Code::KindHasNoBranch,
                span,
                format!("a {} carries no git branch", kind.noun),
                "`branch` does not apply",
                Some("match its `name` with {branch} or {slug:…} instead".to_owned()),
            );
        }
    }

    /// The kinds that go with what the rule deletes, whatever they are called.
    fn with(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Vec<KindRef> {
        let span = fields.value_span("with");
        let words = fields.texts("with", &mut self.mistakes).unwrap_or_default();
        let with = self.kinds(&words);
        let belongs = |one: &&KindRef| {
            kinds
                .iter()
                .any(|kind| one.0.belongs_to == Some(kind.name()))
        };
        let stranger = with.iter().find(|one| !belongs(one));
        if let (Some(stranger), Some(span), false) = (stranger, span, kinds.is_empty()) {
            self.mistakes.error(
                Code::WithDoesNotBelong,
                span,
                format!(
                    "a {} does not belong to what this rule is about",
                    stranger.0.noun
                ),
                "`with` lists kinds that go with the rule's own",
                Some(
                    "a Worker takes worker_domain, worker_route and worker_preview along"
                        .to_owned(),
                ),
            );
        }
        with
    }

    fn backup(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> bool {
        let span = fields.value_span("backup");
        let backup = fields.flag("backup", &mut self.mistakes).unwrap_or(false);
        let cannot = kinds.iter().find(|kind| !kind.backup);
        if let (true, Some(kind), Some(span)) = (backup, cannot, span) {
            self.mistakes.error(
                Code::NoBackup,
                span,
                format!("there is no backup of a {kind}"),
                "only of kinds that hold something which can be fetched",
                None,
            );
        }
        backup
    }

    fn action(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Action {
        let span = fields.value_span("action");
        let action = self.choice(fields, "action", &words::ACTIONS);
        let action = action.unwrap_or_default();
        let cannot = kinds.iter().find(|kind| !kind.expires);
        if let (Action::Expire, Some(kind), Some(span)) = (action, cannot, span) {
            self.mistakes.error(
                Code::CannotExpire,
                span,
                format!("a {} cannot expire", kind.noun),
                "only Neon branches can",
                Some("use \"delete\" or \"report\"".to_owned()),
            );
        }
        action
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
            DeValue::String(text) => {
                let event = words::EVENTS
                    .iter()
                    .find(|(word, _)| *word == text.as_ref());
                match event {
                    Some((_, event)) => death.events.push(*event),
                    None => self.mistakes.error(
                        Code::EventUnknown,
                        value.span(),
                        format!("`dead-when` cannot be {text:?}"),
                        "unknown event",
                        Some(fields::suggestion(text, &words::of(&words::EVENTS))),
                    ),
                }
            }
            DeValue::Table(table) => {
                let mut fields = Fields::new("`dead-when`", table, value.span());
                let age = fields.duration("older-than", &mut self.mistakes);
                let age = fields.require(
                    "older-than",
                    age,
                    "such as { older-than = \"30d\", clock = \"created\" }",
                    &mut self.mistakes,
                );
                let clock = self.choice(&mut fields, "clock", &words::CLOCKS);
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
                "an event such as \"closed\", { older-than = … } or a list of them",
                &mut self.mistakes,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{mistakes, policy, read};

    fn rule(fields: &str) -> String {
        format!("[[rule]]\nid = \"one\"\n{fields}\n")
    }

    #[test]
    fn what_kills_is_something_that_the_name_can_claim() {
        let numbers = "{pr}, {branch} or {slug}";
        let aged = |clock: &str| format!("{{ older-than = \"1d\", clock = \"{clock}\" }}");
        let event = |event: &str| format!("\"{event}\"");
        for (name, when, lacking) in [
            ("app-{pr}", event("closed"), None),
            ("app-{branch}", event("merged"), None),
            ("app-{slug:shop}", event("closed"), None),
            ("app-{branch}", event("branch-gone"), None),
            ("app-{slug:shop}", event("branch-gone"), None),
            ("app-{run}", event("run-finished"), None),
            ("app-{pr}", aged("merged"), None),
            ("app-{epoch}", aged("named"), None),
            ("app-{date:%Y%m%d}", aged("named"), None),
            ("app-{any}", aged("created"), None),
            (
                "app-{any}",
                event("closed"),
                Some(("`dead-when = \"closed\"`", numbers)),
            ),
            (
                "app-{run}",
                event("merged"),
                Some(("`dead-when = \"merged\"`", numbers)),
            ),
            (
                "app-{pr}",
                event("branch-gone"),
                Some(("`dead-when = \"branch-gone\"`", "{branch} or {slug}")),
            ),
            (
                "app-{pr}",
                event("run-finished"),
                Some(("`dead-when = \"run-finished\"`", "{run}")),
            ),
            (
                "app-{run}",
                aged("merged"),
                Some(("`clock = \"merged\"`", numbers)),
            ),
            (
                "app-{pr}",
                aged("named"),
                Some(("`clock = \"named\"`", "{epoch} or {date:…}")),
            ),
        ] {
            let text = format!(
                "[slug.shop]\nkeep = \"a-z0-9\"\n{}",
                rule(&format!(
                    "kind = \"worker\"\nname = \"{name}\"\ndead-when = {when}"
                ))
            );
            let expected: Vec<_> = lacking
                .iter()
                .map(|(what, needs)| format!("{what} needs {needs} in the template"))
                .collect();
            assert_eq!(mistakes(&text), expected, "{name} {when}");
        }
    }

    #[test]
    fn a_condition_on_times_is_one_on_a_pull_request() {
        let text = |name: &str| {
            rule(&format!(
                "kind = \"worker\"\nname = \"{name}\"\ndead-when = {{ older-than = \
                 \"1d\" }}\nwhere = {{ ended-after-created = true }}"
            ))
        };
        assert!(mistakes(&text("app-{pr}")).is_empty());
        assert_eq!(
            mistakes(&text("app-{any}")),
            [
                "a condition on the pull request's times needs {pr}, {branch} or {slug} in the \
                 template"
            ]
        );
    }

    #[test]
    fn a_rule_whose_template_cannot_be_read_is_not_blamed_for_others() {
        let text = rule(
            "kind = \"worker\"\nname = [\"app-{nope}\", \"app-{any}\"]\ndead-when = \"closed\"",
        );
        assert_eq!(mistakes(&text), ["unknown capture {nope}"]);
    }

    #[test]
    fn rules_that_match_what_others_made_are_warned_of() {
        let warned = |kind: &str, name: &str, more: &str| {
            let text = rule(&format!(
                "kind = \"{kind}\"\nname = \"{name}\"\ndead-when = \"closed\"\n{more}"
            ));
            read(&text).unwrap().warnings.len()
        };
        for kind in ["worker", "kv_namespace", "d1", "r2", "queue", "hyperdrive"] {
            assert_eq!(warned(kind, "app-{any}-{pr}", ""), 1, "{kind}");
            assert_eq!(warned(kind, "app-{any:a-z}-{pr}", ""), 1, "{kind}");
            assert_eq!(warned(kind, "app-{pr}", ""), 0, "{kind}");
        }
        assert_eq!(warned("neon_branch", "app-{any}-{pr}", ""), 0);
        let dead = "missing = \"dead\"";
        assert_eq!(warned("worker", "app-{branch}", dead), 1);
        assert_eq!(warned("worker", "app-{branch}", ""), 0);
        assert_eq!(warned("worker", "app-{pr}", dead), 0);
    }

    fn warnings(text: &str) -> Vec<String> {
        let warnings = read(text).unwrap().warnings.into_iter();
        warnings.map(|one| one.message).collect()
    }

    #[test]
    fn rules_that_would_surprise_their_owner_are_warned_of() {
        let aged = |kind: &str, more: &str| {
            rule(&format!(
                "kind = \"{kind}\"\nname = \"app-{{pr}}\"\ndead-when = {{ older-than = \"1d\"{more}"
            ))
        };
        let open = "an age on `{pr}` keeps what belongs to an open pull request";
        let again = "a Worker that is deployed again keeps its creation time";
        for (kind, more, expected) in [
            ("d1", " }", &[open][..]),
            ("d1", " }\neven-open = true", &[]),
            ("d1", " }\neven-open = false", &[]),
            ("worker", ", clock = \"changed\" }\neven-open = true", &[]),
            ("worker", " }\neven-open = true", &[again]),
            ("worker", " }", &[open, again]),
            ("worker", ", clock = \"merged\" }", &[]),
        ] {
            assert_eq!(warnings(&aged(kind, more)), expected, "{kind} {more}");
        }
        let never = "this rule can only name what is always protected";
        for (name, more, expected) in [
            ("\"_extdns.pr-{pr}.acme.example\"", "", &[never][..]),
            ("\"*.pr-{pr}.acme.example\"", "", &[never]),
            (
                "\"pr-{pr}.acme.example\"",
                "where = { type = \"MX\" }",
                &[never],
            ),
            (
                "\"pr-{pr}.acme.example\"",
                "where = { type = [\"MX\", \"A\"] }",
                &[],
            ),
            ("\"pr-{pr}.acme.example\"", "", &[]),
            (
                "[\"_x.pr-{pr}.acme.example\", \"pr-{pr}.acme.example\"]",
                "",
                &[],
            ),
        ] {
            let text = rule(&format!(
                "kind = \"dns_record\"\nname = {name}\ndead-when = \"closed\"\n{more}"
            ));
            assert_eq!(warnings(&text), expected, "{name} {more}");
        }
    }

    #[test]
    fn a_clock_that_the_kind_does_not_have_is_warned_of() {
        let warned = |kind: &str, clock: &str| {
            let text = rule(&format!(
                "kind = {kind}\nname = \"app-{{pr}}\"\neven-open = false\ndead-when = {{ \
                 older-than = \"1d\", clock = \"{clock}\" }}"
            ));
            let warnings = read(&text).unwrap().warnings;
            warnings
                .into_iter()
                .map(|one| one.message)
                .collect::<Vec<_>>()
        };
        for (kind, noun, kept) in [
            (
                "\"neon_branch\"",
                "Neon branch",
                &["created", "changed", "active", "merged"][..],
            ),
            ("\"d1\"", "D1 database", &["created", "merged"]),
            ("\"kv_namespace\"", "KV namespace", &["merged"]),
            (
                "[\"neon_branch\", \"kv_namespace\"]",
                "KV namespace",
                &["merged"],
            ),
        ] {
            for clock in ["created", "changed", "merged"] {
                let expected = format!("a {noun} has no time for `clock = \"{clock}\"`");
                let expected: Vec<_> = (!kept.contains(&clock))
                    .then_some(expected)
                    .into_iter()
                    .collect();
                assert_eq!(warned(kind, clock), expected, "{kind} {clock}");
            }
        }
        assert!(warned("\"neon_branch\"", "active").is_empty());
        assert_eq!(
            warned("\"d1\"", "active"),
            ["a D1 database has no time for `clock = \"active\"`"]
        );
    }

    #[test]
    fn a_backup_is_kept_where_it_is_asked_for_and_can_be() {
        let text = |kind: &str, backup: &str| {
            rule(&format!(
                "kind = {kind}\nname = \"app-{{pr}}\"\ndead-when = \"closed\"\n{backup}"
            ))
        };
        for (backup, expected) in [
            ("backup = true", true),
            ("backup = false", false),
            ("", false),
        ] {
            let policy = policy(&text("\"worker\"", backup));
            assert_eq!(policy.rules[0].backup, expected, "{backup:?}");
        }
        for kind in ["\"d1\"", "[\"worker\", \"d1\"]"] {
            let expected = ["there is no backup of a d1"];
            assert_eq!(mistakes(&text(kind, "backup = true")), expected);
            assert!(mistakes(&text(kind, "backup = false")).is_empty());
        }
    }

    #[test]
    fn a_whole_git_branch_is_read_only_in_a_named_project() {
        let text = |kind: &str, fields: &str| {
            rule(&format!(
                "kind = \"{kind}\"\ndead-when = \"closed\"\n{fields}"
            ))
        };
        let too_much = "this template matches too much";
        for (kind, fields, expected) in [
            (
                "pages_deployment",
                "project = \"shop\"\nbranch = \"{branch}\"",
                None,
            ),
            ("pages_deployment", "branch = \"{branch}\"", Some(too_much)),
            // The name of a Neon branch is not the git branch that it carries.
            (
                "neon_branch",
                "project = \"shop\"\nname = \"{branch}\"",
                Some(too_much),
            ),
            (
                "worker",
                "branch = \"app-{branch}\"",
                Some("a Worker carries no git branch"),
            ),
        ] {
            let text = text(kind, fields);
            assert_eq!(mistakes(&text), Vec::from_iter(expected), "{text}");
        }
    }

    #[test]
    fn a_protect_entry_says_what_it_is_about() {
        let everything = "this [[protect]] says neither `kind`, `name` nor `pull-request`";
        for (fields, expected) in [
            ("kind = \"worker\"", None),
            ("name = \"main\"", None),
            ("branch = \"main\"", None),
            ("kind = \"worker\"\nwhere = { tags = \"keep\" }", None),
            ("kind = \"pages_deployment\"\nbranch = \"main\"", None),
            ("", Some(everything)),
            ("zone = \"example.com\"", Some(everything)),
            (
                "kind = \"worker\"\nbranch = \"main\"",
                Some("a Worker carries no git branch"),
            ),
        ] {
            let text = format!("[[protect]]\nreason = \"ours\"\n{fields}\n");
            assert_eq!(mistakes(&text), Vec::from_iter(expected), "{fields:?}");
        }
    }
}
