//! The browser's half: wakes the islands of a page, and nothing else.

/// Called by the page's own script once the wasm has arrived.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    // Naming the crate keeps its islands in the binary.
    use app as _;
    leptos::mount::hydrate_islands();
}
