//! What forms do: server functions, each a public address. The first act of each is to name who may
//! call it; then it calls one function of the engine and says where to go.

pub mod account;
pub mod admin;
pub mod billing;
pub mod desk;
pub mod keys;
pub mod notices;
pub mod plan;
pub mod playground;
pub mod recharge;

/// The page on which the form of a server function stands, for browsers that do not say.
pub fn page_of(path: &str) -> &'static str {
    match path {
        "/api/public/sign_up" => "/sign-up",
        "/api/public/sign_in" => "/sign-in",
        "/api/create_key" | "/api/revoke_key" => "/keys",
        "/api/play" => "/playground",
        "/api/dismiss_notice" => "/dashboard",
        "/api/subscribe" | "/api/buy_pack" | "/api/open_portal" => "/billing",
        "/api/confirm_change" | "/api/undo_change" | "/api/keep_plan" | "/api/resume_plan" => {
            "/billing"
        }
        "/api/set_seats" | "/api/set_addon" => "/billing",
        "/api/save_cap" | "/api/remove_cap" => "/billing",
        "/api/save_recharge" | "/api/stop_recharge" => "/billing",
        "/api/admin/dismiss_finding" => "/admin/findings",
        "/api/admin/replay_event" | "/api/admin/replay_failed" => "/admin/inbox",
        "/api/admin/retry_job" => "/admin/jobs",
        path if path.starts_with("/api/admin/") => "/admin",
        _ => "/",
    }
}

/// The part of its page on which a form stands, as an address ends: where what is wrong is read.
pub fn part_of(path: &str) -> &'static str {
    match path {
        "/api/admin/grant_credits" => "#grant",
        "/api/admin/make_contract" => "#contracts",
        "/api/admin/end_contract" => "#end",
        "/api/admin/look_anew" => "#look",
        "/api/admin/dismiss_finding" => "#dismiss",
        _ => "",
    }
}
