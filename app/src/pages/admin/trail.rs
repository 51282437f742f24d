//! What happened to an org last: the movements of its wallet, and who did what.

use leptos::prelude::*;
use server::audit::Written;
use server::credits::Movement;

use crate::format;
use crate::pages::credits;

/// The last movements.
pub fn movements(movements: &[Movement]) -> AnyView {
    let rows: Vec<AnyView> = movements.iter().map(credits::row).collect();
    let body = match rows.is_empty() {
        true => view! { <p class="mute">"No credit has moved yet."</p> }.into_any(),
        false => view! {
            <div class="scroll" tabindex="0" role="region" aria-label="Last movements">
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Date (UTC)"</th>
                            <th scope="col">"Cause"</th>
                            <th scope="col" class="num">"Credits"</th>
                            <th scope="col" class="num">"Balance"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any(),
    };
    view! {
        <section class="card stack tight" aria-labelledby="movements">
            <h2 id="movements">"Last movements"</h2>
            {body}
        </section>
    }
    .into_any()
}

/// The last entries of the audit trail.
pub fn deeds(deeds: &[Written]) -> AnyView {
    let rows: Vec<AnyView> = deeds.iter().map(deed).collect();
    let body = match rows.is_empty() {
        true => {
            view! { <p class="mute">"Nothing was done to this organisation yet."</p> }.into_any()
        }
        false => view! {
            <div class="scroll" tabindex="0" role="region" aria-label="Audit trail">
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            <th scope="col">"What, and why"</th>
                            <th scope="col">"Who"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any(),
    };
    view! {
        <section class="card stack tight" aria-labelledby="audit">
            <h2 id="audit">"Audit trail"</h2>
            {body}
        </section>
    }
    .into_any()
}

fn deed(deed: &Written) -> AnyView {
    let who = match &deed.actor_id {
        Some(id) => format!("{} {id}", deed.actor_kind),
        None => deed.actor_kind.clone(),
    };
    let why = deed.reason.as_ref().map(|reason| view! { <br/> {reason.clone()} });
    view! {
        <tr>
            <td class="nowrap mute">{format::stamp(deed.at)}</td>
            <th scope="row">
                {deed.action.clone()}
                " "
                <small><code>{deed.subject.clone()}</code></small>
                {why}
            </th>
            <td class="mute">{who}</td>
        </tr>
    }
    .into_any()
}
