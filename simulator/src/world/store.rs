//! All objects of the simulated account in memory, with a journal of what one request changed.
//!
//! A request either commits, yielding the changes for the disk, or rolls back. It never touches
//! the disk itself and knows nothing about the objects' meaning.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// One changed row, for the disk: `None` means it is gone.
pub struct Change {
    /// The kind of object.
    pub kind: String,
    /// Its identifier.
    pub id: String,
    /// Its place in the order of creation and its content.
    pub row: Option<(i64, String)>,
}

#[derive(Clone)]
struct Row {
    seq: i64,
    json: Value,
}

#[derive(Default)]
struct Kind {
    rows: HashMap<String, Row>,
    order: BTreeMap<i64, String>,
}

/// The objects.
#[derive(Default)]
pub struct Store {
    kinds: HashMap<String, Kind>,
    journal: Journal,
    aside: Vec<Journal>,
    next_seq: i64,
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
        self.kinds.get(kind)?.rows.get(id).map(|row| &row.json)
    }

    /// Writes an object, new or known.
    pub fn put(&mut self, kind: &str, id: &str, json: Value) {
        let old = self.row(kind, id);
        let seq = old.as_ref().map(|row| row.seq).unwrap_or(self.next_seq);
        self.next_seq = self.next_seq.max(seq + 1);
        self.journal.entry((kind.to_owned(), id.to_owned())).or_insert(old);
        self.place(kind, id, Some(Row { seq, json }));
    }

    /// Removes an object.
    pub fn remove(&mut self, kind: &str, id: &str) {
        let old = self.row(kind, id);
        self.journal.entry((kind.to_owned(), id.to_owned())).or_insert(old);
        self.place(kind, id, None);
    }

    /// Every object of a kind, newest first.
    pub fn newest<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let found = self.kinds.get(kind);
        found.into_iter().flat_map(|kind| {
            let ids = kind.order.values().rev();
            ids.filter_map(|id| kind.rows.get(id).map(|row| &row.json))
        })
    }

    /// Every object of a kind, oldest first.
    pub fn oldest<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let found = self.kinds.get(kind);
        found.into_iter().flat_map(|kind| {
            let ids = kind.order.values();
            ids.filter_map(|id| kind.rows.get(id).map(|row| &row.json))
        })
    }

    /// How many objects of each kind there are.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let all = self.kinds.iter().map(|(name, kind)| (name.clone(), kind.rows.len()));
        all.collect()
    }

    /// Ends the request; yields what the disk must learn.
    pub fn commit(&mut self) -> Vec<Change> {
        let journal = std::mem::take(&mut self.journal);
        let changes = journal.into_keys().map(|(kind, id)| {
            let row = self.row(&kind, &id).map(|row| (row.seq, row.json.to_string()));
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

    fn row(&self, kind: &str, id: &str) -> Option<Row> {
        self.kinds.get(kind)?.rows.get(id).cloned()
    }

    fn place(&mut self, kind: &str, id: &str, row: Option<Row>) {
        let known = self.kinds.entry(kind.to_owned()).or_default();
        if let Some(old) = known.rows.remove(id) {
            known.order.remove(&old.seq);
        }
        if let Some(row) = row {
            known.order.insert(row.seq, id.to_owned());
            known.rows.insert(id.to_owned(), row);
        }
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
