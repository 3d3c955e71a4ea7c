//! RFC 8914: extended errors, for every refusal with a code.

use core::net::IpAddr;
use core::time::Duration;

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{
    DropReason, Freshness, Label, Mode, Outcome, PodLookup, Request, Transport, Unknown, refuse,
};

use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query};
use crate::support::response::{self, Response, WireName};
use crate::support::{CLIENT, NOW, Server};

const POD: &str = "10-244-1-5.default.pod.cluster.local";

/// Returns the cases with a code: state of the index, query, rcode, code.
fn refusals() -> Vec<(Freshness, Query, Rcode, Ede)> {
    let pod = || Query::new(POD, 1);
    let class = |class| Query::of(&WireName::new(POD).0, 1, class);
    let (fresh, stale) = (Freshness::Fresh, Freshness::Stale { age: Duration::from_secs(5) });
    let old = Freshness::Resyncing { age: Duration::from_secs(11) };
    let blocked = Query::new("127-0-0-1.default.pod.cluster.local", 1);
    vec![
        (fresh, pod().opcode(4), Rcode::NOTIMP, Ede::NOT_SUPPORTED),
        (fresh, Query::new("pod.cluster.local", 252), Rcode::REFUSED, Ede::NOT_SUPPORTED),
        (fresh, Query::new("pod.cluster.local", 251), Rcode::REFUSED, Ede::NOT_SUPPORTED),
        (fresh, class(3), Rcode::REFUSED, Ede::NOT_SUPPORTED),
        (fresh, class(255), Rcode::REFUSED, Ede::NOT_SUPPORTED),
        (fresh, Query::new("example.com", 1), Rcode::REFUSED, Ede::NOT_AUTHORITATIVE),
        (fresh, blocked, Rcode::NXDOMAIN, Ede::BLOCKED),
        (Freshness::Unsynced, pod(), Rcode::SERVFAIL, Ede::NOT_READY),
        (old, pod(), Rcode::SERVFAIL, Ede::NO_REACHABLE_AUTHORITY),
        (stale, pod(), Rcode::NOERROR, Ede::STALE_ANSWER),
        (stale, Query::new(POD, 28), Rcode::NOERROR, Ede::STALE_ANSWER),
        (stale, Query::new("nowhere.pod.cluster.local", 1), Rcode::NXDOMAIN, Ede::STALE_NXDOMAIN),
    ]
}

/// 2: an option with the INFO-CODE and without text; 3: in any response that has an OPT. The code in `Reply` does not
/// depend on the OPT.
#[test]
fn refusals_have_extended_error() {
    for (freshness, query, rcode, code) in refusals() {
        let cluster = recorded().fresh(freshness);
        let server = Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| {
            config.block_special = true;
            config.max_staleness = Some(Duration::from_secs(10));
        });
        let response = server.udp(&query.clone().edns(&Edns::new(1232)).octets());
        assert_eq!(Rcode(response.rcode), rcode, "{query:?}");
        assert_eq!(response.opt.unwrap().options, [(15, code.0.to_be_bytes().to_vec())], "{query:?}");
        let request = Request::new(Transport::Udp, CLIENT, NOW);
        let (Outcome::Reply(reply), Some(response)) = server.outcome(&query.octets(), &request) else {
            panic!("{query:?}")
        };
        assert_eq!((reply.ede, response.opt), (Some(code), None));
    }
}

/// 4.19: "An authoritative server or recursive resolver that receives a query from an "unauthorized" client can
/// annotate its REFUSED message with this code."
#[test]
fn prohibited_response_has_error_only() {
    let server = Server::new(Mode::Verified);
    for (name, exists) in [(POD, true), ("10-244-9-9.default.pod.cluster.local", false)] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let query = Query::new(name, 1).edns(&Edns::new(1232)).octets();
            let request = Request::new(transport, CLIENT, NOW);
            assert_eq!(server.udp(&query).rcode == Rcode::NOERROR.0, exists);
            let mut out = [0; 512];
            let Outcome::Reply(reply) = refuse(&server.config, &query, &request, &mut out) else {
                panic!("dropped")
            };
            let response = Response::decode(&out[..reply.len]).unwrap();
            assert_eq!((Rcode(response.rcode), reply.rcode), (Rcode::REFUSED, Rcode::REFUSED));
            assert_eq!((response.ede(), reply.ede), (Some(Ede::PROHIBITED), Some(Ede::PROHIBITED)));
            assert!(response.answer.is_empty() && response.authority.is_empty());
            assert!(!response.has(response::AA) && response.question.is_some());
        }
    }
    let request = Request::new(Transport::Udp, CLIENT, NOW);
    for (query, len, reason) in [
        (&[0; 11][..], 512, DropReason::Short),
        (&[0x80; 12], 512, DropReason::Response),
        (&[0; 12], 511, DropReason::NoRoom),
    ] {
        let outcome = refuse(&server.config, query, &request, &mut vec![0; len]);
        assert_eq!(outcome, Outcome::Drop(reason));
    }
}

/// 4.1: "Implementations SHOULD include an EXTRA-TEXT value to augment this error code".
#[test]
fn unknown_lookup_is_servfail_with_text() {
    let names = ["default", "10-244-1-5.default", "fd00-10-244-1--5.default", "web-2.default"];
    for (mode, names) in [(Mode::Verified, &names[..]), (Mode::Insecure, &names[..3])] {
        for name in names {
            for freshness in [Freshness::Fresh, Freshness::Stale { age: Duration::from_secs(5) }] {
                let pods = Unreadable(freshness);
                let server = Server { pods: &pods, ..Server::new(mode) }.with(|config| {
                    config.check_namespaces = true;
                    config.pod_names = true;
                });
                let query =
                    Query::new(&format!("{name}.pod.cluster.local"), 1).edns(&Edns::new(1232)).octets();
                let (outcome, response) = server.outcome(&query, &Request::new(Transport::Udp, CLIENT, NOW));
                let (Outcome::Reply(reply), Some(response)) = (outcome, response) else { panic!("{name}") };
                assert_eq!(
                    (reply.rcode, reply.ede, reply.is_unknown()),
                    (Rcode::SERVFAIL, Some(Ede::OTHER), true)
                );
                assert!(response.answer.is_empty() && response.authority.is_empty(), "{name}");
                let option = b"\0\0pod index could not be read".to_vec();
                assert_eq!(response.opt.unwrap().options, [(15, option)], "{name}");
            }
        }
    }
}

/// An index that can never be read.
struct Unreadable(Freshness);

impl PodLookup for Unreadable {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Err(Unknown)
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        Err(Unknown)
    }

    fn addresses_of(&self, _: &Label, _: &Label, _: &mut dyn FnMut(IpAddr)) -> Result<(), Unknown> {
        Err(Unknown)
    }

    fn freshness(&self) -> Freshness {
        self.0
    }
}

/// Responses without an extended error: successful answers, and FORMERR.
#[test]
fn answers_have_no_extended_error() {
    for (query, rcode) in [
        (Query::new(POD, 1), Rcode::NOERROR),
        (Query::new(POD, 28), Rcode::NOERROR),
        (Query::new("nowhere.pod.cluster.local", 1), Rcode::NXDOMAIN),
        (Query::empty(), Rcode::FORMERR),
    ] {
        let response = Server::new(Mode::Verified).udp(&query.edns(&Edns::new(1232)).octets());
        assert_eq!((Rcode(response.rcode), response.ede()), (rcode, None));
    }
    let badvers = Query::new(POD, 1).edns(&Edns::new(1232).version(1)).octets();
    assert_eq!(Server::new(Mode::Verified).udp(&badvers).ede(), None);
}

/// 2: an extended error in a query is ignored.
#[test]
fn an_option_of_the_query_is_ignored() {
    let query = Query::new(POD, 1).edns(&Edns::new(1232).option(15, &[0, 3, b'x'])).octets();
    assert_eq!(Server::new(Mode::Verified).udp(&query).opt.unwrap().options, []);
}

/// 5.2: the registry's names.
#[test]
fn codes_have_their_names() {
    for (code, number, name) in [
        (Ede::OTHER, 0, "Other Error"),
        (Ede::STALE_ANSWER, 3, "Stale Answer"),
        (Ede::NOT_READY, 14, "Not Ready"),
        (Ede::BLOCKED, 15, "Blocked"),
        (Ede::PROHIBITED, 18, "Prohibited"),
        (Ede::STALE_NXDOMAIN, 19, "Stale NXDOMAIN Answer"),
        (Ede::NOT_AUTHORITATIVE, 20, "Not Authoritative"),
        (Ede::NOT_SUPPORTED, 21, "Not Supported"),
        (Ede::NO_REACHABLE_AUTHORITY, 22, "No Reachable Authority"),
    ] {
        assert_eq!((code.0, code.to_string()), (number, name.to_owned()));
    }
}
