//! A sans-IO responder for Kubernetes pod DNS records: `10-42-2-46.default.pod.cluster.local` is `10.42.2.46`.
//!
//! # Contract
//!
//! **In:** one [`respond`] call per packet, with the query's octets, their transport and source ([`Request`]), the
//! settings ([`Config`]), and the pods ([`PodLookup`]).
//!
//! **Out:** an [`Outcome`]: a [`Reply`], whose octets are at the front of the output buffer, or a [`DropReason`];
//! with [`Config::transfers`], also a query that the driver answers itself. There is no error to handle and no state
//! to keep.
//!
//! **Never:** a panic, an allocation, a lock, a system call, a clock, a source of randomness, a thread, or a
//! `static`. No response to a response. No response over UDP longer than the client can receive or than
//! [`MAX_UDP_REPLY`]. The same arguments always produce the same response.
//!
//! # A complete server
//!
//! ```no_run
//! use std::collections::{HashMap, HashSet};
//! use std::net::IpAddr;
//!
//! use poddns_core::{Config, Label, MAX_UDP_REPLY, Mode, Outcome, PodLookup, Request, Transport, Unknown, Zone, respond};
//!
//! /// The addresses of the pods of each namespace.
//! struct Pods(HashMap<Label, HashSet<IpAddr>>);
//!
//! impl PodLookup for Pods {
//!     fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
//!         Ok(self.0.contains_key(namespace))
//!     }
//!     fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
//!         Ok(self.0.get(namespace).is_some_and(|addresses| addresses.contains(&address)))
//!     }
//! }
//!
//! let pods = Pods(HashMap::from([("default".try_into()?, HashSet::from([[10, 42, 2, 46].into()]))]));
//! let zones = [Zone::new("cluster.local")?];
//! let config = Config::new(Mode::Verified, &zones);
//! let socket = std::net::UdpSocket::bind("127.0.0.1:1053")?;
//! let (mut query, mut reply) = (vec![0; 65_535], [0; MAX_UDP_REPLY]);
//! loop {
//!     let (len, client) = socket.recv_from(&mut query)?;
//!     let now = std::time::UNIX_EPOCH.elapsed()?.as_secs() as u32;
//!     let request = Request::new(Transport::Udp, client.ip(), now);
//!     if let Outcome::Reply(sent) = respond(&config, &pods, &query[..len], &request, &mut reply) {
//!         socket.send_to(&reply[..sent.len], client)?;
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Over TCP, call [`respond`] once per message, without its two length octets, and send the replies in the order
//! of the queries (RFC 7766).
//!
//! # Embedding
//!
//! A source of pods implements [`PodLookup`]: two methods are enough; [`NoPods`] is a source without pods. The driver
//! owns the sockets, the clock and the settings; a [`Config`] only borrows, so it is cheap to make for each batch. A
//! driver that receives queries in batches calls [`prefetch()`] with each batch first: a large index then waits for
//! memory once per batch, not once per query. Example programs, each in the folder `core/examples/` of the repository
//! and each run by its CI:
//!
//! | example | subject |
//! |---|---|
//! | `udp.rs` | the loop above as a program: `cargo run --example udp` |
//! | `hickory/` | a zone handler in the catalog of a hickory-server, beside its other zones |
//! | `c/` | a C library of two functions, its header, and a C program that uses it |
//! | `wasm/` | a WebAssembly module that imports the pods from its host, and a host for node |
//! | `bare/` | a program for a machine without operating system and allocator |
//!
//! The minimum supported Rust version is 1.85.
//!
//! There are no cargo features: the crate is `no_std` and needs no allocator. With all features of [`Config`] in use
//! it is less than 48 KiB of code (x86-64, `opt-level = "s"`), and no part of Rust's panic machinery is linked; the
//! tests check both on `bare/`.
//!
//! # Modules
//!
//! | module | subject |
//! |---|---|
//! | `wire` | reading queries, writing responses |
//! | `zone` | the zone of a name, and its place in it |
//! | `reverse` | the address of a name below `in-addr.arpa` or `ip6.arpa` |
//! | [`podip`] | the address of a label |
//! | `policy` | existence of a name: modes, guards, freshness |
//! | [`explain()`] | the rule that led to an answer, as text |
//! | `audit` | answers of mode insecure that mode verified would have refused |
//! | `client` | the client: the source, or the address in a trusted forwarder's ECS option |
//! | `visible` | the pods that are visible to a client |
//! | `decide` | rcode, extended error and records |
//! | `records` | writing the records of a decision |
//! | `prefetch` | announcement of the addresses of the next look-ups |
//! | `cookie` | the client's proof of its address |
#![no_std]
#![forbid(unsafe_code)]
// No input may make this crate panic: these lints reject unchecked access and arithmetic.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod asked;
mod audit;
mod client;
mod config;
mod cookie;
mod decide;
mod explain;
mod label;
mod lookup;
pub mod podip;
mod policy;
mod prefetch;
mod reason;
mod records;
mod request;
mod respond;
mod reverse;
pub mod transfer;
mod visible;
pub mod wire;
mod words;
mod zone;

pub use asked::{AskedPod, asked_pod};
pub use audit::AuditFinding;
pub use cidr::IpCidr;
pub use client::client_of;
pub use config::{Config, Mode, Ttl, Visibility};
pub use cookie::{CookieSecrets, CookieStatus};
pub use explain::{Explanation, explain, explain_to};
pub use label::{Label, LabelError};
pub use lookup::{Freshness, LookupWrapper, NoPods, Owner, PodLookup, Unknown};
pub use prefetch::prefetch;
pub use reason::Reason;
pub use request::{DropReason, Outcome, Reply, Request, Transport};
pub use respond::{MAX_UDP_REPLY, MIN_REPLY, refuse, respond};
pub use reverse::{ReverseApex, ReverseZones, TooManyReverseZones};
pub use wire::{Name, NameError};
pub use zone::Zone;

/// The example of the package's README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
