-- Who looks after the installation itself: people who see every org, and act for it with a reason.

-- A user who is an operator. Made and unmade at the command line only, each with a reason that the
-- audit trail keeps; a row is gone when it is taken back.
create table operators (
    user_id text not null primary key references users (id),
    -- Who said so, as the audit trail names them.
    added_by text not null,
    reason text not null,
    created_at bigint not null
);

-- Wallets whose books disagree are few, and asked for whenever an operator looks.
create index wallets_parked on wallets (org_id) where parked_at is not null;
