//! A customer's program that does whatever comes to its mind, remembers every answer, and knows
//! which answers are impossible.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::caller::{Answer, Caller};

/// Holds of this many seconds lapse when the story moves the clock; the others do not.
pub const SHORT: i64 = 300;
const LONG: i64 = 86_400;

/// A request and the answer it got in the end.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which wallet, by its place in the story.
    pub wallet: usize,
    /// Under `/v1/`.
    pub path: String,
    /// The key; a batch has none of its own.
    pub key: Option<String>,
    /// What was sent.
    pub body: Value,
    /// What came back.
    pub answer: Answer,
    /// How many attempts got no answer before.
    pub lost: u32,
}

struct Open {
    id: String,
    run: Option<String>,
    short: bool,
}

/// A customer's program.
pub struct Customer {
    caller: Caller,
    wallet: usize,
    name: String,
    random: StdRng,
    keys: u32,
    holds: Vec<Open>,
    usages: Vec<String>,
    told: Vec<Told>,
    count: Arc<watch::Sender<u64>>,
}

impl Customer {
    /// A customer that counts its answers in `count`.
    pub fn new(
        caller: Caller,
        wallet: usize,
        name: String,
        seed: u64,
        count: Arc<watch::Sender<u64>>,
    ) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (holds, usages, told) = (Vec::new(), Vec::new(), Vec::new());
        Self { caller, wallet, name, random, keys: 0, holds, usages, told, count }
    }

    /// Works until told to stop, and hands over what it was told.
    pub async fn work(mut self, stop: Arc<AtomicBool>) -> Vec<Told> {
        while !stop.load(Ordering::Relaxed) {
            match self.random.random_range(0..100) {
                0..28 => self.consume().await,
                28..50 => self.hold().await,
                50..68 => self.capture().await,
                68..76 => self.release().await,
                76..80 => self.extend().await,
                80..86 => self.reverse().await,
                86..94 => self.report().await,
                94..97 => self.release_run().await,
                _ => self.repeat().await,
            }
        }
        self.told
    }

    async fn consume(&mut self) {
        let mut body = self.some_use();
        if self.random.random_bool(0.05) {
            // The free tier does not include it: a stored refusal.
            body = json!({ "meter": "video", "quantity": 1 });
        }
        let answer = self.ask("consume".to_owned(), body).await;
        match answer.status {
            200 => self.note_usage(&answer.body),
            402 => assert_eq!(answer.code(), "insufficient_credits", "{answer:?}"),
            _ => assert_eq!(answer.code(), "feature_not_included", "{answer:?}"),
        }
    }

    async fn hold(&mut self) {
        let mut body = self.some_use();
        let short = self.random.random_bool(0.3);
        body["ttl_seconds"] = json!(if short { SHORT } else { LONG });
        let run = self.random.random_range(0..3);
        let run = (run > 0).then(|| format!("{}-run-{run}", self.name));
        if let Some(run) = &run {
            body["run"] = json!(run);
        }
        let answer = self.ask("holds".to_owned(), body).await;
        if answer.status == 402 || outlived(&answer) {
            assert!(answer.status == 402 || short, "{:?}", self.told.last());
            return;
        }
        let told = self.told.last();
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("open")), "{told:?}");
        self.holds.push(Open { id: id_of(&answer.body), run, short });
    }

    async fn capture(&mut self) {
        let Some(hold) = self.some_hold() else { return self.hold().await };
        let quantity = ["0", "0.5", "1", "2", "7"][self.random.random_range(0..5)];
        let over = ["deny", "use_available", "overage", "debt"][self.random.random_range(0..4)];
        let body = json!({ "quantity": quantity, "over": over });
        let answer = self.ask(format!("holds/{}/capture", hold.id), body).await;
        match answer.status {
            200 => self.note_usage(&answer.body),
            _ => {
                assert_eq!((answer.status, answer.code()), (402, "insufficient_credits"));
                // Refused: the hold stays as it is.
                self.holds.push(hold);
            }
        }
    }

    async fn release(&mut self) {
        let Some(hold) = self.some_hold() else { return self.hold().await };
        let answer = self.ask(format!("holds/{}/release", hold.id), json!({})).await;
        match answer.status {
            200 => assert_eq!(answer.body["status"], "released", "{answer:?}"),
            _ => lapsed(&hold, &answer),
        }
    }

    async fn extend(&mut self) {
        let Some(hold) = self.some_hold() else { return self.hold().await };
        let ttl = if hold.short { SHORT } else { LONG };
        let body = json!({ "ttl_seconds": ttl });
        let answer = self.ask(format!("holds/{}/extend", hold.id), body).await;
        match answer.status {
            200 => self.holds.push(hold),
            _ => lapsed(&hold, &answer),
        }
    }

    async fn reverse(&mut self) {
        if self.usages.is_empty() {
            return self.consume().await;
        }
        let index = self.random.random_range(0..self.usages.len());
        let usage = self.usages.swap_remove(index);
        let body = json!({ "reason": "it did not work" });
        let answer = self.ask(format!("usage/{usage}/reverse"), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Tells of work already done, in a batch; what the wallet lacks becomes a debt or is refused.
    async fn report(&mut self) {
        let mut items = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            let mut item = self.some_use();
            item["key"] = json!(self.next_key());
            if self.random.random_bool(0.4) {
                item["over"] = json!("deny");
            }
            items.push(item);
        }
        let body = json!({ "items": items });
        let (answer, lost) = self.caller.insist("usage/batch", None, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let results = answer.body["data"].as_array().expect("results");
        assert_eq!(results.len(), items.len(), "{answer:?}");
        for (item, result) in items.iter().zip(results) {
            assert_eq!(item["key"], result["key"], "{answer:?}");
            match result["status"].as_u64() {
                Some(200) => self.usages.push(id_of(&result["usage"])),
                _ => assert_eq!(result["status"], 402, "{result}"),
            }
        }
        self.keep("usage/batch".to_owned(), None, body, answer, lost);
    }

    async fn release_run(&mut self) {
        let Some(run) = self.holds.iter().find_map(|hold| hold.run.clone()) else {
            return self.hold().await;
        };
        let answer = self.ask(format!("runs/{run}/release"), json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let released = answer.body["released"].as_array().expect("a list").clone();
        let ours = |hold: &Open| hold.run.as_deref() == Some(&run);
        for hold in self.holds.iter().filter(|hold| ours(hold) && !hold.short) {
            assert!(released.contains(&json!(hold.id)), "{} is in {answer:?}", hold.id);
        }
        self.holds.retain(|hold| !ours(hold));
    }

    /// Asks something again that was answered already, as it was or with another body.
    async fn repeat(&mut self) {
        let stored = |told: &&Told| told.key.is_some() && told.path == "consume";
        let stored: Vec<&Told> = self.told.iter().filter(stored).collect();
        if stored.is_empty() {
            return;
        }
        let told = stored[self.random.random_range(0..stored.len())];
        let mut body = told.body.clone();
        let other = self.random.random_bool(0.5);
        if other {
            body["quantity"] = json!("12.5");
        }
        let (again, _) = self.caller.insist(&told.path, told.key.as_deref(), &body).await;
        let reversed = again.code() == "operation_reversed";
        match other {
            true => assert_eq!(again.code(), "idempotency_key_reused", "{again:?}"),
            false if reversed => assert!(!self.usages.contains(&id_of(&told.answer.body))),
            false => {
                assert!(again.replayed, "{again:?}");
                assert_eq!(again.text, told.answer.text);
            }
        }
    }

    /// Asks with a new key until there is an answer.
    async fn ask(&mut self, path: String, body: Value) -> Answer {
        let key = self.next_key();
        let (answer, lost) = match self.random.random_bool(0.1) {
            true => self.ask_twice(&path, &key, &body).await,
            false => self.caller.insist(&path, Some(&key), &body).await,
        };
        self.keep(path, Some(key), body, answer.clone(), lost);
        answer
    }

    /// Asks the same twice at the same instant, of two processes where there are two.
    async fn ask_twice(&self, path: &str, key: &str, body: &Value) -> (Answer, u32) {
        let elsewhere = self.caller.moved(1);
        let twin = elsewhere.insist(path, Some(key), body);
        let ((one, lost), (other, _)) =
            tokio::join!(self.caller.insist(path, Some(key), body), twin);
        // The clock may move in between: what the first twin made is over for the second.
        let over = |answer: &Answer| path == "holds" && outlived(answer);
        if over(&one) || over(&other) {
            return if over(&one) { (other, lost) } else { (one, lost) };
        }
        assert_eq!(one.status, other.status, "{one:?} {other:?}");
        if one.stored() {
            assert_eq!(one.text, other.text);
            assert!(one.replayed || other.replayed, "{path}: one effect, {one:?}");
        }
        (one, lost)
    }

    fn keep(&mut self, path: String, key: Option<String>, body: Value, answer: Answer, lost: u32) {
        self.told.push(Told { wallet: self.wallet, path, key, body, answer, lost });
        self.count.send_modify(|count| *count += 1);
    }

    fn next_key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.name, self.keys)
    }

    fn some_use(&mut self) -> Value {
        match self.random.random_range(0..10) {
            0 => json!({ "meter": "image", "quantity": 1 }),
            1..3 => json!({ "meter": "input_tokens", "quantity": 1_234, "model": "small-1" }),
            3..6 => json!({ "meter": "text", "quantity": "0.25", "metadata": { "n": self.keys } }),
            _ => json!({ "meter": "text", "quantity": self.random.random_range(1..5) }),
        }
    }

    fn some_hold(&mut self) -> Option<Open> {
        if self.holds.is_empty() {
            return None;
        }
        let index = self.random.random_range(0..self.holds.len());
        Some(self.holds.swap_remove(index))
    }

    fn note_usage(&mut self, usage: &Value) {
        self.usages.push(id_of(usage));
    }
}

/// Whether a hold was made, not told of, and over when it was asked for again.
pub fn outlived(answer: &Answer) -> bool {
    answer.code() == "operation_reversed"
}

/// A hold may only be found closed where its time may have run out.
fn lapsed(hold: &Open, answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (409, "hold_not_open"), "{answer:?}");
    assert!(hold.short, "{} was open: {answer:?}", hold.id);
}

fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap_or_else(|| panic!("{thing} has an id")).to_owned()
}
