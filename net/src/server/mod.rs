//! The server: sockets, threads, answers, counters and admin endpoints.

pub(crate) mod admin;
pub(crate) mod answer;
pub(crate) mod bind;
pub(crate) mod bound;
mod connections;
mod control;
pub(crate) mod cookies;
pub(crate) mod counters;
pub(crate) mod error;
mod feed;
pub(crate) mod handle;
pub(crate) mod latency;
mod limited;
mod listen;
pub(crate) mod listing;
pub(crate) mod open_files;
pub(crate) mod pods;
pub(crate) mod rate_limit;
mod secrets;
pub(crate) mod settings;
mod snapshots;
pub(crate) mod state;
mod supervise;
mod tcp;
mod thread;
pub(crate) mod udp;
