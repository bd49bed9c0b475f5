//! The host itself: use cases (`app`), the door (`http`), settings, and the commands of the binary.

pub mod app;
pub mod cli;
pub mod http;
pub mod settings;
