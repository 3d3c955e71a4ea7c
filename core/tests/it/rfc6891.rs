//! RFC 6891: EDNS(0).

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query, record};
use crate::support::response::{Response, TC};

const POD: &str = "10-244-1-5.default.pod.cluster.local";

fn ask(edns: &Edns) -> Response {
    Server::new(Mode::Verified).udp(&Query::new(POD, 1).edns(edns).octets())
}

/// 6.1.1 and 7: an OPT in the response if and only if there is one in the query.
#[test]
fn opt_answers_opt() {
    let server = Server::new(Mode::Verified);
    for name in [POD, "nowhere.pod.cluster.local", "example.com"] {
        assert!(server.udp(&Query::new(name, 1).edns(&Edns::new(1232)).octets()).opt.is_some());
        assert!(server.udp(&Query::new(name, 1).octets()).opt.is_none());
        assert!(server.tcp(&Query::new(name, 1).edns(&Edns::new(1232)).octets()).opt.is_some());
    }
}

/// 6.1.1: more than one OPT is a FORMERR.
#[test]
fn two_opts_are_a_format_error() {
    let query = Query::new(POD, 1).edns(&Edns::new(1232)).edns(&Edns::new(512)).octets();
    assert_eq!(Rcode(Server::new(Mode::Verified).udp(&query).rcode), Rcode::FORMERR);
}

/// 6.1.2: the fixed part has a root owner and the size as class. Fields of the query other than size, version and DO
/// are ignored.
#[test]
fn the_fixed_part_is_this_servers() {
    for edns in [
        Edns::new(1232),
        Edns { extended_rcode: 255, ..Edns::new(4096) },
        Edns::new(0).flags(0x7fff),
        Edns::new(65_535).flags(0x0001),
    ] {
        let response = ask(&edns);
        assert_eq!(Rcode(response.rcode), Rcode::NOERROR);
        let opt = response.opt.unwrap();
        // 6.1.4: the Z bits are zero; 6.2.5: the size is the responder's own.
        assert_eq!((opt.payload_size, opt.version, opt.flags), (1232, 0, 0));
    }
}

/// 6.1.2: options are attribute-value pairs that fill the data exactly; unknown ones are ignored.
#[test]
fn options_fill_the_data() {
    for (data, rcode) in [
        (&[][..], Rcode::NOERROR),
        (&[0xff, 0xff, 0, 0], Rcode::NOERROR),
        (&[0, 0, 0, 0], Rcode::NOERROR),
        (&[0xfd, 0xe9, 0, 2, 1, 2, 0xfd, 0xea, 0, 0], Rcode::NOERROR),
        (&[0xff], Rcode::FORMERR),
        (&[0xff, 0xff, 0], Rcode::FORMERR),
        (&[0xff, 0xff, 0, 1], Rcode::FORMERR),
        (&[0xff, 0xff, 0, 0, 0], Rcode::FORMERR),
        (&[0xfd, 0xe9, 0, 1, 1, 2], Rcode::FORMERR),
    ] {
        let response = ask(&Edns::new(1232).raw(data));
        assert_eq!(Rcode(response.rcode), rcode, "{data:02x?}");
        // 7: the OPT is also in a FORMERR caused by the OPT's own contents.
        assert_eq!(response.opt.unwrap().options, [], "{data:02x?}");
        assert_eq!(response.answer.is_empty(), rcode == Rcode::FORMERR);
    }
}

/// 6.1.3: any other version is BADVERS, with the supported version; the rcode is split over header and OPT.
#[test]
fn versions_above_0_are_badvers() {
    for version in 1..=255 {
        let response = ask(&Edns::new(1232).version(version));
        assert_eq!((Rcode(response.rcode), response.answer.len()), (Rcode::BADVERS, 0));
        assert_eq!(response.opt.unwrap().version, 0);
        assert!(response.question.is_some());
    }
}

/// 6.2.3: sizes below 512 are treated as 512; 6.2.5: the limit of this server is 1232.
#[test]
fn sizes_are_between_512_and_1232() {
    let addresses: Vec<_> = (0..60).map(|last| [10, 0, 0, last].into()).collect();
    let cluster = crate::support::cluster::recorded().pod("default", "many", &addresses);
    let server =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    // 60 addresses take 12 + 36 + 60 * 16 + 11 octets: 1019.
    for (size, truncated) in
        [(0, true), (512, true), (1018, true), (1019, false), (1232, false), (65_535, false)]
    {
        let query = Query::new("many.default.pod.cluster.local", 1).edns(&Edns::new(size)).octets();
        let response = server.udp(&query);
        assert_eq!(response.has(TC), truncated, "{size}: {} octets", response.len);
        assert!(!server.tcp(&query).has(TC), "{size}: no limit in a stream");
    }
}

/// 6.1.1: the OPT may be anywhere in the additional section, among records of other types.
#[test]
fn opt_stands_anywhere_in_the_additional_section() {
    let other = record(&[0], 1, 1, 0, &[1, 2, 3, 4]);
    let opt = Edns::new(1232).record();
    for order in [[&other, &other, &opt], [&other, &opt, &other], [&opt, &other, &other]] {
        let query = order.into_iter().fold(Query::new(POD, 1), |query, it| query.record(2, it.clone()));
        let response = Server::new(Mode::Verified).udp(&query.octets());
        assert_eq!((response.addresses().len(), response.opt.is_some()), (1, true));
    }
}
