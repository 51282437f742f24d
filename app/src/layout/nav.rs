//! Ways around: the side of the members' frame, the top and the foot of the front.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::engine::Engine;

use super::icons::{self, brand, icon};
use crate::acts::account::SignOut;
use crate::web;

/// The places in the members' frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/dashboard`
    Overview,
    /// `/usage`
    Usage,
    /// `/credits`
    Credits,
    /// `/billing`
    Billing,
    /// `/keys`
    Keys,
    /// `/playground`
    Playground,
    /// `/settings`
    Settings,
    /// `/checkout/return`
    Checkout,
}

impl Place {
    /// Those in the side, in order; the most used four first.
    const SIDE: [Self; 7] = [
        Self::Overview,
        Self::Usage,
        Self::Credits,
        Self::Billing,
        Self::Keys,
        Self::Playground,
        Self::Settings,
    ];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Usage => "Usage",
            Self::Credits => "Credits",
            Self::Billing => "Billing",
            Self::Keys => "API keys",
            Self::Playground => "Playground",
            Self::Settings => "Settings",
            Self::Checkout => "Checkout",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/dashboard",
            Self::Usage => "/usage",
            Self::Credits => "/credits",
            Self::Billing | Self::Checkout => "/billing",
            Self::Keys => "/keys",
            Self::Playground => "/playground",
            Self::Settings => "/settings",
        }
    }

    fn lines(self) -> &'static str {
        match self {
            Self::Overview => icons::HOME,
            Self::Usage => icons::BARS,
            Self::Credits => icons::COINS,
            Self::Billing | Self::Checkout => icons::CARD,
            Self::Keys => icons::KEY,
            Self::Playground => icons::PLAY,
            Self::Settings => icons::SLIDERS,
        }
    }
}

/// The side: the product, the org, the places.
pub fn side(engine: &Engine, place: Place, who: &Who, is_operator: bool) -> AnyView {
    let links: Vec<AnyView> = Place::SIDE.into_iter().map(|link| side_link(link, place)).collect();
    let development = engine.config.is_development().then(|| {
        view! { <a href="/dev">{icon(icons::BENCH)} "Development"</a> }
    });
    let operator = is_operator.then(|| {
        view! { <a href="/admin">{icon(icons::SHIELD)} "Operator view"</a> }
    });
    let signed_in = format!("Signed in as {}, {}", who.name, who.role);
    view! {
        <header class="side">
            {brand("/dashboard")}
            {org_menu(who)}
            <nav aria-label="Organisation">
                {links}
                <hr/>
                <a href="/pricing">{icon(icons::TAG)} "Plans and prices"</a>
                {development}
                {operator}
                <p class="foot">{signed_in}</p>
            </nav>
        </header>
    }
    .into_any()
}

fn side_link(link: Place, place: Place) -> AnyView {
    let current = (link == place).then_some("page");
    view! { <a href=link.path() aria-current=current>{icon(link.lines())} {link.title()}</a> }
        .into_any()
}

fn org_menu(who: &Who) -> AnyView {
    menu(who, who.org_name.clone(), Some(format!("Organisation: {}", who.org_name)), true)
}

/// Where one is, and the ways out of it: to the org, to oneself, and out of the product.
pub(super) fn menu(who: &Who, here: String, label: Option<String>, in_org: bool) -> AnyView {
    let (org, email) = (who.org_name.clone(), who.email.clone());
    let current = in_org.then_some("true");
    view! {
        <details class="menu">
            <summary class="btn small" aria-label=label>
                <span>{here}</span>
                {icon(icons::CHOOSE)}
            </summary>
            <div class="menu-list">
                <a href="/dashboard" aria-current=current>{org}</a>
                <a href="/settings">{email}</a>
                <hr/>
                <form method="post" action=SignOut::url()>
                    <button type="submit">"Sign out"</button>
                </form>
            </div>
        </details>
    }
    .into_any()
}

/// The top of the front.
pub fn top(path: &'static str, signed_in: bool) -> AnyView {
    let pricing = (path == "/pricing").then_some("page");
    let ways = match signed_in {
        true => view! { <a class="btn primary" href="/dashboard">"Overview"</a> }.into_any(),
        false => view! {
            <a href="/sign-in">"Sign in"</a>
            <a class="btn primary" href="/sign-up">"Start free"</a>
        }
        .into_any(),
    };
    view! {
        <header class="top">
            <div class="wrap row spread">
                {brand("/")}
                <nav aria-label="Main">
                    <a href="/pricing" aria-current=pricing>"Pricing"</a>
                    {ways}
                </nav>
            </div>
        </header>
    }
    .into_any()
}

/// The foot of the front.
pub fn foot(signed_in: bool) -> AnyView {
    let name = web::product_name();
    let sign_in = (!signed_in).then(|| view! { <a href="/sign-in">"Sign in"</a> });
    view! {
        <footer class="top foot">
            <div class="wrap row spread mute fine">
                <span>{name} ". Prices before tax, times in UTC."</span>
                <span class="row">
                    <a href="/pricing">"Pricing"</a>
                    {sign_in}
                </span>
            </div>
        </footer>
    }
    .into_any()
}
