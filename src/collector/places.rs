//! What a run lists: the places of its policies, with the kinds that their
//! rules need in each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;

use super::Collector;
use super::scope::needed;
use crate::evidence::{Evidence, Inventory};
use crate::gc::KindGraph;
use crate::kinds::{self, Kind, PageOf};
use crate::model::{Api, KindRef, Place, PlaceSort, ReferencesFrom};
use crate::scan::{self, NoZone, Target};

/// Places of a run with what is listed in each.
#[derive(Default)]
pub(super) struct Places {
    /// By policy file.
    pub(super) of_files: Vec<BTreeSet<Place>>,
    /// Every place that is known by its id, with the kinds that rules need in
    /// it.
    pub(super) needed: BTreeMap<Place, BTreeSet<KindRef>>,
    /// Places and providers that cannot be seen.
    pub(super) gaps: Vec<Evidence>,
}

impl Places {
    fn need(&mut self, place: Place, kinds: BTreeSet<KindRef>) {
        self.needed.entry(place).or_default().extend(kinds);
    }
}

/// A zone that a policy file names.
pub(super) struct WantedZone {
    pub(super) file: usize,
    account: String,
    pub(super) zone: String,
    /// The kinds that the file's rules need in it.
    needed: BTreeSet<KindRef>,
}

/// A zone that was looked up.
pub(super) struct LookedUp {
    pub(super) wanted: WantedZone,
    pub(super) answer: Result<Place, NoZone>,
}

impl LookedUp {
    /// Why it was not found.
    pub(super) fn why(&self) -> &str {
        let none = self.answer.as_ref().err();
        none.and_then(|none| none.evidence.gap.as_deref())
            .unwrap_or_default()
    }
}

impl Collector<'_> {
    /// Every file's scope as places, and the zones that have to be looked up.
    pub(super) fn places(&self) -> (Places, Vec<WantedZone>) {
        let mut places = Places::default();
        let mut zones = Vec::new();
        for file in 0..self.files.len() {
            let of_file = self.places_of(file, &mut places, &mut zones);
            places.of_files.push(of_file);
        }
        (places, zones)
    }

    fn places_of(
        &self,
        file: usize,
        places: &mut Places,
        zones: &mut Vec<WantedZone>,
    ) -> BTreeSet<Place> {
        let (policy, scope) = (&self.files[file], &self.scopes[file]);
        let needed = needed(policy);
        for api in [Api::Cloudflare, Api::Neon, Api::GitHub] {
            let kinds: Vec<_> = needed
                .iter()
                .filter(|kind| kind.api == api)
                .map(|kind| kind.name())
                .collect();
            if !kinds.is_empty() && !self.client.has(api) {
                let variable = match api {
                    Api::Neon => "NEON_API_KEY",
                    Api::Cloudflare => "CLOUDFLARE_API_TOKEN",
                    Api::GitHub => "GITHUB_TOKEN",
                };
                let why = format!(
                    "no credentials: set {variable} ({} needs them)",
                    policy.path
                );
                places.gaps.push(gap(api.key(), &kinds.join(", "), why));
            }
        }
        let of_sort = |sort: PlaceSort| -> BTreeSet<KindRef> {
            needed
                .iter()
                .copied()
                .filter(|kind| kind.place == sort)
                .collect()
        };
        let mut found = BTreeSet::new();
        let in_repository = of_sort(PlaceSort::Repository);
        let kept_there = policy.protects.iter().any(|entry| {
            let mut kinds = entry.kinds.iter().flatten();
            kinds.any(|kind| kind.place == PlaceSort::Repository)
        });
        if self.client.has(Api::GitHub) && (kept_there || !in_repository.is_empty()) {
            let repository = Place::from(&policy.repository);
            found.insert(repository.clone());
            places.need(repository, in_repository);
        }
        if self.client.has(Api::Neon) {
            for project in &scope.projects {
                found.insert(Place::Project(project.clone()));
                places.need(Place::Project(project.clone()), of_sort(PlaceSort::Project));
            }
        }
        let account = scope.account.as_ref();
        if let Some(account) = account.filter(|_| self.client.has(Api::Cloudflare)) {
            found.insert(Place::Account(account.clone()));
            places.need(Place::Account(account.clone()), of_sort(PlaceSort::Account));
            zones.extend(scope.zones.iter().map(|zone| WantedZone {
                file,
                account: account.clone(),
                zone: zone.clone(),
                needed: of_sort(PlaceSort::Zone),
            }));
        }
        found
    }

    /// Looks zones up, each of them once.
    pub(super) async fn look_up(&self, zones: Vec<WantedZone>) -> Vec<LookedUp> {
        let of = |wanted: &WantedZone| (wanted.account.clone(), wanted.zone.clone());
        let once: BTreeSet<_> = zones.iter().map(of).collect();
        let answers = once.into_iter().map(async |(account, zone)| {
            let answer = scan::zone(&self.client, &account, &zone).await;
            ((account, zone), answer)
        });
        let answers: BTreeMap<_, _> = join_all(answers).await.into_iter().collect();
        let looked_up = zones.into_iter().filter_map(|wanted| {
            let answer = answers.get(&of(&wanted))?.clone();
            Some(LookedUp { wanted, answer })
        });
        looked_up.collect()
    }

    /// Lists what is in the zones that were found.
    pub(super) async fn in_zones(
        &self,
        zones: Vec<LookedUp>,
        places: &mut Places,
    ) -> (Inventory, Vec<Target>) {
        let mut needed: BTreeMap<Place, BTreeSet<KindRef>> = BTreeMap::new();
        for LookedUp { wanted, answer } in zones {
            match answer {
                Ok(zone) => {
                    if let Some(of_file) = places.of_files.get_mut(wanted.file) {
                        of_file.insert(zone.clone());
                    }
                    needed.entry(zone).or_default().extend(wanted.needed);
                }
                Err(NoZone { mut evidence, .. }) => {
                    evidence.needed = !wanted.needed.is_empty();
                    places.gaps.push(evidence);
                }
            }
        }
        let targets = self.targets(&needed);
        let inventory = scan::inventory(&self.client, &at_once(&targets), self.observer).await;
        (inventory, targets)
    }

    /// What to list: every kind in its places, those that others depend on
    /// included.
    pub(super) fn targets(&self, places: &BTreeMap<Place, BTreeSet<KindRef>>) -> Vec<Target> {
        let needed: BTreeSet<KindRef> = self.files.iter().flat_map(needed).collect();
        let graph = KindGraph::of(kinds::vocabulary());
        let concerned = |kind: KindRef| needed.iter().any(|one| graph.concerns(*one, kind));
        // An entry has its kinds listed only in the places where it holds.
        let protected = |kind: KindRef, place: &Place| {
            let mut entries = self.files.iter().flat_map(|file| &file.protects);
            entries.any(|entry| {
                let mut kinds = entry.kinds.iter().flatten();
                kinds.any(|one| *one == kind) && entry.place.reaches(place)
            })
        };
        // What no rule can be about, directly or through others, is not listed;
        // what takes a request for each holder only if a rule or an entry names
        // it.
        let by_holder = |kind: &dyn Kind| {
            let anywhere = Place::Account(String::new());
            kind.holders(&anywhere, &PageOf::First).is_some()
        };
        let relevant = |kind: &dyn Kind, place: &Place| {
            let about = kind.about();
            needed.contains(&about)
                || protected(about, place)
                || (!by_holder(kind) && concerned(about))
        };
        // What only uses others by its own listing is no part of a preview.
        let witness = |kind: KindRef, place: &Place| {
            let apart = |one: &KindRef| {
                let name = Some(one.name());
                let tied = [kind.belongs_to, kind.manages, kind.blocks].contains(&name);
                let by_listing = kind.references == ReferencesFrom::Listing;
                !graph.concerns(*one, kind)
                    || (by_listing && !tied && one.0.manages != Some(kind.name()))
            };
            !needed.contains(&kind) && !protected(kind, place) && needed.iter().all(apart)
        };
        let wanted = |kind: KindRef| {
            let Some(shown) = self.shown else { return true };
            let mut shown = shown.iter();
            shown.any(|one| *one == kind || graph.concerns(*one, kind))
        };
        let activity: BTreeSet<KindRef> = self
            .files
            .iter()
            .flat_map(|file| file.rules.iter())
            .filter(|rule| rule.asks_about_activity())
            .flat_map(|rule| rule.kinds.iter().copied())
            .collect();
        let mut targets = Vec::new();
        for (place, needed_here) in places {
            let place = Arc::new(place.clone());
            for kind in kinds::KINDS {
                let about = kind.about();
                let here = matches!(
                    (about.0.place, &*place),
                    (PlaceSort::Account, Place::Account(_))
                        | (PlaceSort::Zone, Place::Zone { .. })
                        | (PlaceSort::Project, Place::Project(_))
                        | (PlaceSort::Repository, Place::Repository(_))
                );
                if here && relevant(*kind, &place) && wanted(about) {
                    targets.push(Target {
                        kind: *kind,
                        place: place.clone(),
                        needed: needed_here.contains(&about) || concerned(about),
                        witness: witness(about, &place),
                        on_demand: about.0.holder.is_some()
                            && about.0.belongs_to.is_some()
                            && !by_holder(*kind)
                            && !needed.contains(&about)
                            && !protected(about, &place),
                        activity: activity.contains(&about),
                        holders: None,
                    });
                }
            }
        }
        targets
    }
}

/// What could not be seen, and why.
pub(super) fn gap(source: &str, scope: &str, why: String) -> Evidence {
    Evidence {
        source: source.to_owned(),
        scope: scope.to_owned(),
        requests: 0,
        items: 0,
        total: None,
        complete: false,
        gap: Some(why),
        needed: true,
    }
}

/// The targets that are listed before anything is judged.
pub(super) fn at_once(targets: &[Target]) -> Vec<Target> {
    let at_once = targets.iter().filter(|target| !target.on_demand);
    at_once.cloned().collect()
}
