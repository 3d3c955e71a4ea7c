//! Properties of `poddns_core` for any input at all: one function per fuzz target, which panics where it does
//! not.
//!
//! The targets of `fuzz/` feed these functions from libFuzzer; core's tests feed them the corpus, with plain `cargo test`. So a
//! case that was found once is tested from then on.
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

/// Octets as a label, as an address, as a name, and as a query to three servers.
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

/// Octets as a dashed address; and the first of them as an address to be written.
pub fn podip(octets: &[u8]) {
    podip::check_label(octets);
    if let Some(&octets) = octets.first_chunk::<16>() {
        podip::check_address(octets.into());
    }
    if let Some(&octets) = octets.first_chunk::<4>() {
        podip::check_address(octets.into());
    }
}

/// A server, its cluster and a query, all three made of the octets.
pub fn respond(octets: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(octets)) else { return };
    let settings = case.settings.own();
    let request = case.client.request();
    // Mostly the buffer that the documentation names; else any, too short ones included.
    let room = case.room.0.map_or(MAX_UDP_REPLY, usize::from);
    let exchange = CheckedExchange { settings: &settings, cluster: &case.cluster, request, room };
    let query = case.query.octets(&exchange);
    exchange.check(&query);
}

/// Everything that an answer may depend on.
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
