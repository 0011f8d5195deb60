//! Plans: the maximum, the order, and what hinders a deletion.

use super::super::samples::{
    CAREFUL, GENTLE, PLAIN, at, garbage, marking, matched_by, policy, policy_scope, reported,
    resource,
};
use super::*;
use crate::model::{Link, Reference, Resource};

fn drawn(resources: Vec<Resource>, judgements: Vec<Judgement>, maximum: usize) -> Plan {
    let policy = policy();
    let policy_scopes = [policy_scope(&policy)];
    let inventory = Inventory {
        resources,
        ..Inventory::default()
    };
    plan(&inventory, &marking(judgements, &policy_scopes), maximum)
}

/// Which resource each step is about, and the steps that it waits for.
fn order(plan: &Plan) -> Vec<(usize, &[usize])> {
    let steps = plan.steps.iter();
    steps.map(|step| (step.resource, &*step.after)).collect()
}

#[test]
fn a_cap_lets_the_oldest_go_and_defers_the_rest() {
    let workers = || {
        ["young", "oldest", "old"]
            .map(|name| resource("worker", name))
            .into()
    };
    let judged = || {
        vec![
            garbage(PLAIN, 1, at(30)),
            garbage(PLAIN, 2, at(10)),
            garbage(PLAIN, 3, at(20)),
        ]
    };
    for (maximum, steps, deferred) in [
        (0, vec![], vec![1, 2, 0]),
        (1, vec![(1, &[][..])], vec![2, 0]),
        (2, vec![(1, &[][..]), (2, &[])], vec![0]),
        (3, vec![(1, &[][..]), (2, &[]), (0, &[])], vec![]),
    ] {
        let plan = drawn(workers(), judged(), maximum);
        assert_eq!(order(&plan), steps, "at most {maximum}");
        assert_eq!(plan.deferred, deferred, "at most {maximum}");
    }
}

#[test]
fn step_is_planned_only_with_its_predecessors() {
    let used = |by: &str| Resource {
        links: vec![Link::UsedBy(Reference::by_name("worker", by.to_owned()))],
        ..resource("d1", "jobs")
    };
    let resources = || vec![used("app"), resource("worker", "app")];
    let judged = || vec![garbage(PLAIN, 1, at(10)), garbage(PLAIN, 2, at(20))];
    let both = drawn(resources(), judged(), 2);
    assert_eq!(order(&both), [(0, &[1][..]), (1, &[])]);
    // Both are too many, so what is used stays until its user is gone.
    let one = drawn(resources(), judged(), 1);
    assert_eq!(order(&one), [(1, &[][..])]);
    assert_eq!(one.deferred, [0]);
}

#[test]
fn owner_is_not_deleted_before_a_deferred_resource_that_belongs_to_it() {
    let route = Resource {
        links: vec![Link::Uses(Reference::by_name("worker", "app".to_owned()))],
        ..resource("worker_route", "app.acme.example/*")
    };
    let inventory = Inventory {
        resources: vec![
            route,
            resource("worker", "app"),
            resource("worker", "other"),
        ],
        ..Inventory::default()
    };
    let judged = [1, 1, 2].map(|number| garbage(PLAIN, number, at(10)));
    let policy = policy();
    let policy_scopes = [policy_scope(&policy)];
    let marking = marking(judged.into(), &policy_scopes);
    let plan = plan_without(
        &inventory,
        &marking,
        9,
        &BTreeMap::from([(0, "used".to_owned())]),
    );
    assert_eq!(order(&plan), [(2, &[][..])]);
    assert_eq!(plan.deferred, [1, 0]);
}

#[test]
fn a_worker_goes_only_together_with_the_queues_that_it_serves() {
    let queue = |name: &str, by: &str| Resource {
        links: vec![Link::ServedBy(Reference::by_id("worker", by.to_owned()))],
        ..resource("queue", name)
    };
    let drawn = |maximum| {
        let resources = vec![
            resource("worker", "a"),
            queue("jobs", "a"),
            resource("worker", "b"),
        ];
        let judged = resources.iter().map(|_| garbage(PLAIN, 1, at(10)));
        let judged = judged.collect();
        drawn(resources, judged, maximum)
    };
    assert_eq!(order(&drawn(1)), [(2, &[][..])]);
    assert_eq!(drawn(1).deferred, [0, 1]);
    assert_eq!(order(&drawn(2)), [(0, &[][..]), (1, &[0][..])]);
}

#[test]
fn worker_of_a_kept_queue_takes_no_place_in_the_plan() {
    let queue = Resource {
        links: vec![Link::ServedBy(Reference::by_id("worker", "a".to_owned()))],
        ..resource("queue", "jobs")
    };
    let drawn = |maximum| {
        let resources = vec![
            resource("worker", "a"),
            queue.clone(),
            resource("worker", "b"),
        ];
        let judged = vec![
            garbage(PLAIN, 1, at(10)),
            reported(PLAIN, 1, at(10)),
            garbage(PLAIN, 2, at(20)),
        ];
        drawn(resources, judged, maximum)
    };
    for maximum in [1, 2] {
        let plan = drawn(maximum);
        assert_eq!(order(&plan), [(2, &[][..])]);
        assert_eq!(plan.held, BTreeMap::from([(0, 1)]));
        assert!(plan.deferred.is_empty());
    }
}

/// A namespace that died first, a domain that is deleted with the Worker alone, the
/// Worker, and one that binds that Worker.
#[test]
fn what_is_deleted_with_its_owner_goes_in_the_same_run_and_after_its_users() {
    let owned = |name: &str, by: &str| Resource {
        links: vec![Link::Uses(Reference::by_id("worker", by.to_owned()))],
        ..resource("worker_domain", name)
    };
    let drawn = |maximum, worker: Judgement| {
        let resources = vec![
            resource("kv_namespace", "kv"),
            owned("www", "a"),
            Resource {
                links: vec![Link::UsedBy(Reference::by_id("worker", "b".to_owned()))],
                ..resource("worker", "a")
            },
            resource("worker", "b"),
        ];
        let domain = Judgement {
            deleted_with: Some(2),
            ..garbage(PLAIN, 2, at(20))
        };
        let judged = vec![
            garbage(PLAIN, 1, at(10)),
            domain,
            worker,
            garbage(PLAIN, 2, at(20)),
        ];
        drawn(resources, judged, maximum)
    };
    let dead = || garbage(PLAIN, 2, at(20));
    let plan = drawn(4, dead());
    let of = |resource| plan.steps.iter().position(|step| step.resource == resource);
    let domain = &plan.steps[of(1).unwrap()];
    assert_eq!(domain.deleted_with, of(2));
    assert_eq!(domain.after, [of(3).unwrap()]);
    // One place less, and neither of the pair is taken.
    for maximum in [2, 3] {
        let plan = drawn(maximum, dead());
        let taken = |resource| plan.steps.iter().any(|step| step.resource == resource);
        assert!(taken(0) && !taken(1) && !taken(2), "{plan:?}");
    }
    // A Worker that stays keeps its domain.
    let plan = drawn(4, Judgement::default());
    assert!(plan.steps.iter().all(|step| step.resource != 1), "{plan:?}");
    assert!(plan.waits[&1].contains("which stays"), "{plan:?}");
    // So does one that is left for later afterwards.
    let mut plan = drawn(4, dead());
    plan.defer(|step| step.resource == 2);
    assert!(plan.steps.iter().all(|step| step.resource != 1), "{plan:?}");
}

#[test]
fn workers_that_bind_each_other_are_unbound_one_by_one_and_go_together() {
    let bound = |name: &str, by: &[&str]| Resource {
        links: by
            .iter()
            .map(|by| Link::UsedBy(Reference::by_id("worker", (*by).to_owned())))
            .collect(),
        ..resource("worker", name)
    };
    let drawn = |resources: Vec<Resource>, maximum| {
        let judged = resources.iter().map(|_| garbage(PLAIN, 1, at(10)));
        let judged = judged.collect();
        let plan = drawn(resources, judged, maximum);
        let steps = plan.steps.into_iter();
        let steps = steps.map(|step| (step.resource, step.after, step.unbinds));
        (steps.collect::<Vec<_>>(), plan.deferred)
    };
    let pair = || vec![bound("a", &["b"]), bound("b", &["a"])];
    let (steps, deferred) = drawn(pair(), 2);
    assert_eq!(steps, [(0, vec![], vec![1]), (1, vec![0], vec![])]);
    assert!(deferred.is_empty());
    assert_eq!(drawn(pair(), 1), (vec![], vec![0, 1]));
    // No later run takes a group that is larger than the cap: that has to be said.
    let oversized = |maximum| {
        let judged = vec![garbage(PLAIN, 1, at(10)), garbage(PLAIN, 1, at(10))];
        self::drawn(pair(), judged, maximum).oversized
    };
    assert_eq!(oversized(1), BTreeMap::from([(0, 2), (1, 2)]));
    assert!(oversized(2).is_empty());

    // All bind all: two of them lose a binding to another, one after the other.
    let all = vec![
        bound("a", &["b", "c"]),
        bound("b", &["a", "c"]),
        bound("c", &["a", "b"]),
    ];
    let (steps, _) = drawn(all, 9);
    let expected = [
        (0, vec![], vec![1, 2]),
        (1, vec![0], vec![2]),
        (2, vec![0, 1], vec![]),
    ];
    assert_eq!(steps, expected);

    // A chain and a Worker that binds itself have no cycle to break.
    let (steps, _) = drawn(vec![bound("a", &["a", "b"]), bound("b", &[])], 9);
    assert_eq!(steps, [(0, vec![1], vec![]), (1, vec![], vec![])]);
}

#[test]
fn report_only_and_unfocused_garbage_is_not_planned() {
    let resources = ["a", "b", "c", "d"].map(|name| resource("worker", name));
    let elsewhere = Judgement {
        in_focus: false,
        ..garbage(PLAIN, 1, at(0))
    };
    let unread = Judgement {
        matched_by: None,
        ..garbage(PLAIN, 1, at(0))
    };
    let judged = vec![
        elsewhere,
        unread,
        reported(PLAIN, 1, at(0)),
        Judgement::default(),
    ];
    let plan = drawn(resources.into(), judged, 9);
    assert_eq!(plan.steps, []);
    assert!(plan.deferred.is_empty(), "{plan:?}");
    assert_eq!(plan.report_only, [2]);
}

#[test]
fn each_rule_says_what_is_done_and_the_gentlest_of_several_decides() {
    let (namespace, branch) = ("kv_namespace", "neon_branch");
    for (kind, rule, other, action, backup) in [
        (namespace, PLAIN, None, Action::Delete, false),
        (namespace, CAREFUL, None, Action::Delete, true),
        (branch, GENTLE, None, Action::Expire, false),
        (branch, PLAIN, Some(GENTLE), Action::Expire, false),
        (branch, GENTLE, Some(PLAIN), Action::Expire, false),
        (namespace, PLAIN, Some(CAREFUL), Action::Delete, true),
        (namespace, GENTLE, Some(CAREFUL), Action::Expire, true),
        // The only copy of a branch is itself.
        (branch, PLAIN, None, Action::Delete, false),
        (branch, CAREFUL, None, Action::Expire, false),
        (branch, PLAIN, Some(CAREFUL), Action::Expire, false),
    ] {
        let mut judgement = garbage(rule, 1, at(0));
        if let Some(other) = other {
            let verdict = judgement.verdict.clone();
            judgement.others.push((matched_by(other, 1), verdict));
        }
        let plan = drawn(vec![resource(kind, "pr")], vec![judgement], 1);
        let [step] = &plan.steps[..] else {
            panic!("one step")
        };
        assert_eq!(
            (step.action, step.backup),
            (action, backup),
            "{kind} {rule} {other:?}"
        );
    }
}

fn steps(after: &[&[usize]]) -> Plan {
    let step = |(index, after): (usize, &&[usize])| Step {
        resource: 10 + index,
        action: Action::Delete,
        backup: false,
        empty: false,
        after: after.to_vec(),
        unbinds: Vec::new(),
        deleted_with: None,
    };
    Plan {
        steps: after.iter().enumerate().map(step).collect(),
        deferred: vec![99],
        report_only: vec![98],
        waits: BTreeMap::new(),
        held: BTreeMap::new(),
        oversized: BTreeMap::new(),
    }
}

#[test]
fn deferred_step_defers_the_steps_that_wait_for_it() {
    // A chain against the order of the steps, and two that have nothing to
    // do with it.
    let mut plan = steps(&[&[1], &[2], &[], &[4], &[]]);
    plan.defer(|step| step.resource == 12);
    assert_eq!(order(&plan), [(13, &[1][..]), (14, &[])]);
    assert_eq!(plan.deferred, [99, 10, 11, 12]);
    assert_eq!(plan.report_only, [98]);

    // Steps without a connection to it are not deferred.
    let mut plan = steps(&[&[1], &[2], &[], &[4], &[]]);
    plan.defer(|step| step.resource == 10);
    assert_eq!(
        order(&plan),
        [(11, &[1][..]), (12, &[]), (13, &[3]), (14, &[])]
    );
    assert_eq!(plan.deferred, [99, 10]);
}

#[test]
fn a_plan_without_anything_to_defer_stays_as_it_is() {
    let mut plan = steps(&[&[1], &[]]);
    plan.defer(|_| false);
    assert_eq!(plan, steps(&[&[1], &[]]));
}
