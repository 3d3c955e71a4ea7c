//! The rules that small DNS servers often violate, each a test named by its number.
//!
//! Numbers 21 (addresses and errors of UDP sockets), 22 (TCP framing) and 23 (resources of TCP connections) concern
//! sockets, which this crate does not have: they are tested in the socket driver. The responder's part of 22 is
//! [`messages::rule_22_streams`].

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{CookieSecrets, Mode};

use crate::support::Server;
use crate::support::query::Query;
use crate::support::response::Response;

mod messages;
mod names;

const A: u16 = 1;
const AAAA: u16 = 28;
const POD: &str = "10-244-1-5.default.pod.cluster.local";
const NO_POD: &str = "10-99-99-99.default.pod.cluster.local";

fn verified() -> Server<'static> {
    Server::new(Mode::Verified)
}

fn with_cookies() -> Server<'static> {
    static SECRETS: CookieSecrets = CookieSecrets { current: [7; 16], previous: None };
    verified().with(|config| config.cookies = Some(&SECRETS))
}

/// Returns the rcode and the extended error.
fn codes(response: &Response) -> (Rcode, Option<Ede>) {
    (Rcode(response.rcode), response.ede())
}

fn rcode(query: &Query) -> Rcode {
    Rcode(verified().udp(&query.octets()).rcode)
}

/// Returns whether no section has a record.
fn is_empty(response: &Response) -> bool {
    response.answer.is_empty() && response.authority.is_empty()
}
