//! The world that the stories play in: a fresh database, the app, the simulator, the clock and the
//! mailbox, with people as clients. Built from what production builds; nothing of ours is mocked.

mod database;
mod invariants;
mod page;
mod person;
mod program;
mod site;
mod world;

pub use database::Database;
pub use invariants::invariants;
pub use page::{Form, Page};
pub use person::Person;
pub use program::{Answer, Program};
pub use site::Site;
pub use world::{World, WorldOptions};
