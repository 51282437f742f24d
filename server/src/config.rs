//! The configuration: every environment variable, read once, checked all together.
//!
//! The only file that reads the environment. `.env.example` lists the same names; a test holds the
//! two equal.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A value that must not be shown: its `Debug` is a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppEnv {
    /// On a founder's machine: everything has a default, the simulator stands in for Stripe.
    Development,
    /// For customers: nothing is assumed.
    Production,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// `APP_ENV`
    pub app_env: AppEnv,
    /// `DATABASE_URL`
    pub database_url: String,
    /// `BIND_ADDR`
    pub bind_addr: SocketAddr,
    /// `BASE_URL`, without a trailing slash: how browsers and Stripe reach us.
    pub base_url: String,
    /// `PRODUCT_NAME`
    pub product_name: String,
    /// `STRIPE_PRODUCT_TAG`: only Stripe products whose metadata carry it exist for us.
    pub product_tag: String,
    /// `STRIPE_SECRET_KEY`
    pub stripe_secret_key: Secret,
    /// `STRIPE_WEBHOOK_SECRET`, several while one is being rolled.
    pub stripe_webhook_secrets: Vec<Secret>,
    /// `STRIPE_API_BASE`; `None` is Stripe itself.
    pub stripe_api_base: Option<String>,
    /// `STRIPE_AUTOMATIC_TAX`
    pub stripe_automatic_tax: bool,
    /// `STRIPE_CALLS_PER_SECOND`: how fast this process asks Stripe; 0 is without a limit.
    pub stripe_calls_per_second: u32,
    /// `SMTP_URL`; without it mail stays in the local mailbox.
    pub smtp_url: Option<Secret>,
    /// `MAIL_FROM`
    pub mail_from: String,
    /// `LOG`, a tracing filter.
    pub log: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
    /// `SIMULATOR_ADDR`
    pub simulator_addr: SocketAddr,
    /// `RATES_FILE`, in place of the rate card built in.
    pub rates_file: Option<PathBuf>,
    /// `CATALOG_FILE`, in place of the catalog built in.
    pub catalog_file: Option<PathBuf>,
    /// `MIGRATE_ON_START`; development always does.
    pub migrate_on_start: bool,
}

/// A variable that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, what it is for, and an example.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// Every variable, in the order of `.env.example`.
pub const VARIABLES: &[&str] = &[
    "APP_ENV",
    "DATABASE_URL",
    "BIND_ADDR",
    "BASE_URL",
    "PRODUCT_NAME",
    "STRIPE_PRODUCT_TAG",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "STRIPE_AUTOMATIC_TAX",
    "STRIPE_CALLS_PER_SECOND",
    "SMTP_URL",
    "MAIL_FROM",
    "LOG",
    "LOG_FORMAT",
    "SIMULATOR_ADDR",
    "RATES_FILE",
    "CATALOG_FILE",
    "MIGRATE_ON_START",
];

/// The key that the simulator takes when nothing else is set.
const SIMULATOR_KEY: &str = "sk_test_simulator";
/// The webhook secret agreed with the simulator when nothing else is set.
pub const SIMULATOR_WEBHOOK_SECRET: &str = "whsec_simulator";

impl Config {
    /// Reads the process's environment. `program` is the binary's name, from which the product's
    /// name and tag are taken unless they are set.
    #[expect(clippy::disallowed_methods, reason = "the one door through which settings come in")]
    pub fn from_env(program: &str) -> Result<Self, Vec<Problem>> {
        Self::from_vars(program, |name| std::env::var(name).ok())
    }

    /// Reads the variables through `lookup`; an empty value counts as absent. Answers every
    /// mistake at once.
    pub fn from_vars(
        program: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut vars = Vars { lookup, problems: Vec::new() };
        let config = vars.read(program);
        vars.cross_check(&config);
        if vars.problems.is_empty() { Ok(config) } else { Err(vars.problems) }
    }

    /// Whether this is a founder's machine.
    pub fn is_development(&self) -> bool {
        self.app_env == AppEnv::Development
    }

    /// Whether the local simulator stands in for Stripe.
    pub fn simulated(&self) -> bool {
        self.stripe_secret_key.expose() == SIMULATOR_KEY
    }

    /// Whether the Stripe key moves real money.
    pub fn live(&self) -> bool {
        let key = self.stripe_secret_key.expose();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }

    /// `live` or `test`, as recorded in the database at its first boot.
    pub fn stripe_mode(&self) -> &'static str {
        if self.live() { "live" } else { "test" }
    }
}

struct Vars<L> {
    lookup: L,
    problems: Vec<Problem>,
}

impl<L: Fn(&str) -> Option<String>> Vars<L> {
    fn read(&mut self, program: &str) -> Config {
        let app_env = self.choice("APP_ENV", &ENVIRONMENTS, AppEnv::Development);
        let bind_addr = self.address("BIND_ADDR", "127.0.0.1:3000");
        let simulator_addr = self.address("SIMULATOR_ADDR", "127.0.0.1:12111");
        let development = app_env == AppEnv::Development;
        let key = self.text("STRIPE_SECRET_KEY");
        let simulated = key.is_none() && development;
        let simulator = simulated.then(|| format!("http://{simulator_addr}"));
        let stand_in = if simulated { SIMULATOR_KEY } else { "" };
        Config {
            app_env,
            database_url: self.database_url(),
            bind_addr,
            base_url: self.base_url(bind_addr, development),
            product_name: self.text("PRODUCT_NAME").unwrap_or_else(|| title(program)),
            product_tag: self.product_tag(program),
            stripe_secret_key: Secret::new(key.unwrap_or_else(|| stand_in.to_owned())),
            stripe_webhook_secrets: self.webhook_secrets(simulated),
            stripe_api_base: self.url("STRIPE_API_BASE").or(simulator),
            stripe_automatic_tax: self.choice("STRIPE_AUTOMATIC_TAX", &SWITCH, false),
            // The simulator has no limit of its own.
            stripe_calls_per_second: self.calls_per_second(if simulated { 0 } else { 25 }),
            smtp_url: self.text("SMTP_URL").map(Secret::new),
            mail_from: self.text("MAIL_FROM").unwrap_or_else(|| format!("{program}@localhost")),
            log: self.text("LOG").unwrap_or_else(|| "info,sqlx=warn,hyper=warn".to_owned()),
            log_format: self.choice("LOG_FORMAT", &FORMATS, LogFormat::Text),
            simulator_addr,
            rates_file: self.text("RATES_FILE").map(PathBuf::from),
            catalog_file: self.text("CATALOG_FILE").map(PathBuf::from),
            migrate_on_start: self.choice("MIGRATE_ON_START", &SWITCH, development),
        }
    }

    /// What can only be judged with everything at hand.
    fn cross_check(&mut self, config: &Config) {
        if config.is_development() {
            if config.simulated() && !config.simulator_addr.ip().is_loopback() {
                let message = "the simulator listens on loopback only, such as 127.0.0.1:12111";
                self.problem("SIMULATOR_ADDR", message.to_owned());
            }
            return;
        }
        let key = config.stripe_secret_key.expose();
        if !(key.starts_with("sk_") || key.starts_with("rk_")) || config.simulated() {
            let message = "production needs your Stripe secret key, such as sk_live_… or \
                 rk_live_… (Stripe dashboard, Developers, API keys); the simulator is for \
                 development only";
            self.problem("STRIPE_SECRET_KEY", message.to_owned());
        }
        if config.stripe_webhook_secrets.is_empty() {
            let message = "production needs the signing secret of your webhook endpoint, such as \
                 whsec_… (Stripe dashboard, Developers, Webhooks); without it no payment is seen";
            self.problem("STRIPE_WEBHOOK_SECRET", message.to_owned());
        }
        if (self.lookup)("BASE_URL").is_none_or(|url| url.is_empty()) {
            let message = "production needs the public address, such as https://app.example.com; \
                 links in mails and Stripe's return address are made from it";
            self.problem("BASE_URL", message.to_owned());
        }
        if let Some(base) = &config.stripe_api_base
            && !base.starts_with("https://")
        {
            let message = "production speaks to Stripe over https only; remove this variable";
            self.problem("STRIPE_API_BASE", message.to_owned());
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        (self.lookup)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn calls_per_second(&mut self, default: u32) -> u32 {
        let name = "STRIPE_CALLS_PER_SECOND";
        let Some(value) = self.text(name) else { return default };
        value.parse().ok().filter(|calls| *calls <= 1_000).unwrap_or_else(|| {
            self.problem(name, format!("“{value}” is not a number from 0 to 1000, such as 25"));
            default
        })
    }

    fn webhook_secrets(&self, simulated: bool) -> Vec<Secret> {
        let agreed = simulated.then(|| SIMULATOR_WEBHOOK_SECRET.to_owned());
        let list = self.text("STRIPE_WEBHOOK_SECRET").or(agreed).unwrap_or_default();
        list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(Secret::new).collect()
    }

    fn problem(&mut self, name: &'static str, message: String) {
        self.problems.push(Problem { name, message });
    }

    fn choice<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(value) = self.text(name) else {
            return default;
        };
        match words.iter().find(|(word, _)| *word == value.to_ascii_lowercase()) {
            Some((_, choice)) => *choice,
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.problem(name, format!("“{value}” is not one of {}", known.join(", ")));
                default
            }
        }
    }

    fn address(&mut self, name: &'static str, default: &str) -> SocketAddr {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
        let value = self.text(name).unwrap_or_else(|| default.to_owned());
        value.parse().unwrap_or_else(|_| {
            self.problem(name, format!("“{value}” is not an address and port, such as {default}"));
            fallback
        })
    }

    fn url(&mut self, name: &'static str) -> Option<String> {
        let value = self.text(name)?;
        match url::Url::parse(&value) {
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => {
                Some(value.trim_end_matches('/').to_owned())
            }
            _ => {
                let example = "https://app.example.com";
                self.problem(name, format!("“{value}” is not a web address, such as {example}"));
                None
            }
        }
    }

    fn base_url(&mut self, bind_addr: SocketAddr, development: bool) -> String {
        let given = self.url("BASE_URL");
        if let Some(url) = &given
            && !development
            && !url.starts_with("https://")
        {
            let message = format!("“{url}” must begin with https:// in production");
            self.problem("BASE_URL", message);
        }
        given.unwrap_or_else(|| format!("http://{bind_addr}"))
    }

    fn database_url(&mut self) -> String {
        let default = "sqlite://data/turnpike.db";
        let url = self.text("DATABASE_URL").unwrap_or_else(|| default.to_owned());
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) {
            let message = format!("must begin with sqlite:// or postgres://, such as {default}");
            self.problem("DATABASE_URL", message);
        }
        url
    }

    fn product_tag(&mut self, program: &str) -> String {
        let tag = self.text("STRIPE_PRODUCT_TAG").unwrap_or_else(|| program.to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if tag.len() > 40 || !tag.chars().all(plain) {
            let message =
                format!("“{tag}” must be 1 to 40 letters, digits, - or _, such as my-app");
            self.problem("STRIPE_PRODUCT_TAG", message);
        }
        tag
    }
}

const ENVIRONMENTS: [(&str, AppEnv); 2] =
    [("development", AppEnv::Development), ("production", AppEnv::Production)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];

/// `my-app` → `My App`
fn title(program: &str) -> String {
    let words = program.split(['-', '_']).filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
        Config::from_vars("my-app", |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_needs_to_be_set_in_development() {
        let config = read(&[]).expect("defaults");
        assert_eq!(config.product_name, "My App");
        assert_eq!(config.product_tag, "my-app");
        assert_eq!(config.stripe_calls_per_second, 0);
        assert!(config.simulated());
        assert_eq!(config.base_url, "http://127.0.0.1:3000");
        assert_eq!(config.stripe_api_base.as_deref(), Some("http://127.0.0.1:12111"));
    }

    #[test]
    fn production_lists_every_mistake_at_once() {
        let problems = read(&[("APP_ENV", "production"), ("LOG_FORMAT", "xml")]).expect_err("no");
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        let expected = ["LOG_FORMAT", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "BASE_URL"];
        assert_eq!(names, expected);
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = read(&[("STRIPE_SECRET_KEY", "sk_test_abc")]).expect("valid");
        assert!(!format!("{config:?}").contains("sk_test_abc"));
    }
}
