//! Who may call whom in the engine, as a table. A room calls those above it; what it needs of one
//! below is named with its reason.

/// A room of `server/src`.
pub struct Room {
    /// Its module.
    pub name: &'static str,
    /// The rooms it may call besides the foundations; all of them stand above it.
    pub calls: &'static [&'static str],
    /// The rooms it may name although they stand below, and why.
    pub up: &'static [(&'static str, &'static str)],
}

/// What every room may use. Among themselves they are one.
pub const FOUNDATIONS: [&str; 7] = ["clock", "config", "db", "error", "ids", "settings", "units"];

/// Why rooms with workflows name the engine.
const WORKFLOW: (&str, &str) =
    ("engine", "a workflow takes the engine, which stands last because it holds every room");

/// Why what the gate reads is written with the wallet locked.
const LOCK: (&str, &str) =
    ("credits", "whoever changes what the gate reads about an org locks its wallet first");

const fn room(name: &'static str, calls: &'static [&'static str]) -> Room {
    Room { name, calls, up: &[] }
}

/// The rooms above the foundations, in the groups of `server/src/lib.rs`.
pub const LAYERS: [&[Room]; 6] = [
    &[
        room("audit", &[]),
        room("findings", &["audit"]),
        room("jobs", &["audit"]),
        Room { name: "mail", calls: &["jobs"], up: &[WORKFLOW] },
    ],
    &[
        room("orgs", &[]),
        room("api_keys", &["audit"]),
        Room {
            name: "auth",
            calls: &["audit", "mail", "orgs"],
            up: &[
                WORKFLOW,
                ("entitlements", "a new org is entitled to the free tier from its first moment"),
            ],
        },
    ],
    &[
        room("stripe", &[]),
        room("rates", &[]),
        Room { name: "catalog", calls: &["stripe"], up: &[WORKFLOW] },
        room("blocks", &[]),
        Room { name: "entitlements", calls: &["blocks", "catalog"], up: &[LOCK] },
    ],
    &[
        Room { name: "autorecharge", calls: &["audit", "jobs"], up: &[LOCK] },
        room("usage", &[]),
        room("credits", &["audit", "usage"]),
        room("caps", &["audit", "credits"]),
        room("notices", &["mail", "orgs"]),
        Room {
            name: "gate",
            calls: &[
                "audit",
                "autorecharge",
                "caps",
                "credits",
                "entitlements",
                "notices",
                "rates",
                "usage",
            ],
            up: &[WORKFLOW],
        },
    ],
    &[
        Room {
            name: "contracts",
            calls: &["audit", "credits", "entitlements", "orgs"],
            up: &[WORKFLOW],
        },
        Room {
            name: "customers",
            calls: &[
                "audit",
                "autorecharge",
                "catalog",
                "credits",
                "findings",
                "mail",
                "notices",
                "orgs",
                "stripe",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "refunds",
            calls: &["audit", "autorecharge", "credits", "customers", "mail", "notices", "stripe"],
            up: &[WORKFLOW],
        },
        Room {
            name: "topups",
            calls: &[
                "audit",
                "autorecharge",
                "catalog",
                "credits",
                "customers",
                "findings",
                "mail",
                "orgs",
                "refunds",
                "stripe",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "subscriptions",
            calls: &[
                "audit",
                "blocks",
                "catalog",
                "credits",
                "customers",
                "entitlements",
                "findings",
                "mail",
                "notices",
                "orgs",
                "refunds",
                "stripe",
                "topups",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "recharges",
            calls: &[
                "audit",
                "autorecharge",
                "catalog",
                "credits",
                "customers",
                "findings",
                "gate",
                "jobs",
                "mail",
                "notices",
                "orgs",
                "stripe",
                "topups",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "closing",
            calls: &[
                "api_keys",
                "audit",
                "autorecharge",
                "credits",
                "customers",
                "orgs",
                "recharges",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "webhooks",
            calls: &[
                "audit",
                "catalog",
                "customers",
                "findings",
                "recharges",
                "refunds",
                "stripe",
                "subscriptions",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "overage",
            calls: &[
                "audit",
                "credits",
                "customers",
                "entitlements",
                "findings",
                "orgs",
                "rates",
                "stripe",
                "usage",
            ],
            up: &[WORKFLOW],
        },
        Room {
            name: "reconciliation",
            calls: &[
                "audit",
                "catalog",
                "customers",
                "findings",
                "recharges",
                "refunds",
                "stripe",
                "subscriptions",
                "webhooks",
            ],
            up: &[WORKFLOW],
        },
    ],
    &[
        room("engine", &["api_keys", "gate", "mail", "rates", "stripe"]),
        room("demo", &["audit", "auth", "engine", "gate"]),
        room(
            "http",
            &[
                "api_keys",
                "caps",
                "credits",
                "engine",
                "entitlements",
                "gate",
                "rates",
                "usage",
                "webhooks",
            ],
        ),
        room(
            "worker",
            &[
                "audit",
                "auth",
                "autorecharge",
                "contracts",
                "credits",
                "customers",
                "engine",
                "gate",
                "jobs",
                "mail",
                "overage",
                "recharges",
                "reconciliation",
                "subscriptions",
                "webhooks",
            ],
        ),
    ],
];
