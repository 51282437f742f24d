-- Facts about the whole database, one row each (the settings room):
-- the Stripe mode it serves, how far the development clock was moved, watermarks.
create table settings (
    name text not null primary key,
    value text not null,
    -- Milliseconds since 1970, UTC, as every time in this schema.
    updated_at bigint not null
);

-- Every version of the rate card this database ever charged by (the rates room). The same version
-- with other content refuses to boot: a price that was charged can be looked up forever.
create table rate_cards (
    version text not null primary key,
    fingerprint text not null,
    content text not null,
    created_at bigint not null
);
