//! Properties of `poddns_core` for any input: one function per fuzz target, which panics if a property is violated.
//!
//! The targets of `fuzz/` call these functions with input from libFuzzer; the tests of `core` call them with the
//! corpus, in plain `cargo test`. So every case that the fuzzer has found stays tested.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a check that fails panics")]

mod cluster;
mod exchange;
mod names;
mod oracle;
mod podip;
mod prefetch;
mod query;
mod rare;
mod settings;
mod walk;

use std::net::{IpAddr, Ipv4Addr};

use arbitrary::{Arbitrary, Unstructured};
use poddns_core::{MAX_UDP_REPLY, Request, Transport};

pub use self::cluster::{TestCluster, TestPod};
use self::exchange::CheckedExchange;
use self::query::Query;
use self::rare::Rare;
use self::settings::FuzzSettings;

/// Checks octets as a label, as an address, as a name, and as a query to several servers.
pub fn parse(octets: &[u8]) {
    podip::check_label(octets);
    names::check(octets);
    let cluster = TestCluster::sample();
    let request = Request::new(Transport::Udp, IpAddr::V4(Ipv4Addr::LOCALHOST), 1_700_000_000);
    for settings in FuzzSettings::samples() {
        let owned = settings.own();
        let exchange = CheckedExchange { settings: &owned, cluster: &cluster, request, room: MAX_UDP_REPLY };
        exchange.check(octets);
    }
}

/// Checks octets as a dashed address, and the first of them as an address to be written.
pub fn podip(octets: &[u8]) {
    podip::check_label(octets);
    if let Some(&octets) = octets.first_chunk::<16>() {
        podip::check_address(octets.into());
    }
    if let Some(&octets) = octets.first_chunk::<4>() {
        podip::check_address(octets.into());
    }
}

/// Checks a server, its cluster and a query, all three generated from the octets.
pub fn respond(octets: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(octets)) else { return };
    let settings = case.settings.own();
    let request = case.client.request();
    // Usually the documented buffer size, else any size, including sizes that are too small.
    let room = case.room.0.map_or(MAX_UDP_REPLY, usize::from);
    let exchange = CheckedExchange { settings: &settings, cluster: &case.cluster, request, room };
    let query = case.query.octets(&exchange);
    exchange.check(&query);
}

/// The inputs on which an answer may depend.
#[derive(Arbitrary, Debug)]
struct Case<'a> {
    settings: FuzzSettings<'a>,
    cluster: TestCluster,
    client: Client,
    room: Rare<u16>,
    query: Query<'a>,
}

#[derive(Arbitrary, Debug)]
struct Client {
    tcp: bool,
    source: IpAddr,
    now: u32,
}

impl Client {
    fn request(&self) -> Request {
        let transport = if self.tcp { Transport::Tcp } else { Transport::Udp };
        Request::new(transport, self.source, self.now)
    }
}
