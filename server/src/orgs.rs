//! Orgs: who pays, who belongs to them, and what each role may do.
//!
//! Owns `orgs` and `members`. Role checks are [`require`]; what a request may cost is not its
//! business. Never removes an org, because its ledger stays: one that is closed is marked so.

use std::fmt;

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;

/// The longest name of a person or an org, in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// An org.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Org {
    /// Its id.
    pub id: String,
    /// Its name, as its people know it.
    pub name: String,
    /// Since when it exists; free allowances are counted from here.
    pub created_at: Millis,
    /// Since when it is gone.
    pub deleted_at: Option<Millis>,
}

/// A user in an org.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Member {
    /// The user.
    pub user_id: String,
    /// The user's name.
    pub name: String,
    /// The user's address.
    pub email: String,
    /// The role, one of [`Role`]'s words.
    pub role: String,
    /// Since when.
    pub created_at: Millis,
}

/// What a member is in an org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, and the one whom the org belongs to.
    Owner,
    /// Everything but the ownership.
    Admin,
    /// The money, not the product.
    Billing,
    /// The product, not the money.
    Member,
}

impl Role {
    /// Every role, from the most to the least.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Billing, Self::Member];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Billing => "billing",
            Self::Member => "member",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == word);
        found.ok_or_else(|| Error::internal(format!("no such role: {word}")))
    }

    /// Whether this role may do that.
    pub fn may(self, permission: Permission) -> bool {
        use Permission::*;
        match self {
            Self::Owner | Self::Admin => true,
            Self::Billing => matches!(permission, SeeOrg | SeeBilling | ManageBilling),
            Self::Member => matches!(permission, SeeOrg | Use),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a page or an action asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See the org: its plan, its credits, its use.
    SeeOrg,
    /// See invoices, packs and prices paid.
    SeeBilling,
    /// Subscribe, buy, open the portal, set caps.
    ManageBilling,
    /// Make and revoke API keys.
    ManageKeys,
    /// Spend credits.
    Use,
    /// Invite, remove and change members.
    ManageTeam,
}

/// The visitor, as pages know them: a user acting in the name of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub user_id: String,
    /// The org.
    pub org_id: String,
    /// What the user is in the org.
    pub role: Role,
    /// The user's name.
    pub name: String,
    /// The user's address.
    pub email: String,
    /// The org's name.
    pub org_name: String,
}

/// Whether this visitor may do that; the refusal names the roles that may.
pub fn require(who: &Who, permission: Permission) -> Result<()> {
    if who.role.may(permission) {
        return Ok(());
    }
    let roles: Vec<&str> =
        Role::ALL.iter().filter(|role| role.may(permission)).map(|role| role.as_str()).collect();
    let (last, first) = roles.split_last().map_or(("owner", &[][..]), |(l, f)| (*l, f));
    let those = if first.is_empty() { last.to_owned() } else { first.join(", ") + " or " + last };
    let message = format!(
        "This needs the role {those} in {}; yours is {}. Ask one of them.",
        who.org_name, who.role
    );
    Err(Error::Forbidden(message))
}

/// A new org, owned by that user.
pub async fn create(tx: &mut Tx, name: &str, owner_user_id: &str, now: Millis) -> Result<String> {
    let name = check_name("org_name", name)?;
    let id = ids::new("org", now);
    let text = "insert into orgs (id, name, created_at) values ($1, $2, $3)";
    tx.execute(sql(text).bind(&id).bind(name).bind(now)).await?;
    let text = "insert into members (org_id, user_id, role, created_at) values ($1, $2, $3, $4)";
    let owner = Role::Owner.as_str();
    tx.execute(sql(text).bind(&id).bind(owner_user_id).bind(owner).bind(now)).await?;
    Ok(id)
}

/// A name without the blanks around it, if it is one.
pub fn check_name(field: &str, name: &str) -> Result<String> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message = match length {
        0 => "Enter a name.".to_owned(),
        n if n > NAME_CHARS_MAX => format!("Use at most {NAME_CHARS_MAX} characters."),
        _ => "Use letters, digits and signs on one line.".to_owned(),
    };
    Err(Error::invalid(field, message))
}

/// Every org that is not gone, oldest first; for the command line.
pub async fn list(db: &Db) -> Result<Vec<Org>> {
    let text = "select id, name, created_at, deleted_at from orgs
         where deleted_at is null order by created_at, id";
    db.all(sql(text)).await
}

/// An org as operators find it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Since when it exists.
    pub created_at: Millis,
    /// The address of its owner; of the first in the alphabet where it has several.
    pub owner: Option<String>,
}

/// Orgs that are not gone, newest first: every one, or those whose name or whose members' address
/// contains the words, and the one of that very id. At most `limit`, after the one named.
pub async fn search(
    db: &Db,
    words: &str,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Found>> {
    let words = words.trim().to_lowercase();
    // What means something in a pattern is taken for itself.
    let plain = words.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let text = "select orgs.id, orgs.name, orgs.created_at,
             (select min(users.email) from members
              join users on users.id = members.user_id and users.deleted_at is null
              where members.org_id = orgs.id and members.role = 'owner') as owner
         from orgs
         where orgs.deleted_at is null
         and ($1 = '' or orgs.id = $1 or lower(orgs.name) like $2 escape '!'
              or orgs.id in
                (select members.org_id from members
                 join users on users.id = members.user_id and users.deleted_at is null
                 where users.email like $2 escape '!'))
         and ($3 = '' or orgs.created_at < (select created_at from orgs where id = $3)
              or (orgs.created_at = (select created_at from orgs where id = $3) and orgs.id < $3))
         order by orgs.created_at desc, orgs.id desc limit $4";
    let page = sql(text).bind(words).bind(format!("%{plain}%"));
    db.all(page.bind(starting_after.unwrap_or_default()).bind(limit.clamp(1, 1_000))).await
}

/// The org with that id.
pub async fn find(db: &Db, id: &str) -> Result<Org> {
    let text = "select id, name, created_at, deleted_at from orgs
         where id = $1 and deleted_at is null";
    db.optional(sql(text).bind(id)).await?.ok_or(Error::NotFound("The org"))
}

/// The org with that id, closed or not, for those who look after its books.
pub async fn find_closed_too(db: &Db, id: &str) -> Result<Org> {
    let text = "select id, name, created_at, deleted_at from orgs where id = $1";
    db.optional(sql(text).bind(id)).await?.ok_or(Error::NotFound("The org"))
}

/// From now on the org is gone for everybody but its books: nobody acts in it any more.
pub async fn close(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    let text = "update orgs set deleted_at = $2 where id = $1 and deleted_at is null";
    match tx.execute(sql(text).bind(id).bind(now)).await? {
        0 => Err(Error::NotFound("The org")),
        _ => Ok(()),
    }
}

/// Refuses what is begun for an org that was closed meanwhile: not found. Whoever holds the org's
/// wallet hears of a closing for certain.
pub async fn refuse_closed(tx: &mut Tx, id: &str) -> Result<()> {
    let text = "select id from orgs where id = $1 and deleted_at is null";
    let open: Option<(String,)> = tx.optional(sql(text).bind(id)).await?;
    open.map(drop).ok_or(Error::NotFound("The org"))
}

/// The org in whose name a user acts after signing in: the one joined first.
pub async fn first_of_user(db: &Db, user_id: &str) -> Result<Option<String>> {
    let text = "select members.org_id from members
         join orgs on orgs.id = members.org_id and orgs.deleted_at is null
         where members.user_id = $1 order by members.created_at, members.org_id limit 1";
    let row: Option<(String,)> = db.optional(sql(text).bind(user_id)).await?;
    Ok(row.map(|row| row.0))
}

/// The org's members, oldest first.
pub async fn members(db: &Db, org_id: &str) -> Result<Vec<Member>> {
    let text = "select members.user_id, users.name, users.email, members.role, members.created_at
         from members join users on users.id = members.user_id and users.deleted_at is null
         where members.org_id = $1 order by members.created_at, members.user_id limit 1000";
    db.all(sql(text).bind(org_id)).await
}

/// The addresses of those whose role should know about money and limits.
pub async fn owners_and_billing_emails(tx: &mut Tx, org_id: &str) -> Result<Vec<String>> {
    let text = "select users.email
         from members join users on users.id = members.user_id and users.deleted_at is null
         where members.org_id = $1 and members.role in ('owner', 'billing')
         order by members.created_at, users.email limit 100";
    let rows: Vec<(String,)> = tx.all(sql(text).bind(org_id)).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(role: Role) -> Who {
        Who {
            user_id: "user_1".to_owned(),
            org_id: "org_1".to_owned(),
            role,
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
            org_name: "Analytical Engines".to_owned(),
        }
    }

    #[test]
    fn roles_may_what_they_are_for() {
        use Permission::*;
        let all = [SeeOrg, SeeBilling, ManageBilling, ManageKeys, Use, ManageTeam];
        let cases = [
            (Role::Owner, [true; 6]),
            (Role::Admin, [true; 6]),
            (Role::Billing, [true, true, true, false, false, false]),
            (Role::Member, [true, false, false, false, true, false]),
        ];
        for (role, allowed) in cases {
            for (permission, allowed) in all.into_iter().zip(allowed) {
                let answer = require(&who(role), permission);
                assert_eq!(answer.is_ok(), allowed, "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_roles_that_may() {
        let error = require(&who(Role::Member), Permission::ManageBilling).expect_err("refused");
        let message = error.to_string();
        assert!(message.contains("owner, admin or billing"), "{message}");
        assert!(message.contains("yours is member"), "{message}");
    }

    #[test]
    fn names_have_bounds() {
        let long = "x".repeat(101);
        for bad in ["", "   ", long.as_str(), "a\nb"] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name("name", "  Ada  ").expect("a name"), "Ada");
    }
}
