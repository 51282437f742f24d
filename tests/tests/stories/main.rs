//! Stories: what people and programs live through, over real HTTP, on the database that
//! `TEST_POSTGRES_URL` names or on SQLite. Numbers such as `// D1` name the scenario shown.

mod alerts;
mod api_input;
mod api_keys;
mod boot;
mod catalog;
mod gate;
mod pages;
mod purchase;
mod sign_up;
mod webhooks;
