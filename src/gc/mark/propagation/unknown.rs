//! References that could not be read, and what is unknown because of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::super::kind_graph::UserKind;
use super::super::super::verdict::{Doubt, Verdict};
use super::Propagation;
use crate::evidence::Question;
use crate::model::{KindRef, Link, Place, PlaceSort, ReferenceKey, ReferencesFrom, Resource};

impl<'a> Propagation<'a> {
    /// Finds garbage whose possible users have references that were not read. If
    /// the attempt to read them failed, the garbage is unknown at once; otherwise
    /// it is pending, and the question is returned. What is pending does not count as staying, or
    /// questions would be asked whose answers cannot matter.
    pub(super) fn unread(&mut self) -> (bool, Vec<(usize, Doubt)>, BTreeSet<Question>) {
        let mut candidates: BTreeMap<(KindRef, &'a Arc<Place>), Vec<usize>> = BTreeMap::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            let resource = &self.inventory.resources[index];
            // What this run has deleted already needs nothing more.
            let is_gone = self.inventory.is_deleted_maker(index);
            if judgement.verdict.is_garbage()
                && !is_gone
                && (self.may_delete[index] || !self.settled)
            {
                candidates
                    .entry((resource.kind, &resource.place))
                    .or_default()
                    .push(index);
            }
        }
        let mut questions = self.addresses_of_expiring();
        let mut doubted = false;
        let mut pending = Vec::new();
        for ((kind, place), indices) in &candidates {
            for (doubt, asked) in self.doubts(*kind, place) {
                if asked.is_empty() {
                    doubted = true;
                    for &index in indices {
                        self.judgements[index].verdict = Verdict::Unknown(doubt.clone());
                    }
                } else {
                    questions.extend(asked);
                    pending.extend(indices.iter().map(|&index| (index, doubt.clone())));
                }
            }
            if !self.settled {
                continue;
            }
            for &index in indices {
                for owned in self.unlisted_holdings(*kind, index) {
                    if self.inventory.uses.held.contains_key(&index) {
                        continue;
                    }
                    questions.insert(Question::Holds { resource: index });
                    let doubt = Doubt::Holds {
                        kind: owned.named(),
                        why: None,
                    };
                    pending.push((index, doubt));
                }
            }
        }
        (doubted, pending, questions)
    }

    /// Asks where something that is left to its own expiry is reached: what has come
    /// to use it since keeps it.
    fn addresses_of_expiring(&self) -> BTreeSet<Question> {
        let all = self.inventory.resources.iter().enumerate();
        let expiring: BTreeSet<(KindRef, &'a Arc<Place>)> = all
            .filter(|(index, _)| self.expires(*index))
            .map(|(_, resource)| (resource.kind, &resource.place))
            .collect();
        let unknown = expiring
            .into_iter()
            .filter_map(|(kind, place)| self.unknown_addresses(kind, place));
        unknown.flat_map(|(_, asked)| asked).collect()
    }

    /// Everything that is not known about who uses these candidates, each with what
    /// to ask; nothing to ask if the attempt failed.
    fn doubts(&self, kind: KindRef, place: &'a Arc<Place>) -> Vec<(Doubt, Vec<Question>)> {
        let mut doubts = Vec::new();
        for user in self.input.graph.users(kind) {
            let source = match user {
                UserKind::Kind(user) if user.0.references == ReferencesFrom::Each => {
                    doubts.extend(self.doubt(kind, place, *user));
                    continue;
                }
                // What is listed one holder at a time, and was not listed.
                UserKind::Kind(user)
                    if user.0.holder.is_some()
                        && user.0.place == PlaceSort::Account
                        && !self.is_listed(*user, place) =>
                {
                    user.name()
                }
                UserKind::Kind(_) => continue,
                UserKind::Source(name) => name,
            };
            let key = (source, Place::clone(place));
            let known = self.inventory.uses.sources.get(&key);
            // Some take a request for each holder, so that they are asked only
            // for what this run deletes.
            if known.is_none() && matches!(user, UserKind::Kind(_)) && !self.settled {
                continue;
            }
            let doubt = |why: Option<&String>| Doubt::Users {
                kind: self.input.graph.named(source),
                why: why.map(|why| why.as_str().into()),
            };
            match known {
                Some(Ok(_)) => {}
                Some(Err(why)) => doubts.push((doubt(Some(why)), Vec::new())),
                None => {
                    let question = Question::Source {
                        source,
                        place: Arc::clone(place),
                    };
                    doubts.push((doubt(None), vec![question]));
                }
            }
        }
        doubts.extend(self.unknown_addresses(kind, place));
        doubts
    }

    /// What is not known about where these resources are reached, if anything
    /// reaches one of their kind by an address: garbage that does has to go first.
    fn unknown_addresses(
        &self,
        kind: KindRef,
        place: &'a Arc<Place>,
    ) -> Option<(Doubt, Vec<Question>)> {
        if !kind.addresses_asked {
            return None;
        }
        let uses = |resource: &Resource| {
            resource.links.iter().any(|link| match link {
                Link::Uses(reference) => {
                    let by_address = matches!(reference.key, ReferenceKey::Address(_));
                    reference.kind == kind.name() && by_address
                }
                Link::UsedBy(_)
                | Link::ServedBy(_)
                | Link::LeftBy(_)
                | Link::MayUse(_)
                | Link::Guards(_) => false,
            })
        };
        let user = self.inventory.resources.iter().find(|one| uses(one))?;
        let doubt = |why: Option<&String>| Doubt::Address {
            user: user.kind.named(),
            why: why.map(|why| why.as_str().into()),
        };
        let key = (kind, Place::clone(place));
        match self.inventory.uses.addresses.get(&key) {
            Some(Ok(_)) => None,
            Some(Err(why)) => Some((doubt(Some(why)), Vec::new())),
            None => {
                let question = Question::Addresses {
                    kind,
                    place: Arc::clone(place),
                };
                Some((doubt(None), vec![question]))
            }
        }
    }

    /// Why it is not known what the resources of one kind use of another, and
    /// what to ask; none when it is known.
    fn doubt(
        &self,
        kind: KindRef,
        place: &'a Arc<Place>,
        user: KindRef,
    ) -> Option<(Doubt, Vec<Question>)> {
        let key = (user, Place::clone(place));
        let users = self.inventory.uses.users.get(&key);
        // Besides who uses the listed ones it shows what they use that no question
        // about a single one does: the templates of Previews.
        if let Some(Err(why)) = users {
            let doubt = Doubt::Users {
                kind: user.named(),
                why: Some(why.as_str().into()),
            };
            return Some((doubt, Vec::new()));
        }
        let itself = user == kind;
        let mut unread = Vec::new();
        let mut why = None;
        let mut failed = 0;
        for (index, resource) in self.inventory.resources.iter().enumerate() {
            if resource.kind != user || resource.place != *place || !self.stays(index) {
                continue;
            }
            match self.inventory.uses.of.get(&index) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    failed += 1;
                    why.get_or_insert_with(|| Arc::from(error.as_str()));
                }
                None => unread.push(Question::Uses { resource: index }),
            }
        }
        let doubt = Doubt::References {
            unread: failed + unread.len(),
            kind: user.named(),
            why,
        };
        let many = (user.0.users_listed && users.is_none()).then(|| Question::Users {
            kind: user,
            place: place.clone(),
        });
        // Many at once where that answers everything that is asked.
        if itself && let Some(many) = many {
            return Some((doubt, vec![many]));
        }
        if failed > 0 {
            return Some((doubt, Vec::new()));
        }
        // It shows besides whether the listing of the users leaves any out.
        let asked: Vec<_> = many.into_iter().chain(unread).collect();
        (!asked.is_empty()).then_some((doubt, asked))
    }
}
