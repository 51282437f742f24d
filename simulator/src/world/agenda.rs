//! When something happens next to which object: by whose clock, and what comes first.
//!
//! It is told of single objects and knows nothing of what happens to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// When something happens next to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// The test clock whose time counts; nothing where it is everybody's.
    pub clock: Option<String>,
    /// The moment, in seconds.
    pub at: i64,
    /// Its place among the objects of its sort at the same moment.
    pub place: i64,
}

/// An object: its sort, by which it takes its turn at one and the same moment, and its id.
pub type Party = (usize, String);

/// The moments, and whose turn it is at each: sort, place, id.
type Moments = BTreeMap<i64, BTreeSet<(usize, i64, String)>>;

/// Every appointment.
#[derive(Default)]
pub struct Agenda {
    known: HashMap<Party, Appointment>,
    moments: HashMap<Option<String>, Moments>,
}

impl Agenda {
    /// Replaces what was written down for an object.
    pub fn write(&mut self, party: Party, next: Option<Appointment>) {
        if self.known.get(&party) == next.as_ref() {
            return;
        }
        let (sort, id) = (party.0, party.1.clone());
        if let Some(old) = self.known.remove(&party) {
            self.strike(&old, &(sort, old.place, id.clone()));
        }
        if let Some(next) = next {
            let moments = self.moments.entry(next.clock.clone()).or_default();
            moments.entry(next.at).or_default().insert((sort, next.place, id));
            self.known.insert(party, next);
        }
    }

    fn strike(&mut self, old: &Appointment, entry: &(usize, i64, String)) {
        let Some(moments) = self.moments.get_mut(&old.clock) else { return };
        if let Some(parties) = moments.get_mut(&old.at) {
            parties.remove(entry);
            if parties.is_empty() {
                moments.remove(&old.at);
            }
        }
        if moments.is_empty() {
            self.moments.remove(&old.clock);
        }
    }

    /// Whose turn it is at the first moment of a clock, or of everybody's time, in order.
    pub fn first(&self, clock: Option<&str>) -> Vec<Party> {
        let moments = self.moments.get(&clock.map(str::to_owned));
        let first = moments.and_then(|moments| moments.first_key_value());
        let parties = first.into_iter().flat_map(|(_, parties)| parties);
        parties.map(|(sort, _, id)| (*sort, id.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: Option<&str>, at: i64, place: i64) -> Option<Appointment> {
        Some(Appointment { clock: clock.map(str::to_owned), at, place })
    }

    #[test]
    fn the_first_moment_has_everybody_in_order_and_each_clock_its_own() {
        let mut agenda = Agenda::default();
        let party = |sort, id: &str| (sort, id.to_owned());
        agenda.write(party(1, "late"), at(None, 20, 1));
        agenda.write(party(1, "b"), at(None, 10, 3));
        agenda.write(party(1, "a"), at(None, 10, 4));
        agenda.write(party(0, "c"), at(None, 10, 9));
        agenda.write(party(0, "own"), at(Some("clock_1"), 5, 2));
        assert_eq!(agenda.first(None), [party(0, "c"), party(1, "b"), party(1, "a")]);
        assert_eq!(agenda.first(Some("clock_1")), [party(0, "own")]);
        assert!(agenda.first(Some("clock_2")).is_empty());
        agenda.write(party(1, "b"), at(None, 30, 3));
        agenda.write(party(1, "a"), None);
        agenda.write(party(0, "c"), at(Some("clock_1"), 4, 9));
        assert_eq!(agenda.first(None), [party(1, "late")]);
        assert_eq!(agenda.first(Some("clock_1")), [party(0, "c")]);
        agenda.write(party(1, "late"), None);
        agenda.write(party(1, "b"), None);
        assert!(agenda.first(None).is_empty());
    }
}
