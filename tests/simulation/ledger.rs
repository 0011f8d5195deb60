//! The ledger: everything that ever was in a simulated world and when, and
//! every request that was sent. It knows nothing of verdicts.

use std::collections::{BTreeMap, BTreeSet};

use crate::storage::storage;
use chrono::{DateTime, SubsecRound as _, Utc};

pub type Moment = DateTime<Utc>;

/// When a run listed what exists: what changed meanwhile it may have seen or not.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    pub began: Moment,
    pub ended: Moment,
}

/// A value, and what it was before.
#[derive(Debug, Clone)]
pub struct History<T>(Vec<(Moment, T)>);

impl<T> History<T> {
    pub fn new(at: Moment, value: T) -> Self {
        Self(vec![(at, value)])
    }

    pub fn set(&mut self, at: Moment, value: T) {
        self.0.push((at, value));
    }

    pub fn last(&self) -> &T {
        &self.0[self.0.len() - 1].1
    }

    /// Every value that it had from a moment on. What was set at that very
    /// moment may not have been seen by who looked then, so what was before
    /// counts as well.
    pub fn since(&self, from: Moment) -> &[(Moment, T)] {
        let later = self.0.partition_point(|(at, _)| *at < from);
        &self.0[later.saturating_sub(1)..]
    }
}

/// How a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequest {
    Open,
    Closed { at: Moment, merged: bool },
}

/// What a resource is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It was made for a pull request, and its name says so.
    PullRequest(u32),
    /// The same, but its owner protects it.
    Protected(u32),
    /// The same, but somebody checked its box "keep" in the tracking issue.
    Kept(u32),
    /// The same, but what its provider says, or what was done to it, keeps it.
    Shielded(u32),
    /// Its name has the number, and its provider recorded another repository.
    Elsewhere(u32),
    /// It is named after the head of that pull request.
    Head(u32),
    /// It is named after a slug of that head.
    Slug(u32),
    /// It is named after that head, in another way than the policy says.
    Mistold(u32),
    /// It was made for an Actions run, and its name says so.
    Run(u64),
    /// It may be deleted at some age, but not while its pull request is open.
    Aged(u32),
    /// It belongs to the Worker, or to the environment, of that index.
    OfWorker(usize),
    /// It sends visitors to the Worker of that index, under a host that says
    /// nothing of a pull request.
    Serves(usize),
    /// It is for a while, and its name says so.
    Passing,
    /// No rule is about it.
    Unmatched,
}

/// What one resource binds: a kind, and an id, or a name for Workers.
pub type Binding = (&'static str, String);

#[derive(Debug, Clone)]
pub struct Resource {
    pub kind: &'static str,
    pub name: String,
    /// The provider's id; of a Worker its tag.
    pub id: String,
    pub purpose: Purpose,
    pub born: Moment,
    pub gone: Option<Moment>,
    /// By which run, where a run did it.
    pub deleted_by: Option<RunKey>,
    /// Whether it is a Worker that was made anew, under the name of one that a
    /// run deletes, after that run could last look.
    pub unseen: bool,
    /// When a run removed a binding from it, to delete what it bound: its provider
    /// counts that as a change, and its grace begins anew.
    pub unbound: Option<Moment>,
    /// The latest of its creation and its change, as its provider tells; none
    /// where the kind has no times.
    pub changed: History<Option<Moment>>,
    pub binds: History<Vec<Binding>>,
    /// What the version binds that was deployed last, of a Worker.
    pub deployed: Vec<Binding>,
    /// What the version binds that was uploaded last.
    pub latest: Vec<Binding>,
    /// Whether its provider recorded what it was made for.
    pub recorded: bool,
    /// The index of its parent.
    pub parent: Option<usize>,
    /// When it expires by itself.
    pub expires: Option<Moment>,
    /// Whether its owner said so, and not a run.
    pub expires_anyway: bool,
    /// The name of the Worker that consumes it, of a queue.
    pub consumer: Option<String>,
    /// The index of the Worker whose code it runs.
    pub runs_for: Option<usize>,
    /// The index of the Worker that takes it along, whatever it is there for.
    pub hangs_on: Option<usize>,
    /// Whether its provider does not tell its times, although its kind has them.
    pub untold: bool,
    /// When it was pointed at another Worker.
    pub moved: Option<Moment>,
    /// Each time that it was pointed at another Worker, with the name of the one
    /// before.
    pub pointed: Vec<(Moment, String)>,
    /// Whether somebody marked it as one to keep, where its provider shows it.
    pub marked: History<bool>,
}

impl Resource {
    pub fn is_there(&self) -> bool {
        self.gone.is_none()
    }

    /// The name of the Worker that it was pointed at, if it has been pointed
    /// elsewhere since.
    pub fn pointed_at(&self, at: Moment) -> Option<&str> {
        let mut later = self.pointed.iter().filter(|(moved, _)| *moved > at);
        later.next().map(|(_, before)| before.as_str())
    }

    /// Whether it was pointed at a Worker at some moment of a listing.
    pub fn was_pointed_at(&self, worker: &str, listed: Listed) -> bool {
        let moved = self.pointed.iter().map(|(moved, _)| *moved);
        let meanwhile = moved.filter(|at| *at > listed.began && *at <= listed.ended);
        let mut moments = std::iter::once(listed.began).chain(meanwhile);
        moments.any(|at| self.pointed_at(at).is_some_and(|name| name == worker))
    }

    /// What others bind it by.
    pub fn bound_as(&self) -> Binding {
        let by_name =
            self.kind == "worker" || storage(self.kind).is_some_and(|one| one.bound_by_name);
        let key = if by_name { &self.name } else { &self.id };
        (self.kind, key.clone())
    }
}

/// Something that binds resources, is no resource of any kind, and stays.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub name: &'static str,
    pub binds: Vec<Binding>,
}

/// One run of one preview-gc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunKey {
    pub actor: usize,
    pub run: usize,
}

/// One request of a run.
#[derive(Debug, Clone)]
pub struct Request {
    pub run: RunKey,
    pub provider: &'static str,
    /// When the provider got it, if it did.
    pub arrived: Option<Moment>,
}

#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub pull_requests: BTreeMap<u32, History<PullRequest>>,
    /// When each pull request was opened first.
    pub opened: BTreeMap<u32, Moment>,
    /// Whether a pull request has the label that keeps what belongs to it.
    pub labelled: BTreeMap<u32, History<bool>>,
    /// Pull requests from forks, with the number whose head theirs is called.
    pub forks: BTreeMap<u32, u32>,
    /// The pull requests whose head is a git branch that exists.
    pub git_branches: BTreeSet<u32>,
    /// Actions runs, with when they were finished.
    pub runs: BTreeMap<u64, Option<Moment>>,
    pub resources: Vec<Resource>,
    pub fixtures: Vec<Fixture>,
    /// Whether the policy describes wrongly how all of [`Purpose::Mistold`] are named,
    /// and nothing shows that it describes any name rightly.
    pub is_told_wrongly: bool,
    pub requests: Vec<Request>,
    /// When others last asked Cloudflare for something.
    pub others: Vec<Moment>,
    /// What was drawn or done that only some seeds have.
    pub features: BTreeSet<&'static str>,
}

impl Ledger {
    pub fn there(&self) -> impl Iterator<Item = (usize, &Resource)> {
        let all = self.resources.iter().enumerate();
        all.filter(|(_, resource)| resource.is_there())
    }

    /// The newest with an id: where ids are names, there may have been others.
    pub fn find(&self, kind: &str, id: &str) -> Option<usize> {
        let mut all = self.resources.iter();
        all.rposition(|one| one.kind == kind && one.id == id)
    }

    /// The pull request that a resource is about by its name or its Worker's.
    pub fn about(&self, index: usize) -> Option<u32> {
        match self.resources[index].purpose {
            Purpose::PullRequest(number)
            | Purpose::Protected(number)
            | Purpose::Kept(number)
            | Purpose::Shielded(number)
            | Purpose::Mistold(number)
            | Purpose::Elsewhere(number)
            | Purpose::Head(number)
            | Purpose::Slug(number)
            | Purpose::Aged(number) => Some(number),
            Purpose::OfWorker(worker) => self.about(worker),
            Purpose::Passing | Purpose::Run(_) | Purpose::Serves(_) | Purpose::Unmatched => None,
        }
    }

    /// Whether a rule is about a resource or its Worker.
    pub fn is_claimed(&self, index: usize) -> bool {
        match self.resources[index].purpose {
            Purpose::OfWorker(worker) => self.is_claimed(worker),
            Purpose::Serves(_) | Purpose::Unmatched => false,
            _ => true,
        }
    }

    /// The pull requests of this repository that were there from the beginning:
    /// their heads are called after their numbers.
    pub fn opened_with_head(&self) -> impl Iterator<Item = u32> {
        self.pull_requests
            .keys()
            .copied()
            .filter(|number| *number <= 12)
    }

    /// What has a name now.
    pub fn named(&self, kind: &str, name: &str) -> Option<usize> {
        let mut there = self.there();
        let found = there.find(|(_, one)| one.kind == kind && one.name == name);
        found.map(|(index, _)| index)
    }

    /// Takes a resource away, with what goes with it.
    pub fn remove(&mut self, index: usize, at: Moment, by: Option<RunKey>) {
        for (other, resource) in self.resources.iter_mut().enumerate() {
            let belongs = ["worker_domain", "worker_preview"].contains(&resource.kind)
                && matches!(resource.purpose, Purpose::OfWorker(of) | Purpose::Serves(of) if of == index);
            let goes_along = belongs || resource.hangs_on == Some(index);
            if (other == index || goes_along) && resource.is_there() {
                resource.gone = Some(at);
                resource.deleted_by = by;
            }
        }
    }

    /// Who is there from a moment on, was there before, and binds a resource all the
    /// time or is its child, if anybody. Of those in `to_delete`, what only a version
    /// binds that is not the latest says nothing: no listing shows it, and nothing that
    /// stays has it.
    pub fn user_since(
        &self,
        index: usize,
        from: Moment,
        to_delete: impl Fn(usize) -> bool,
    ) -> Option<String> {
        let bound_as = self.resources[index].bound_as();
        let named = |user: &Resource| format!("{} {}", user.kind, user.name);
        let owner = self.resources[index].runs_for;
        let owner = owner.map(|owner| &self.resources[owner]);
        if let Some(owner) = owner.filter(|owner| owner.is_there() && owner.born < from) {
            return Some(named(owner));
        }
        if let Some(fixture) = self.fixture_that_binds(index) {
            return Some(fixture.name.to_owned());
        }
        let users = self.there().filter(|(user, _)| *user != index);
        let was = |(_, user): &(usize, &Resource)| {
            let goes_along = matches!(user.purpose, Purpose::OfWorker(_));
            !goes_along && user.born < from && user.moved.is_none_or(|at| at < from)
        };
        let is_shown = |(at, user): &(usize, &Resource)| {
            let is_latest = user.kind != "worker" || user.latest.contains(&bound_as);
            let is_deployed = user.binds.last().contains(&bound_as) && !to_delete(*at);
            is_latest || is_deployed || user.parent == Some(index)
        };
        let users = users.filter(was).filter(is_shown);
        let mut users = users.map(|(_, user)| user);
        let user = users.find(|user| {
            let binds = user.binds.since(from).iter();
            let mut binds = binds.map(|(_, binds)| binds.contains(&bound_as));
            user.parent == Some(index)
                || user.purpose == Purpose::Serves(index)
                || binds.all(|binds| binds)
        });
        user.map(named)
    }

    /// What is no resource of any kind and binds this one.
    pub fn fixture_that_binds(&self, index: usize) -> Option<&Fixture> {
        let bound_as = self.resources[index].bound_as();
        let mut fixtures = self.fixtures.iter();
        fixtures.find(|fixture| fixture.binds.contains(&bound_as))
    }

    /// What runs the code of a Worker or hangs on it, and is there.
    pub fn attached(&self, worker: usize) -> impl Iterator<Item = (usize, &Resource)> {
        let is_attached = move |one: &Resource| {
            one.runs_for == Some(worker)
                || one.hangs_on == Some(worker)
                || (one.kind == "worker_preview" && one.purpose == Purpose::OfWorker(worker))
        };
        self.there().filter(move |(_, one)| is_attached(one))
    }
}

/// A moment as GitHub and Neon tell it.
pub fn in_seconds(at: Moment) -> Moment {
    at.trunc_subsecs(0)
}
