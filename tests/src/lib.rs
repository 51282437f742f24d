//! The world that the stories play in: a fresh database, the app, the simulator, the clock and the
//! mailbox, with people as clients. Built from what production builds; nothing of ours is mocked.

mod database;
mod page;
mod person;
mod program;
mod world;

pub use database::Database;
pub use page::{Form, Page};
pub use person::Person;
pub use program::{Answer, Program};
pub use world::{World, WorldOptions};
