//! Credit notes.

use serde_json::Value;

use super::{Route, get, post};
use crate::billing::crediting;
use crate::errors::Answer;
use crate::http::{Call, page, page_of};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/credit_notes", list),
    post("/v1/credit_notes", create),
    get("/v1/credit_notes/preview", preview),
    get("/v1/credit_notes/{id}", read),
    post("/v1/credit_notes/{id}", update),
    post("/v1/credit_notes/{id}/void", void),
    get("/v1/credit_notes/{credit_note}/lines", lines),
];

fn list(call: &mut Call) -> Answer {
    let (invoice, customer) = (call.opt("invoice"), call.opt("customer"));
    page(call, "credit_note", "/v1/credit_notes", |note| {
        invoice.as_deref().is_none_or(|id| note.text("invoice") == id)
            && customer.as_deref().is_none_or(|id| note.text("customer") == id)
    })
}

fn create(call: &mut Call) -> Answer {
    call.need("invoice")?;
    let metadata = call.metadata(&Value::Null)?;
    let params = call.params.clone();
    let note = crediting::issue(call.world, &params, metadata)?;
    Ok(call.world.render(&note))
}

/// The note as it would be; nothing is stored.
fn preview(call: &mut Call) -> Answer {
    call.need("invoice")?;
    let metadata = call.metadata(&Value::Null)?;
    let mut note = crediting::compose(call.world, &call.params, metadata)?;
    note["created"] = call.world.now().into();
    Ok(call.world.render(&note))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("credit_note", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("credit_note", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let memo = call.params["memo"].as_str().map(str::to_owned);
    let note = call.world.edit_and_tell("credit_note", &id, "credit_note.updated", |note| {
        note["metadata"] = metadata;
        if let Some(memo) = memo {
            note["memo"] = if memo.is_empty() { Value::Null } else { memo.into() };
        }
    });
    Ok(call.world.render(&note))
}

fn void(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let note = crediting::void(call.world, &id)?;
    Ok(call.world.render(&note))
}

fn lines(call: &mut Call) -> Answer {
    let note = call.world.find("credit_note", call.id())?.clone();
    let url = format!("/v1/credit_notes/{}/lines", call.id());
    page_of(call, note.list("lines.data"), &url)
}
