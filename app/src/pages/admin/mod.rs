//! The operators' pages about the installation and its orgs: what needs a person, every org by
//! name, and one org with everything that can be done for it.

mod access;
mod contracts;
mod forms;
mod org;
mod orgs;
mod overview;
mod trail;

pub use org::org;
pub use orgs::orgs;
pub use overview::overview;
