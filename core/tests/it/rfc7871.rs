//! RFC 7871: EDNS Client Subnet, from trusted forwarders.

use core::net::IpAddr;

use poddns_core::wire::Rcode;
use poddns_core::{IpCidr, Mode, Request, Transport, Visibility, client_of};
use proptest::prelude::*;

use crate::support::generate::broken_query;
use crate::support::query::{Edns, Query};
use crate::support::response::Response;
use crate::support::{NOW, Server};

const SUBNET: u16 = 8;
const FORWARDER: &str = "10.96.0.10";
/// The option with the address of a pod of `default`.
const POD: [u8; 8] = [0, 1, 32, 0, 10, 244, 1, 5];
const NAME: &str = "10-244-1-6.default.pod.cluster.local";

fn trusted() -> &'static [IpCidr] {
    static TRUSTED: std::sync::LazyLock<[IpCidr; 2]> = std::sync::LazyLock::new(|| {
        ["10.96.0.0/24", "fd00:96::/64"].map(|text| text.parse().expect("a network"))
    });
    &*TRUSTED
}

fn server() -> Server<'static> {
    Server::new(Mode::Verified).with(|config| {
        config.visibility = Visibility::Namespace;
        config.trust_ecs = trusted();
    })
}

fn with_subnet(name: &str, data: &[u8]) -> Vec<u8> {
    Query::new(name, 1).edns(&Edns::new(1232).option(SUBNET, data)).octets()
}

fn ask(query: &[u8], source: &str, transport: Transport) -> Response {
    let request = Request::new(transport, source.parse().expect("an address"), NOW);
    server().outcome(query, &request).1.expect("a response")
}

fn rcode(query: &[u8], source: &str) -> Rcode {
    Rcode(ask(query, source, Transport::Udp).rcode)
}

#[test]
fn option_of_forwarder_identifies_client() {
    let v6 = [&[0, 2, 128, 0][..], &[0xfd, 0, 0, 0x10, 2, 0x44, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6]].concat();
    let other = [0, 1, 32, 0, 10, 244, 2, 5];
    for source in [FORWARDER, "fd00:96::a", "::ffff:10.96.0.10"] {
        for (data, expected) in [(&POD[..], Rcode::NOERROR), (&v6, Rcode::NOERROR), (&other, Rcode::NXDOMAIN)]
        {
            for transport in [Transport::Udp, Transport::Tcp] {
                let response = ask(&with_subnet(NAME, data), source, transport);
                assert_eq!(Rcode(response.rcode), expected, "{source} {data:?}");
            }
        }
    }
}

#[test]
fn shorter_prefix_identifies_no_client() {
    for data in [&[0, 1, 24, 0, 10, 244, 1][..], &[0, 1, 31, 0, 10, 244, 1, 4], &[0, 1, 0, 0], &[0, 2, 0, 0]]
    {
        assert_eq!(rcode(&with_subnet(NAME, data), FORWARDER), Rcode::NXDOMAIN, "{data:?}");
    }
    assert_eq!(rcode(&Query::new(NAME, 1).octets(), FORWARDER), Rcode::NXDOMAIN);
    assert_eq!(rcode(&Query::new(NAME, 1).edns(&Edns::new(512)).octets(), FORWARDER), Rcode::NXDOMAIN);
}

#[test]
fn option_of_untrusted_client_is_ignored() {
    for data in [&POD[..], &[0, 1, 33, 0, 1, 2, 3, 4], &[], &[0, 1, 32, 9, 10, 244, 1, 5]] {
        for (source, expected) in [("10.244.2.5", Rcode::NXDOMAIN), ("10.244.1.5", Rcode::NOERROR)] {
            let with = ask(&with_subnet(NAME, data), source, Transport::Udp);
            let without = ask(&Query::new(NAME, 1).edns(&Edns::new(1232)).octets(), source, Transport::Udp);
            assert_eq!(Rcode(with.rcode), expected, "{source} {data:?}");
            assert_eq!(with, without, "the option changes nothing");
        }
    }
}

#[test]
fn option_is_returned_with_scope() {
    let scope = |name: &str, data: &[u8]| {
        let response = ask(&with_subnet(name, data), FORWARDER, Transport::Udp);
        let option = response.opt.as_ref().and_then(|opt| opt.option(SUBNET)).map(<[u8]>::to_vec);
        let option = option.unwrap_or_else(|| panic!("{name}: {response:?}"));
        assert_eq!(option.len(), data.len());
        assert_eq!(
            (&option[..3], &option[4..]),
            (&data[..3], &data[4..]),
            "family, source and address are the query's"
        );
        option[3]
    };
    for name in
        [NAME, "default.pod.cluster.local", "10-244-2-5.team-a.pod.cluster.local", "absent.pod.cluster.local"]
    {
        assert_eq!(scope(name, &POD), 32, "{name}");
        assert_eq!(scope(name, &[0, 1, 24, 0, 10, 244, 1]), 24, "{name}");
        assert_eq!(scope(name, &[0, 1, 0, 0]), 0, "{name}");
    }
    for name in ["pod.cluster.local", "example.com", "a.b.c.pod.cluster.local", "x_y.pod.cluster.local"] {
        assert_eq!(scope(name, &POD), 0, "{name} is the same for all clients");
    }
}

#[test]
fn option_is_returned_to_forwarders_only() {
    for (source, query) in [
        ("10.244.1.5", with_subnet(NAME, &POD)),
        (FORWARDER, Query::new(NAME, 1).edns(&Edns::new(1232)).octets()),
    ] {
        let response = ask(&query, source, Transport::Udp);
        assert_eq!(response.opt.as_ref().and_then(|opt| opt.option(SUBNET)), None, "{source}");
    }
}

#[test]
fn malformed_option_is_a_format_error() {
    for data in [
        &[][..],
        &[0, 1, 32],
        &[0, 1, 33, 0, 10, 244, 1, 5],
        &[0, 1, 32, 0, 10, 244, 1],
        &[0, 1, 32, 0, 10, 244, 1, 5, 0],
        &[0, 1, 31, 0, 10, 244, 1, 5],
        &[0, 1, 32, 32, 10, 244, 1, 5],
        &[0, 3, 32, 0, 10, 244, 1, 5],
        &[0, 0, 0, 0],
        &[0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let response = ask(&with_subnet(NAME, data), FORWARDER, Transport::Udp);
        assert_eq!((Rcode(response.rcode), response.answer.len()), (Rcode::FORMERR, 0), "{data:?}");
        assert!(response.opt.is_some_and(|opt| opt.options.is_empty()), "{data:?}");
    }
    let twice = Edns::new(1232).option(SUBNET, &POD).option(SUBNET, &POD);
    assert_eq!(rcode(&Query::new(NAME, 1).edns(&twice).octets(), FORWARDER), Rcode::FORMERR);
}

#[test]
fn other_errors_take_precedence() {
    let bad = [0, 1, 33, 0];
    let opt = Edns::new(1232).option(SUBNET, &bad);
    assert_eq!(rcode(&Query::new(NAME, 1).opcode(4).edns(&opt).octets(), FORWARDER), Rcode::NOTIMP);
    assert_eq!(rcode(&Query::new(NAME, 1).edns(&opt.version(1)).octets(), FORWARDER), Rcode::BADVERS);
}

#[test]
fn option_is_ignored_without_visibility() {
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode).with(|config| config.trust_ecs = trusted());
        let audited = server.with(|config| config.audit = true);
        let request = Request::new(Transport::Udp, FORWARDER.parse().expect("an address"), NOW);
        for data in [&POD[..], &[0, 1, 33, 0]] {
            let query = with_subnet(NAME, data);
            let plain = Server::new(mode).octets(&query, &request).1;
            assert_eq!(server.octets(&query, &request).1, plain);
            assert_eq!(audited.octets(&query, &request).1, plain, "an audit changes nothing");
        }
    }
}

#[test]
fn all_options_fit_with_the_longest_name() {
    let name = format!("{0}.{0}.{0}.{1}.pod.cluster.local", "x".repeat(60), "y".repeat(50));
    let data = [&[0, 2, 128, 0][..], &[0xfd; 16]].concat();
    let secrets = poddns_core::CookieSecrets { current: [1; 16], previous: None };
    let nsid = [7; 128];
    let server = server().with(|config| {
        config.nsid = Some(&nsid);
        config.tcp_keepalive = Some(100);
        config.cookies = Some(&secrets);
    });
    let edns = Edns::new(512).option(3, &[]).option(11, &[]).option(10, &[1; 8]).option(SUBNET, &data);
    let query = Query::new(&name, 1).edns(&edns).octets();
    let request = Request::new(Transport::Tcp, FORWARDER.parse().expect("an address"), NOW);
    let response = server.outcome(&query, &request).1.expect("a response");
    let codes: Vec<u16> = response.opt.expect("an OPT").options.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [3, 10, 11, SUBNET]);
}

#[test]
fn clients_are_canonical() {
    let config = server().config;
    let client = |source: &str, query: &[u8]| client_of(&config, query, source.parse().expect("an address"));
    let pod: IpAddr = [10, 244, 1, 5].into();
    let query = with_subnet(NAME, &POD);
    assert_eq!(client("10.9.9.9", &query), Some([10, 9, 9, 9].into()), "not trusted");
    assert_eq!(client("::ffff:10.9.9.9", &query), Some([10, 9, 9, 9].into()));
    for source in [FORWARDER, "::ffff:10.96.0.10", "fd00:96::1"] {
        assert_eq!(client(source, &query), Some(pod));
        assert_eq!(client(source, &Query::new(NAME, 1).octets()), None, "not named");
        assert_eq!(client(source, &with_subnet(NAME, &[0, 1, 24, 0, 10, 244, 1])), None, "a network");
        assert_eq!(client(source, &with_subnet(NAME, &[0, 1, 33, 0])), None, "malformed");
    }
}

proptest! {
    /// Any data of the option is answered; from a forwarder it is FORMERR or returned in the response.
    #[test]
    fn any_option_is_answered(data in prop::collection::vec(any::<u8>(), 0..=24), family in 0..=3_u8, source in 0..=130_u8) {
        let mut data = data;
        data.splice(0..data.len().min(4), [0, family, source, 0]);
        let response = ask(&with_subnet(NAME, &data), FORWARDER, Transport::Udp);
        let rcode = Rcode(response.rcode);
        let echoed = response.opt.as_ref().and_then(|opt| opt.option(SUBNET)).is_some();
        prop_assert_eq!(echoed, rcode != Rcode::FORMERR);
    }

    #[test]
    fn broken_queries_have_a_client_or_none(octets in broken_query()) {
        let config = server().config;
        let source = FORWARDER.parse().expect("an address");
        let _ = client_of(&config, &octets, source);
        let request = Request::new(Transport::Udp, source, NOW);
        let _ = server().outcome(&octets, &request);
    }
}
