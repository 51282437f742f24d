//! The simulated account: its objects, its clock and the events it emits.
//!
//! One request at a time works on it, inside `Shared::transact`, which makes the changes durable
//! before the answer leaves. It knows no endpoint and no page.

mod agenda;
mod clock;
mod disk;
mod emit;
mod in_use;
mod kind;
mod pace;
mod rehearsal;
mod settings;
mod store;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};

use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::{Json, difference};
use crate::judge::Judge;
use crate::spec::{complete, spec};
use pace::Pace;

pub use agenda::{Agenda, Appointment};
pub use clock::real_ms;
pub use disk::Disk;
pub use emit::{DONE, WAITING};
pub use in_use::{Held, InUse};
pub use kind::Naming;
pub use settings::{AfterRetries, ApiFault, ApiFaultKind, Faults, Settings, TWISTS};
pub use store::Store;

/// The API version the simulator speaks.
pub const API_VERSION: &str = "2026-09-30.endive";

/// Which API request the current changes belong to, for the events' `request` member.
#[derive(Clone, Default)]
pub struct Origin {
    /// The request's id, when an API request caused the change.
    pub request: Option<String>,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
}

/// The account's state.
pub struct World {
    /// Every object.
    pub store: Store,
    /// When something happens next to whom.
    pub agenda: Agenda,
    /// Clock offset, faults and the like.
    pub settings: Settings,
    /// Where the simulator is reached.
    pub base_url: String,
    /// Looks at every event.
    pub judge: Arc<Judge>,
    frozen: Option<i64>,
    origin: Origin,
    settings_changed: bool,
}

/// The world behind its lock, with its disk.
pub struct Shared {
    world: Mutex<World>,
    disk: Option<Disk>,
    /// Woken whenever a delivery may be due.
    pub wake: Notify,
    /// Looks at every answer and every event.
    pub judge: Arc<Judge>,
    /// The idempotency keys of the requests that are being worked on.
    pub keys_in_use: InUse,
    /// Counts the calls of each second.
    pub pace: Pace,
}

impl Shared {
    /// Opens the world, from its file when there is one.
    pub async fn open(base_url: String, disk: Option<Disk>) -> anyhow::Result<Shared> {
        let (store, settings) = match &disk {
            Some(disk) => disk.load().await?,
            None => (Store::default(), Value::Null),
        };
        let settings = Settings::read(&settings);
        let rate_limit = settings.rate_limit;
        let judge = Arc::new(Judge::default());
        let world = World {
            store,
            agenda: Agenda::default(),
            settings,
            base_url,
            judge: Arc::clone(&judge),
            frozen: None,
            origin: Origin::default(),
            settings_changed: false,
        };
        let (world, keys_in_use) = (Mutex::new(world), InUse::default());
        let (wake, pace) = (Notify::new(), Pace::default());
        pace.set(rate_limit);
        Ok(Shared { world, disk, wake, judge, keys_in_use, pace })
    }

    /// Does one piece of work on the world: all of it becomes durable, or none of it happened.
    /// A refused payment is the exception: its trace stays although the answer is an error.
    pub async fn transact<T>(
        &self,
        origin: Origin,
        work: impl FnOnce(&mut World) -> Answer<T>,
    ) -> Answer<T> {
        let mut world = self.world.lock().await;
        world.store.rollback();
        world.frozen = None;
        world.origin = origin;
        let answer = work(&mut world);
        if answer.as_ref().is_err_and(|error| !error.keep) {
            world.store.rollback();
            return answer;
        }
        let changes = world.store.commit();
        let settings = world.settings_changed.then(|| world.settings.to_json());
        world.settings_changed = false;
        if settings.is_some() {
            self.pace.set(world.settings.rate_limit);
        }
        if let Some(disk) = &self.disk
            && !(changes.is_empty() && settings.is_none())
            && let Err(error) = disk.write(&changes, settings.as_ref()).await
        {
            tracing::error!(%error, "the simulator could not write its file");
            return Err(ApiError::server("The simulator could not write its file."));
        }
        self.wake.notify_one();
        answer
    }

    /// Whether another API call is within the limit of this second, where one is set.
    pub fn within_limit(&self) -> bool {
        self.pace.admits(real_ms())
    }

    /// Reads the world without changing it.
    pub async fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&*self.world.lock().await)
    }

    /// Forgets every object, fault and clock offset.
    pub async fn reset(&self) -> anyhow::Result<()> {
        let mut world = self.world.lock().await;
        world.store.clear();
        world.agenda = Agenda::default();
        world.settings = Settings::default();
        self.pace.set(0);
        match &self.disk {
            Some(disk) => disk.clear().await,
            None => Ok(()),
        }
    }

    /// Closes the file.
    pub async fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.close().await;
        }
    }
}

impl World {
    /// The simulated time in seconds; while time is being advanced, the moment being lived.
    pub fn now(&self) -> i64 {
        self.frozen.unwrap_or_else(|| (real_ms() + self.settings.offset_ms).div_euclid(1000))
    }

    /// The time as a customer sees it: its test clock's, where it has one.
    pub fn now_for(&self, customer: &str) -> i64 {
        let clock = self.get("customer", customer).and_then(|c| c.opt_text("test_clock"));
        let clock = clock.and_then(|id| self.get("test_helpers.test_clock", id));
        match clock.and_then(|clock| clock.opt_int("frozen_time")) {
            Some(time) => time,
            None => self.now(),
        }
    }

    /// Holds the clock at a moment while due work of that moment runs.
    pub fn freeze(&mut self, moment: Option<i64>) {
        self.frozen = moment;
    }

    /// Changes the settings and remembers to write them.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.settings_changed = true;
    }

    /// The raw object, deleted ones included.
    pub fn get(&self, kind: &str, id: &str) -> Option<&Value> {
        self.store.get(kind, id)
    }

    /// The raw object named in a path; 404 when it does not exist.
    pub fn find(&self, kind: &str, id: &str) -> Answer<&Value> {
        let found = self.get(kind, id).filter(|object| !object.flag("deleted"));
        found.ok_or_else(|| ApiError::missing(kind, id, None))
    }

    /// The raw object named in a parameter; 400 when it does not exist.
    pub fn find_param(&self, kind: &str, id: &str, param: &str) -> Answer<&Value> {
        let found = self.get(kind, id).filter(|object| !object.flag("deleted"));
        found.ok_or_else(|| ApiError::missing(kind, id, Some(param)))
    }

    /// Stores a new object, completed from its schema, without telling anyone.
    pub fn create(&mut self, kind: &str, mut object: Value) -> Value {
        if object.opt_text("id").is_none() {
            object["id"] = ids::new(kind).into();
        }
        object["object"] = kind.into();
        object["livemode"] = false.into();
        if object.opt_int("created").is_none() {
            object["created"] = self.now().into();
        }
        let object = complete(spec(), kind, object);
        self.store.put(kind, object.text("id"), object.clone());
        object
    }

    /// Stores a new object and emits its event.
    pub fn create_and_tell(&mut self, kind: &str, event: &str, object: Value) -> Value {
        let object = self.create(kind, object);
        self.emit(event, &object, None);
        object
    }

    /// Changes an object without telling anyone. Unknown ids are left alone.
    pub fn edit(&mut self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) -> Value {
        let Some(mut object) = self.get(kind, id).cloned() else {
            return Value::Null;
        };
        change(&mut object);
        self.store.put(kind, id, object.clone());
        object
    }

    /// Changes an object and emits the event with what it was before, if anything changed.
    pub fn edit_and_tell(
        &mut self,
        kind: &str,
        id: &str,
        event: &str,
        change: impl FnOnce(&mut Value),
    ) -> Value {
        let before = self.get(kind, id).map(|object| self.render(object)).unwrap_or_default();
        let object = self.edit(kind, id, change);
        let after = self.render(&object);
        if before != after {
            self.emit(event, &object, Some(difference(&before, &after)));
        }
        object
    }

    /// The object as the API shows it: without private notes, with prices as they are now.
    pub fn render(&self, raw: &Value) -> Value {
        let mut object = raw.clone();
        if let Some(map) = object.as_object_mut() {
            map.shift_remove("_sim");
        }
        match raw.text("object") {
            "subscription" => {
                let items = object["items"]["data"].as_array_mut();
                items.into_iter().flatten().for_each(|item| self.show_price(item));
                if let Some(waiting) = object["pending_update"].as_object_mut() {
                    let items = waiting.get_mut("subscription_items").and_then(Value::as_array_mut);
                    items.into_iter().flatten().for_each(|item| self.show_price(item));
                }
            }
            "subscription_item" | "item" => self.show_price(&mut object),
            "invoice" => cap_lines(&mut object),
            "price" => {
                object.as_object_mut().map(|map| map.shift_remove("tiers"));
            }
            _ => {}
        }
        object
    }

    /// Puts the price as it is now, and the plan made from it, into an item.
    fn show_price(&self, item: &mut Value) {
        if let Some(price) = self.get("price", item.text("price.id")) {
            item["price"] = self.render(price);
        }
        if item.text("object") == "subscription_item" {
            item["plan"] = plan(&item["price"]);
        }
    }
}

/// The legacy plan object that SDKs still require on subscription items.
fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"], "object": "plan", "active": price["active"],
        "amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"], "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "livemode": false,
        "metadata": price["metadata"], "meter": null, "nickname": price["nickname"],
        "product": price["product"], "tiers_mode": price["tiers_mode"], "transform_usage": null,
        "trial_period_days": null, "usage_type": price["recurring"]["usage_type"],
    })
}

/// An invoice shows its first ten lines; the rest is asked for.
fn cap_lines(invoice: &mut Value) {
    let Some(lines) = invoice["lines"]["data"].as_array_mut() else {
        return;
    };
    let more = lines.len() > 10;
    lines.truncate(10);
    invoice["lines"]["has_more"] = more.into();
}
