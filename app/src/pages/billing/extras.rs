//! Seats and add-ons: what is paid by number beside the plan's own price.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::subscriptions::{AddonOffer, Current, QUANTITY_MAX, SEATS_MAX};
use server::units::money;

use crate::acts::plan::{SetAddon, SetSeats};
use crate::format;
use crate::forms::{self, FormState};
use crate::islands::Enhance;

/// How many seats are paid; nothing for plans that are not paid by the seat.
pub fn seats(current: &Current, form: &FormState) -> Option<AnyView> {
    if !current.per_seat {
        return None;
    }
    let (now, each) = (current.quantity, money(current.amount, &current.currency));
    let per = current.per.clone().unwrap_or_default();
    let value = form.value("seats").map_or_else(|| now.to_string(), str::to_owned);
    let invalid = form.error("seats").is_some().then_some("true");
    let error = forms::field_error(form, "seats");
    let form_error = forms::form_error(form);
    Some(
        view! {
            <section class="card stack" id="seats" aria-labelledby="seats-title">
                <h2 id="seats-title">"Seats"</h2>
                <Enhance>
                    <form class="stack tight" method="post" action=SetSeats::url() novalidate>
                        <div class="line">
                            <div>
                                <label class="strong" for="seats-field">"Seats you pay for"</label>
                                <p class="mute fine">{each} " a " {per} " for each"</p>
                            </div>
                            <input
                                class="input"
                                id="seats-field"
                                name="seats"
                                type="number"
                                min="1"
                                max=SEATS_MAX
                                value=value
                                aria-invalid=invalid
                                aria-describedby="seats-error"
                            />
                            <button type="submit" class="btn">"Save seats"</button>
                        </div>
                        {error}
                        {form_error}
                    </form>
                </Enhance>
                <p class="mute fine">
                    "More seats are charged for the rest of the period and there at once. Fewer \
                     seats apply from the next period on."
                </p>
            </section>
        }
        .into_any(),
    )
}

/// What can be had beside the plan; nothing where nothing is offered.
pub fn addons(current: &Current, offers: &[AddonOffer], form: &FormState) -> Option<AnyView> {
    if offers.is_empty() {
        return None;
    }
    let rows: Vec<AnyView> = offers.iter().map(|offer| addon(current, offer, form)).collect();
    let error = form.error("addon").map(str::to_owned);
    Some(
        view! {
            <section class="card stack" id="addons" aria-labelledby="addons-title">
                <h2 id="addons-title">"Add-ons"</h2>
                <p class="error" role="alert">{error}</p>
                {rows}
                <p class="mute fine">
                    "Paid with the plan. More is charged for the rest of the period and there at \
                     once; less applies from the next period on."
                </p>
            </section>
        }
        .into_any(),
    )
}

fn addon(current: &Current, offer: &AddonOffer, form: &FormState) -> AnyView {
    // What went wrong belongs to the add-on whose form was sent.
    let own = form.value("price") == Some(offer.price_id.as_str());
    let error = form.error("quantity").filter(|_| own).map(str::to_owned);
    let message = Some(form.message.clone()).filter(|message| own && !message.is_empty());
    let typed = form.value("quantity").filter(|_| own).map(str::to_owned);
    let value = typed.unwrap_or_else(|| offer.quantity.to_string());
    let invalid = error.is_some().then_some("true");
    let (field, error_id) = (format!("n-{}", offer.price_id), format!("e-{}", offer.price_id));
    let price = money(offer.amount, &current.currency);
    let per = current.per.clone().unwrap_or_default();
    let about = match (offer.included.is_positive(), offer.description.trim_end_matches('.')) {
        (true, "") => format!("{} a month. ", format::with_unit(offer.included)),
        (false, "") => String::new(),
        (_, about) => format!("{about}. "),
    };
    let label = format!("How many of {}", offer.name);
    let save = format!("Save {}", offer.name);
    let (name, price_id) = (offer.name.clone(), offer.price_id.clone());
    view! {
        <Enhance>
            <form class="stack tight" method="post" action=SetAddon::url() novalidate>
                <input type="hidden" name="price" value=price_id/>
                <div class="line">
                    <div>
                        <p class="strong">{name}</p>
                        <p class="mute fine">{about} {price} " a " {per} " for each"</p>
                    </div>
                    <label class="sr" for=field.clone()>{label}</label>
                    <input
                            class="input"
                            id=field
                            name="quantity"
                            type="number"
                            min="0"
                            max=QUANTITY_MAX
                            value=value
                            aria-invalid=invalid
                            aria-describedby=error_id.clone()
                        />
                    <button type="submit" class="btn" aria-label=save>"Save"</button>
                </div>
                <p class="error" id=error_id data-error-for="quantity">{error}</p>
                <p class="error" role="alert" data-error-for="">{message}</p>
            </form>
        </Enhance>
    }
    .into_any()
}
