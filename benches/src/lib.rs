//! Benchmarks of `respond`: the cases, and three implementations of a responder.
//!
//! Each [`QueryCase`] is a stream of queries. Each [`Responder`] answers them by the same rules: poddns-core, and
//! equivalents based on [hickory-proto](peers::HickoryResponder) and on
//! [`domain` of NLnet Labs](peers::DomainResponder). All three look up pods in the same index. A test, and a check
//! before each measurement, compare their responses.
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "a benchmark that cannot be set up has nothing to report")]

pub mod cases;
pub mod cpu_time;
pub mod end_to_end;
pub mod memory;
pub mod peers;
pub mod plot;
pub mod pods;
pub mod transfer;
pub mod warm_start;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use poddns_core::{Config, CookieSecrets, MAX_UDP_REPLY, Mode, Outcome, Request, Transport, Zone, respond};
use poddns_watch::{Index, IndexOptions, PodRecord, Resource, Uid, index};

pub use cases::QueryCase;

/// The cluster domain of all cases.
pub const DOMAIN: &str = "cluster.local";

/// The TTL of all answers, in seconds.
pub const TTL: u32 = 5;

/// The time of all queries, in Unix seconds.
pub const NOW: u32 = 1_700_000_000;

/// The client of all queries.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 42, 0, 7));

/// The secret of all server cookies.
pub const SECRET: [u8; 16] = *b"sixteen octets!!";

/// Answers queries.
pub trait Responder {
    /// Name in reports.
    const NAME: &'static str;

    /// Writes the response to the beginning of `out` and returns its length; `None` for no response.
    fn answer(&mut self, query: &[u8], out: &mut [u8; MAX_UDP_REPLY]) -> Option<usize>;
}

/// Returns an index of `count` pods, which are the pods of [`cases`].
#[must_use]
pub fn pods(count: u32) -> Arc<Index> {
    let (mut writer, index) = index(IndexOptions::default());
    for number in 0..count {
        let address = IpAddr::V4(cases::address(number));
        let namespace = cases::namespace(number).parse().expect("a label");
        let uid = Uid::of_name("pods", &number.to_string());
        writer.apply(&PodRecord { uid, namespace, name: "", addresses: &[address] });
    }
    index.health().register(Resource::Pods, None).fresh();
    index
}

/// poddns-core.
pub struct Poddns {
    config: Config<'static>,
    pods: Arc<Index>,
}

impl Poddns {
    /// Returns a responder for these pods, in mode verified or insecure.
    #[must_use]
    pub fn new(mode: Mode, pods: &Arc<Index>) -> Self {
        // Created once, because the daemon also creates it once for many queries; leaked, because the configuration
        // borrows it.
        let zones = Box::leak(Box::new([Zone::new(DOMAIN).expect("a domain")]));
        let mut config = Config::new(mode, zones);
        config.cookies = Some(Box::leak(Box::new(CookieSecrets { current: SECRET, previous: None })));
        Self { config, pods: Arc::clone(pods) }
    }
}

impl Responder for Poddns {
    const NAME: &'static str = "poddns";

    fn answer(&mut self, query: &[u8], out: &mut [u8; MAX_UDP_REPLY]) -> Option<usize> {
        let request = Request::new(Transport::Udp, CLIENT, NOW);
        match respond(&self.config, &*self.pods, query, &request, out) {
            Outcome::Reply(reply) => Some(reply.len),
            _ => None,
        }
    }
}

/// Panics unless all three responders send the same responses, so that the measurements compare the same work.
///
/// The bytes must be equal, not only their meaning, because all three compress names as far as possible.
pub fn assert_same_answers(case: &QueryCase, pods: &Arc<Index>) {
    let mut case = case.clone();
    let mut ours = Poddns::new(case.mode, pods);
    let mut hickory = peers::HickoryResponder::new(case.mode, pods);
    let mut domain = peers::DomainResponder::new(case.mode, pods);
    let name = case.name;
    for _ in 0..100 {
        let query = case.next_query();
        let answer = answer_of(&mut ours, query);
        assert_eq!(answer_of(&mut domain, query), answer, "domain answers differently: {name}");
        assert_eq!(answer_of(&mut hickory, query), answer, "hickory-proto answers differently: {name}");
    }
}

fn answer_of<R: Responder>(responder: &mut R, query: &[u8]) -> Option<String> {
    let mut out = [0; MAX_UDP_REPLY];
    let len = responder.answer(query, &mut out)?;
    // As text, so that a difference is readable.
    Some(out[..len].escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With fewer pods than in the measurements, so that it takes about a second.
    #[test]
    fn all_three_responders_answer_alike() {
        for case in QueryCase::all(10_000) {
            assert_same_answers(&case, &pods(case.pods));
        }
    }

    /// Each case measures what its name states.
    #[test]
    fn answers_match_names_of_cases() {
        for mut case in QueryCase::all(10_000) {
            let pods = pods(case.pods);
            let mut responder = Poddns::new(case.mode, &pods);
            let mut out = [0; MAX_UDP_REPLY];
            let name = case.name;
            let query = case.next_query();
            responder.answer(query, &mut out).expect("an answer");
            let (rcode, answers) = match name.split(',').next() {
                Some("NXDOMAIN") => (3, 0),
                Some("NODATA") => (0, 0),
                Some("garbage") => (1, 0),
                _ => (0, 1),
            };
            assert_eq!((out[3] & 0xf, out[7]), (rcode, answers), "{name}");
            let asked = if rcode == 1 { 0 } else { query[11] };
            assert_eq!(out[11], asked, "an OPT if and only if asked: {name}");
        }
    }
}
