//! `/keys`: API keys, made, shown once, revoked.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::api_keys::{self, ApiKey};
use server::auth::{Permission, Who};
use server::engine::Engine;

use crate::acts::keys::{CreateKey, NEW_KEY, RevokeKey};
use crate::error::AppError;
use crate::forms::{self, FormState, Input};
use crate::islands::{CopyButton, Enhance};
use crate::layout::Column::{Number, Text, Wide};
use crate::layout::{self, Place, icons};
use crate::{format, web};

/// `/keys`
pub fn keys() -> AnyView {
    layout::members(Place::Keys, Permission::ManageKeys, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let keys = api_keys::list(&engine.db, &who.org_id).await?;
    let create = forms::state::<CreateKey>().await?;
    let revoke = forms::state::<RevokeKey>().await?;
    let fresh = shown_once()?;
    let base_url = engine.config.base_url.clone();
    let asked = web::query_text("revoke");
    let doomed = asked.and_then(|id| keys.iter().find(|key| key.id == id).cloned());
    let about = "How your programs say who they are";
    Ok(view! {
        {layout::heading("API keys", about, ().into_any())}
        {forms::form_error(&revoke)}
        {fresh.map(|secret| new_secret(secret, &base_url))}
        {doomed.filter(|key| key.revoked_at.is_none()).map(confirm)}
        {create_form(&create)}
        {list(&keys)}
    }
    .into_any())
}

/// The secret that the last post made. It is taken away as it is shown.
fn shown_once() -> Result<Option<String>, AppError> {
    let well_formed = |secret: &String| {
        secret.len() <= 100 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let Some(secret) = web::cookie(NEW_KEY).filter(well_formed) else { return Ok(None) };
    web::set_cookie(&format!("{NEW_KEY}=; Path=/keys; Max-Age=0; HttpOnly; SameSite=Lax"))?;
    Ok(Some(secret))
}

fn new_secret(secret: String, base_url: &str) -> AnyView {
    let example = format!(
        "curl {base_url}/v1/consume \\\n  -H \"Authorization: Bearer $KEY\" \\\n  \
         -H \"Idempotency-Key: my-first-request\" \\\n  \
         -H \"Content-Type: application/json\" \\\n  \
         -d '{{\"meter\":\"text\",\"quantity\":1}}'"
    );
    view! {
        <section class="notice ok" aria-label="Your new key" id="new-key">
            {icons::icon(icons::TICK)}
            <div class="stack tight">
                <p>
                    <b>"Copy the key now."</b>
                    " It is shown this once; only a hash of it is kept."
                </p>
                <CopyButton>
                    <code class="secret">{secret}</code>
                </CopyButton>
                <details>
                    <summary>"Try it"</summary>
                    <pre class="code">{example}</pre>
                </details>
            </div>
        </section>
    }
    .into_any()
}

/// Asks before a key is revoked: a page of its own address, so that it works without JavaScript.
fn confirm(key: ApiKey) -> AnyView {
    let question = format!("Revoke “{}”?", key.name);
    view! {
        <section class="dialog static" role="alertdialog" aria-labelledby="confirm">
            <form class="stack" method="post" action=RevokeKey::url()>
                <h2 id="confirm">{question}</h2>
                <p>
                    "Programs that use "
                    <code>{key.hint}</code>
                    " are refused from the next request on. This cannot be undone."
                </p>
                <input type="hidden" name="key_id" value=key.id/>
                <div class="row end">
                    <a class="btn" href="/keys">"Keep it"</a>
                    <button type="submit" class="btn danger">"Revoke key"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

fn create_form(state: &FormState) -> AnyView {
    let name = Input {
        name: "name",
        label: "Name",
        hint: "Where it is used, such as “production backend”.",
        ..Input::default()
    };
    let read_only = state.value("scope") == Some("read");
    let error = forms::field_error(state, "scope");
    let (form_error, name) = (forms::form_error(state), forms::field(state, name));
    view! {
        <section class="card stack" aria-labelledby="create">
            <h2 id="create">"Create a key"</h2>
            <Enhance>
                <form class="stack" method="post" action=CreateKey::url() novalidate>
                    {form_error}
                    {name}
                    <fieldset class="stack tight">
                        <legend class="fine">"It may"</legend>
                        <label class="check">
                            <input type="radio" name="scope" value="use" checked=!read_only/>
                            "spend credits, and read balance, usage and ledger"
                        </label>
                        <label class="check">
                            <input type="radio" name="scope" value="read" checked=read_only/>
                            "read only"
                        </label>
                        {error}
                    </fieldset>
                    <div class="row end">
                        <button type="submit" class="btn primary">"Create key"</button>
                    </div>
                </form>
            </Enhance>
        </section>
    }
    .into_any()
}

fn list(keys: &[ApiKey]) -> AnyView {
    if keys.is_empty() {
        let about = "Create one to call the API from your own programs.";
        return layout::empty("No key yet", about, ().into_any());
    }
    let rows: Vec<AnyView> = keys.iter().map(row).collect();
    let table = layout::table(
        "Keys",
        &[
            Text("Name"),
            Text("Key"),
            Wide("May"),
            Wide("Created"),
            Text("Last used"),
            Number("Status"),
        ],
        rows,
    );
    view! {
        <section class="card stack tight" aria-labelledby="keys">
            <h2 id="keys">"Keys"</h2>
            {table}
        </section>
    }
    .into_any()
}

fn row(key: &ApiKey) -> AnyView {
    let used = key.last_used_at.map_or("Never".to_owned(), format::stamp);
    let label = format!("Revoke {}", key.name);
    let href = format!("/keys?revoke={}", key.id);
    let status = match key.revoked_at {
        Some(_) => view! { <span class="badge">"Revoked"</span> }.into_any(),
        None => {
            view! { <a class="btn small danger" href=href aria-label=label>"Revoke"</a> }.into_any()
        }
    };
    view! {
        <tr>
            <th scope="row">{key.name.clone()}</th>
            <td class="nowrap"><code>{key.hint.clone()}</code></td>
            <td class="wide">{key.scopes.replace(',', ", ")}</td>
            <td class="wide nowrap">{format::day(key.created_at)}</td>
            <td>{used}</td>
            <td class="num">{status}</td>
        </tr>
    }
    .into_any()
}
