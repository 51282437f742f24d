//! The client against a server that answers by script: what is sent again, what is given up, and
//! what every answer becomes.

mod answers;
mod holds;
mod lists;
mod retries;
mod scripted;
