use std::sync::Arc;

use chrono::{TimeDelta, TimeZone as _};
use proptest::prelude::*;

use super::*;
use crate::providers;

fn day(days: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap() + TimeDelta::days(days)
}

fn hour(hours: i64) -> DateTime<Utc> {
    day(0) + TimeDelta::hours(hours)
}

fn worker(name: &str, made: DateTime<Utc>) -> Resource {
    let kind = providers::by_name("worker").unwrap().about();
    let place = Arc::new(Place::Account("a".to_owned()));
    let mut worker = Resource::new(kind, &place, name.into(), name.into());
    worker.created_at = crate::model::Time::At(made);
    worker
}

fn closed(head: &str, opened: DateTime<Utc>, ended: DateTime<Utc>) -> PullRequest {
    PullRequest::Closed {
        labels: crate::evidence::Labels::default(),
        title: "t".into(),
        fork_head: None,
        head: Some(head.into()),
        opened_at: Some(opened),
        closed_at: Some(ended),
        merged: true,
        merged_at: Some(ended),
    }
}

/// A repository with a pull request a day, each open for two; every third number
/// is an issue.
fn repository(count: u32) -> BTreeMap<PullRequestNumber, PullRequest> {
    (1..=count)
        .map(|number| {
            let at = i64::from(number);
            let life = closed(&format!("head-{number}"), day(at), day(at + 2));
            let one = if number % 3 == 0 {
                PullRequest::Missing
            } else {
                life
            };
            (PullRequestNumber::new(number).unwrap(), one)
        })
        .collect()
}

fn proposed(
    resources: &[Resource],
    known: &BTreeMap<PullRequestNumber, PullRequest>,
) -> Vec<RuleProposal> {
    propose(&Situation {
        now: day(5_000),
        resources,
        incomplete: BTreeSet::new(),
        pull_requests: known,
        repository: "acme/shop",
        written: &[],
    })
}

fn status_of(proposals: &[RuleProposal], name: &str) -> Option<Status> {
    let mut about = proposals.iter();
    let about = about.find(|one| one.matches.iter().any(|matched| matched == name))?;
    Some(about.status)
}

#[test]
fn time_and_repetition_together_prove_a_rule() {
    let known = repository(200);
    let both = [
        worker("api-pr-100", day(101)),
        worker("api-pr-130", day(131)),
    ];
    let all = proposed(&both, &known);
    assert_eq!(status_of(&all, "api-pr-100"), Some(Status::Sure), "{all:?}");
    // One alone is a question.
    let all = proposed(&both[..1], &known);
    assert_eq!(status_of(&all, "api-pr-100"), Some(Status::Ask), "{all:?}");
    // A resource of another repository contradicts.
    let foreign = [
        worker("billing-pr-100", day(20)),
        worker("billing-pr-130", day(30)),
    ];
    let all = proposed(&foreign, &known);
    assert_eq!(
        status_of(&all, "billing-pr-100"),
        Some(Status::Never),
        "{all:?}"
    );
}

#[test]
fn times_at_the_ends_of_the_calendar_prove_nothing() {
    let mut known = repository(200);
    let ends = [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC];
    let at = |end: DateTime<Utc>| [worker("api-pr-100", end), worker("api-pr-130", end)];
    for end in ends {
        assert_ne!(
            status_of(&proposed(&at(end), &known), "api-pr-100"),
            Some(Status::Sure)
        );
    }
    for (number, end) in [(100, ends[0]), (130, ends[1])] {
        let number = PullRequestNumber::new(number).unwrap();
        known.insert(number, closed("x", end, end));
    }
    assert_ne!(
        status_of(&proposed(&at(day(101)), &known), "api-pr-100"),
        Some(Status::Sure)
    );
}

#[test]
fn values_with_braces_are_not_proposed() {
    let known = repository(200);
    let kind = providers::by_name("neon_branch").unwrap().about();
    let place = Arc::new(Place::Project("p".to_owned()));
    let branch = |number: i64, parent: &str| {
        let name = format!("preview/pr-{number}");
        let mut branch = Resource::new(kind, &place, name.clone().into(), name.into());
        branch.created_at = crate::model::Time::At(day(number + 1));
        let parent = Attribute::Text(parent.into());
        branch.attributes.push(("parent", parent));
        branch
    };
    let with = |parent: &str| proposed(&[branch(100, parent), branch(130, parent)], &known);
    assert_eq!(
        status_of(&with("base"), "preview/pr-100"),
        Some(Status::Sure)
    );
    assert_eq!(status_of(&with("ba{pr}se"), "preview/pr-100"), None);
}

#[test]
fn slots_years_versions_and_standing_names_are_never_sure() {
    let known = repository(3_000);
    let mut all = Vec::new();
    for slot in 1..9 {
        all.push(worker(&format!("web-preview-{slot}"), day(900)));
    }
    for year in 2019..2026 {
        all.push(worker(
            &format!("report-{year}"),
            day(i64::from(year) - 1_200),
        ));
    }
    for version in 1..9 {
        all.push(worker(&format!("app-v{version}"), day(i64::from(version))));
    }
    for name in [
        "pr-template",
        "preview-staging",
        "api-preview",
        "web-pr-preview",
    ] {
        all.push(worker(name, day(3)));
    }
    // A standing word is asked about, whatever the times say.
    all.push(worker("api-staging-pr-100", day(101)));
    all.push(worker("api-staging-pr-130", day(131)));
    let proposals = proposed(&all, &known);
    let sure: Vec<_> = proposals
        .iter()
        .filter(|one| one.status == Status::Sure)
        .collect();
    assert!(sure.is_empty(), "{sure:?}");
    assert_eq!(
        status_of(&proposals, "api-staging-pr-100"),
        Some(Status::Ask)
    );
}

#[test]
fn a_contradiction_marks_a_shared_account() {
    let known = repository(400);
    let record = |name: &str, made| {
        let kind = providers::by_name("d1").unwrap().about();
        let mut record = Resource::new(
            kind,
            &Arc::new(Place::Account("a".to_owned())),
            name.into(),
            name.into(),
        );
        record.created_at = crate::model::Time::At(made);
        record
    };
    // The same label in another kind is enough in an account of one owner …
    let mut all = vec![
        worker("api-pr-100", day(101)),
        record("api-pr-100", day(101)),
    ];
    for number in [130, 160] {
        all.push(worker(&format!("web-pr-{number}"), day(number + 1)));
    }
    let proposals = proposed(&all, &known);
    assert_eq!(
        status_of(&proposals, "api-pr-100"),
        Some(Status::Sure),
        "{proposals:?}"
    );
    // … and not where others make such names.
    all.push(worker("billing-pr-101", day(5)));
    let proposals = proposed(&all, &known);
    assert_eq!(
        status_of(&proposals, "api-pr-100"),
        Some(Status::Ask),
        "{proposals:?}"
    );
    assert_eq!(
        status_of(&proposals, "web-pr-130"),
        Some(Status::Sure),
        "{proposals:?}"
    );
}

#[test]
fn heads_explain_slugs_and_a_cut_is_learnt() {
    let mut known = repository(40);
    let heads = [
        "feature/checkout-with-gift-cards",
        "fix/rounding_of_totals",
        "chore/update-everything",
    ];
    for (index, head) in heads.iter().enumerate() {
        let at = 100 + i64::try_from(index).unwrap();
        let number = PullRequestNumber::new(50 + u32::try_from(index).unwrap()).unwrap();
        known.insert(number, closed(head, day(at), day(at + 5)));
    }
    let all = [
        worker("shop-feature-checkout-wit", day(101)),
        worker("shop-fix-rounding-of-tota", day(102)),
        worker("shop-chore-update-everyth", day(103)),
        worker("shop-runtime", day(101)),
    ];
    let proposals = proposed(&all, &known);
    let sure: Vec<_> = proposals
        .iter()
        .filter(|one| one.status == Status::Sure)
        .collect();
    assert_eq!(sure.len(), 1, "{proposals:?}");
    assert_eq!(sure[0].template, "shop-{slug:branch}");
    assert!(sure[0].toml.contains("length = 20"), "{}", sure[0].toml);
    assert!(!sure[0].matches.contains(&"shop-runtime".to_owned()));
}

/// Families of numbers that have nothing to do with pull requests.
fn unrelated(seed: u64) -> (Vec<Resource>, BTreeMap<PullRequestNumber, PullRequest>) {
    let mut draw = fastrand::Rng::with_seed(seed);
    let count = [40, 120, 400, 1_000, 3_000][usize::try_from(seed % 5).unwrap()];
    let lifetime = draw.i64(1..10);
    // About four pull requests a day, a third of the numbers are issues.
    let known: BTreeMap<_, _> = (1..=count)
        .map(|number: u32| {
            let opened = hour(i64::from(number) * 6);
            let one = if draw.u8(0..3) == 0 {
                PullRequest::Missing
            } else {
                let open_for = TimeDelta::hours(draw.i64(2..24 * lifetime));
                closed(&format!("topic-{number}"), opened, opened + open_for)
            };
            (PullRequestNumber::new(number).unwrap(), one)
        })
        .collect();
    let end = i64::from(count) * 6;
    let members = draw.i64(2..9);
    let start = draw.i64(0..end);
    let word = ["pr-", "preview-", "app-", "web-pr-"][draw.usize(0..4)];
    let mut all = Vec::new();
    for member in 0..members {
        let made = draw.i64(0..end);
        let number = match seed % 6 {
            0 => i64::from(draw.u32(1..=count)),
            1 => member + 1,
            2 => 2019 + member,
            3 => member * 10 + 1,
            // Grows with time at another pace than the repository.
            4 => made / draw.i64(8..40) + 1,
            // Issues: created when the issue was.
            _ => {
                let issues: Vec<_> = known
                    .iter()
                    .filter(|(_, one)| **one == PullRequest::Missing)
                    .collect();
                i64::from(issues[draw.usize(0..issues.len())].0.get())
            }
        };
        let made = match seed % 6 {
            1 | 3 => start,
            5 => number * 6 + 1,
            _ => made,
        };
        all.push(worker(&format!("{word}{number}"), hour(made)));
    }
    (all, known)
}

#[test]
fn unrelated_numbers_are_almost_never_proposed() {
    let mut sure = Vec::new();
    for seed in 0..2_000 {
        let (resources, known) = unrelated(seed);
        let proposals = proposed(&resources, &known);
        if proposals.iter().any(|one| one.status == Status::Sure) {
            sure.push(seed);
        }
    }
    assert!(sure.len() <= 2, "{} of 2,000: {sure:?}", sure.len());
}

/// Sorts statuses by how much they let a rule do.
fn rank(status: Option<Status>) -> u8 {
    match status {
        Some(Status::Sure) => 2,
        Some(Status::Ask) => 1,
        Some(Status::Never) | None => 0,
    }
}

proptest! {
    #[test]
    fn a_contradiction_never_raises_the_odds(
        members in proptest::collection::vec((1_u32..300, 0_i64..300), 1..8),
        number in 1_u32..300,
    ) {
        let known = repository(300);
        let lifetimes = Lifetimes::new(&known, day(400));
        let timed = |(number, made): (u32, i64)| (PullRequestNumber::new(number).unwrap(), Some(day(made)));
        let mut all: Vec<_> = members.into_iter().map(timed).collect();
        let before = lifetimes.odds(&all);
        // Made long before every pull request.
        all.push(timed((number, -30)));
        prop_assert!(lifetimes.odds(&all) <= before);
    }

    #[test]
    fn less_evidence_never_makes_a_question_sure(
        members in proptest::collection::vec((1_u32..200, -2_i64..4, 0_usize..3), 1..8),
        removed in 0_usize..8,
    ) {
        let known = repository(200);
        let labels = ["api-pr-", "web-pr-", "db-eu-pr-"];
        let all: Vec<_> = members
            .iter()
            .map(|(number, offset, label)| {
                worker(&format!("{}{number}", labels[*label]), day(i64::from(*number) + offset))
            })
            .collect();
        let fits = |one: &Resource| {
            let split = names::splits(&one.name).remove(0);
            let lifetimes = Lifetimes::new(&known, day(5_000));
            !lifetimes.fit(split.number, one.created_at.known()).is_against()
        };
        let before = proposed(&all, &known);
        // What contradicts is no evidence for a rule, and a number counts by its least
        // surprising resource: only what speaks for one, and for its number alone, is
        // removed.
        let is_alone = |index: usize| {
            let same = members.iter().filter(|(number, ..)| *number == members[index].0);
            same.count() == 1
        };
        let mut fewer = all.clone();
        if removed < fewer.len() && fits(&fewer[removed]) && is_alone(removed) {
            fewer.remove(removed);
        }
        let after = proposed(&fewer, &known);
        for one in &fewer {
            prop_assert!(
                rank(status_of(&after, &one.name)) <= rank(status_of(&before, &one.name)),
                "{}: {before:?} {after:?}", one.name
            );
        }
    }

    #[test]
    fn hostile_names_write_only_strings(names in proptest::collection::vec("\\PC{0,20}|[\"\\\\\n\\]=\\[a-z-]{0,20}", 1..5)) {
        let known = repository(200);
        let mut all = Vec::new();
        for name in &names {
            for number in [100, 130] {
                all.push(worker(&format!("{name}-pr-{number}{name}"), day(number + 1)));
            }
        }
        let proposals = proposed(&all, &known);
        let text = file::policy(&file::PolicyHeader::default(), proposals.iter().filter(|one| one.status != Status::Never));
        let read: toml::Table = toml::from_str(&text).unwrap();
        let known_keys = ["rule", "slug"];
        prop_assert!(read.keys().all(|key| known_keys.contains(&key.as_str())), "{text}");
        for rule in read.get("rule").and_then(toml::Value::as_array).into_iter().flatten() {
            prop_assert_eq!(rule["action"].as_str(), Some("report"));
            prop_assert_eq!(rule["grace"].as_str(), Some("30d"));
            prop_assert_eq!(rule["dead-when"].as_str(), Some("closed"));
        }
    }
}
