-- Since when use counts in a wallet's current period: the moment at which the period was turned to,
-- which may be later than its beginning. What was used before that and is taken back now was never
-- counted in it. 0 where the period was not turned since this is written down.
alter table wallets add column counts_since bigint not null default 0;
