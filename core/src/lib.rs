//! Sans-IO responder for Kubernetes pod DNS records.
#![no_std]
#![forbid(unsafe_code)]

mod config;
mod label;
mod lookup;
mod message;
pub mod podip;
mod respond;
pub mod wire;

pub use config::{Config, Mode, Ttl, Zone};
pub use ipnet::IpNet;
pub use label::{Label, LabelError};
pub use lookup::{Freshness, NoPods, Owner, PodLookup};
pub use message::{DropReason, Outcome, Reply, Request, Transport};
pub use respond::{MAX_UDP_REPLY, MIN_REPLY, respond};
pub use wire::{Name, NameError};
