-- Stripe's whole life: money that comes back, money that is charged without anybody present, what
-- is billed after use, terms made for one org, and what reconciliation found.

-- What the worker or reconciliation found to be otherwise than it should be, one row a difference,
-- open until it is gone or somebody says why it may stay.
create table findings (
    id text not null primary key,
    -- paid_without_grant, grant_without_payment, subscription_differs, event_dead, …
    kind text not null,
    -- What it is about: an id of Stripe's or of ours.
    subject text not null,
    org_id text references orgs (id),
    -- For people: what is wrong, and what would mend it.
    message text not null,
    -- JSON: the two sides that differ.
    detail text,
    first_at bigint not null,
    last_at bigint not null,
    resolved_at bigint,
    -- How it went away.
    resolution text
);
create unique index findings_open on findings (kind, subject) where resolved_at is null;
create index findings_by_time on findings (first_at);

-- What came back of a payment, one row a payment: what is taken from its grants is always computed
-- from this row, whole, so that repeats and any order end in the same. The row may be there before
-- the grant is: then the grant is judged as soon as it is made.
create table money_backs (
    -- As grants name their payment: pi_… for packs, in_… for what an invoice paid.
    payment text not null primary key,
    org_id text not null references orgs (id),
    customer_id text not null references customers (customer_id),
    currency text not null,
    -- Minor units: what was paid, what was refunded of it, what credit notes gave back besides, and
    -- what disputes took for good.
    paid bigint not null,
    refunded bigint not null,
    credited bigint not null,
    lost bigint not null,
    -- A dispute is open: what is left of its grants waits.
    frozen boolean not null,
    -- The invoice was voided or given up: as if everything had come back.
    void boolean not null,
    -- Minor units of refunds and credit notes that the customer was told about.
    told bigint not null,
    synced_at bigint not null
);
create index money_backs_org on money_backs (org_id);

-- What was refunded of a charge in all, as Stripe last said: refunds that failed are not in it.
create table refunded_charges (
    charge_id text not null primary key,
    payment text not null,
    org_id text not null references orgs (id),
    -- Minor units: what was paid, and what was refunded of it.
    amount bigint not null,
    refunded bigint not null,
    synced_at bigint not null
);
create index refunded_charges_payment on refunded_charges (payment);

-- Refunds, as Stripe last described them.
create table refunds (
    refund_id text not null primary key,
    payment text not null,
    charge_id text,
    org_id text not null references orgs (id),
    amount bigint not null,
    currency text not null,
    -- Stripe's own word: pending, requires_action, succeeded, failed or canceled.
    status text not null,
    reason text,
    created_at bigint not null,
    synced_at bigint not null
);
create index refunds_org on refunds (org_id, created_at);

-- Disputes, as Stripe last described them.
create table disputes (
    dispute_id text not null primary key,
    payment text not null,
    charge_id text not null,
    org_id text not null references orgs (id),
    amount bigint not null,
    currency text not null,
    -- Stripe's own word.
    status text not null,
    reason text not null,
    evidence_due_at bigint,
    created_at bigint not null,
    synced_at bigint not null
);
create index disputes_org on disputes (org_id, created_at);
create index disputes_payment on disputes (payment);

-- Credit notes of our invoices, as Stripe last described them.
create table credit_notes (
    credit_note_id text not null primary key,
    -- in_…
    payment text not null,
    org_id text not null references orgs (id),
    amount bigint not null,
    -- The part of it that no refund of a charge carries already.
    beyond_refunds bigint not null,
    currency text not null,
    -- issued or void
    status text not null,
    created_at bigint not null,
    synced_at bigint not null
);
create index credit_notes_payment on credit_notes (payment);

-- Whether an org wants a pack bought by itself when its credits run low.
create table recharge_settings (
    org_id text not null primary key references orgs (id),
    enabled boolean not null,
    -- Credits: below this, one pack is bought.
    threshold bigint not null,
    price_id text not null references catalog_prices (price_id),
    -- Minor units a calendar month, UTC, at most.
    monthly_max bigint not null,
    -- Set while nothing is tried: declined, authentication, dispute, no_card, price_gone.
    paused_at bigint,
    pause_reason text,
    -- Declines in a row, and when the next attempt may be made.
    failures bigint not null,
    next_at bigint not null,
    -- The month (year * 12 + month) in which the customer was told that the maximum is reached.
    capped_month bigint,
    updated_at bigint not null,
    updated_by text not null
);

-- Every purchase that was made, or tried, without anybody present. The row comes first and its id
-- is the idempotency key.
create table recharge_attempts (
    id text not null primary key,
    org_id text not null references orgs (id),
    customer_id text not null references customers (customer_id),
    price_id text not null references catalog_prices (price_id),
    -- pm_…: the same key has to ask for the same, whatever the customer's card is by then.
    payment_method text not null,
    credits bigint not null,
    -- Minor units.
    amount bigint not null,
    currency text not null,
    -- open: asked, not answered · processing: takes days · requires_action: the customer is asked ·
    -- succeeded · failed · canceled
    status text not null,
    payment_intent_id text unique,
    -- Stripe's decline code, or error code, and what it means for the customer.
    code text,
    message text,
    created_at bigint not null,
    settled_at bigint
);
-- However many requests cross the threshold, one attempt is under way.
create unique index recharge_attempts_one on recharge_attempts (org_id)
    where status in ('open', 'processing', 'requires_action');
create index recharge_attempts_org on recharge_attempts (org_id, created_at);

-- What is billed after use, in millionths of a minor unit: overage past every credit at the tier's
-- price, or the meters that a contract bills in money. Nothing for what credits paid.
alter table usages add column billed bigint not null default 0;
-- To what that is billed (sub_… or contract_…), in which currency, and the beginning of the period
-- it counts in; null where nothing is billed.
alter table usages add column billed_to text;
alter table usages add column billed_currency text;
alter table usages add column billed_from bigint;
create index usages_billed on usages (billed_to, billed_from, meter) where billed_to is not null;

-- What a hold will be billed by, pinned as its rate is: millionths of a minor unit for one credit of
-- its overage, or, where it holds no overage, for one unit of its meter.
alter table holds add column price bigint;
alter table holds add column billed_to text;
alter table holds add column billed_currency text;

-- What was billed of one meter in one period, so far: the sum of its uses, kept with every use.
create table billed_sums (
    org_id text not null,
    -- sub_… or contract_…
    subject text not null,
    -- overage or outcome
    kind text not null,
    meter text not null,
    period_start bigint not null,
    period_end bigint not null,
    currency text not null,
    -- Millionths of a minor unit: what uses add up to, and how much of that is on lines.
    billed bigint not null,
    lined bigint not null,
    primary key (org_id, subject, kind, meter, period_start)
);
create index billed_sums_open on billed_sums (org_id, period_start) where billed <> lined;

-- The currency in which a plan bills what goes past its credits.
alter table org_plans add column currency text;
update org_plans set currency =
    (select min(catalog_prices.currency) from subscription_items
     join catalog_prices on catalog_prices.price_id = subscription_items.price_id
     where subscription_items.subscription_id = org_plans.subscription_id
         and subscription_items.version_id = org_plans.version_id);

-- One line on an invoice: what was billed of one meter in one period. The sum of the lines of a
-- period is what its uses add up to, so that what comes late, or is taken back, makes another line.
create table billed_lines (
    -- Also the idempotency key, and in the item's metadata, by which it is found again.
    id text not null primary key,
    org_id text not null references orgs (id),
    -- sub_… or contract_…
    subject text not null,
    -- overage or outcome
    kind text not null,
    meter text not null,
    period_start bigint not null,
    period_end bigint not null,
    -- 0 for the first of a period; the others came late.
    number bigint not null,
    -- Millionths of a minor unit that this line stands for, and the minor units it says, rounded
    -- half up, once.
    billed bigint not null,
    amount bigint not null,
    currency text not null,
    -- What the invoice says.
    description text not null,
    -- ii_… and in_…, once Stripe has them; in_… alone where an invoice was made for it.
    item_id text,
    invoice_id text,
    created_at bigint not null,
    -- When Stripe was first asked: from then on the item may be there.
    tried_at bigint,
    -- Until when a worker has it in hand.
    lease_until bigint not null default 0,
    posted_at bigint,
    constraint billed_lines_once unique (subject, kind, meter, period_start, number)
);
create index billed_lines_org on billed_lines (org_id, period_start);
create index billed_lines_open on billed_lines (created_at) where posted_at is null;

-- Terms made for one org: what it may use, what it gets each month, and what is billed in money.
create table contracts (
    id text not null primary key,
    org_id text not null references orgs (id),
    key text not null,
    name text not null,
    currency text not null,
    -- JSON: features, models, limits, included credits, overage, meters in money.
    terms text not null,
    -- Whether it stands instead of what the tier allows, or beside it.
    replaces boolean not null,
    starts_at bigint not null,
    -- Null is open-ended.
    ends_at bigint,
    -- Which month's credits come next, counted from the start, and when.
    next_month bigint not null,
    next_at bigint,
    created_by text not null,
    reason text not null,
    created_at bigint not null,
    ended_at bigint,
    constraint contracts_once unique (org_id, key)
);
create index contracts_org on contracts (org_id) where ended_at is null;
create index contracts_due on contracts (next_at) where next_at is not null;

-- The card that pays for what nobody is present for.
alter table customers add column payment_method text;
alter table customers add column card_brand text;
alter table customers add column card_last4 text;
alter table customers add column card_exp_year bigint;
alter table customers add column card_exp_month bigint;
-- The month of expiry (year * 12 + month) that the customer was told about.
alter table customers add column card_told bigint;

-- A change that Stripe carries out at the end of the period.
alter table subscriptions add column schedule_id text;
-- JSON: the prices and quantities that are paid from then on, and since when.
alter table subscriptions add column next_items text;
alter table subscriptions add column next_at bigint;
-- When the customer was told that the trial ends.
alter table subscriptions add column trial_told_at bigint;
create index subscriptions_trials on subscriptions (trial_end)
    where status = 'trialing' and trial_told_at is null;

-- From here on customers.ticket counts the views of Stripe that were written, and applied with it:
-- a look is written only where the count is still what it was before Stripe was asked.

-- Events of one customer wait in one line and are dealt with one after the other, so that a
-- customer's trouble is nobody else's: the customer where the event names one, else the object; all
-- about the catalog is one.
alter table stripe_events add column queue text not null default '';
update stripe_events set queue = case
    when type like 'product.%' or type like 'price.%' then 'catalog'
    else coalesce(customer_id, object_id, id) end;
create index stripe_events_queue on stripe_events (queue)
    where status in ('pending', 'unmatched');
create index stripe_events_dead on stripe_events (status)
    where status in ('dead', 'mode_mismatch');
