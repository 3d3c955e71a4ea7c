//! The rules that small DNS servers break, each a test named by its number.
//!
//! Numbers 21 (addresses and errors of UDP sockets), 22 (TCP framing) and 23 (resources of TCP connections) are
//! about sockets, which this crate has none of: the socket driver's tests hold them. What of 22 is the
//! responder's is under [`messages::rule_22_streams`].

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

/// The rcode and the extended error.
fn codes(response: &Response) -> (Rcode, Option<Ede>) {
    (Rcode(response.rcode), response.ede())
}

fn rcode(query: &Query) -> Rcode {
    Rcode(verified().udp(&query.octets()).rcode)
}

/// No record in any section.
fn is_empty(response: &Response) -> bool {
    response.answer.is_empty() && response.authority.is_empty()
}
