//! The objects of one kind in the order of their creation, and who is named by which of them.
//!
//! Whoever asks for the objects that name another one gets them without a look at all the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use serde_json::Value;

use crate::json::Json;

/// The fields that objects are found by, in every kind that has them.
const FOUND_BY: [&str; 12] = [
    "_sim.customer",
    "charge",
    "customer",
    "email",
    "invoice",
    "lookup_key",
    "parent.subscription_details.subscription",
    "payment.payment_intent",
    "payment_intent",
    "product",
    "subscription",
    "test_clock",
];

/// An object and its place in the order of creation.
#[derive(Clone)]
pub struct Row {
    /// Its place.
    pub seq: i64,
    /// Its content.
    pub json: Value,
}

/// Which objects are meant: all of the kind, or those with this text in this field.
pub type Naming<'n> = Option<(&'n str, &'n str)>;

/// The places that are meant.
pub type Places = (Bound<i64>, Bound<i64>);

/// All places.
pub const EVERYWHERE: Places = (Bound::Unbounded, Bound::Unbounded);

/// The objects of one kind.
#[derive(Default)]
pub struct Kind {
    rows: BTreeMap<i64, Value>,
    places: HashMap<String, i64>,
    found: HashMap<&'static str, HashMap<String, BTreeSet<i64>>>,
}

impl Kind {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// An object's place.
    pub fn place(&self, id: &str) -> Option<i64> {
        self.places.get(id).copied()
    }

    /// An object's content.
    pub fn get(&self, id: &str) -> Option<&Value> {
        self.rows.get(self.places.get(id)?)
    }

    /// Puts an object in its place or takes it away; answers what was there.
    pub fn set(&mut self, id: &str, row: Option<Row>) -> Option<Row> {
        let old = self.places.remove(id).and_then(|seq| {
            let json = self.rows.remove(&seq)?;
            Some(Row { seq, json })
        });
        self.note(old.as_ref(), row.as_ref());
        if let Some(row) = row {
            self.places.insert(id.to_owned(), row.seq);
            self.rows.insert(row.seq, row.json);
        }
        old
    }

    /// Forgets what an object named and notes what it names now.
    fn note(&mut self, old: Option<&Row>, new: Option<&Row>) {
        for field in FOUND_BY {
            let named = |row: Option<&Row>| {
                let row = row?;
                Some((row.json.opt_text(field)?.to_owned(), row.seq))
            };
            let (before, after) = (named(old), named(new));
            if before == after {
                continue;
            }
            let found = self.found.entry(field).or_default();
            if let Some((text, seq)) = before
                && let Some(places) = found.get_mut(&text)
            {
                places.remove(&seq);
                if places.is_empty() {
                    found.remove(&text);
                }
            }
            if let Some((text, seq)) = after {
                found.entry(text).or_default().insert(seq);
            }
        }
    }

    /// Those of the objects that are meant and that have these places, oldest first.
    pub fn all<'a>(
        &'a self,
        naming: Naming<'_>,
        places: Places,
    ) -> Box<dyn DoubleEndedIterator<Item = &'a Value> + 'a> {
        let Some((field, text)) = naming else {
            return Box::new(self.rows.range(places).map(|(_, json)| json));
        };
        if text.is_empty() || !FOUND_BY.contains(&field) {
            let (field, text) = (field.to_owned(), text.to_owned());
            let all = self.rows.range(places).map(|(_, json)| json);
            return Box::new(all.filter(move |json| json.text(&field) == text));
        }
        let found = self.found.get(field).and_then(|found| found.get(text));
        let found = found.into_iter().flat_map(move |found| found.range(places));
        Box::new(found.filter_map(|seq| self.rows.get(seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(kind: &Kind, naming: Naming<'_>) -> Vec<i64> {
        kind.all(naming, EVERYWHERE).map(|json| json.int("n")).collect()
    }

    #[test]
    fn objects_are_found_by_what_they_name_now() {
        let mut kind = Kind::default();
        let row = |seq, json| Some(Row { seq, json });
        kind.set("a", row(1, json!({"n": 1, "customer": "cus_1"})));
        kind.set("b", row(2, json!({"n": 2, "customer": "cus_2"})));
        kind.set("c", row(3, json!({"n": 3, "customer": "cus_1", "colour": "red"})));
        assert_eq!(ids(&kind, Some(("customer", "cus_1"))), [1, 3]);
        assert_eq!(ids(&kind, Some(("colour", "red"))), [3], "by any other field as well");
        assert_eq!(ids(&kind, Some(("colour", ""))), [1, 2], "and by its absence");
        let after = (Bound::Excluded(1), Bound::Unbounded);
        assert_eq!(kind.all(Some(("customer", "cus_1")), after).count(), 1);
        kind.set("a", row(1, json!({"n": 1, "customer": "cus_2"})));
        assert_eq!(ids(&kind, Some(("customer", "cus_1"))), [3]);
        assert_eq!(ids(&kind, Some(("customer", "cus_2"))), [1, 2]);
        let gone = kind.set("b", None).expect("it was there");
        assert_eq!((gone.seq, gone.json.int("n")), (2, 2));
        assert_eq!(ids(&kind, Some(("customer", "cus_2"))), [1]);
        assert_eq!((kind.len(), kind.place("c"), kind.place("b")), (2, Some(3), None));
        assert!(kind.get("b").is_none());
    }
}
