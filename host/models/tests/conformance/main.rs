//! Every protocol, whole and streamed, against a provider that behaves and misbehaves.

mod answers;
mod deadlines;
mod faults;
mod harness;
mod lies;
mod requests;
mod secrecy;
mod streaming;
