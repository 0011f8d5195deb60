//! What one read of everything found.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::evidence::{Inventory, Roots};
use crate::gc::{Judgement, Marking};
use crate::journal::{Implied, Snapshot};
use crate::model::{KindRef, Link, Place, Resource, ResourceId};
use crate::scan::{Budget, Target};

/// The result of reading and judging everything once.
#[derive(Debug)]
pub struct Findings<'p> {
    /// The resources that exist.
    pub inventory: Inventory,
    /// What keeps it alive.
    pub roots: Roots,
    /// The verdicts that follow.
    pub marking: Marking<'p>,
    /// When the reads began: nothing in the result is older.
    pub since: Instant,
    /// How far single resources may still be asked what they use.
    pub(super) budget: Budget,
    pub(super) index: HashMap<(KindRef, Place, Box<str>), usize>,
}

impl Findings<'_> {
    /// A resource as it was found, with how it was judged.
    pub fn find(&self, id: &ResourceId) -> Option<(&Resource, &Judgement)> {
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = *self.index.get(&key)?;
        Some((
            self.inventory.resources.get(index)?,
            self.marking.judgements.get(index)?,
        ))
    }

    /// Every resource of the inventory that uses or is used by this one, as the
    /// listings themselves tell.
    pub fn linked<'r>(&'r self, id: &'r ResourceId) -> impl Iterator<Item = &'r Resource> {
        let resources = self.inventory.resources.iter();
        let here = resources.filter(move |resource| resource.place.is_near(&id.place));
        here.filter(move |resource| {
            let mut references = resource.links.iter().filter_map(Link::reference);
            references.any(|one| id.is_meant_by(one))
        })
    }

    /// Every resource of the inventory that belongs to this one, such as the
    /// custom domains of a Worker.
    pub fn attached_to<'r>(&'r self, owner: &'r ResourceId) -> impl Iterator<Item = &'r Resource> {
        let linked = self.linked(owner);
        linked.filter(|resource| resource.owner().is_some_and(|one| owner.is_meant_by(one)))
    }

    /// What a resource uses, as far as it was asked: kinds with ids or names.
    pub fn uses(&self, id: &ResourceId) -> Vec<(String, String)> {
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = self.index.get(&key);
        let uses = index.and_then(|index| self.inventory.uses.of.get(index));
        let uses = uses.into_iter().flatten();
        let uses = uses.flat_map(|references| &references.uses);
        uses.map(|reference| {
            let text = reference.key.text();
            (reference.kind.to_owned(), text.to_string())
        })
        .collect()
    }

    /// The names of what would go and may hold what this target lists.
    pub(super) fn garbage_that_holds(&self, target: &Target) -> BTreeSet<Box<str>> {
        let owner = target.kind.about().0.belongs_to;
        let all = self
            .inventory
            .resources
            .iter()
            .zip(&self.marking.judgements);
        all.filter(|(one, judgement)| {
            owner == Some(one.kind.name())
                && one.place == target.place
                && judgement.verdict.is_garbage()
        })
        .map(|(one, _)| one.name.clone())
        .collect()
    }

    /// Returns what the provider removes together with a resource, as far as it
    /// is known: the DNS record that a custom domain manages, the custom domains
    /// and Previews of a Worker.
    pub fn implied(&self, id: &ResourceId) -> Vec<Implied> {
        let mut implied: Vec<Implied> = Vec::new();
        let resources = self.inventory.resources.iter();
        let near = resources.filter(|resource| resource.place.is_near(&id.place));
        for resource in near {
            let about = resource.kind.0;
            // A route is deleted by a request of its own.
            let goes = about.holder.is_some() || about.manages.is_some();
            let owned = goes
                && resource.owner().is_some_and(|owner| {
                    let key = owner.key.text();
                    owner.kind == id.kind.name() && (*key == *id.id || *key == *id.name)
                });
            let managed = id.kind.manages == Some(resource.kind.name())
                && resource.name.eq_ignore_ascii_case(&id.name);
            if owned || managed {
                let mut copy = Snapshot::of(resource);
                let one = resource.identity();
                copy.uses = self.uses(&one);
                copy.implied = self.implied(&one);
                implied.push(Implied {
                    kind: one.kind.name().to_owned(),
                    id: Some(one.id),
                    name: one.name,
                    copy: Some(Box::new(copy)),
                });
            }
        }
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = self.index.get(&key);
        let held = index.and_then(|index| self.inventory.uses.held.get(index));
        let held = held.into_iter().flatten().flatten();
        implied.extend(held.map(|item| Implied {
            kind: item.kind.name().to_owned(),
            id: Some(item.id.clone()),
            name: item.name.clone(),
            copy: Some(Box::new(Snapshot::of(item))),
        }));
        let sources = self.inventory.uses.sources.iter();
        let sources = sources.filter(|((_, place), _)| place.is_near(&id.place));
        let users = sources.flat_map(|((source, _), users)| {
            let users = users.iter().flatten();
            let users = users.filter(|user| user.owners.iter().any(|owner| id.is_meant_by(owner)));
            users.map(|user| (*source, &user.name))
        });
        for (kind, name) in users {
            let known = implied
                .iter()
                .any(|one| one.kind == kind && one.name == *name);
            if !known && !name.is_empty() {
                implied.push(Implied {
                    kind: kind.to_owned(),
                    id: None,
                    name: name.clone(),
                    copy: None,
                });
            }
        }
        implied
    }

    /// Why the listing of a kind in a place is not complete, if so.
    pub fn gap(&self, kind: KindRef, place: &Place) -> Option<String> {
        let listing = self
            .inventory
            .listings
            .iter()
            .find(|listing| listing.kind == kind && *listing.place == *place);
        match listing {
            Some(listing) if listing.complete() => None,
            Some(listing) => Some(listing.evidence.gap.clone().unwrap_or_default()),
            None => Some(format!("{kind} was not listed in {place}")),
        }
    }
}

/// Returns the positions of resources by their identities.
pub(super) fn index_of(inventory: &Inventory) -> HashMap<(KindRef, Place, Box<str>), usize> {
    let all = inventory.resources.iter().enumerate();
    all.map(|(index, one)| ((one.kind, Place::clone(&one.place), one.id.clone()), index))
        .collect()
}
