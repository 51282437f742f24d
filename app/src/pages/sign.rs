//! `/sign-up` and `/sign-in`.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::acts::account::{SignIn, SignUp};
use crate::error::AppError;
use crate::forms::{self, Input};
use crate::islands::Enhance;
use crate::session::{next_path, visitor};
use crate::{layout, web};

const NAME: Input = Input {
    name: "name",
    label: "Your name",
    kind: "text",
    autocomplete: "name",
    hint: "",
    unit: "",
};
const EMAIL: Input = Input {
    name: "email",
    label: "Email",
    kind: "email",
    autocomplete: "username",
    hint: "",
    unit: "",
};
const PASSWORD: Input = Input {
    name: "password",
    label: "Password",
    kind: "password",
    autocomplete: "current-password",
    hint: "",
    unit: "",
};

/// `/sign-up`
pub fn sign_up() -> AnyView {
    layout::narrow("Sign up", || async {
        if leave_if_known().await? {
            return Ok(().into_any());
        }
        let form = forms::state::<SignUp>().await?;
        let new_password =
            Input { autocomplete: "new-password", hint: "At least 10 characters.", ..PASSWORD };
        Ok(view! {
            <div>
                <h1>"Sign up"</h1>
                <p class="mute">"Free, without a card"</p>
            </div>
            <Enhance>
                <form class="stack" method="post" action=SignUp::url() novalidate>
                    {forms::form_error(&form)}
                    {forms::field(&form, NAME)}
                    {forms::field(&form, EMAIL)}
                    {forms::field(&form, new_password)}
                    {hidden_next()}
                    {forms::submit("Create account")}
                </form>
            </Enhance>
            <p class="mute fine">
                "Already have an account? " <a href=other("/sign-in")>"Sign in"</a> "."
            </p>
        }
        .into_any())
    })
}

/// `/sign-in`
pub fn sign_in() -> AnyView {
    layout::narrow("Sign in", || async {
        if leave_if_known().await? {
            return Ok(().into_any());
        }
        let form = forms::state::<SignIn>().await?;
        Ok(view! {
            <div>
                <h1>"Sign in"</h1>
                <p class="mute">"to see usage, credits and invoices"</p>
            </div>
            <Enhance>
                <form class="stack" method="post" action=SignIn::url() novalidate>
                    {forms::form_error(&form)}
                    {forms::field(&form, EMAIL)}
                    {forms::field(&form, PASSWORD)}
                    {hidden_next()}
                    {forms::submit("Sign in")}
                </form>
            </Enhance>
            <p class="mute fine">
                "No account? " <a href=other("/sign-up")>"Start free"</a> ", no card."
            </p>
        }
        .into_any())
    })
}

/// Who is signed in already has nothing to do here.
async fn leave_if_known() -> Result<bool, AppError> {
    let known = visitor().await?.is_some();
    if known {
        web::redirect(&next_path(web::query("next").as_deref()));
        web::set_status(http::StatusCode::SEE_OTHER);
    }
    Ok(known)
}

/// Where to go afterwards travels with the form.
fn hidden_next() -> Option<AnyView> {
    let next = web::query("next")?;
    Some(view! { <input type="hidden" name="next" value=next_path(Some(&next))/> }.into_any())
}

/// The other of the two pages, with the same way onwards.
fn other(path: &str) -> String {
    match web::query("next") {
        None => path.to_owned(),
        Some(next) => {
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            format!("{path}?next={next}")
        }
    }
}
