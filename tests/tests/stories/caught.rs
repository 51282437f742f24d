//! The statements that a story runs, caught as the database driver tells of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// What the story runs in, so that its statements are told from those of its neighbours.
const SPAN: &str = "plans";

static CAUGHT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Catches the statements that run within the span.
pub struct Catcher;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Catcher {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query" || metadata.name() == SPAN
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event);
        if !scope.is_some_and(|mut scope| scope.any(|span| span.name() == SPAN)) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let text = if text.whole.is_empty() { text.summary } else { text.whole };
        CAUGHT.lock().unwrap_or_else(PoisonError::into_inner).insert(text.trim().to_owned());
    }
}

/// A statement's text, which is only its summary where it is short.
#[derive(Default)]
struct Text {
    summary: String,
    whole: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => (),
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// What was caught so far, once.
pub fn take() -> BTreeSet<String> {
    std::mem::take(&mut *CAUGHT.lock().unwrap_or_else(PoisonError::into_inner))
}
