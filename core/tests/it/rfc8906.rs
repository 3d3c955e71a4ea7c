//! RFC 8906 section 8: the probes for servers that fail to communicate, each with its expected result. `udp` and
//! `tcp` check that no probe times out: they fail without a response.

use poddns_core::wire::Rcode;
use poddns_core::{CookieSecrets, Mode};

use crate::support::Server;
use crate::support::query::{Edns, Query};
use crate::support::response::{AA, Response};

const SOA: u16 = 6;

fn server() -> Server<'static> {
    Server::new(Mode::Verified)
}

fn soa() -> Query {
    Query::new("pod.cluster.local", SOA)
}

/// "status: NOERROR", "the SOA record to be present in the answer section", "flag: aa to be present".
fn assert_soa(response: &Response) {
    assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NOERROR, true));
    assert_eq!(response.answer.iter().map(|record| record.rtype).collect::<Vec<_>>(), [SOA]);
}

/// "status: BADVERS", no SOA, no AA, an OPT of version 0.
fn assert_badvers(response: &Response) {
    assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::BADVERS, false));
    assert!(response.answer.is_empty());
    assert_eq!(response.opt.as_ref().map(|opt| opt.version), Some(0));
}

#[test]
fn probe_8_1_1_zone_is_configured() {
    assert_soa(&server().udp(&soa().octets()));
}

#[test]
fn probe_8_1_2_unknown_types() {
    let response = server().udp(&Query::new("pod.cluster.local", 1000).octets());
    assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NOERROR, true));
    assert!(response.answer.is_empty());
}

#[test]
fn probe_8_1_3_header_bits() {
    for (bit, what) in [(0x0010, "CD"), (0x0020, "AD"), (0x0040, "Z"), (0x0100, "RD")] {
        let response = server().udp(&soa().flags(bit).octets());
        assert_soa(&response);
        assert_eq!(response.flags & 0x0070, 0, "{what}: \"MBZ to not be in the response\"");
    }
}

#[test]
fn probe_8_1_4_unknown_opcodes() {
    let response = server().udp(&Query::empty().opcode(15).octets());
    assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NOTIMP, false));
    assert_eq!(response.flags >> 11 & 0xf, 15);
    assert!(response.answer.is_empty());
}

#[test]
fn probe_8_1_5_tcp() {
    assert_soa(&server().tcp(&soa().octets()));
}

#[test]
fn probe_8_2_1_minimal_edns() {
    let response = server().udp(&soa().edns(&Edns::new(1232)).octets());
    assert_soa(&response);
    assert_eq!(response.opt.unwrap().version, 0);
}

#[test]
fn probe_8_2_2_version_negotiation() {
    assert_badvers(&server().udp(&soa().edns(&Edns::new(1232).version(1)).octets()));
}

#[test]
fn probe_8_2_3_unknown_options() {
    let response = server().udp(&soa().edns(&Edns::new(1232).option(100, &[])).octets());
    assert_soa(&response);
    assert_eq!(response.opt.unwrap().options, []);
}

#[test]
fn probe_8_2_4_unknown_flags() {
    let response = server().udp(&soa().edns(&Edns::new(1232).flags(0x0040)).octets());
    assert_soa(&response);
    assert_eq!(response.opt.unwrap().flags, 0);
}

#[test]
fn probe_8_2_5_badvers_unknown_flags() {
    let response = server().udp(&soa().edns(&Edns::new(1232).version(1).flags(0x0040)).octets());
    assert_badvers(&response);
    assert_eq!(response.opt.unwrap().flags, 0);
}

#[test]
fn probe_8_2_6_badvers_unknown_options() {
    let response = server().udp(&soa().edns(&Edns::new(1232).version(1).option(100, &[])).octets());
    assert_badvers(&response);
    assert_eq!(response.opt.unwrap().options, []);
}

/// A truncated response has an OPT as well.
#[test]
fn probe_8_2_7_truncated_responses() {
    let addresses: Vec<_> = (0..100).map(|last| [10, 0, 0, last].into()).collect();
    let cluster = crate::support::cluster::recorded().pod("default", "many", &addresses);
    let server = Server { pods: &cluster, ..server() }.with(|config| config.pod_names = true);
    let edns = Edns::new(512).flags(0x8000);
    let response = server.udp(&Query::new("many.default.pod.cluster.local", 1).edns(&edns).octets());
    assert!(response.has(crate::support::response::TC) && response.len <= 512);
    assert_eq!(response.opt.unwrap().version, 0);
}

#[test]
fn probe_8_2_8_dnssec_ok() {
    let response = server().udp(&soa().edns(&Edns::new(1232).flags(0x8000)).octets());
    assert_soa(&response);
    assert_eq!(response.opt.unwrap().flags, 0x8000);
}

/// The RFC expects DO here as well if the server copies it in version 0. It is not copied, because the meaning of
/// flags in an unsupported version is not known.
#[test]
fn probe_8_2_9_badvers_dnssec_ok() {
    let response = server().udp(&soa().edns(&Edns::new(1232).version(1).flags(0x8000)).octets());
    assert_badvers(&response);
    assert_eq!(response.opt.unwrap().flags, 0);
}

#[test]
fn probe_8_2_10_several_defined_options() {
    static SECRETS: CookieSecrets = CookieSecrets { current: [1; 16], previous: None };
    let edns = Edns::new(1232)
        .option(10, b"\x01\x02\x03\x04\x05\x06\x07\x08")
        .option(3, &[])
        .option(9, &[])
        .option(8, &[0, 1, 0, 0]);
    let response = server().udp(&soa().edns(&edns).octets());
    assert_soa(&response);
    assert_eq!(response.opt.unwrap().options, []);
    let configured = server().with(|config| {
        config.cookies = Some(&SECRETS);
        config.nsid = Some(b"n");
    });
    let response = configured.udp(&soa().edns(&edns).octets());
    assert_soa(&response);
    let mut codes: Vec<_> = response.opt.unwrap().options.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [3, 10], "what is known is answered, what is not (EXPIRE, client subnet) is not");
}
