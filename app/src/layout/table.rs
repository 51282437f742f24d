//! Tables: columns by name and kind, in a region that scrolls where the window is narrow.

use leptos::prelude::*;

/// A column, by its name and by what stands in it.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Words.
    Text(&'static str),
    /// Words, where there is room for them.
    Wide(&'static str),
    /// Figures and what else stands on the right.
    Number(&'static str),
    /// Figures, where there is room for them.
    WideNumber(&'static str),
    /// Buttons; the name is only read aloud.
    Act(&'static str),
}

/// The rows below their columns. The label is the region's, for those who hear it.
pub fn table(label: &'static str, columns: &[Column], rows: Vec<AnyView>) -> AnyView {
    let heads: Vec<AnyView> = columns.iter().copied().map(head).collect();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=label>
            <table class="table">
                <thead>
                    <tr>{heads}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn head(column: Column) -> AnyView {
    let plain = |class: Option<&'static str>, name: &'static str| {
        view! { <th scope="col" class=class>{name}</th> }.into_any()
    };
    match column {
        Column::Text(name) => plain(None, name),
        Column::Wide(name) => plain(Some("wide"), name),
        Column::Number(name) => plain(Some("num"), name),
        Column::WideNumber(name) => plain(Some("num wide"), name),
        Column::Act(name) => {
            view! { <th scope="col" class="num"><span class="sr">{name}</span></th> }.into_any()
        }
    }
}
