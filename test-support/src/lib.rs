//! Shared parts of the tests of all crates: a fake API server that produces faults on demand, a real API server, DNS
//! clients, and the daemon as a process.
//!
//! It depends on none of the tested crates, so that each of them can use it.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]
#![allow(clippy::must_use_candidate, reason = "a test that drops a result has its reasons")]

pub mod api_server;
pub mod daemon;
pub mod dns;
#[cfg(unix)]
pub mod kube_apiserver;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod recordings;
pub mod wait;
