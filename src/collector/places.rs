//! What a run lists: the places of its policies, with the kinds that their
//! rules need in each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;

use super::Collector;
use super::scope::needed;
use crate::evidence::{Evidence, Inventory, Listing};
use crate::gc::KindGraph;
use crate::kind::Kind;
use crate::model::{KindRef, Place, PlaceSort, ReferencesFrom};
use crate::policy::{Policy, Rule};
use crate::providers::{self, PROVIDERS, Provider};
use crate::scan::{self, Target, ZoneLookupFailure};

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
    /// The listings that cannot be made for that reason.
    pub(super) unseen: Vec<Listing>,
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
    /// The kinds that the file's rules need anywhere.
    needed_by_file: BTreeSet<KindRef>,
}

/// The zones of accounts, as far as they could be listed.
pub(super) type ListedZones = BTreeMap<String, Result<Vec<Place>, Evidence>>;

/// A zone that was looked up.
pub(super) struct LookedUp {
    pub(super) wanted: WantedZone,
    pub(super) answer: Result<Place, ZoneLookupFailure>,
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

    /// Whether there are credentials for the provider that has such places.
    fn sees(&self, sort: PlaceSort) -> bool {
        providers::of_places(sort).is_some_and(|api| self.client.has(api))
    }

    fn places_of(
        &self,
        file: usize,
        places: &mut Places,
        zones: &mut Vec<WantedZone>,
    ) -> BTreeSet<Place> {
        let (policy, scope) = (&self.files[file], &self.scopes[file]);
        let needed = needed(policy);
        for provider in PROVIDERS {
            if !self.client.has(provider.about().api) {
                self.without_credentials(file, provider, &needed, places);
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
        if self.sees(PlaceSort::Repository) && (kept_there || !in_repository.is_empty()) {
            let repository = Place::from(&policy.repository);
            found.insert(repository.clone());
            places.need(repository, in_repository);
        }
        let projects = scope.projects.iter().cloned().map(Place::Project);
        found.extend(projects.clone());
        if self.sees(PlaceSort::Project) {
            for project in projects {
                places.need(project, of_sort(PlaceSort::Project));
            }
        }
        let account = scope.account.as_ref();
        found.extend(account.cloned().map(Place::Account));
        if let Some(account) = account.filter(|_| self.sees(PlaceSort::Account)) {
            places.need(Place::Account(account.clone()), of_sort(PlaceSort::Account));
            zones.extend(scope.zones.iter().map(|zone| WantedZone {
                file,
                account: account.clone(),
                zone: zone.clone(),
                needed: of_sort(PlaceSort::Zone),
                needed_by_file: needed.clone(),
            }));
        }
        found
    }

    /// Records what cannot be listed for want of a provider's credentials, although
    /// the rules or the scope of a file name the provider: what the rules need of it,
    /// what may use that or belong to it, and the kinds with creation times by which
    /// numbers are checked.
    fn without_credentials(
        &self,
        file: usize,
        provider: &dyn Provider,
        needed: &BTreeSet<KindRef>,
        places: &mut Places,
    ) {
        let (policy, scope) = (&self.files[file], &self.scopes[file]);
        let api = provider.about().api;
        let of_provider = provider.kinds().iter().map(|kind| kind.about());
        let of_rules: Vec<KindRef> = needed
            .iter()
            .copied()
            .filter(|kind| kind.api == api)
            .collect();
        let place_of = |kind: KindRef| match kind.place {
            PlaceSort::Account => scope.account.clone().map(Place::Account),
            PlaceSort::Zone => scope.account.clone().map(every_zone),
            PlaceSort::Project => scope.projects.first().cloned().map(Place::Project),
            PlaceSort::Repository => None,
        };
        let is_named =
            !of_rules.is_empty() || of_provider.clone().any(|one| place_of(one).is_some());
        if !is_named {
            return;
        }
        // The rules of one file may be about what another file's scope hides.
        let graph = KindGraph::of(providers::vocabulary(), providers::source_names());
        let dated: BTreeSet<KindRef> = self.files.iter().flat_map(Policy::dated_kinds).collect();
        let all: BTreeSet<KindRef> = self.files.iter().flat_map(self::needed).collect();
        let hidden = of_provider.filter(|kind| {
            let mut all = all.iter();
            dated.contains(kind) || all.any(|one| graph.concerns(*one, *kind))
        });
        let hidden: Vec<KindRef> = hidden.collect();
        if of_rules.is_empty() && hidden.is_empty() {
            return;
        }
        let variable = api.token_variable();
        let path = &policy.path;
        let (what, why) = if of_rules.is_empty() {
            (
                &hidden,
                format!("resources there may use what {path} matches"),
            )
        } else {
            (&of_rules, format!("{path} needs them"))
        };
        let names: Vec<_> = what.iter().map(|kind| kind.name()).collect();
        let why = format!("no credentials: set {variable} ({why})");
        let missing = gap(api.key(), &names.join(", "), why);
        let nowhere = || Place::Account(String::new());
        places.unseen.extend(hidden.into_iter().map(|kind| {
            let place = Arc::new(place_of(kind).unwrap_or_else(nowhere));
            unseen(kind, &place, &missing)
        }));
        places.gaps.push(missing);
    }

    /// Lists the zones of each account in which something may concern what rules
    /// name: a route sends visitors to a Worker whatever zone it stands in, and a
    /// record of any zone may point at it, or be one that people keep.
    pub(super) async fn list_zones(&self) -> ListedZones {
        let mut accounts = BTreeSet::new();
        for (policy, scope) in self.files.iter().zip(&self.scopes) {
            let needed = needed(policy);
            let account = scope.account.iter();
            let concerned = concerned_in_zones(&needed).next().is_some();
            accounts.extend(account.filter(|_| concerned && self.sees(PlaceSort::Zone)));
        }
        let listed = accounts.into_iter().map(async |account| {
            let zones = scan::zones(&self.client, account).await;
            (account.clone(), zones)
        });
        join_all(listed).await.into_iter().collect()
    }

    /// Looks zones up, each of them once; what the listing of its account shows is
    /// known.
    pub(super) async fn look_up(
        &self,
        zones: Vec<WantedZone>,
        listed: &ListedZones,
    ) -> Vec<LookedUp> {
        let of = |wanted: &WantedZone| (wanted.account.clone(), wanted.zone.clone());
        let once: BTreeSet<_> = zones.iter().map(of).collect();
        let answers = once.into_iter().map(async |(account, zone)| {
            let known = listed.get(&account).and_then(|zones| zones.as_ref().ok());
            let mut known = known.into_iter().flatten();
            let known = known.find(|known| known.id() == zone || known.scope().1 == zone);
            let answer = match known {
                Some(known) => Ok(known.clone()),
                None => scan::zone(&self.client, &account, &zone).await,
            };
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
        listed: ListedZones,
        places: &mut Places,
    ) -> (Inventory, Vec<Target>) {
        let mut needed: BTreeMap<Place, BTreeSet<KindRef>> = BTreeMap::new();
        let mut unseen: Vec<Listing> = Vec::new();
        for LookedUp { wanted, answer } in zones {
            match answer {
                Ok(zone) => {
                    if let Some(of_file) = places.of_files.get_mut(wanted.file) {
                        of_file.insert(zone.clone());
                    }
                    needed.entry(zone).or_default().extend(wanted.needed);
                }
                Err(ZoneLookupFailure { mut evidence, .. }) => {
                    let place = Place::Zone {
                        id: wanted.zone.clone(),
                        name: wanted.zone,
                        account: wanted.account,
                    };
                    let hidden = hidden_in(&wanted.needed_by_file, &place, &evidence);
                    evidence.needed = !wanted.needed.is_empty() || !hidden.is_empty();
                    unseen.extend(hidden);
                    places.gaps.push(evidence);
                }
            }
        }
        let mut targets = self.targets(&needed);
        // In the other zones of the account only what may concern something that
        // rules name.
        let mut others = BTreeMap::new();
        let all: BTreeSet<KindRef> = self.files.iter().flat_map(self::needed).collect();
        for (account, zones) in listed {
            match zones {
                Ok(zones) => {
                    let zones = zones.into_iter().filter(|zone| !needed.contains_key(zone));
                    others.extend(zones.map(|zone| (zone, BTreeSet::new())));
                }
                Err(evidence) => {
                    unseen.extend(hidden_in(&all, &every_zone(account), &evidence));
                    places.gaps.push(evidence);
                }
            }
        }
        let concerned: Vec<KindRef> = concerned_in_zones(&all).collect();
        let elsewhere = self.targets(&others).into_iter();
        let elsewhere = elsewhere.filter(|target| concerned.contains(&target.kind.about()));
        targets.extend(elsewhere.map(|target| Target {
            user_only: true,
            ..target
        }));
        let mut inventory = scan::inventory(&self.client, &at_once(&targets), self.observer).await;
        inventory.listings.extend(unseen);
        (inventory, targets)
    }

    /// The kinds of the rules that ask so.
    fn kinds_of_rules(&self, asks: fn(&Rule) -> bool) -> BTreeSet<KindRef> {
        let rules = self.files.iter().flat_map(|file| file.rules.iter());
        let rules = rules.filter(|rule| asks(rule));
        rules.flat_map(|rule| rule.kinds.iter().copied()).collect()
    }

    /// What to list: every kind in its places, those that others depend on
    /// included.
    pub(super) fn targets(&self, places: &BTreeMap<Place, BTreeSet<KindRef>>) -> Vec<Target> {
        let needed: BTreeSet<KindRef> = self.files.iter().flat_map(needed).collect();
        let graph = KindGraph::of(providers::vocabulary(), providers::source_names());
        let concerned = |kind: KindRef| needed.iter().any(|one| graph.concerns(*one, kind));
        // An entry has its kinds listed only in the places where it holds.
        let protected = |kind: KindRef, place: &Place| {
            let mut entries = self.files.iter().flat_map(|file| &file.protects);
            entries.any(|entry| {
                let mut kinds = entry.kinds.iter().flatten();
                kinds.any(|one| *one == kind) && entry.place.reaches(place)
            })
        };
        // What rules ask about as a target.
        let pointing = self.kinds_of_rules(|rule| rule.death.target_gone);
        let targeted = |kind: KindRef| {
            let mut pointing = pointing.iter();
            pointing.any(|one| one.points_at.contains(&kind.name()))
        };
        // What no rule can be about, directly or through others, is not listed;
        // what takes a request for each holder only if a rule or an entry names
        // it.
        let by_holder = |kind: &dyn Kind| kind.holders().is_some();
        let relevant = |kind: &dyn Kind, place: &Place| {
            let about = kind.about();
            needed.contains(&about)
                || protected(about, place)
                || (!by_holder(kind) && concerned(about))
                || targeted(about)
        };
        // What only uses others by its own listing is no part of a preview.
        let user_only = |kind: KindRef, place: &Place| {
            let apart = |one: &KindRef| {
                let tied = KindGraph::is_tied(kind, *one);
                let by_listing = kind.references == ReferencesFrom::Listing;
                !graph.affects(*one, kind)
                    || (by_listing && !tied && one.0.manages != Some(kind.name()))
            };
            !needed.contains(&kind) && !protected(kind, place) && needed.iter().all(apart)
        };
        // Kinds with a creation time show which pull request a number belongs to.
        let dated: BTreeSet<KindRef> = self.files.iter().flat_map(Policy::dated_kinds).collect();
        let needs_dated = |one: KindRef| !one.created && needed.contains(&one);
        let wanted = |kind: KindRef| {
            let Some(only) = self.only_kinds else {
                return true;
            };
            let mut only = only.iter();
            only.any(|one| {
                *one == kind
                    || graph.concerns(*one, kind)
                    || KindGraph::may_keep(kind, *one)
                    || one.points_at.contains(&kind.name())
                    || (needs_dated(*one) && dated.contains(&kind))
            })
        };
        let activity = self.kinds_of_rules(Rule::asks_about_activity);
        let served = self.kinds_of_rules(Rule::collects_past_production);
        let production = self.kinds_of_rules(Rule::asks_about_production);
        let mut targets = Vec::new();
        for (place, needed_here) in places {
            let place = Arc::new(place.clone());
            for kind in providers::kinds() {
                let about = kind.about();
                let here = about.place == place.sort();
                if here && relevant(kind, &place) && wanted(about) {
                    targets.push(Target {
                        kind,
                        place: place.clone(),
                        needed: needed_here.contains(&about) || concerned(about) || targeted(about),
                        user_only: user_only(about, &place),
                        on_demand: about.0.holder.is_some()
                            && about.0.belongs_to.is_some()
                            && !by_holder(kind)
                            && !needed.contains(&about)
                            && !protected(about, &place),
                        activity: activity.contains(&about),
                        served: served.contains(&about),
                        // It is never deleted, and there may be thousands.
                        production: production.contains(&about) || protected(about, &place),
                        holders: None,
                    });
                }
            }
        }
        targets
    }
}

/// The listings that a zone which cannot be read hides, as incomplete ones:
/// what stands there may belong to what these rules name.
fn hidden_in(needed: &BTreeSet<KindRef>, place: &Place, evidence: &Evidence) -> Vec<Listing> {
    let graph = KindGraph::of(providers::vocabulary(), providers::source_names());
    let place = Arc::new(place.clone());
    let in_zones = providers::vocabulary().into_iter();
    let in_zones = in_zones.filter(|kind| kind.place == PlaceSort::Zone);
    let hidden = in_zones.filter(|kind| {
        let mut needed = needed.iter();
        needed.any(|one| graph.concerns(*one, *kind))
    });
    hidden.map(|kind| unseen(kind, &place, evidence)).collect()
}

/// The zones of an account that are not known one by one.
fn every_zone(account: String) -> Place {
    Place::Zone {
        id: String::new(),
        name: "every zone".to_owned(),
        account,
    }
}

/// A listing that could not be made, for this reason.
fn unseen(kind: KindRef, place: &Arc<Place>, evidence: &Evidence) -> Listing {
    Listing {
        kind,
        place: Arc::clone(place),
        evidence: Evidence {
            source: format!("{}.{kind}", kind.api.key()),
            scope: place.to_string(),
            requests: 0,
            ..evidence.clone()
        },
        allowance: None,
        user_only: true,
    }
}

/// The kinds in zones whose resources may use something that is needed, belong to it,
/// or be managed by it.
fn concerned_in_zones(needed: &BTreeSet<KindRef>) -> impl Iterator<Item = KindRef> {
    let graph = KindGraph::of(providers::vocabulary(), providers::source_names());
    let in_zones = providers::vocabulary().into_iter();
    in_zones.filter(move |kind| {
        let mut needed = needed.iter();
        kind.place == PlaceSort::Zone && needed.any(|one| graph.concerns(*one, *kind))
    })
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
