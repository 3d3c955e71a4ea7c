//! Shared parts of the tests: raw queries, a strict decoder of responses, a cluster, and a server that combines them.

pub(crate) mod cluster;
pub(crate) mod generate;
pub(crate) mod query;
pub(crate) mod response;

use core::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use poddns_core::wire::{Rcode, Rtype};
use poddns_core::{Config, Mode, Outcome, PodLookup, Reply, Request, Transport, Zone, respond};

use cluster::recorded;
use poddns_core_checks::TestCluster;
use query::{Edns, Query};
use response::Response;

/// The default domain of tests: `cluster.local`.
pub(crate) static ZONES: LazyLock<[Zone; 1]> =
    LazyLock::new(|| [Zone::new("cluster.local").expect("a domain")]);

/// The cluster of `data/cluster.tsv`.
pub(crate) static CLUSTER: LazyLock<TestCluster> = LazyLock::new(recorded);

/// Default client of queries.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Default time of queries.
pub(crate) const NOW: u32 = 1_800_000_000;

/// Returns a configuration with a mode for `cluster.local` and all other settings at their defaults.
pub(crate) fn config(mode: Mode) -> Config<'static> {
    Config::new(mode, &*ZONES)
}

/// A configured responder and its pods.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) config: Config<'a>,
    pub(crate) pods: &'a dyn PodLookup,
}

impl Server<'static> {
    /// Returns a responder of this mode for the recorded cluster.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { config: config(mode), pods: &*CLUSTER }
    }
}

impl<'a> Server<'a> {
    /// Returns the same server with another configuration.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Config<'a>)) -> Self {
        change(&mut self.config);
        self
    }

    /// Returns the outcome of one packet and, unless it is dropped, the strictly decoded response. Checks the
    /// properties of every response: see [`check`].
    pub(crate) fn outcome(&self, query: &[u8], request: &Request) -> (Outcome, Option<Response>) {
        let (outcome, octets) = self.octets(query, request);
        let Outcome::Reply(reply) = outcome else {
            return (outcome, None);
        };
        let response = Response::decode(&octets).unwrap_or_else(|why| panic!("{why}: {octets:02x?}"));
        check(query, request, &reply, &response);
        (outcome, Some(response))
    }

    /// Returns the outcome and the octets of the response; none if the packet is dropped.
    pub(crate) fn octets(&self, query: &[u8], request: &Request) -> (Outcome, Vec<u8>) {
        let mut out = vec![0xa5; 65_535];
        let outcome = respond(&self.config, self.pods, query, request, &mut out);
        out.truncate(if let Outcome::Reply(reply) = outcome { reply.len } else { 0 });
        (outcome, out)
    }

    /// Returns the response to a datagram; fails if there is none.
    pub(crate) fn udp(&self, query: &[u8]) -> Response {
        self.ask(query, Transport::Udp)
    }

    /// Returns the response to a message of a stream; fails if there is none.
    pub(crate) fn tcp(&self, query: &[u8]) -> Response {
        self.ask(query, Transport::Tcp)
    }

    /// Returns the response for a name in short: its addresses, `NODATA` or the rcode, then the code of the extended
    /// error if there is one. The query is sent over UDP, with an OPT.
    pub(crate) fn summary(&self, name: &str, rtype: Rtype) -> String {
        let response = self.udp(&Query::new(name, rtype.0).edns(&Edns::new(1232)).octets());
        let rcode = Rcode(response.rcode);
        let in_zone = matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        assert_eq!(response.has(response::AA), in_zone, "AA on what is from a zone, and only there");
        let negative = in_zone && response.answer.is_empty();
        let authority: Vec<_> = response.authority.iter().map(|record| record.rtype).collect();
        assert_eq!(authority, if negative { vec![Rtype::SOA.0] } else { vec![] }, "{response:?}");
        let mut words = match rcode {
            Rcode::NOERROR if negative => vec!["NODATA".to_owned()],
            Rcode::NOERROR => response.addresses().iter().map(ToString::to_string).collect(),
            _ => vec![rcode.to_string()],
        };
        words.extend(response.ede().map(|code| format!("EDE{}", code.0)));
        words.join(" ")
    }

    fn ask(&self, query: &[u8], transport: Transport) -> Response {
        let (outcome, response) = self.outcome(query, &Request::new(transport, CLIENT, NOW));
        response.unwrap_or_else(|| panic!("{outcome:?} for {query:02x?}"))
    }
}

/// Checks the properties that responses to all queries have.
fn check(query: &[u8], request: &Request, reply: &Reply, response: &Response) {
    assert_eq!(&query[..2], response.id.to_be_bytes(), "the ID is the query's");
    assert_eq!(query[2] & 0x79, response.flags.to_be_bytes()[0] & 0x79, "opcode and RD are the query's");
    assert_eq!(response.flags & 0x80f0, 0x8000, "QR is set; RA, Z, AD and CD are not");
    assert_eq!(reply.len, response.len);
    assert_eq!(Rcode(response.rcode), reply.rcode, "the driver counts what the client sees");
    assert_eq!(reply.truncated, response.has(response::TC));
    if let Some(opt) = &response.opt {
        assert_eq!((opt.version, opt.payload_size), (0, 1232));
        assert_eq!(response.ede(), reply.ede, "the driver counts what the client sees");
    }
    if request.transport == Transport::Udp {
        assert!(response.len <= if response.opt.is_some() { 1232 } else { 512 });
    }
    assert!(response.additional.is_empty(), "nothing but OPT is ever additional");
    if let Some(question) = &response.question {
        let octets = question.octets();
        assert_eq!(query.get(12..12 + octets.len()), Some(&octets[..]), "the question is the query's");
    }
}
