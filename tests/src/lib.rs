//! The world that the stories play in: a fresh database, the app, the simulator, the clock and the
//! mailbox, with people as clients. Built from what production builds; nothing of ours is mocked.

mod database;
pub mod hook;
mod invariants;
pub mod lives;
mod page;
mod person;
mod program;
mod shop;
mod site;
mod stripe;
mod wire;
mod world;

pub use database::Database;
pub use invariants::invariants;
pub use page::{Form, Page};
pub use person::Person;
pub use program::{Answer, Program};
pub use shop::Shop;
pub use site::Site;
pub use stripe::Stripe;
pub use wire::Wire;
pub use world::{World, WorldOptions};
