-- What was taken off a subscription gives nothing any more, whatever is paid later.

-- One row for each line of a subscription that is gone: its id never comes back.
create table ended_items (
    item_id text not null primary key,
    subscription_id text not null,
    ended_at bigint not null
);
create index ended_items_subscription on ended_items (subscription_id);
