-- Who asks: people, the orgs that pay, and the keys of their programs.
--
-- One text for both engines: text, bigint and boolean columns only, times in milliseconds from the
-- program's clock, ids with a prefix.

-- A person. The address is kept in lowercase, so that one mailbox is one person. Without a password
-- hash nobody can sign in: such a user was made by an operator and has yet to choose a password.
create table users (
    id text not null primary key,
    name text not null,
    email text not null unique,
    password_hash text,
    created_at bigint not null,
    deleted_at bigint
);

-- Who pays. Everything that is sold, granted or used belongs to an org, never to a person.
-- An org is never removed, because its ledger stays; a deleted one is only marked.
create table orgs (
    id text not null primary key,
    name text not null,
    created_at bigint not null,
    deleted_at bigint
);

-- Who belongs to which org, in which role. What a role may do is written in the program.
create table members (
    org_id text not null references orgs (id),
    user_id text not null references users (id),
    role text not null,
    created_at bigint not null,
    primary key (org_id, user_id),
    constraint members_role check (role in ('owner', 'admin', 'billing', 'member'))
);
create index members_by_user on members (user_id, created_at);

-- A browser's visit. The id is the SHA-256 of the cookie's value: who reads this table cannot use
-- what it finds. The data is JSON. Expiry is the machine's time, as the cookie's own is, so moving
-- the development clock signs nobody out.
create table sessions (
    id text not null primary key,
    data text not null,
    expires_at bigint not null
);
create index sessions_by_expiry on sessions (expires_at);

-- How often something was attempted in the current window of fixed length. The name is a hash of
-- what is counted (an address, a network address), so no list of people can be read from here.
create table throttles (
    name text not null primary key,
    window_started_at bigint not null,
    window_ends_at bigint not null,
    attempts bigint not null,
    constraint throttles_attempts check (attempts >= 0)
);
create index throttles_by_end on throttles (window_ends_at);

-- The keys of programs. The secret is shown once and kept only as its SHA-256; it holds 256 random
-- bits, so no salt and no slow hash is needed, and the hash can be looked up by index. The hint is
-- the prefix and the last four characters, for people to tell keys apart. A key without an org is a
-- service key of the product's own backend, which names the org with every request. A revoked key
-- stays, because the ledger names it as an actor.
create table api_keys (
    id text not null primary key,
    org_id text references orgs (id),
    name text not null,
    secret_hash text not null unique,
    hint text not null,
    scopes text not null,
    live boolean not null,
    created_by text not null,
    created_at bigint not null,
    last_used_at bigint,
    revoked_at bigint
);
create index api_keys_by_org on api_keys (org_id, created_at);
