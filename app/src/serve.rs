//! One router for everything: pages, server functions, files, the API and Stripe's webhooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use http::{HeaderValue, Response, header};
use leptos::config::{LeptosOptions, get_configuration};
use leptos::prelude::*;
use leptos_axum::{
    LeptosRoutes as _, ResponseOptions, file_and_error_handler_with_context, generate_route_list,
};
use server::auth::sessions::SessionStore;
use server::engine::Engine;
use server::ids;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::shell::{App, shell};
use crate::{dev, forms, security};

/// How long a visitor stays signed in.
const SESSION: Duration = Duration::days(30);

/// How hard pages are compressed, 1 to 9: from here on it takes much longer and gains little.
const PAGE_QUALITY: i32 = 4;

/// What the pages need besides the engine.
#[derive(Clone)]
pub struct Site {
    /// Where the built files are, and what they are called.
    pub options: LeptosOptions,
    /// Names this start of the server.
    pub boot: Arc<str>,
}

impl Site {
    /// The site whose files were built beside this program, or where the build tool says.
    pub fn beside_the_program() -> Self {
        let found = get_configuration(None).map(|conf| conf.leptos_options);
        let mut options = found.unwrap_or_else(|error| {
            tracing::warn!("the build's settings could not be read: {error}");
            LeptosOptions::builder().output_name("app").site_root("target/site").build()
        });
        let program = std::env::current_exe().unwrap_or_default();
        let beside = program.parent().unwrap_or(Path::new("."));
        if let Some(root) = site_root(&options.site_root, beside) {
            options.site_root = root.to_string_lossy().into();
        } else {
            tracing::warn!("no built site was found: pages are served without style and script");
        }
        // The names of the files are asked for by hash where the build left a list of hashes.
        options.hash_files = beside.join(&*options.hash_file).is_file();
        Self { options, boot: ids::secret().into() }
    }
}

/// The folder with the built files: the one that was set, else one beside the program.
fn site_root(set: &str, beside: &Path) -> Option<PathBuf> {
    let release = beside.ends_with("release").then(|| beside.join("../site-release"));
    let known = [Some(PathBuf::from(set)), Some(beside.join("site")), release]
        .into_iter()
        .chain([Some(beside.join("../site"))]);
    known.flatten().find(|root| root.join("pkg").is_dir())
}

/// Everything that is served.
pub fn router(engine: Engine, site: Site) -> Router {
    let development = engine.config.is_development();
    let mut router = Router::new()
        .merge(pages(&engine, &site.options))
        .merge(server::http::router(engine.clone()))
        .nest_service("/pkg", files(&site.options));
    if development {
        router = router.merge(dev::routes(engine.clone(), site));
    }
    router
        .layer(from_fn_with_state(engine.clone(), security::same_site_only))
        .layer(from_fn_with_state(engine, security::headers))
        .layer(CatchPanicLayer::new())
}

/// The pages and their server functions.
fn pages(engine: &Engine, options: &LeptosOptions) -> Router {
    let context = {
        let engine = engine.clone();
        move || provide(&engine)
    };
    let document = {
        let options = options.clone();
        move || shell(options.clone())
    };
    let routes = generate_route_list(App);
    Router::new()
        .leptos_routes_with_context(options, routes, context.clone(), document)
        .fallback(file_and_error_handler_with_context::<LeptosOptions, _>(context, shell))
        .with_state(options.clone())
        .layer(from_fn_with_state(engine.clone(), security::closed_doors))
        .layer(from_fn(forms::middleware))
        .layer(sessions(engine))
        .layer(compression())
}

/// Pages leave compressed where the browser can read that. They are written whole before the first
/// byte leaves, so nothing waits for a stream to fill; a nonce is a header's and a page's alike and
/// new each time, so the length of an answer tells nothing that lasts. The built files have their
/// compressed forms beside them, and the API's answers are too short to gain by it.
fn compression() -> CompressionLayer {
    CompressionLayer::new().quality(CompressionLevel::Precise(PAGE_QUALITY))
}

/// What a page or a server function finds in its context, and the policy that goes with a page.
fn provide(engine: &Engine) {
    provide_context(engine.clone());
    let (nonce, response) = (leptos::nonce::use_nonce(), use_context::<ResponseOptions>());
    if let (Some(nonce), Some(response)) = (nonce, response) {
        let policy = security::page_policy(nonce.as_inner(), &engine.config);
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
            // A page shows what one visitor may see, with a nonce that is used once.
            let private = HeaderValue::from_static("no-store");
            response.insert_header(header::CACHE_CONTROL, private);
        }
    }
}

/// Sessions in the database. The cookie is named by the product, because two products on one
/// machine share a host name.
fn sessions(engine: &Engine) -> SessionManagerLayer<SessionStore> {
    let config = &engine.config;
    let secure = !config.is_development();
    let prefix = if secure { "__Host-" } else { "" };
    SessionManagerLayer::new(SessionStore::new(engine.db.clone(), engine.clock.clone()))
        .with_name(format!("{prefix}{}_session", config.product_tag))
        .with_http_only(true)
        .with_secure(secure)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(SESSION))
}

/// The built files. Those with a hash in their name never change.
fn files(options: &LeptosOptions) -> Router {
    let folder = Path::new(&*options.site_root).join(&*options.site_pkg_dir);
    let hashed = options.hash_files;
    let cache = move |response: &Response<_>| {
        let kept = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.status().is_success().then(|| HeaderValue::from_static(kept))
    };
    let serve = ServeDir::new(folder).precompressed_br().precompressed_gzip();
    let cached = SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, cache);
    Router::new().fallback_service(serve).layer(cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_found_beside_the_program() {
        let folder = std::env::temp_dir().join(format!("site-{}", std::process::id()));
        let built = folder.join("target/site/pkg");
        std::fs::create_dir_all(&built).expect("a folder");
        let beside = folder.join("target/debug");
        std::fs::create_dir_all(&beside).expect("a folder");
        let found = site_root("nowhere", &beside).expect("a site");
        assert!(found.join("pkg").is_dir());
        assert_eq!(site_root("nowhere", &folder), None);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
