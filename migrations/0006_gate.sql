-- The gate, complete: holds, reversal, caps of members and of overage, and tables on the hot path
-- that cost as few index pages per request as they can.
--
-- The rows that are written with every request name the rows they belong to without a foreign key:
-- on a hot path the database would look each of them up again, although they are written in the
-- same transaction under the wallet's lock. `ledger verify` looks for rows that belong to nothing.

-- Raised by everything that changes what the gate reads about an org, under the wallet's lock. What
-- a process remembers of an org is used only while this number is the same.
alter table wallets add column revision bigint not null default 0;

-- What a refund or a dispute takes back of this grant altogether; the rest of it is taken as soon
-- as held credits come back, or becomes a debt when they are spent.
alter table grants add column claw_target bigint not null default 0;
-- How much of that could not be taken back because it was spent: it became the wallet's debt.
alter table grants add column claw_debt bigint not null default 0;
-- Since when nothing may be spent of it and nothing returns to it.
alter table grants add column voided_at bigint;

-- Credits set aside for a use whose cost is known only afterwards. Which grants they were taken from
-- stands in the entries of its operation, and never changes.
create table holds (
    id text not null primary key,
    org_id text not null,
    seq bigint not null,
    operation_id text not null,
    -- The idempotency key it was made with.
    key text not null,
    meter text not null,
    model text,
    feature text,
    -- Millionths of the meter's unit.
    quantity bigint not null,
    -- Millionths of a credit per unit, and the card it is from: pinned, whatever the card says later.
    rate bigint not null,
    rate_card text not null,
    credits bigint not null,
    -- How much of that no grant covers, because the tier lets it be billed.
    overage bigint not null,
    run text,
    member text,
    api_key_id text,
    metadata text,
    -- release or charge: what its meter wants when the time is over.
    on_expiry text not null,
    -- open, captured, released or expired
    status text not null,
    captured bigint not null,
    usage_id text,
    created_at bigint not null,
    expires_at bigint not null,
    ended_at bigint
);
create index holds_open on holds (org_id) where status = 'open';
create index holds_due on holds (expires_at) where status = 'open';
create index holds_by_run on holds (org_id, run) where run is not null;

-- One row a move: an amount goes from one account to another, so that every operation sums to zero
-- by its very form. Accounts: granted, available, held, consumed, expired, clawed_back, debt,
-- overage.
create table new_ledger_entries (
    operation_id text not null,
    line bigint not null,
    grant_id text,
    from_account text not null,
    to_account text not null,
    amount bigint not null,
    primary key (operation_id, line),
    constraint entries_amount_positive check (amount > 0)
);
insert into new_ledger_entries (operation_id, line, grant_id, from_account, to_account, amount)
    select a.operation_id, a.line / 2, a.grant_id, a.account, b.account, b.amount
    from ledger_entries a
    join ledger_entries b on b.operation_id = a.operation_id and b.line = a.line + 1
    where a.line % 2 = 0;

-- What was used: one row a line that was charged. Lines that were charged together share the place
-- in the wallet's order (seq), which is also that of their operation.
create table new_usages (
    id text not null primary key,
    org_id text not null,
    seq bigint not null,
    line bigint not null,
    hold_id text,
    key text not null,
    meter text not null,
    model text,
    feature text,
    -- Millionths of the meter's unit.
    quantity bigint not null,
    credits bigint not null,
    overage bigint not null,
    debt bigint not null,
    run text,
    member text,
    api_key_id text,
    rate_card text not null,
    -- What the provider charged, in micro-dollars, where the caller told.
    cost bigint,
    metadata text,
    at bigint not null,
    -- When it happened, where the caller told afterwards.
    occurred_at bigint,
    -- Whether its hold was over when it was captured.
    late boolean not null,
    reversed_at bigint
);
insert into new_usages (id, org_id, seq, line, key, meter, model, feature, quantity, credits,
        overage, debt, run, member, api_key_id, rate_card, cost, metadata, at, late, reversed_at)
    select id, org_id, seq, 0, key, meter, model, feature, quantity, credits,
        overage, 0, run, member, api_key_id, rate_card, cost, metadata, at, false, reversed_at
    from usages;

-- The gate's stored answers to keyed writes, allowed and denied, kept as long as the ledger.
create table new_decisions (
    id text not null primary key,
    org_id text not null,
    key text not null,
    -- SHA-256 of method, path and parsed body: a key with another one is refused.
    fingerprint text not null,
    status bigint not null,
    body text not null,
    code text not null,
    -- The usage or the hold it made: a repeat is refused once that was taken back.
    subject text,
    at bigint not null,
    constraint decisions_org_key unique (org_id, key)
);
insert into new_decisions (id, org_id, key, fingerprint, status, body, code, subject, at)
    select decisions.id, decisions.org_id, decisions.key, decisions.fingerprint, decisions.status,
        decisions.body, decisions.code, usages.id, decisions.at
    from decisions left join usages on usages.operation_id = decisions.operation_id;

-- Everything that ever happened to a wallet, in the wallet's own order.
create table new_operations (
    id text not null primary key,
    org_id text not null,
    seq bigint not null,
    -- grant, consume, hold, capture, release, reverse, expire, …
    kind text not null,
    at bigint not null,
    -- user, key, operator, stripe or system, and which one.
    actor_kind text not null,
    actor_id text not null,
    reason text not null,
    -- How much more, or less, could be spent through this.
    available_change bigint not null,
    -- What the wallet held when this was booked, so that a statement needs no summing up.
    available_after bigint not null,
    held_after bigint not null,
    constraint operations_org_seq unique (org_id, seq)
);
insert into new_operations (id, org_id, seq, kind, at, actor_kind, actor_id, reason,
        available_change, available_after, held_after)
    select id, org_id, seq, kind, at, actor_kind, actor_id, reason,
        available_change, available_after, held_after
    from operations;

drop table decisions;
drop table usages;
drop table ledger_entries;
drop table operations;
alter table new_operations rename to operations;
alter table new_ledger_entries rename to ledger_entries;
alter table new_usages rename to usages;
alter table new_decisions rename to decisions;
-- A wallet's time never runs backwards, so this is its order, too. It finds a page of the list, the
-- lines of an operation, and a period.
create index usages_by_time on usages (org_id, at, seq, line);
create index usages_by_run on usages (org_id, run) where run is not null;

-- The most overage an org wants to be billed per period, in minor units; none where it is null.
alter table caps add column overage_money bigint;

-- The ceiling an org set for one of its members, per period.
create table member_caps (
    org_id text not null references orgs (id),
    member text not null,
    credits bigint not null,
    updated_at bigint not null,
    primary key (org_id, member)
);

-- What a member used in a period, added to by the transaction that charges it.
create table member_uses (
    org_id text not null references orgs (id),
    member text not null,
    period_start bigint not null,
    credits bigint not null,
    primary key (org_id, member, period_start)
);

-- Corrections by hand, each once per key.
create table adjustments (
    id text not null primary key,
    org_id text not null references orgs (id),
    key text not null,
    -- More, or less, than nothing.
    credits bigint not null,
    actor_kind text not null,
    actor_id text not null,
    reason text not null,
    at bigint not null,
    constraint adjustments_once unique (org_id, key)
);
