//! Mistakes and warnings about a rule as a whole.

use super::super::Reader;
use crate::model::code::Code;
use crate::model::{KindRef, PlaceSort};
use crate::policy::fields::At;
use crate::policy::rule::{AgeClock, Condition, DeathCondition, DeathEvent, Test, Timing, Where};
use crate::policy::template::Template;

impl Reader<'_> {
    /// Checks that the template captures what the event depends on.
    pub(super) fn check_event(
        &mut self,
        text: &At<String>,
        template: &Template,
        death: &DeathCondition,
        timing: &Timing,
    ) {
        let has_pull_request = template.has_pull_request() || template.captures_branch();
        for event in &death.events {
            let (captured, needs) = match event {
                DeathEvent::Closed | DeathEvent::Merged => {
                    (has_pull_request, "{pr}, {branch} or {slug}")
                }
                // With a number beside it, the branch alone cannot decide.
                DeathEvent::BranchGone => (
                    template.captures_branch() && !template.has_pull_request(),
                    "{branch} or {slug} without {pr}",
                ),
                DeathEvent::RunFinished => (template.has_run(), "{run}"),
            };
            if !captured {
                self.lacks(text, &format!("`dead-when = \"{event}\"`"), needs);
            }
        }
        if death.without_label.is_some() && !template.has_pull_request() {
            self.lacks(text, "`without-label`", "{pr}");
        }
        for age in &death.ages {
            match age.clock {
                AgeClock::Merged if !has_pull_request => {
                    self.lacks(text, "`clock = \"merged\"`", "{pr}, {branch} or {slug}");
                }
                AgeClock::Named if !template.names_time() => {
                    self.lacks(text, "`clock = \"named\"`", "{epoch} or {date:…}");
                }
                _ => {}
            }
        }
        if *timing != Timing::default() && !has_pull_request {
            self.lacks(
                text,
                "a condition on the pull request's times",
                "{pr}, {branch} or {slug}",
            );
        }
    }

    fn lacks(&mut self, text: &At<String>, what: &str, needs: &str) {
        self.mistakes.error(
            Code::TemplateLacksCapture,
            text.span.clone(),
            format!("{what} needs {needs} in the template"),
            format!("no {needs} here"),
            Some(
                "for names that belong to nothing, use { older-than = \"…\", clock = \"created\" }"
                    .to_owned(),
            ),
        );
    }

    /// Several repositories share an account and its zones, and each counts its pull
    /// requests from 1: `{any}` beside a number matches what another repository made.
    pub(super) fn check_foreign_numbers(&mut self, texts: &[At<String>], kinds: &[KindRef]) {
        let shared = |kind: &&KindRef| matches!(kind.place, PlaceSort::Account | PlaceSort::Zone);
        let Some(kind) = kinds.iter().find(shared) else {
            return;
        };
        for text in texts {
            let number = ["{pr}", "{run}"]
                .into_iter()
                .find(|number| text.value.contains(number));
            if let Some(number) = number
                && text.value.contains("{any")
            {
                self.mistakes.warning(
                    Code::AnyBesideNumber,
                    text.span.clone(),
                    format!("`{{any}}` beside `{number}` also matches what others made"),
                    format!(
                        "another repository may use the {} of a {} too, with its own numbers",
                        if kind.place == PlaceSort::Zone {
                            "zone"
                        } else {
                            "account"
                        },
                        kind.noun
                    ),
                    Some("list the names under [words] and write {word} for {any}".to_owned()),
                );
            }
        }
    }

    /// A rule whose every template names what no rule can override protects
    /// nothing and finds nothing.
    pub(super) fn check_always_protected(
        &mut self,
        texts: &[At<String>],
        kinds: &[KindRef],
        place: &Where,
        conditions: &[Condition],
    ) {
        let zones: Vec<&str> = place
            .zones
            .iter()
            .flatten()
            .map(|zone| zone.name.as_str())
            .collect();
        let types = conditions.iter().find(|one| one.key == "type");
        let types: Vec<&str> = match types.map(|one| &one.test) {
            Some(Test::AnyOf(texts)) => texts.iter().map(|text| &**text).collect(),
            _ => Vec::new(),
        };
        let never = |text: &At<String>| {
            let of_kind = |kind: &KindRef| {
                kind.0
                    .never
                    .is_some_and(|never| never(&text.value, &zones, &types))
            };
            !kinds.is_empty() && kinds.iter().all(of_kind)
        };
        let (Some(first), true) = (texts.first(), texts.iter().all(never)) else {
            return;
        };
        self.mistakes.warning(
            Code::NamesOnlyProtected,
            first.span.clone(),
            "this rule can only name what is always protected",
            "it never finds garbage",
            Some("leave the rule out, or name records that a rule may delete".to_owned()),
        );
    }

    /// Whether what a kind points at is gone can be told of some kinds only.
    pub(super) fn check_target(&mut self, death: &At<DeathCondition>, kinds: &[KindRef]) {
        let silent = kinds.iter().find(|kind| kind.points_at.is_empty());
        if let (true, Some(kind)) = (death.value.target_gone, silent) {
            self.mistakes.error(
                Code::TargetUnknown,
                death.span.clone(),
                format!("`target-gone` cannot tell what a {} points at", kind.noun),
                "only DNS records have a target",
                Some("give the other kinds a rule of their own".to_owned()),
            );
        }
    }

    /// An age alone does not take what belongs to an open pull request.
    pub(super) fn check_age_of_open(
        &mut self,
        texts: &[At<String>],
        death: &At<DeathCondition>,
        even_open: Option<bool>,
    ) {
        let by_age = !death.value.ages.is_empty() && death.value.is_by_age_alone();
        let asked_anyway = death
            .value
            .ages
            .iter()
            .any(|age| age.clock == AgeClock::Merged);
        let numbered = texts.iter().any(|text| text.value.contains("{pr}"));
        if by_age && !asked_anyway && numbered && even_open.is_none() {
            self.mistakes.warning(
                Code::AgeOnPullRequest,
                death.span.clone(),
                "an age on `{pr}` keeps what belongs to an open pull request",
                "it asks GitHub whether the pull request is open",
                Some(
                    "write even-open = true to delete it nevertheless, or even-open = false to \
                     keep it without this warning"
                        .to_owned(),
                ),
            );
        }
    }

    /// What is deployed again keeps the time of its creation.
    pub(super) fn check_redeployed(&mut self, death: &At<DeathCondition>, kinds: &[KindRef]) {
        let by_creation = death
            .value
            .ages
            .iter()
            .any(|age| age.clock == AgeClock::Created);
        let again = kinds.iter().find(|kind| kind.redeployed);
        if let (true, Some(kind)) = (by_creation, again) {
            self.mistakes.warning(
                Code::AgeIgnoresDeployments,
                death.span.clone(),
                format!(
                    "a {} that is deployed again keeps its creation time",
                    kind.noun
                ),
                "one that is in use today may be old by `clock = \"created\"`",
                Some("write clock = \"changed\"".to_owned()),
            );
        }
    }

    /// A branch or slug that GitHub does not know is no proof by itself.
    pub(super) fn check_missing_branches(&mut self, texts: &[At<String>]) {
        let captures = ["{branch", "{slug:"];
        for text in texts {
            let head = captures.iter().any(|head| text.value.contains(head));
            if head {
                self.mistakes.warning(
                    Code::MissingIsDead,
                    text.span.clone(),
                    "`missing = \"dead\"` also deletes resources whose branch never existed",
                    "with a wrong slug function, an existing branch looks like one that is gone",
                    Some(
                        "leave `missing` out, so that what GitHub does not know is kept".to_owned(),
                    ),
                );
            }
        }
    }

    /// A rule by a clock that its kind does not have never finds garbage.
    pub(super) fn check_clock(&mut self, death: &At<DeathCondition>, kinds: &[KindRef]) {
        // For other kinds it is unknown whether a newer one replaces an older one: it
        // may be another service, or a build that failed.
        let without_status = kinds.iter().find(|kind| kind.complete.is_none());
        if let (Some(kind), true) = (without_status, death.value.newer.is_some()) {
            self.mistakes.error(
                Code::ClockNotAvailable,
                death.span.clone(),
                format!("`newer` cannot count a {}", kind.noun),
                "its API does not show which one is complete and replaces another",
                Some("use `newer` for Pages deployments, and an event here".to_owned()),
            );
        }
        for age in &death.value.ages {
            let without = kinds.iter().find(|kind| match age.clock {
                AgeClock::Created => !kind.created,
                AgeClock::Changed => !kind.changed,
                AgeClock::Active => !kind.active,
                AgeClock::Merged | AgeClock::Named => false,
            });
            if let Some(kind) = without {
                self.mistakes.warning(
                    Code::ClockNotAvailable,
                    death.span.clone(),
                    format!(
                        "a {} has no time for `clock = \"{}\"`",
                        kind.noun, age.clock
                    ),
                    "this rule never finds garbage of that kind",
                    Some("use another clock, or an event".to_owned()),
                );
            }
        }
    }
}
