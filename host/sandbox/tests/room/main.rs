//! The sandbox from its door: guests in, graphs or typed failures out.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../support/bomb.rs"]
mod bomb;
mod calls;
mod compiling;
mod fairness;
mod fetching;
mod grants;
#[path = "../support/guests.rs"]
mod guests;
mod limits;
mod loading;
mod room;
