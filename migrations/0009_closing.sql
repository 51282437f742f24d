-- What is left when a customer is deleted in Stripe: what was paid through it waits for a person.

-- When an operator decided that what was paid through a deleted customer may be used again. Until
-- then its grants are frozen.
alter table customers add column released_at bigint;

-- Nothing was frozen before this: what could be used then stays so.
update customers set released_at = deleted_at where deleted_at is not null;
