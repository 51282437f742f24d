//! The icons, drawn in lines, always beside a word.

use leptos::prelude::*;

/// A cross in a circle: refused.
pub const STOP: &str = "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4";
/// A triangle: soon.
pub const WARN: &str = "M8 2.5 14.2 13.5H1.8zM8 6.8v3M8 11.6v.1";
/// A tick: done.
pub const TICK: &str = "m3 8.5 3.2 3.2L13 5";
/// A letter i: to know.
pub const INFO: &str = "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.2v3.6M8 5v.1";
/// Two arrows: choose.
pub const CHOOSE: &str = "m5 6 3-3 3 3M5 10l3 3 3-3";
/// A house.
pub const HOME: &str = "M2.5 7 8 2.5 13.5 7v6.5h-11zM6.5 13.5v-4h3v4";
/// Bars.
pub const BARS: &str = "M2.5 13.5h11M4 11V8M8 11V3.5M12 11V6";
/// A pile of coins.
pub const COINS: &str = "M8 2.5c3 0 5.5 1 5.5 2.3S11 7 8 7 2.5 6.1 2.5 4.8 5 2.5 8 2.5zM2.5 4.8v6.4\
     c0 1.3 2.5 2.3 5.5 2.3s5.5-1 5.5-2.3V4.8M2.5 8c0 1.3 2.5 2.2 5.5 2.2s5.5-.9 5.5-2.2";
/// A card.
pub const CARD: &str =
    "M2 4.5A1 1 0 0 1 3 3.5h10a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1zM2 6.5h12M4.5 10H7";
/// A key.
pub const KEY: &str = "M9.2 6.8a3 3 0 1 0-2 2L8.5 10H10v1.5h1.5V13h2v-2z";
/// A triangle on its side.
pub const PLAY: &str = "M5 3.2v9.6L12.5 8z";
/// Sliders.
pub const SLIDERS: &str = "M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M7.5 11.5h6M10.2 6.2a1.7 1.7 0 1 0 \
     0-3.4 1.7 1.7 0 0 0 0 3.4zM5.8 13.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4z";
/// A price tag.
pub const TAG: &str = "M2.5 8V2.5H8l5.5 5.5L8 13.5zM5.3 5.3v.1";
/// A hammer's place: the workshop of development.
pub const BENCH: &str = "M2.5 6h11M4 6v7.5M12 6v7.5M6 3.5h4V6H6z";

/// A shield: who looks after the installation.
pub const SHIELD: &str = "M8 2 13 4v4c0 3-2 5-5 6-3-1-5-3-5-6V4z";
/// People.
pub const PEOPLE: &str = "M6 7.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13.2c.3-2.4 2-3.7 \
     4.2-3.7s3.9 1.3 4.2 3.7M10.5 3.1a2.3 2.3 0 0 1 0 4.3M12 9.8c1.3.5 2 1.7 2.2 3.4";
/// A tray: what came in.
pub const TRAY: &str = "M2.5 9.5h3l1 2h3l1-2h3M2.5 9.5 4.5 3h7l2 6.5v4h-11z";
/// A wheel that turns.
pub const TURN: &str = "M13 8a5 5 0 1 1-1.5-3.5M13 2.5v3h-3";
/// An arrow to the left: out of here.
pub const LEAVE: &str = "M13 8H3.5M7 4 3 8l4 4";

/// The icon of these lines.
pub fn icon(lines: &'static str) -> AnyView {
    view! {
        <svg
            width="16"
            height="16"
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
        >
            <path d=lines></path>
        </svg>
    }
    .into_any()
}

/// The product's sign and name, leading home.
pub fn brand(href: &'static str) -> AnyView {
    let name = crate::web::product_name();
    view! {
        <a class="brand" href=href>
            <svg
                width="20"
                height="20"
                viewBox="0 0 20 20"
                fill="none"
                stroke="currentColor"
                stroke-width="2.5"
                stroke-linecap="round"
                aria-hidden="true"
            >
                <path d="M5 17V9"></path>
                <path d="M5 9 17 4"></path>
                <path d="M2 17h16" stroke-width="1.5"></path>
            </svg>
            {name}
        </a>
    }
    .into_any()
}
