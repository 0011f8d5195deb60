//! Rules and `protect` entries that name a zone or project outside of the scope.
//! They would silently never apply, so the run is refused.

use super::Scope;
use super::places::{LookedUp, gap};
use crate::evidence::Evidence;
use crate::model::code::Code;
use crate::model::identifier::is_hexadecimal_id;
use crate::model::{Api, KindRef, Place, PlaceSort};
use crate::policy::{Diagnostic, Location, PlaceName, Policy, Severity, Where};
use crate::providers;

/// The places that policies name, compared with the scopes of a run.
pub struct NamedPlaces<'a> {
    /// The policy files.
    pub files: &'a [Policy],
    /// Where each of them applies.
    pub scopes: &'a [Scope],
    /// Whether the places are those of the sandbox, where what a policy names need
    /// not exist.
    pub is_sandbox: bool,
    /// The providers for which there are credentials. Without them the scope that
    /// a policy leaves out is not known.
    pub has: &'a dyn Fn(Api) -> bool,
}

/// A zone or project as a rule or an entry names it.
struct NamedPlace<'a> {
    file: usize,
    sort: PlaceSort,
    place: &'a PlaceName,
    location: &'a Location,
    /// The kinds that the rule or entry is about; all without any.
    kinds: &'a [KindRef],
    /// Whether it is an entry, which holds in the scope of every file.
    everywhere: bool,
}

/// What is known of a zone or project of a scope.
#[derive(Clone, Copy)]
enum Scoped<'a> {
    /// The name as the policy spells it.
    Written(&'a str),
    /// The result of looking up a zone.
    Found(&'a Place),
    /// The provider has no such zone.
    Absent(&'a LookedUp),
}

/// Where a named zone or project stands.
enum PlaceScope<'a> {
    InScope,
    OutOfScope,
    /// It is written in a scope, and does not exist.
    Absent(&'a LookedUp),
    /// The scope has a zone by its id and the policy one by its name, or the
    /// other way round.
    Undetermined,
}

impl<'a> NamedPlaces<'a> {
    /// Whether a rule or an entry names a zone, so that its look-up may refuse
    /// the run.
    pub(super) fn names_zones(&self) -> bool {
        self.named().any(|named| named.sort == PlaceSort::Zone)
    }

    /// What is surely outside of the scope before anything is asked.
    ///
    /// # Errors
    ///
    /// Each such zone or project, where the policy names it.
    pub fn check(&self) -> Result<(), Vec<Diagnostic>> {
        let (mistakes, _) = self.compare(&[]);
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }

    /// What is outside of the scope now that zones were looked up, and what could
    /// not be determined because a look-up failed.
    pub(super) fn compare(&self, zones: &[LookedUp]) -> (Vec<Diagnostic>, Vec<Evidence>) {
        let (mut mistakes, mut gaps) = (Vec::new(), Vec::new());
        for named in self.named() {
            let PlaceName { name, span } = named.place;
            let word = named.word();
            let (why, label, help) = match self.standing(&named, zones) {
                PlaceScope::InScope => continue,
                PlaceScope::Undetermined => {
                    let why = format!(
                        "{} names it, and a {word} of the scope could not be looked up",
                        named.location
                    );
                    gaps.push(gap("policy", &format!("{word} {name}"), why));
                    continue;
                }
                PlaceScope::OutOfScope => {
                    let which = if named.everywhere {
                        "in the scope of no policy file"
                    } else {
                        "not in the scope of this policy file"
                    };
                    (
                        format!("{word} {name} is not in the scope"),
                        which.to_owned(),
                        named.help(),
                    )
                }
                PlaceScope::Absent(zone) => (
                    format!("{word} {name} does not exist"),
                    zone.why().to_owned(),
                    "correct the name, or give the token the permission Zone Read".to_owned(),
                ),
            };
            let what = if named.everywhere {
                "this [[protect]]"
            } else {
                "this [[rule]]"
            };
            mistakes.push(Diagnostic {
                severity: Severity::Error,
                code: Code::PlaceOutOfScope,
                message: format!("{what} cannot apply: {why}"),
                source: span.source,
                span: span.bytes.clone(),
                label,
                help: Some(help),
                masked: false,
            });
        }
        (mistakes, gaps)
    }

    /// Every zone and project that has to be in a scope which is known.
    fn named(&self) -> impl Iterator<Item = NamedPlace<'a>> {
        let files = self.files.iter().enumerate();
        let named = files.flat_map(|(file, policy)| {
            let rules = policy.rules.iter().flat_map(move |rule| {
                named_by(file, &rule.place, &rule.location, &rule.kinds, false)
            });
            let entries = policy.protects.iter().flat_map(move |entry| {
                let kinds = entry.kinds.as_deref().unwrap_or_default();
                named_by(file, &entry.place, &entry.location, kinds, true)
            });
            rules.chain(entries)
        });
        named.filter(|named| named.has_to_be_in_scope() && self.scope_is_known(named))
    }

    fn scope_is_known(&self, named: &NamedPlace<'_>) -> bool {
        let written = &self.files[named.file].scope;
        let written = match named.sort {
            PlaceSort::Zone => written.zones.is_some(),
            _ => written.projects.is_some(),
        };
        let has = providers::scope_key(named.sort).is_some_and(|(about, _)| (self.has)(about.api));
        let mut scopes = self.concerned(named);
        (written || !self.is_sandbox)
            && (has || scopes.all(|(_, scope)| !scope.named(named.sort).is_empty()))
    }

    /// The scopes that may have a named place, with the indices of their files.
    fn concerned(&self, named: &NamedPlace<'_>) -> impl Iterator<Item = (usize, &'a Scope)> {
        let (file, everywhere) = (named.file, named.everywhere);
        let scopes = self.scopes.iter().enumerate();
        scopes.filter(move |(index, _)| everywhere || *index == file)
    }

    fn standing<'z>(&self, named: &NamedPlace<'_>, zones: &'z [LookedUp]) -> PlaceScope<'z>
    where
        'a: 'z,
    {
        let name = named.place.name.as_str();
        let mut standing = PlaceScope::OutOfScope;
        for (file, scope) in self.concerned(named) {
            for scoped in scoped(named.sort, file, scope, zones) {
                match scoped {
                    Scoped::Found(place) if is(place, name) => return PlaceScope::InScope,
                    Scoped::Written(written) if written == name => return PlaceScope::InScope,
                    Scoped::Written(written)
                        if named.sort == PlaceSort::Zone
                            && is_hexadecimal_id(written) != is_hexadecimal_id(name) =>
                    {
                        standing = PlaceScope::Undetermined;
                    }
                    Scoped::Absent(zone) if zone.wanted.zone == name => {
                        standing = PlaceScope::Absent(zone);
                    }
                    Scoped::Found(_) | Scoped::Written(_) | Scoped::Absent(_) => {}
                }
            }
        }
        standing
    }
}

impl NamedPlace<'_> {
    fn word(&self) -> &'static str {
        match self.sort {
            PlaceSort::Zone => "zone",
            _ => "project",
        }
    }

    /// A project may also be one of Pages, which no scope names.
    fn has_to_be_in_scope(&self) -> bool {
        self.sort == PlaceSort::Zone
            || self.kinds.is_empty()
            || self
                .kinds
                .iter()
                .any(|kind| kind.place == PlaceSort::Project)
    }

    /// What to do when it is not in the scope.
    fn help(&self) -> String {
        let (key, variable) = match providers::scope_key(self.sort) {
            Some((about, key)) => (format!("{}.{}", about.key, key.key), key.variables[0]),
            None => Default::default(),
        };
        let pages = if self.sort == PlaceSort::Project && self.kinds.is_empty() {
            "; for a project of Pages write `kind = \"pages_deployment\"` too"
        } else {
            ""
        };
        let account = if self.sort == PlaceSort::Zone {
            "; a zone of another account is not in it either: check CLOUDFLARE_ACCOUNT_ID"
        } else {
            ""
        };
        format!("correct the name, or add it to {key} in [scope] or to {variable}{account}{pages}")
    }
}

fn named_by<'a>(
    file: usize,
    applies: &'a Where,
    location: &'a Location,
    kinds: &'a [KindRef],
    everywhere: bool,
) -> impl Iterator<Item = NamedPlace<'a>> {
    let zones = applies.zones.iter().flatten();
    let projects = applies.projects.iter().flatten();
    let zones = zones.map(|place| (PlaceSort::Zone, place));
    let projects = projects.map(|place| (PlaceSort::Project, place));
    zones.chain(projects).map(move |(sort, place)| NamedPlace {
        file,
        sort,
        place,
        location,
        kinds,
        everywhere,
    })
}

/// What is known of the zones or projects of one file's scope.
fn scoped<'z>(
    sort: PlaceSort,
    file: usize,
    scope: &'z Scope,
    zones: &'z [LookedUp],
) -> impl Iterator<Item = Scoped<'z>> {
    let looked_up = zones
        .iter()
        .filter(move |zone| sort == PlaceSort::Zone && zone.wanted.file == file);
    let known = looked_up.clone().next().is_some();
    let written = scope.named(sort).iter().filter(move |_| !known);
    let looked_up = looked_up.map(|zone| match &zone.answer {
        Ok(place) => Scoped::Found(place),
        Err(none) if none.absent => Scoped::Absent(zone),
        Err(_) => Scoped::Written(&zone.wanted.zone),
    });
    written.map(|name| Scoped::Written(name)).chain(looked_up)
}

fn is(place: &Place, name: &str) -> bool {
    place.id() == name || place.scope().1 == name
}
