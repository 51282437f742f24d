-- What was billed and was on no invoice of ours, because somebody invoiced it by hand.

-- Who saw to the line without Stripe's knowledge of ours, such as operator:command line. It has no
-- item then, and is posted by nobody any more.
alter table billed_lines add column settled_by text;
