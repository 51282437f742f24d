//! The parts of a form: a field with its label, hint and error, the form's own error, the button.

use leptos::prelude::*;

use super::FormState;

/// A line to type into.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its name in the post, and its id on the page.
    pub name: &'static str,
    /// What it asks for.
    pub label: &'static str,
    /// text, email, password or number.
    pub kind: &'static str,
    /// The browser's hint for filling it in.
    pub autocomplete: &'static str,
    /// What would be right.
    pub hint: &'static str,
    /// What stands after it: "credits".
    pub unit: &'static str,
}

impl Default for Input {
    fn default() -> Self {
        let (name, label, hint, unit) = ("", "", "", "");
        Self { name, label, kind: "text", autocomplete: "off", hint, unit }
    }
}

/// The field, with what was typed (never a password) and what is wrong with it.
pub fn field(state: &FormState, input: Input) -> AnyView {
    let Input { name, label, kind, autocomplete, hint, unit } = input;
    let invalid = state.error(name).is_some();
    let value = (kind != "password").then(|| state.value(name).unwrap_or_default().to_owned());
    let error_id = format!("{name}-error");
    let hint_id = format!("{name}-hint");
    let described = match hint {
        "" => error_id.clone(),
        _ => format!("{error_id} {hint_id}"),
    };
    let line = view! {
        <input
            class="input"
            id=name
            name=name
            type=kind
            value=value
            autocomplete=autocomplete
            inputmode=(!unit.is_empty()).then_some("decimal")
            aria-invalid=invalid.then_some("true")
            aria-describedby=described
        />
    };
    let line = match unit {
        "" => line.into_any(),
        _ => view! { <div class="unit">{line}<span>{unit}</span></div> }.into_any(),
    };
    view! {
        <div class="field">
            <label for=name>{label}</label>
            {line}
            {field_error(state, name)}
            {(!hint.is_empty()).then(|| view! { <p class="mute fine" id=hint_id>{hint}</p> })}
        </div>
    }
    .into_any()
}

/// Where the form says what is wrong with a field. Without a fault it holds nothing at all, so that
/// it takes no room.
pub fn field_error(state: &FormState, name: &'static str) -> AnyView {
    let error = state.error(name).map(str::to_owned);
    let id = format!("{name}-error");
    view! { <p class="error" id=id data-error-for=name>{error}</p> }.into_any()
}

/// Where the form says what is wrong with it as a whole.
pub fn form_error(state: &FormState) -> AnyView {
    let message = Some(state.message.clone()).filter(|message| !message.is_empty());
    view! { <p class="error" role="alert" data-error-for="">{message}</p> }.into_any()
}

/// The form's one main button.
pub fn submit(label: impl Into<String>) -> AnyView {
    let label = label.into();
    view! { <button type="submit" class="btn primary full">{label}</button> }.into_any()
}
