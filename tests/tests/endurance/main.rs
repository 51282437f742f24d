//! Real processes under load: killed, doubled, raced and told to stop. What was acknowledged is
//! there, once; nothing else is; the books balance.

mod books;
mod caller;
mod clock;
mod customer;
mod drain;
mod ground;
mod kills;
mod lives;
mod load;
mod operator;
mod outage;
mod races;
mod replicas;
mod server;
mod sums;
