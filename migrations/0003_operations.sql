-- What happens later, what was sent, and who did what.

-- Work that left a request as a row of the same transaction. A job is due when its time has come
-- and nobody holds its lease; claiming it sets the lease and counts the attempt, so a worker that
-- dies loses the job to another when the lease lapses, and the count tells a late worker that the
-- job is no longer its own. A finished job is removed; one that failed too often, or for good, is
-- dead: it stays, with its last error, until somebody retries it. `dedupe` is the same for jobs that
-- would do the same: while one of them is unfinished, no second is accepted. `wanted_at` is when it
-- was first to run, `run_at` when it runs next.
create table jobs (
    id text not null primary key,
    kind text not null,
    payload text not null,
    dedupe text unique,
    run_at bigint not null,
    lease_until bigint not null,
    attempts bigint not null,
    last_error text,
    wanted_at bigint not null,
    dead_at bigint,
    constraint jobs_attempts check (attempts >= 0)
);
create index jobs_due on jobs (run_at) where dead_at is null;

-- What runs again and again: when each is due next. A worker takes a turn by moving the time on, so
-- that of two workers only one does it.
create table schedules (
    name text not null primary key,
    due_at bigint not null
);

-- Mail. The letter is kept as data and written out when it is delivered, since only then the
-- product's name and address are at hand. In development the row is the mailbox; after delivery by
-- SMTP the text is erased, because a letter may carry a link that opens an account.
create table mails (
    id text not null primary key,
    to_address text not null,
    template text not null,
    letter text not null,
    subject text,
    text_body text,
    html_body text,
    created_at bigint not null,
    delivered_at bigint
);
create index mails_by_time on mails (created_at);

-- Who did what to what, and why, written in the transaction that did it. Rows are added, never
-- changed. The actor is a kind and, where there are several of it, an id.
create table audits (
    id text not null primary key,
    at bigint not null,
    actor_kind text not null,
    actor_id text,
    org_id text,
    action text not null,
    subject text not null,
    reason text,
    detail text,
    constraint audits_actor
        check (actor_kind in ('user', 'key', 'operator', 'stripe', 'system'))
);
create index audits_by_org on audits (org_id, at);
create index audits_by_subject on audits (subject, at);
