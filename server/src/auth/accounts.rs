//! Accounts: signing up and signing in.
//!
//! Owns `users`. Signing in answers the same, after the same work, whether or not the account
//! exists. Never touches a session: the door that has the cookie does.

use std::str::FromStr as _;

use email_address::{EmailAddress, Options};

use super::{Identity, password, throttle};
use crate::audit::{self, Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::mail::{self, Template};
use crate::{entitlements, ids, orgs};

/// The longest address, in bytes, that mail can be sent to.
pub const EMAIL_BYTES_MAX: usize = 254;

/// What the sign-up form says.
#[derive(Clone)]
pub struct SignUp {
    /// The person's name.
    pub name: String,
    /// The address to sign in with.
    pub email: String,
    /// The password.
    pub password: String,
    /// The org's name; without it the org is named after the person.
    pub org_name: Option<String>,
}

/// Without the password.
impl std::fmt::Debug for SignUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignUp").field("name", &self.name).field("email", &self.email).finish()
    }
}

/// A form that can be acted on.
#[derive(Debug)]
struct Checked {
    name: String,
    email: String,
    org_name: String,
}

/// Makes a user and the user's org, which starts on the free tier. Of several mistakes the first
/// in the order of the form is answered.
pub async fn sign_up(engine: &Engine, form: SignUp) -> Result<Identity> {
    let checked = check(&form)?;
    let hash = password::hash(form.password).await?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let Some(user_id) = insert(&mut tx, &checked.name, &checked.email, Some(hash), now).await?
    else {
        let message = "That address already has an account. Sign in, or use another address.";
        return Err(Error::invalid("email", message));
    };
    let actor = Actor::User(user_id.clone());
    let org_id = open_org(&mut tx, &checked.org_name, &user_id, actor, now).await?;
    mail::send_later(&mut tx, &checked.email, Template::Welcome { name: checked.name }, now)
        .await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(Identity { user_id, org_id })
}

/// Who signs in, unless the address and the password do not match or it was tried too often. `ip`
/// is where the request came from.
pub async fn sign_in(engine: &Engine, email: &str, password: &str, ip: &str) -> Result<Identity> {
    let email = email.trim().to_lowercase();
    count_attempt(engine, &email, ip).await?;
    let account = find(engine, &email).await?;
    let (user_id, hash) = account.map_or((None, None), |(id, hash)| (Some(id), hash));
    if !password::verify(password.to_owned(), hash).await? {
        return Err(mismatch());
    }
    let user_id = user_id.ok_or_else(mismatch)?;
    let org_id = orgs::first_of_user(&engine.db, &user_id).await?.ok_or_else(closed)?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    throttle::clear(&mut tx, throttle::SIGN_IN_ADDRESS, &email).await?;
    throttle::take_back(&mut tx, throttle::SIGN_IN_PLACE, ip).await?;
    let entry = Entry {
        actor: Actor::User(user_id.clone()),
        org_id: Some(&org_id),
        action: audit::SIGN_IN,
        subject: &user_id,
        reason: None,
        detail: None,
    };
    audit::record(&mut tx, &entry, now).await?;
    tx.commit().await?;
    Ok(Identity { user_id, org_id })
}

/// Makes an org for the person with that address, and the person too where the address is new.
/// Such a user has no password yet and cannot sign in.
pub async fn create_org(
    engine: &Engine,
    name: &str,
    owner_email: &str,
    actor: Actor,
) -> Result<String> {
    let name = orgs::check_name("name", name)?;
    let email = check_email(owner_email)?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let user_id = match insert(&mut tx, person_of(&email), &email, None, now).await? {
        Some(user_id) => user_id,
        None => {
            let text = "select id from users where email = $1 and deleted_at is null";
            let row: Option<(String,)> = tx.optional(sql(text).bind(&email)).await?;
            row.ok_or(Error::NotFound("The owner"))?.0
        }
    };
    let org_id = open_org(&mut tx, &name, &user_id, actor, now).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(org_id)
}

/// An org with what it is entitled to without paying.
async fn open_org(
    tx: &mut Tx,
    name: &str,
    owner_user_id: &str,
    actor: Actor,
    now: Millis,
) -> Result<String> {
    let org_id = orgs::create(tx, name, owner_user_id, now).await?;
    entitlements::derive(tx, &org_id, now).await?;
    let entry = Entry {
        actor,
        org_id: Some(&org_id),
        action: "orgs.create",
        subject: &org_id,
        reason: None,
        detail: Some(serde_json::json!({ "owner": owner_user_id })),
    };
    audit::record(tx, &entry, now).await?;
    Ok(org_id)
}

/// The new user's id; `None` when the address is taken.
async fn insert(
    tx: &mut Tx,
    name: &str,
    email: &str,
    password_hash: Option<String>,
    now: Millis,
) -> Result<Option<String>> {
    let id = ids::new("user", now);
    let text = "insert into users (id, name, email, password_hash, created_at)
         values ($1, $2, $3, $4, $5) on conflict (email) do nothing";
    let statement = sql(text).bind(&id).bind(name).bind(email).bind(password_hash).bind(now);
    Ok((tx.execute(statement).await? > 0).then_some(id))
}

async fn find(engine: &Engine, email: &str) -> Result<Option<(String, Option<String>)>> {
    let text = "select id, password_hash from users where email = $1 and deleted_at is null";
    engine.db.optional(sql(text).bind(email)).await
}

/// Counts the attempt for the address and for the place before it is made, so that many at once
/// cannot slip through. It is taken back when it succeeds.
async fn count_attempt(engine: &Engine, email: &str, ip: &str) -> Result<()> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let address = throttle::count(&mut tx, throttle::SIGN_IN_ADDRESS, email, now).await?;
    let place = throttle::count(&mut tx, throttle::SIGN_IN_PLACE, ip, now).await?;
    tx.commit().await?;
    address.and(place)
}

/// Said only to those who know the password.
fn closed() -> Error {
    let message = "The org of this account was closed. Write to us if that was a mistake.";
    Error::invalid("", message)
}

fn mismatch() -> Error {
    Error::invalid("", "That address and password do not match.")
}

fn check(form: &SignUp) -> Result<Checked> {
    let name = orgs::check_name("name", &form.name)?;
    let email = check_email(&form.email)?;
    password::check(&form.password, &email)?;
    let wanted = form.org_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let org_name = match wanted {
        Some(wanted) => orgs::check_name("org_name", wanted)?,
        None => orgs_name_of(&name),
    };
    Ok(Checked { name, email, org_name })
}

/// The address in lowercase, if mail can be sent to it.
pub fn check_email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    if email.len() > EMAIL_BYTES_MAX {
        let message = format!("An address has at most {EMAIL_BYTES_MAX} characters.");
        return Err(Error::invalid("email", message));
    }
    let options =
        Options::default().without_display_text().without_domain_literal().with_required_tld();
    let parsed = EmailAddress::parse_with_options(&email, options);
    let readable = parsed.is_ok() && lettre::Address::from_str(&email).is_ok();
    if readable {
        return Ok(email);
    }
    Err(Error::invalid("email", "Enter an address such as ada@example.com."))
}

/// `Ada` → `Ada's org`, within the bound of a name.
fn orgs_name_of(name: &str) -> String {
    let ending = "'s org";
    let room = orgs::NAME_CHARS_MAX - ending.len();
    format!("{}{ending}", name.chars().take(room).collect::<String>())
}

/// What stands before the @, as a name until the person says another.
fn person_of(email: &str) -> &str {
    email.split('@').next().unwrap_or(email)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(name: &str, email: &str, password: &str, org: Option<&str>) -> SignUp {
        SignUp {
            name: name.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            org_name: org.map(str::to_owned),
        }
    }

    #[test]
    fn the_first_mistake_in_the_order_of_the_form_is_named() {
        let good = ("Ada", "ada@example.com", "a long password");
        let long = "x".repeat(101);
        let cases = [
            (form("", "nobody", "short", None), Some("name")),
            (form(&long, good.1, good.2, None), Some("name")),
            (form(good.0, "nobody", "short", None), Some("email")),
            (form(good.0, good.1, "short", None), Some("password")),
            (form(good.0, good.1, &"x".repeat(201), None), Some("password")),
            (
                form(good.0, "Ada.Lovelace@Example.com", "ada.lovelace@example.com", None),
                Some("password"),
            ),
            (form(good.0, good.1, good.2, Some(&long)), Some("org_name")),
            (form(good.0, good.1, good.2, Some(" ")), None),
            (form(good.0, good.1, good.2, None), None),
        ];
        for (form, expected) in cases {
            let field = check(&form).err().map(|error| match error {
                Error::Invalid { field, .. } => field,
                other => panic!("{other}"),
            });
            assert_eq!(field.as_deref(), expected, "{form:?}");
        }
    }

    #[test]
    fn addresses_are_lowercased_and_must_be_reachable() {
        let good = [
            ("Ada@Example.COM", "ada@example.com"),
            ("  a.b+c@mail.example.org ", "a.b+c@mail.example.org"),
        ];
        for (typed, kept) in good {
            assert_eq!(check_email(typed).expect("an address"), kept);
        }
        let long = format!("{}@{}.example.com", "a".repeat(60), "b".repeat(200));
        let bad = [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@example.com, bob@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada@exa mple.com",
            "ada@example.com\nBcc: all@example.com",
            long.as_str(),
        ];
        for typed in bad {
            assert!(check_email(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn an_org_is_named_after_its_owner_unless_it_has_a_name() {
        let checked = |org| check(&form("Ada", "ada@example.com", "a long password", org));
        assert_eq!(checked(None).expect("valid").org_name, "Ada's org");
        assert_eq!(checked(Some("Engines")).expect("valid").org_name, "Engines");
        assert_eq!(orgs_name_of(&"x".repeat(100)).chars().count(), 100);
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", form("Ada", "ada@example.com", "a long password", None));
        assert!(!shown.contains("a long password"));
    }
}
