//! The socket driver of poddns: UDP, TCP, admin HTTP, configuration and signals around [`poddns_core::respond`].
//!
//! [`Server`] is the complete server as a library; [`daemon`] is `poddnsd`, which adds the command line and signals.
//!
//! # Threads
//!
//! | thread | work |
//! |---|---|
//! | `poddns-udp-N` | one for each of [`Settings::threads`]: answers over UDP, on a socket of its own for each address |
//! | `poddns-tcp` | answers over TCP: slow clients cannot delay an answer over UDP |
//! | `poddns-control` | reads the cluster and serves the admin endpoints: neither delays an answer |
//!
//! Each has a runtime of its own. They share the pods, which they read without a lock, and the settings, which are
//! replaced as a whole: a thread checks for new settings by one atomic load for each batch of queries. Each thread has
//! its own counters; a scrape sums them.
//!
//! The daemon has another thread, `poddns-log`, which writes the log, so that a pipe that is not read delays no answer.
//!
//! # Addresses
//!
//! A socket of an IPv6 address accepts IPv6 clients only, that of `[::]` included, on every system; `*:PORT` is
//! `0.0.0.0` and `[::]`. On Linux the source address of a reply is the address that the query was sent to, also on a
//! wildcard address.
//!
//! Addresses are bound with `SO_REUSEPORT`, so a second process of the same user can take over without losing a query
//! or a connection: it binds while the first still answers; when the first ends, it makes the kernel choose the sockets
//! of the second, and then answers the queries still queued in its own. The processes need different admin addresses.
//!
//! # Privileges
//!
//! A [`Server`] drops no privileges. A program can drop them between binding and serving, see [`Bound`]; [`daemon`]
//! does, see [`config::Privileges`].
#![deny(unsafe_code)]

#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "floor")]
#[doc(hidden)]
pub mod floor;
mod server;
#[allow(unsafe_code)]
mod sys;
pub mod version;

/// Checks a signed message that is mutated by `octets`, for the fuzz target.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn check_signed(octets: &[u8]) {
    server::transfer::garbled::check(octets);
}

/// Checks `octets` as an audit file, for the fuzz target.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn check_audit_file(octets: &[u8]) {
    server::audit::record::check(octets);
}

#[cfg(feature = "daemon")]
pub use daemon::config;
#[cfg(feature = "daemon")]
pub use daemon::privileges::PrivilegeError;
pub use server::admin::{explain_json, metrics_reference, status_reference};
pub use server::audit::file::{AuditFileError, AuditFileSummary, try_audit_file};
pub use server::bind::BindError;
pub use server::bound::Bound;
pub use server::cookies::{CookieError, CookieSource};
pub use server::error::StartError;
pub use server::handle::{Opening, Server};
pub use server::listing::{ListError, PodCursor, PodEntry, PodPage};
pub use server::pods::{PodsReport, ServedPods, SnapshotReport};
pub use server::query_log::{LoggedQueries, QueryLog, QueryRecord, QuerySink};
pub use server::rate_limit::RateLimit;
pub use server::settings::{Needs, Settings, SnapshotFile, TcpLimits, TransferSettings};
pub use server::state::{LogLosses, OptionInForce};
pub use server::transfer::{KeyError, KeyFault};
