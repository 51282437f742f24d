//! The demo org: an account to look around with, which is an operator's, too, and three weeks of
//! use behind it.
//!
//! Development only. Everything is booked by the same functions that customers' requests run
//! through, at times that lie in the past. Owns no tables.

use crate::audit::Actor;
use crate::auth::accounts::{self, SignUp};
use crate::auth::operators;
use crate::clock::{DAY, HOUR, Millis};
use crate::db::sql;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::gate::{Caller, Operation, Request, Use};
use crate::units::Quantity;

/// The address to sign in with.
pub const EMAIL: &str = "demo@example.com";
/// Its password: for a founder's own machine only.
pub const PASSWORD: &str = "turn-the-pike";
/// How many days of use lie behind the demo org.
const DAYS: i64 = 19;

/// Makes the demo org unless it is there. Whether it was made is the answer.
pub async fn seed(engine: &Engine) -> Result<bool> {
    if !engine.config.is_development() {
        return Err(Error::Forbidden("The demo org is for development only.".to_owned()));
    }
    let text = "select id from users where email = $1";
    if engine.db.optional::<(String,)>(sql(text).bind(EMAIL)).await?.is_some() {
        return Ok(false);
    }
    let past = engine.with_clock(engine.clock.behind(DAYS * DAY));
    let form = SignUp {
        name: "Ines Okafor".to_owned(),
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        org_name: Some("Fernhill Labs".to_owned()),
    };
    let identity = accounts::sign_up(&past, form).await?;
    operators::add(&past, EMAIL, "made with the demo org", Actor::System).await?;
    let began = past.clock.now();
    for day in 0..DAYS {
        use_of_a_day(engine, &identity.org_id, &identity.user_id, began + day * DAY, day).await?;
    }
    Ok(true)
}

/// One to five texts a day, fewer at the weekend, and an image now and then.
async fn use_of_a_day(
    engine: &Engine,
    org_id: &str,
    user_id: &str,
    begin: Millis,
    day: i64,
) -> Result<()> {
    let texts = if day % 7 >= 5 { 1 } else { 1 + (day * 7 + 3) % 3 };
    let mut uses: Vec<&str> = vec!["text"; usize::try_from(texts).unwrap_or(1)];
    if day == 9 {
        uses.push("image");
    }
    for (index, meter) in uses.into_iter().enumerate() {
        let hour = i64::try_from(index).unwrap_or(0) + 1;
        let used = Use {
            meter: meter.to_owned(),
            quantity: Quantity::from_units(1).ok_or_else(|| Error::internal("one unit"))?,
            model: None,
            feature: None,
            run: None,
            member: Some(user_id.to_owned()),
            cost: None,
            metadata: None,
        };
        let request = Request {
            org_id: org_id.to_owned(),
            caller: Caller::Member { user_id: user_id.to_owned() },
            key: format!("demo-{day}-{index}"),
            fingerprint: "demo".to_owned(),
            what: Operation::Consume(used),
        };
        engine.gate.run_now(&[&request], begin + hour * HOUR).await?;
    }
    Ok(())
}
