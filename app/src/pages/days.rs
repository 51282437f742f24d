//! Use by day, as a chart and as the same figures in a table: on the overview and under usage.

use leptos::prelude::*;

use crate::chart::DayChart;
use crate::format;
use crate::layout;

/// The chart, and the same figures as a table.
pub fn daily_card(title: &'static str, chart: &DayChart) -> AnyView {
    if chart.series.is_empty() {
        let action = view! { <a class="btn" href="/playground">"Open the playground"</a> };
        let about = "Use shows here by day as soon as something was charged.";
        return layout::empty("Nothing used yet", about, action.into_any());
    }
    let keys: Vec<_> = chart
        .series
        .iter()
        .zip(["c1", "c2", "c3"])
        .map(|(series, class)| {
            let (label, total) = (series.label.clone(), format::credits(series.total));
            view! {
                <li>
                    <svg width="10" height="10" aria-hidden="true">
                        <rect width="10" height="10" rx="2" class=class></rect>
                    </svg>
                    {label}
                    " "
                    <b>{total}</b>
                </li>
            }
        })
        .collect();
    view! {
        <section class="card stack" aria-labelledby="daily">
            <div class="row spread">
                <h2 id="daily">{title} " " <small class="mute">"credits"</small></h2>
                <ul class="legend">{keys}</ul>
            </div>
            <div inner_html=chart.svg()></div>
            <details>
                <summary class="mute fine">"Daily figures as a table"</summary>
                <div class="scroll" tabindex="0" role="region" aria-label="Daily figures">
                    {table(chart)}
                </div>
            </details>
        </section>
    }
    .into_any()
}

fn table(chart: &DayChart) -> AnyView {
    let head: Vec<_> = chart
        .series
        .iter()
        .map(|series| view! { <th scope="col" class="num">{series.label.clone()}</th> })
        .collect();
    let rows: Vec<_> = chart
        .days
        .iter()
        .map(|day| {
            let parts: Vec<_> = day
                .parts
                .iter()
                .map(|part| view! { <td class="num">{format::credits(*part)}</td> })
                .collect();
            view! {
                <tr>
                    <th scope="row" class="nowrap">{format::week_day(day.start)}</th>
                    {parts}
                    <td class="num strong">{format::credits(day.total)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">"Day (UTC)"</th>
                    {head}
                    <th scope="col" class="num">"Credits"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
