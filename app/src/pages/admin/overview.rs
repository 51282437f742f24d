//! `/admin`: what needs a person, what is under way, and whether everything in Stripe can be sold.

use leptos::prelude::*;
use server::auth::Who;
use server::auth::operators::{self, Operator};
use server::catalog::{self, Catalog};
use server::engine::Engine;
use server::units::group_thousands;
use server::{credits, findings, jobs, webhooks};

use crate::error::AppError;
use crate::format;
use crate::layout::Column::{Number, Text};
use crate::layout::{self, OperatorPlace};

/// Parked wallets shown.
const PARKED: i64 = 100;

/// `/admin`
pub fn overview() -> AnyView {
    layout::operators(OperatorPlace::Overview, content)
}

/// One number, what it counts, and where to go on.
struct Figure {
    name: &'static str,
    count: i64,
    meaning: &'static str,
    href: &'static str,
}

async fn content(engine: Engine, _who: Who) -> Result<AnyView, AppError> {
    let db = &engine.db;
    let events = webhooks::counts(db).await?;
    let events = |status: &str| {
        let found = events.iter().find(|(known, _)| known == status);
        found.map_or(0, |(_, count)| *count)
    };
    let (dead, waiting) = jobs::counts(db).await?;
    let parked = credits::parked(db, PARKED).await?;
    let wallets = i64::try_from(parked.len()).unwrap_or(PARKED);
    let figure = |name, count, meaning, href| Figure { name, count, meaning, href };
    let for_people = [
        figure("Findings", findings::count_open(db).await?, "open", "/admin/findings"),
        figure("Events", events("dead"), "given up", "/admin/inbox?status=dead"),
        figure("Events", events("unmatched"), "of nobody", "/admin/inbox?status=unmatched"),
        figure(
            "Events",
            events("mode_mismatch"),
            "of the other mode",
            "/admin/inbox?status=mode_mismatch",
        ),
        figure("Jobs", dead, "given up", "/admin/jobs"),
        figure("Wallets", wallets, "parked", "/admin#parked"),
    ];
    let under_way = [
        figure("Events", events("pending"), "waiting", "/admin/inbox?status=pending"),
        figure("Jobs", waiting, "waiting", "/admin/jobs?state=waiting"),
    ];
    let catalog = catalog::current(db).await?;
    let everybody = operators::list(db).await?;
    let actions = view! { <a class="btn primary" href="/admin/orgs">"Find an organisation"</a> };
    let about = "What needs a person, everywhere in this installation";
    Ok(view! {
        {layout::heading("Operator view", about, actions.into_any())}
        {figures("needs", "Needs a person", &for_people)}
        {figures("under-way", "Under way", &under_way)}
        {parked_wallets(&parked)}
        {on_sale(&catalog)}
        {all_operators(&everybody)}
    }
    .into_any())
}

fn figures(id: &'static str, title: &'static str, figures: &[Figure]) -> AnyView {
    let items: Vec<AnyView> = figures
        .iter()
        .map(|one| {
            let count = group_thousands(one.count.unsigned_abs());
            let label = format!("{} {}: {count}", one.name, one.meaning);
            view! {
                <div>
                    <dt>{one.name}</dt>
                    <dd>
                        <a href=one.href aria-label=label>{count}</a>
                        " "
                        <small>{one.meaning}</small>
                    </dd>
                </div>
            }
            .into_any()
        })
        .collect();
    view! {
        <section class="card stack" aria-labelledby=id>
            <h2 id=id>{title}</h2>
            <dl class="stats">{items}</dl>
        </section>
    }
    .into_any()
}

/// The wallets that nothing is debited from, with what is wrong with their books.
fn parked_wallets(parked: &[(String, String)]) -> Option<AnyView> {
    if parked.is_empty() {
        return None;
    }
    let rows: Vec<AnyView> = parked
        .iter()
        .map(|(org_id, reason)| {
            let href = format!("/admin/orgs/{org_id}");
            view! {
                <tr>
                    <th scope="row"><a href=href><code>{org_id.clone()}</code></a></th>
                    <td>{reason.clone()}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    let columns = [Text("Organisation"), Text("What disagrees")];
    let table = layout::table("Parked wallets", &columns, rows);
    Some(
        view! {
            <section class="card stack tight" id="parked" aria-labelledby="parked-title">
                <h2 id="parked-title">"Parked wallets"</h2>
                <p class="mute fine">
                    "Their books disagree: they can be read, not spent from. "
                    <code>"ledger repair --org ID --reason TEXT"</code>
                    " rebuilds them."
                </p>
                {table}
            </section>
        }
        .into_any(),
    )
}

fn on_sale(catalog: &Catalog) -> AnyView {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let sold = format!(
        "{}, {} and {} are on sale.",
        format::count(count(catalog.tiers.len()), "plan", "plans"),
        format::count(count(catalog.addons.len()), "add-on", "add-ons"),
        format::count(count(catalog.packs.len()), "pack", "packs"),
    );
    let (class, word) = match (catalog.problems.is_empty(), catalog.tiers.is_empty()) {
        (false, _) => ("badge bad", "Something is not sold"),
        (true, true) => ("badge warn", "Nothing is on sale"),
        (true, false) => ("badge ok", "All is well"),
    };
    let rows: Vec<AnyView> = catalog
        .problems
        .iter()
        .map(|problem| {
            view! {
                <tr>
                    <th scope="row"><code>{problem.object_id.clone()}</code></th>
                    <td>{problem.name.clone()}</td>
                    <td>{problem.message.clone()}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    let problems = (!rows.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0" role="region" aria-label="What is wrong in Stripe">
                <table class="table">
                    <caption>"Hidden from customers until it is mended in Stripe"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Product or price"</th>
                            <th scope="col">"Field"</th>
                            <th scope="col">"What is wrong, and what would be right"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
    });
    view! {
        <section class="card stack tight" id="catalog" aria-labelledby="catalog-title">
            <div class="row spread">
                <h2 id="catalog-title">"Catalog"</h2>
                <span class=class>{word}</span>
            </div>
            <p>{sold}</p>
            {problems}
        </section>
    }
    .into_any()
}

fn all_operators(everybody: &[Operator]) -> AnyView {
    let rows: Vec<AnyView> = everybody
        .iter()
        .map(|one| {
            view! {
                <tr>
                    <th scope="row">{one.email.clone()}</th>
                    <td>{one.reason.clone()}</td>
                    <td class="num mute">{format::day(one.created_at)}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    let table = layout::table("Operators", &[Text("Address"), Text("Why"), Number("Since")], rows);
    view! {
        <section class="card stack tight" aria-labelledby="operators">
            <h2 id="operators">"Operators"</h2>
            <p class="mute fine">
                "Made and unmade at the command line only: "
                <code>"operators add --email E --reason R"</code>
            </p>
            {table}
        </section>
    }
    .into_any()
}
