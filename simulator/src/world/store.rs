//! All objects of the simulated account in memory, with a journal of what one request changed.
//!
//! A request either commits, yielding the changes for the disk, or rolls back. It never touches
//! the disk itself and knows nothing about the objects' meaning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use serde_json::Value;

use super::kind::{EVERYWHERE, Kind, Naming, Row};

/// One changed row, for the disk: `None` means it is gone.
pub struct Change {
    /// The kind of object.
    pub kind: String,
    /// Its identifier.
    pub id: String,
    /// Its place in the order of creation and its content.
    pub row: Option<(i64, String)>,
}

/// The objects.
#[derive(Default)]
pub struct Store {
    kinds: HashMap<String, Kind>,
    journal: Journal,
    aside: Vec<Journal>,
    next_seq: i64,
    touched: HashSet<(String, String)>,
}

/// What rows were before they were changed.
type Journal = BTreeMap<(String, String), Option<Row>>;

impl Store {
    /// Puts a row read from the disk in its place.
    pub fn load(&mut self, kind: &str, id: &str, seq: i64, json: Value) {
        self.next_seq = self.next_seq.max(seq + 1);
        self.place(kind, id, Some(Row { seq, json }));
    }

    /// The object, if there is one.
    pub fn get(&self, kind: &str, id: &str) -> Option<&Value> {
        self.kinds.get(kind)?.get(id)
    }

    /// The object's place in the order of creation, if there is one.
    pub fn place_of(&self, kind: &str, id: &str) -> Option<i64> {
        self.kinds.get(kind)?.place(id)
    }

    /// Writes an object, new or known.
    pub fn put(&mut self, kind: &str, id: &str, json: Value) {
        let seq = self.place_of(kind, id).unwrap_or(self.next_seq);
        self.next_seq = self.next_seq.max(seq + 1);
        let old = self.place(kind, id, Some(Row { seq, json }));
        self.journal.entry((kind.to_owned(), id.to_owned())).or_insert(old);
    }

    /// Removes an object.
    pub fn remove(&mut self, kind: &str, id: &str) {
        let old = self.place(kind, id, None);
        self.journal.entry((kind.to_owned(), id.to_owned())).or_insert(old);
    }

    /// Every object of a kind, newest first.
    pub fn newest<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.oldest(kind).rev()
    }

    /// Every object of a kind, oldest first.
    pub fn oldest<'a>(
        &'a self,
        kind: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
        let kind = self.kinds.get(kind);
        kind.into_iter().flat_map(|kind| kind.all(None, EVERYWHERE))
    }

    /// The objects of a kind with this text in a field, newest first.
    pub fn newest_by<'a>(
        &'a self,
        kind: &str,
        field: &str,
        text: &str,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.oldest_by(kind, field, text).rev()
    }

    /// The objects of a kind with this text in a field, oldest first.
    pub fn oldest_by<'a>(
        &'a self,
        kind: &str,
        field: &str,
        text: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
        let found = self.kinds.get(kind).map(|kind| kind.all(Some((field, text)), EVERYWHERE));
        found.into_iter().flatten()
    }

    /// Those of a kind that were made before this object, newest first; before now where none is
    /// named.
    pub fn before<'a>(
        &'a self,
        kind: &str,
        naming: Naming<'_>,
        id: Option<&str>,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        let end = match id {
            Some(id) => Bound::Excluded(self.place_of(kind, id).unwrap_or_default()),
            None => Bound::Unbounded,
        };
        let found = self.kinds.get(kind).map(|kind| kind.all(naming, (Bound::Unbounded, end)));
        found.into_iter().flatten().rev()
    }

    /// Those of a kind that were made after this object, oldest first.
    pub fn after<'a>(
        &'a self,
        kind: &str,
        naming: Naming<'_>,
        id: &str,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        let begin = Bound::Excluded(self.place_of(kind, id).unwrap_or(i64::MAX));
        let found = self.kinds.get(kind).map(|kind| kind.all(naming, (begin, Bound::Unbounded)));
        found.into_iter().flatten()
    }

    /// How many objects of each kind there are.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let all = self.kinds.iter().map(|(name, kind)| (name.clone(), kind.len()));
        all.collect()
    }

    /// The kinds and ids of everything that was written, removed or taken back since this was
    /// asked before.
    pub fn take_touched(&mut self) -> HashSet<(String, String)> {
        std::mem::take(&mut self.touched)
    }

    /// Ends the request; yields what the disk must learn.
    pub fn commit(&mut self) -> Vec<Change> {
        let journal = std::mem::take(&mut self.journal);
        let changes = journal.into_keys().map(|(kind, id)| {
            let json = self.get(&kind, &id).map(Value::to_string);
            let row = self.place_of(&kind, &id).zip(json);
            Change { kind, id, row }
        });
        changes.collect()
    }

    /// Sets the changes so far aside, so that what follows can be taken back alone.
    pub fn set_aside(&mut self) {
        self.aside.push(std::mem::take(&mut self.journal));
    }

    /// Takes back everything since the changes before were set aside.
    pub fn take_back(&mut self) {
        self.undo();
        self.journal = self.aside.pop().unwrap_or_default();
    }

    /// Whether what happens now is taken back afterwards.
    pub fn is_rehearsing(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Undoes everything since the last commit.
    pub fn rollback(&mut self) {
        while self.is_rehearsing() {
            self.take_back();
        }
        self.undo();
    }

    fn undo(&mut self) {
        for ((kind, id), old) in std::mem::take(&mut self.journal) {
            self.place(&kind, &id, old);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Store::default();
    }

    /// The one place where an object changes; answers what it was.
    fn place(&mut self, kind: &str, id: &str, row: Option<Row>) -> Option<Row> {
        self.touched.insert((kind.to_owned(), id.to_owned()));
        self.kinds.entry(kind.to_owned()).or_default().set(id, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_rehearsed_is_taken_back_and_what_was_before_stays() {
        let mut store = Store::default();
        store.put("a", "1", json!({"n": 1}));
        store.set_aside();
        assert!(store.is_rehearsing());
        store.put("a", "1", json!({"n": 2}));
        store.put("a", "2", json!({"n": 3}));
        store.take_back();
        assert!(!store.is_rehearsing());
        assert_eq!(store.get("a", "1"), Some(&json!({"n": 1})));
        assert!(store.get("a", "2").is_none());
        assert_eq!(store.commit().len(), 1);
    }

    #[test]
    fn what_was_made_around_an_object_is_found_and_what_changed_is_told() {
        let mut store = Store::default();
        for (id, customer) in [("1", "x"), ("2", "y"), ("3", "x"), ("4", "x")] {
            store.put("a", id, json!({"id": id, "customer": customer}));
        }
        let ids = |found: Vec<&Value>| -> String {
            found.into_iter().filter_map(|object| object["id"].as_str()).collect()
        };
        let of_x = Some(("customer", "x"));
        assert_eq!(ids(store.before("a", of_x, Some("4")).collect()), "31");
        assert_eq!(ids(store.before("a", None, Some("4")).collect()), "321");
        assert_eq!(ids(store.before("a", of_x, None).collect()), "431");
        assert_eq!(ids(store.after("a", of_x, "1").collect()), "34");
        assert_eq!(ids(store.newest_by("a", "customer", "x").collect()), "431");
        assert_eq!(ids(store.oldest_by("a", "customer", "z").collect()), "");
        store.commit();
        assert_eq!(store.take_touched().len(), 4);
        store.put("a", "2", json!({"id": "2", "customer": "x"}));
        store.rollback();
        assert_eq!(ids(store.newest_by("a", "customer", "x").collect()), "431");
        assert_eq!(store.take_touched().len(), 1, "what was taken back changed twice");
        assert!(store.take_touched().is_empty());
    }

    #[test]
    fn a_rollback_restores_and_a_commit_reports() {
        let mut store = Store::default();
        store.put("a", "1", json!({"n": 1}));
        assert_eq!(store.commit().len(), 1);
        store.put("a", "1", json!({"n": 2}));
        store.put("a", "2", json!({"n": 3}));
        store.rollback();
        assert_eq!(store.get("a", "1"), Some(&json!({"n": 1})));
        assert!(store.get("a", "2").is_none());
        store.put("a", "3", json!({"n": 4}));
        store.remove("a", "1");
        let newest: Vec<i64> = store.newest("a").filter_map(|v| v["n"].as_i64()).collect();
        assert_eq!(newest, [4]);
        assert_eq!(store.commit().iter().filter(|c| c.row.is_none()).count(), 1);
    }
}
