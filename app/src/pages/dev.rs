//! `/dev`: the workshop. Mailbox, clock, simulator and inbox, in development only; elsewhere these
//! pages are not there.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use server::clock::{DAY, HOUR, Millis};
use server::engine::Engine;
use server::mail::{self, Mail};
use server::stripe::inbox::Entry;
use server::webhooks;

use crate::error::AppError;
use crate::layout;
use crate::{format, web};

/// Rows of each list.
const ROWS: i64 = 50;

/// The engine, where there is a workshop.
fn workshop() -> Result<Engine, AppError> {
    let engine = web::engine()?;
    if engine.config.is_development() { Ok(engine) } else { Err(AppError::not_found()) }
}

/// `/dev`
pub fn bench() -> AnyView {
    layout::front("Development", "/dev", |_, _| async {
        let engine = workshop()?;
        let events = webhooks::list(&engine.db, None, None, ROWS).await?;
        let letters = mail::mailbox(&engine.db, 5).await?;
        let simulator = crate::dev::simulator_url(&engine).map(|url| format!("{url}/_sim"));
        let about = "Only on this machine: these pages do not exist in production";
        Ok(view! {
            <div class="stack band">
                {layout::heading("Development", about, ().into_any())}
                {web::query_text("moved").map(|to| {
                    layout::notice("ok", format!("The clock was moved. {to}"), None)
                })}
                {web::query_text("failed").map(|why| layout::notice("bad", why, None))}
                <div class="grid">
                    {clock(&engine)}
                    {mailbox_card(&letters)}
                    {simulator.map(simulator_card)}
                </div>
                {inbox(&events)}
            </div>
        }
        .into_any())
    })
}

fn clock(engine: &Engine) -> AnyView {
    let (now, moved) = (engine.clock.now(), engine.clock.moved());
    let ahead = match moved {
        0 => "as on the wall".to_owned(),
        moved => format!("{} ahead of the wall", distance(moved)),
    };
    let steps = [("1 hour", "hour"), ("1 day", "day"), ("1 month", "month")];
    let buttons: Vec<_> = steps
        .into_iter()
        .map(|(label, step)| {
            view! {
                <button type="submit" class="btn small" name="step" value=step>
                    "+ "
                    {label}
                </button>
            }
        })
        .collect();
    view! {
        <section class="card stack" aria-labelledby="clock">
            <h2 id="clock">"Clock"</h2>
            <p class="strong">{format::stamp(now)}</p>
            <p class="mute fine">{ahead}</p>
            <form class="stack tight" method="post" action="/dev/clock">
                <div class="row">{buttons}</div>
                <div class="field">
                    <label for="seconds">"Or by"</label>
                    <div class="unit">
                        <input class="input" id="seconds" name="seconds" inputmode="numeric"/>
                        <span>"seconds"</span>
                        <button type="submit" class="btn small" name="step" value="custom">
                            "Move"
                        </button>
                    </div>
                </div>
            </form>
            <p class="mute fine">
                "Moves this product and the simulator forward: renewals, expiries and reminders \
                 happen on the way."
            </p>
        </section>
    }
    .into_any()
}

fn distance(moved: Millis) -> String {
    match (moved / DAY, moved % DAY / HOUR) {
        (0, 0) => "less than an hour".to_owned(),
        (0, hours) => format::count(hours, "hour", "hours"),
        (days, _) => format::count(days, "day", "days"),
    }
}

fn mailbox_card(letters: &[Mail]) -> AnyView {
    let items: Vec<AnyView> = letters.iter().map(letter_line).collect();
    let body = match items.is_empty() {
        true => view! { <p class="mute">"No letter yet."</p> }.into_any(),
        false => view! { <ul class="plain">{items}</ul> }.into_any(),
    };
    view! {
        <section class="card stack" aria-labelledby="mailbox">
            <div class="row spread">
                <h2 id="mailbox">"Mailbox"</h2>
                <a class="fine" href="/dev/mail">"All"</a>
            </div>
            {body}
        </section>
    }
    .into_any()
}

fn letter_line(letter: &Mail) -> AnyView {
    let href = format!("/dev/mail/{}", letter.id);
    let (subject, to) = (letter.subject.clone(), letter.to_address.clone());
    view! {
        <li>
            <a href=href>{subject}</a>
            <br/>
            <small class="mute">{to} ", " {format::stamp(letter.created_at)}</small>
        </li>
    }
    .into_any()
}

fn simulator_card(url: String) -> AnyView {
    view! {
        <section class="card stack" aria-labelledby="simulator">
            <h2 id="simulator">"Simulator"</h2>
            <p>
                "Stands in for Stripe. Pay with "
                <code>"4242 4242 4242 4242"</code>
                "; "
                <code>"4000 0000 0000 0002"</code>
                " is declined."
            </p>
            <div class="row">
                <a class="btn" href=url>"Open the simulator"</a>
            </div>
        </section>
    }
    .into_any()
}

fn inbox(events: &[Entry]) -> AnyView {
    if events.is_empty() {
        let about = "Events from Stripe, or from the simulator, are listed here.";
        return layout::empty("No event yet", about, ().into_any());
    }
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            let class = match event.status.as_str() {
                "processed" => "badge ok",
                "dead" | "mode_mismatch" => "badge bad",
                "pending" | "unmatched" => "badge warn",
                _ => "badge",
            };
            let error = event.last_error.clone().map(|why| view! { <br/><small>{why}</small> });
            view! {
                <tr>
                    <td class="nowrap mute">
                        <span class="wide">{format::short_day(event.received_at)} " "</span>
                        {format::time(event.received_at)}
                    </td>
                    <th scope="row">{event.kind.clone()} {error}</th>
                    <td class="wide"><code>{event.object_id.clone()}</code></td>
                    <td><span class=class>{event.status.clone()}</span></td>
                </tr>
            }
        })
        .collect();
    view! {
        <section class="card stack tight" aria-labelledby="inbox">
            <h2 id="inbox">"Inbox"</h2>
            <div class="scroll" tabindex="0" role="region" aria-label="Inbox">
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Received" <span class="wide">" (UTC)"</span></th>
                            <th scope="col">"Event"</th>
                            <th scope="col" class="wide">"About"</th>
                            <th scope="col">"Status"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// `/dev/mail`
pub fn mailbox() -> AnyView {
    layout::front("Mailbox", "/dev/mail", |_, _| async {
        let engine = workshop()?;
        let letters = mail::mailbox(&engine.db, ROWS).await?;
        let items: Vec<AnyView> = letters.iter().map(letter_line).collect();
        let back = view! { <a class="btn" href="/dev">"Development"</a> };
        let body = match items.is_empty() {
            true => {
                let about = "What the product mails is kept here instead of being sent.";
                layout::empty("No letter yet", about, ().into_any())
            }
            false => view! { <ul class="card plain">{items}</ul> }.into_any(),
        };
        Ok(view! {
            <div class="stack band">
                {layout::heading("Mailbox", "What the product sent, newest first", back.into_any())}
                {body}
            </div>
        }
        .into_any())
    })
}

/// `/dev/mail/{id}`
pub fn letter() -> AnyView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    layout::front("Letter", "/dev/mail", move |_, _| async move {
        let engine = workshop()?;
        let Mail { subject, to_address, text_body, created_at, .. } =
            mail::find(&engine.db, &id).await?;
        let html = format!("/dev/mail/{id}/html");
        let actions = view! {
            <a class="btn" href=html>"As HTML"</a>
            <a class="btn" href="/dev/mail">"Mailbox"</a>
        };
        let about = format!("To {to_address}, {}", format::stamp(created_at));
        Ok(view! {
            <div class="stack band">
                {layout::heading(&subject, about, actions.into_any())}
                <pre class="card code letter">{text_body}</pre>
            </div>
        }
        .into_any())
    })
}
