//! The islands: the only code of the pages that runs in the browser.
//!
//! Everything works without them. Never calls a server function through its client, which would
//! cost more bytes than all of this; a form is posted with plain `fetch`.

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Element, FormData, HtmlElement, HtmlFormElement, Response, SubmitEvent};

/// Makes the form inside it pleasant: no page load on a mistake, what was typed stays, errors
/// appear under their fields, and a second press while the first is on its way does nothing.
#[island]
pub fn Enhance(children: Children) -> impl IntoView {
    view! { <div class="enhance" on:submit=submit>{children()}</div> }
}

/// A button that copies the text of the `code` element inside it.
#[island]
pub fn CopyButton(children: Children) -> impl IntoView {
    view! {
        <div class="copy">
            {children()}
            <button type="button" class="btn small" on:click=copy>"Copy"</button>
        </div>
    }
}

/// How long a button stays asleep after the page was told to leave, should it not leave.
const LEAVING: std::time::Duration = std::time::Duration::from_secs(4);

fn submit(event: SubmitEvent) {
    let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok())
    else {
        return;
    };
    event.prevent_default();
    if form.has_attribute("aria-busy") {
        return;
    }
    let Ok(data) = FormData::new_with_form(&form) else { return };
    if let Some(button) = event.submitter()
        && let (Some(name), Some(value)) =
            (button.get_attribute("name"), button.get_attribute("value"))
    {
        // A browser that cannot take one more pair posts without it.
        let _ = data.append_with_str(&name, &value);
    }
    rest(&form, true);
    wasm_bindgen_futures::spawn_local(async move {
        match post(&form, &data).await {
            Ok(response) => answered(&form, response).await,
            Err(_) => {
                let message = "No answer came. Look whether it arrived before you send it again.";
                tell(&form, "", message);
                rest(&form, false);
            }
        }
    });
}

async fn post(form: &HtmlFormElement, data: &FormData) -> Result<Response, JsValue> {
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let body = web_sys::UrlSearchParams::new_with_str_sequence_sequence(data)?;
    let headers = web_sys::Headers::new()?;
    headers.set("accept", "application/json")?;
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&body);
    init.set_headers(&headers);
    let action = form.get_attribute("action").unwrap_or_default();
    let response = window.fetch_with_str_and_init(&action, &init);
    wasm_bindgen_futures::JsFuture::from(response).await?.dyn_into()
}

async fn answered(form: &HtmlFormElement, response: Response) {
    if response.ok() {
        let target = response.headers().get("location").ok().flatten();
        leave(target.as_deref());
        let form = form.clone();
        set_timeout(move || rest(&form, false), LEAVING);
        return;
    }
    rest(form, false);
    clear(form);
    let error = match response.json() {
        Ok(body) => wasm_bindgen_futures::JsFuture::from(body).await.ok(),
        Err(_) => None,
    };
    let Some(error) = error.filter(JsValue::is_object) else {
        let message = "The server could not answer. Try again in a moment.";
        tell(form, "", message);
        return;
    };
    if text(&error, "kind").as_deref() == Some("unauthorized") {
        leave(Some(&sign_in_first()));
        return;
    }
    tell(form, "", &text(&error, "message").unwrap_or_default());
    if let Some(fields) = property(&error, "fields")
        && let Ok(names) = js_sys::Reflect::own_keys(&fields)
    {
        for name in names.iter().filter_map(|name| name.as_string()) {
            tell(form, &name, &text(&fields, &name).unwrap_or_default());
        }
    }
    if let Some(bad) = find(form, "[aria-invalid=true]") {
        // A field that cannot be focused is still marked.
        let _ = bad.focus();
    }
}

fn leave(target: Option<&str>) {
    let Some(window) = web_sys::window() else { return };
    let location = window.location();
    // Neither can fail on a page that is shown.
    let _ = match target {
        Some(target) => location.set_href(target),
        None => location.reload(),
    };
}

fn sign_in_first() -> String {
    let location = web_sys::window().map(|window| window.location());
    let path = location.as_ref().and_then(|l| l.pathname().ok()).unwrap_or_default();
    let query = location.as_ref().and_then(|l| l.search().ok()).unwrap_or_default();
    let here = js_sys::encode_uri_component(&format!("{path}{query}"));
    format!("/sign-in?next={}", String::from(here))
}

/// Writes a message where the form keeps it, and marks its field.
fn tell(form: &HtmlFormElement, field: &str, message: &str) {
    if let Some(place) = find(form, &format!("[data-error-for=\"{field}\"]")) {
        place.set_text_content(Some(message));
    }
    if !field.is_empty()
        && let Some(input) = find(form, &format!("[name=\"{field}\"]"))
    {
        // Marking cannot fail: the name of the attribute is valid.
        let _ = input.set_attribute("aria-invalid", "true");
    }
}

fn clear(form: &HtmlFormElement) {
    each(form, "[data-error-for]", |place| place.set_text_content(Some("")));
    each(form, "[aria-invalid]", |input| {
        // Removing what is there cannot fail.
        let _ = input.remove_attribute("aria-invalid");
    });
}

/// Puts the form to rest while its post is on the way, or wakes it.
fn rest(form: &HtmlFormElement, resting: bool) {
    // Both names are valid attributes.
    let _ = match resting {
        true => form.set_attribute("aria-busy", "true"),
        false => form.remove_attribute("aria-busy"),
    };
    each(form, "button:not([type=button])", |button| {
        let _ = match resting {
            true => button.set_attribute("disabled", ""),
            false => button.remove_attribute("disabled"),
        };
    });
}

fn copy(event: web_sys::MouseEvent) {
    let Some(button) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else {
        return;
    };
    let code = button.parent_element().and_then(|place| place.query_selector("code").ok());
    let Some(secret) = code.flatten().and_then(|code| code.text_content()) else { return };
    let Some(window) = web_sys::window() else { return };
    let navigator = window.navigator();
    if property(&navigator, "clipboard").is_none() {
        button.set_text_content(Some("Select it and copy"));
        return;
    }
    let written = navigator.clipboard().write_text(&secret);
    wasm_bindgen_futures::spawn_local(async move {
        let done = wasm_bindgen_futures::JsFuture::from(written).await.is_ok();
        button.set_text_content(Some(if done { "Copied" } else { "Select it and copy" }));
    });
}

fn find(form: &HtmlFormElement, selector: &str) -> Option<HtmlElement> {
    form.query_selector(selector).ok().flatten()?.dyn_into().ok()
}

fn each(form: &HtmlFormElement, selector: &str, act: impl Fn(&Element)) {
    let Ok(found) = form.query_selector_all(selector) else { return };
    for index in 0..found.length() {
        if let Some(element) = found.get(index).and_then(|node| node.dyn_into::<Element>().ok()) {
            act(&element);
        }
    }
}

fn property(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = js_sys::Reflect::get(object, &JsValue::from_str(name)).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

fn text(object: &JsValue, name: &str) -> Option<String> {
    property(object, name)?.as_string()
}
