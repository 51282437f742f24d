//! Idempotency keys: the first result is stored and replayed for a day of simulated time.
//!
//! It owns the internal kind `idempotency` in the store. Validation mistakes are never stored.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

const KIND: &str = "idempotency";
const LIFETIME: i64 = 86_400;

/// A key with what it was used for.
pub struct Key {
    name: String,
    fingerprint: String,
}

/// A stored answer.
pub struct Stored {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The id of the request that made it.
    pub request: String,
}

impl Key {
    /// The key of a request.
    pub fn of(name: &str, path: &str, params: &Value) -> Key {
        let used_for = Sha256::digest(format!("{path}\n{params}").as_bytes());
        Key { name: name.to_owned(), fingerprint: hex::encode(used_for) }
    }

    /// The answer stored under this key; an error when it was used for something else.
    pub fn stored(&self, world: &World) -> Answer<Option<Stored>> {
        if self.name.chars().count() > 255 {
            let message = "Idempotency keys can have up to 255 characters.";
            return Err(ApiError::invalid(message));
        }
        let Some(row) = world.get(KIND, &self.name) else {
            return Ok(None);
        };
        if row.int("at") + LIFETIME < world.now() {
            return Ok(None);
        }
        if row.text("fingerprint") != self.fingerprint {
            return Err(ApiError::idempotency(&self.name));
        }
        Ok(Some(Stored {
            status: u16::try_from(row.int("status")).unwrap_or(500),
            body: row["body"].clone(),
            request: row.text("request").to_owned(),
        }))
    }

    /// Stores the answer.
    pub fn store(&self, world: &mut World, request: &str, status: u16, body: &Value) {
        let row = json!({
            "id": self.name, "at": world.now(), "fingerprint": self.fingerprint,
            "request": request, "status": status, "body": body,
        });
        world.store.put(KIND, &self.name, row);
    }
}
