-- What is sold, who bought it, and what that allows. Everything here is a mirror of Stripe, or
-- derived from such a mirror: the inbox and one fresh look at Stripe rebuild it. Rows that say what
-- was once sold or paid are never removed. Money is in minor units of its currency, credits are
-- millionths of a credit, times are milliseconds since 1970, UTC.

-- What a tier allows, as its metadata said at one time. Changed metadata makes a new version; going
-- back finds the old one by its fingerprint. A subscriber keeps the version pinned at the start of
-- the period, so that an edit in Stripe never takes anything away in the middle of one.
create table tier_versions (
    id text not null primary key,
    product_id text not null,
    -- free, pro, …: the word the metadata gives this tier.
    tier text not null,
    name text not null,
    -- JSON: included credits, features, models, limits, overage, trial, grace, rollover.
    terms text not null,
    -- SHA-256 of tier and terms.
    fingerprint text not null,
    created_at bigint not null,
    constraint tier_versions_once unique (product_id, fingerprint)
);

-- The Stripe products that carry our tag, as last read without a mistake. A product whose metadata
-- went wrong stays here with its last good values, but is not sold until it is put right.
create table catalog_products (
    product_id text not null primary key,
    -- plan, pack or addon
    kind text not null,
    -- The tier's word; null for packs.
    tier text,
    name text not null,
    description text not null,
    -- JSON list of the selling points shown on the pricing page.
    marketing text not null,
    -- Upgrade order, lowest first.
    rank bigint not null,
    highlight boolean not null,
    -- The version that the next grant uses; null for packs.
    version_id text references tier_versions (id),
    -- What a pack gives, and for how many days (null: for good).
    credits bigint,
    expires_days bigint,
    -- Offered to buyers: active in Stripe, and without a mistake.
    sold boolean not null,
    -- A plan without a price, or with a price of zero: in force without a subscription.
    free boolean not null,
    created_at bigint not null,
    synced_at bigint not null,
    constraint catalog_products_kind check (kind in ('plan', 'pack', 'addon')),
    constraint catalog_products_version check (kind = 'pack' or version_id is not null),
    constraint catalog_products_pack check (kind <> 'pack' or credits > 0)
);

-- Every price of those products that was ever seen. An archived price is not sold any more, but
-- those who subscribed to it keep it, and it can always be resolved.
create table catalog_prices (
    price_id text not null primary key,
    product_id text not null references catalog_products (product_id),
    currency text not null,
    -- Minor units.
    amount bigint not null,
    -- day, week, month or year; null is paid once.
    per text,
    per_count bigint not null,
    lookup_key text,
    -- Offered to buyers: active in Stripe, and the only one for its tier, interval and currency.
    sold boolean not null,
    created_at bigint not null,
    synced_at bigint not null
);
create index catalog_prices_product on catalog_prices (product_id);

-- What is wrong with the catalog in Stripe right now, one row a mistake; gone when put right.
create table catalog_problems (
    -- The product or price at fault.
    object_id text not null,
    -- The metadata key, or the field.
    name text not null,
    message text not null,
    since bigint not null,
    primary key (object_id, name)
);

-- One row: the order of looks at Stripe's catalog. Whoever reads it takes a ticket first; a view
-- older than the one already stored is thrown away.
create table catalog_views (
    id text not null primary key,
    ticket bigint not null,
    applied bigint not null
);

-- Who an org is at Stripe. The customer carries our tag and the org's id in its metadata.
create table customers (
    customer_id text not null primary key,
    org_id text not null references orgs (id),
    email text not null,
    -- The last ticket handed out, and the last one whose view of Stripe was written. Whoever looks
    -- at Stripe takes a ticket first; a view older than the one already written is thrown away.
    ticket bigint not null,
    applied bigint not null,
    created_at bigint not null,
    -- Deleted in Stripe. What was bought stays; a new purchase makes a new customer.
    deleted_at bigint,
    constraint customers_tickets check (applied <= ticket)
);
create unique index customers_org on customers (org_id) where deleted_at is null;

-- A hosted page of Stripe that we sent somebody to. The row is written before Stripe is asked, and
-- its id is the idempotency key, so that a lost answer never opens a second page.
create table checkouts (
    id text not null primary key,
    org_id text not null references orgs (id),
    user_id text not null,
    -- subscription or pack
    kind text not null,
    price_id text not null references catalog_prices (price_id),
    -- cs_…, known after Stripe answered.
    session_id text unique,
    -- open, complete or expired
    status text not null,
    created_at bigint not null,
    completed_at bigint
);
create index checkouts_org on checkouts (org_id, created_at);

-- The money that was paid for packs, one row a payment. The grant is keyed by the same id.
create table payments (
    -- pi_…; the session's cs_… where nothing was to be paid.
    payment_id text not null primary key,
    org_id text not null references orgs (id),
    customer_id text not null references customers (customer_id),
    session_id text not null,
    price_id text not null references catalog_prices (price_id),
    quantity bigint not null,
    -- What was charged, in minor units.
    amount bigint not null,
    currency text not null,
    -- What it bought.
    credits bigint not null,
    paid_at bigint not null
);
create index payments_org on payments (org_id, paid_at);

-- Subscriptions, as Stripe last described them.
create table subscriptions (
    subscription_id text not null primary key,
    customer_id text not null references customers (customer_id),
    org_id text not null references orgs (id),
    -- Stripe's own word.
    status text not null,
    -- When it ends, if an end is set: cancel_at, or the period's end where it says so.
    ends_at bigint,
    trial_end bigint,
    -- Since when the money for the current period is missing; null while all is paid.
    past_due_at bigint,
    ended_at bigint,
    created_at bigint not null,
    synced_at bigint not null
);
create index subscriptions_org on subscriptions (org_id, created_at);

-- The lines of a subscription. The period lives here and nowhere else.
create table subscription_items (
    item_id text not null primary key,
    subscription_id text not null references subscriptions (subscription_id),
    price_id text not null,
    -- Null where the price is not one of ours: such a line allows nothing.
    version_id text references tier_versions (id),
    quantity bigint not null,
    period_start bigint not null,
    period_end bigint not null
);
create index subscription_items_subscription on subscription_items (subscription_id);

-- Invoices of our customers, for the billing page; Stripe keeps the documents.
create table invoices (
    invoice_id text not null primary key,
    customer_id text not null references customers (customer_id),
    org_id text not null references orgs (id),
    subscription_id text,
    number text,
    status text not null,
    total bigint not null,
    currency text not null,
    -- The hosted page and the PDF at Stripe.
    hosted_url text,
    pdf_url text,
    created_at bigint not null,
    synced_at bigint not null
);
create index invoices_org on invoices (org_id, created_at);

-- The lines of paid invoices that include credits. The allowance of an item's period is computed
-- from all of its lines, so that they may arrive in any order and as often as they like.
create table paid_lines (
    line_id text not null primary key,
    invoice_id text not null references invoices (invoice_id),
    org_id text not null references orgs (id),
    subscription_id text not null,
    item_id text not null,
    price_id text not null,
    -- Pinned when the line was first seen: a later edit of the tier does not reach back.
    version_id text not null references tier_versions (id),
    -- Below zero for the part of a period that is given back.
    quantity bigint not null,
    -- A part of a period, because the plan changed within it.
    proration boolean not null,
    period_start bigint not null,
    period_end bigint not null
);
create index paid_lines_item on paid_lines (item_id, period_start);

-- Plans paid for longer than a month include their credits month by month. One row a paid period;
-- the worker opens the next month when it is due.
create table allowance_schedules (
    item_id text not null,
    period_start bigint not null,
    period_end bigint not null,
    org_id text not null references orgs (id),
    subscription_id text not null,
    invoice_id text not null,
    version_id text not null references tier_versions (id),
    -- Credits each month.
    target bigint not null,
    -- Which month comes next, counted from the period's start, and when.
    next_month bigint not null,
    next_at bigint not null,
    -- The subscription ended, or the period is over.
    closed_at bigint,
    primary key (item_id, period_start)
);
create index allowance_schedules_due on allowance_schedules (next_at) where closed_at is null;

-- What an org is on, derived from its subscriptions. Without a row, the free tier is in force.
create table org_plans (
    org_id text not null primary key references orgs (id),
    tier text not null,
    tier_name text not null,
    version_id text not null references tier_versions (id),
    subscription_id text not null,
    status text not null,
    period_start bigint not null,
    period_end bigint not null,
    ends_at bigint,
    overage_allowed boolean not null,
    -- Millionths of a minor unit for one credit; null where overage is not billed.
    overage_price bigint,
    derived_at bigint not null
);

-- What an org may use, and because of what: one row for each thing and source. Derived; readers
-- leave out what has expired.
create table entitlements (
    org_id text not null references orgs (id),
    -- feature, model or limit
    kind text not null,
    name text not null,
    -- tier or addon, and the subscription item it comes from.
    source_kind text not null,
    source_id text not null,
    source_name text not null,
    -- How much; limits only.
    amount bigint,
    expires_at bigint,
    primary key (org_id, kind, name, source_id),
    constraint entitlements_kind check (kind in ('feature', 'model', 'limit')),
    constraint entitlements_limit check (kind <> 'limit' or amount is not null)
);

-- Dated reasons to refuse. A block may begin in the future: a missed payment is forgiven for some
-- days. A lifted block stays, because somebody will ask.
create table blocks (
    id text not null primary key,
    org_id text not null references orgs (id),
    -- past_due, unpaid, paused, dispute, fraud or admin
    kind text not null,
    -- What it is about: a subscription, a dispute, or nothing in particular.
    subject text not null,
    reason text not null,
    since bigint not null,
    until bigint,
    created_at bigint not null,
    lifted_at bigint
);
create unique index blocks_once on blocks (org_id, kind, subject) where lifted_at is null;

-- The inbox: every event that Stripe sent or that we found missing, once. An event is a hint to
-- look at its object anew; what it says is never written anywhere else.
create table stripe_events (
    id text not null primary key,
    type text not null,
    livemode boolean not null,
    -- The object it is about, and that object's customer, where the event names them.
    object_id text,
    customer_id text,
    -- As received; erased when the event turns out to be another product's.
    payload text,
    -- pending: to be done · processed · ignored: a type we do not act on · foreign: of another
    -- product in the same account · unmatched: ours by its price, but whose? tried again ·
    -- mode_mismatch: of the other Stripe mode · dead: failed too often, waits for a person.
    status text not null,
    -- webhook, or poll when we fetched it ourselves.
    source text not null,
    -- In seconds, Stripe's clock.
    created bigint not null,
    received_at bigint not null,
    run_at bigint not null,
    lease_until bigint not null,
    attempts bigint not null,
    last_error text,
    settled_at bigint,
    constraint stripe_events_status check (status in (
        'pending', 'processed', 'ignored', 'foreign', 'unmatched', 'mode_mismatch', 'dead'))
);
create index stripe_events_due on stripe_events (run_at)
    where status in ('pending', 'unmatched');
create index stripe_events_object on stripe_events (object_id)
    where status in ('pending', 'unmatched');
create index stripe_events_time on stripe_events (received_at);
