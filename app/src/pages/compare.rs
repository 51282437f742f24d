//! The plans side by side: what each allows, line by line. From the catalog alone.

use std::collections::BTreeSet;

use leptos::prelude::*;
use server::catalog::Tier;

use super::plans;
use crate::format;

/// The plans side by side.
pub fn table(tiers: &[Tier]) -> AnyView {
    let limits: BTreeSet<&String> =
        tiers.iter().flat_map(|tier| tier.terms.limits.keys()).collect();
    let features: BTreeSet<&String> =
        tiers.iter().flat_map(|tier| tier.terms.features.iter()).collect();
    let row = |name: String, cell: &dyn Fn(&Tier) -> String| {
        let cells: Vec<_> =
            tiers.iter().map(|tier| view! { <td role="cell">{cell(tier)}</td> }).collect();
        view! {
            <tr role="row">
                <th role="rowheader" scope="row">{name}</th>
                {cells}
            </tr>
        }
        .into_any()
    };
    let mut rows = vec![
        row("Credits each month".to_owned(), &|tier| {
            let credits = plans::credits_cell(tier.terms.included);
            if tier.terms.per_seat { format!("{credits} a seat") } else { credits }
        }),
        row("Past the allowance".to_owned(), &plans::overage),
    ];
    rows.extend(limits.into_iter().map(|limit| {
        row(spelled(limit), &|tier| {
            if tier.terms.per_seat && limit == "seats" {
                return "As many as you pay".to_owned();
            }
            tier.terms
                .limits
                .get(limit)
                .map_or("No limit".to_owned(), |n| format::count(*n, "", "").trim().to_owned())
        })
    }));
    rows.extend(features.into_iter().map(|feature| {
        row(spelled(feature), &|tier| {
            let included = tier.terms.features.contains(feature);
            if included { "Included" } else { "Not included" }.to_owned()
        })
    }));
    let names: Vec<_> = tiers
        .iter()
        .map(|tier| view! { <th role="columnheader" scope="col">{tier.name.clone()}</th> })
        .collect();
    view! {
        <section class="stack band">
            <h2 class="h">"Compare plans"</h2>
            <table class="table compare" role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <td role="cell"></td>
                        {names}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </section>
    }
    .into_any()
}

/// `requests_per_minute` → `Requests per minute`, `api` → `API`
fn spelled(name: &str) -> String {
    if name.len() <= 3 {
        return name.to_uppercase();
    }
    let spaced = name.replace(['_', '-', '.'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_limits_are_spelled_out() {
        assert_eq!(spelled("requests_per_minute"), "Requests per minute");
        assert_eq!(spelled("api"), "API");
        assert_eq!(spelled(""), "");
    }
}
