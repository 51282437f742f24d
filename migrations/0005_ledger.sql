-- The ledger (the credits room) and what the gate stores beside it. All credits are millionths of
-- a credit. Rows of operations and ledger_entries are added, never changed; wallets and the
-- counters of grants are projections of them, rebuilt and compared by `ledger verify`.

-- One wallet an org, locked by whoever changes anything the gate reads about that org.
create table wallets (
    org_id text not null primary key references orgs (id),
    -- The number of the last operation: the order of everything that happened here.
    seq bigint not null,
    available bigint not null,
    held bigint not null,
    -- Credits that were spent before they had to be given back; paid by the next bought grant.
    debt bigint not null,
    -- Used past every grant, where the tier lets it be billed, in the current period.
    overage bigint not null,
    -- The period that alerts, caps and percentages speak of: half open, [start, end).
    period_start bigint not null,
    period_end bigint not null,
    period_used bigint not null,
    -- How many monthly free allowances were opened, counted from the org's creation.
    free_opened bigint not null,
    -- The time of the last operation; the next one is never earlier.
    last_at bigint not null,
    -- Set when the books disagree: reading goes on, debits stop.
    parked_at bigint,
    parked_reason text,
    created_at bigint not null,
    constraint wallets_available_not_negative check (available >= 0),
    constraint wallets_held_not_negative check (held >= 0),
    constraint wallets_debt_not_negative check (debt >= 0)
);

-- Credits in, one row per source: the same payment or period can never grant twice.
create table grants (
    id text not null primary key,
    org_id text not null references orgs (id),
    -- allowance, free, pack, trial, promo, contract, manual or rollover
    source_kind text not null,
    source_ref text not null,
    -- Lower is spent first; then the earliest expiry, never last; then the id.
    priority bigint not null,
    amount bigint not null,
    remaining bigint not null,
    held bigint not null,
    consumed bigint not null,
    expired bigint not null,
    clawed_back bigint not null,
    debt_paid bigint not null,
    effective_at bigint not null,
    expires_at bigint,
    -- The period an allowance belongs to.
    period_start bigint,
    period_end bigint,
    -- The Stripe object that paid for it, where there is one: pi_… or in_….
    payment text,
    frozen_at bigint,
    reason text not null,
    created_at bigint not null,
    -- When nothing more can come of it: spent to the end, expired, or followed by the next period's.
    ended_at bigint,
    constraint grants_remaining_not_negative check (remaining >= 0),
    constraint grants_add_up
        check (amount = remaining + held + consumed + expired + clawed_back + debt_paid),
    constraint grants_source_once unique (source_kind, source_ref)
);
-- The gate reads what can still be spent; spent grants never slow it down.
create index grants_open on grants (org_id) where ended_at is null;
create index grants_org on grants (org_id, created_at);
-- The sweeper looks for idle wallets with something due.
create index grants_due on grants (expires_at) where ended_at is null and expires_at is not null;
create index grants_payment on grants (payment) where payment is not null;

-- Everything that ever happened to a wallet, in the wallet's own order.
create table operations (
    id text not null primary key,
    org_id text not null references orgs (id),
    seq bigint not null,
    -- grant, consume, expire, …
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
    constraint operations_in_order unique (org_id, seq)
);

-- The two or more sides of an operation; they sum to zero. Accounts: granted, available, held,
-- consumed, expired, clawed_back, debt, overage.
create table ledger_entries (
    operation_id text not null references operations (id),
    line bigint not null,
    org_id text not null,
    account text not null,
    grant_id text references grants (id),
    amount bigint not null,
    primary key (operation_id, line)
);
create index ledger_entries_org on ledger_entries (org_id);
create index ledger_entries_grant on ledger_entries (grant_id);

-- What was used: one row a line that was charged.
create table usages (
    id text not null primary key,
    org_id text not null references orgs (id),
    seq bigint not null,
    operation_id text not null references operations (id),
    -- The idempotency key it came with.
    key text not null,
    meter text not null,
    model text,
    feature text,
    -- Millionths of the meter's unit.
    quantity bigint not null,
    credits bigint not null,
    overage bigint not null,
    run text,
    member text,
    api_key_id text,
    rate_card text not null,
    -- What the provider charged, in micro-dollars, where the caller told.
    cost bigint,
    metadata text,
    at bigint not null,
    reversed_at bigint,
    constraint usages_in_order unique (org_id, seq)
);
create index usages_by_time on usages (org_id, at);
create index usages_by_operation on usages (operation_id);
create index usages_by_run on usages (org_id, run) where run is not null;

-- The gate's stored answers to keyed writes, allowed and denied, kept as long as the ledger: the
-- key of a repeat is looked up here.
create table decisions (
    id text not null primary key,
    org_id text not null references orgs (id),
    key text not null,
    -- SHA-256 of method, path and parsed body: a key with another one is refused.
    fingerprint text not null,
    status bigint not null,
    body text not null,
    code text not null,
    operation_id text references operations (id),
    at bigint not null,
    constraint decisions_key_once unique (org_id, key)
);

-- Uses counted in fixed UTC windows, for the limits that a tier sets per minute and per day.
create table counters (
    org_id text not null references orgs (id),
    name text not null,
    window_start bigint not null,
    used bigint not null,
    primary key (org_id, name, window_start)
);

-- The ceiling an org set for itself, per period.
create table caps (
    org_id text not null primary key references orgs (id),
    credits bigint not null,
    -- hard refuses, soft only warns.
    hard boolean not null,
    -- Raised by every change, so that its alerts are armed anew.
    arming bigint not null,
    updated_at bigint not null
);

-- Thresholds that were crossed: once per wallet, period, threshold and arming.
create table alerts (
    org_id text not null references orgs (id),
    -- allowance, cap or exhausted
    kind text not null,
    period_start bigint not null,
    threshold bigint not null,
    arming bigint not null,
    at bigint not null,
    primary key (org_id, kind, period_start, threshold, arming)
);

-- What the people of an org should know, shown until somebody dismisses it.
create table notices (
    id text not null primary key,
    org_id text not null references orgs (id),
    kind text not null,
    -- info, warn or bad
    level text not null,
    title text not null,
    detail text not null,
    at bigint not null,
    dismissed_at bigint,
    dismissed_by text
);
create index notices_by_time on notices (org_id, at);
