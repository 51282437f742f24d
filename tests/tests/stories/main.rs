//! Stories: what people and programs live through, over real HTTP, on the database that
//! `TEST_POSTGRES_URL` names or on SQLite. Numbers such as `// D1` name the scenario shown.

mod alerts;
mod api_input;
mod api_keys;
mod backend;
mod batch;
mod books;
mod boot;
mod calls;
mod capture;
mod catalog;
mod claws;
mod gate;
mod hold_expiry;
mod holds;
mod ledger;
mod limits;
mod members;
mod pages;
mod parking;
mod plans;
mod purchase;
mod replicas;
mod reversal;
mod runs;
mod service_keys;
mod sign_up;
mod watchers;
mod webhooks;
