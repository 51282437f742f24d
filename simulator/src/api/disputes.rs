//! Disputes: read, answered with evidence, accepted. The card or the control surface opens them.

use super::{Route, get, post};
use crate::billing::disputing::{self, Answered};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/disputes", list),
    get("/v1/disputes/{dispute}", read),
    post("/v1/disputes/{dispute}", update),
    post("/v1/disputes/{dispute}/close", close),
    get("/v1/charges/{charge}/dispute", read_of_charge),
    post("/v1/charges/{charge}/dispute", update_of_charge),
    post("/v1/charges/{charge}/dispute/close", close_of_charge),
];

fn list(call: &mut Call) -> Answer {
    let (charge, intent) = (call.opt("charge"), call.opt("payment_intent"));
    page(call, "dispute", "/v1/disputes", |dispute| {
        charge.as_deref().is_none_or(|id| dispute.text("charge") == id)
            && intent.as_deref().is_none_or(|id| dispute.text("payment_intent") == id)
    })
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("dispute", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("dispute", call.id())?.clone();
    let id = call.id().to_owned();
    let given = Answered {
        metadata: call.metadata(&before["metadata"])?,
        evidence: call.params["evidence"].as_object().cloned().unwrap_or_default(),
        submit: call.params["submit"].as_bool(),
    };
    let answered = disputing::answer(call.world, &id, given)?;
    Ok(call.world.render(&answered))
}

fn close(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let closed = disputing::accept(call.world, &id)?;
    Ok(call.world.render(&closed))
}

/// Puts the newest dispute of the charge in the path in the charge's place.
fn through_charge(call: &mut Call) -> Answer<()> {
    let charge = call.id().to_owned();
    call.world.find("charge", &charge)?;
    let mine = call.world.store.newest_by("dispute", "charge", &charge).next();
    let id = mine.map(|dispute| dispute.text("id").to_owned());
    call.ids = vec![id.ok_or_else(|| ApiError::missing("dispute", &charge, None))?];
    Ok(())
}

fn read_of_charge(call: &mut Call) -> Answer {
    through_charge(call)?;
    read(call)
}

fn update_of_charge(call: &mut Call) -> Answer {
    through_charge(call)?;
    update(call)
}

fn close_of_charge(call: &mut Call) -> Answer {
    through_charge(call)?;
    close(call)
}
