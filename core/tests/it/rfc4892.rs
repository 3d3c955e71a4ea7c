//! RFC 4892: identification of the server in class CH, if configured.

use poddns_core::Mode;
use poddns_core::wire::{Class, Ede, Rcode};

use crate::support::Server;
use crate::support::query::{Edns, Query};
use crate::support::response::{AA, Response, WireName};

fn ask(server: &Server<'_>, name: &str, rtype: u16, class: u16) -> Response {
    server.udp(&Query::of(&WireName::new(name).0, rtype, class).edns(&Edns::new(1232)).octets())
}

fn identified() -> Server<'static> {
    Server::new(Mode::Verified).with(|config| {
        config.chaos_version = Some("poddns 0.1");
        config.chaos_id = Some("node-a");
    })
}

/// 2.1 and 3.1: TXT, class CH, TTL 0; `hostname.bind` and `id.server`.
#[test]
fn configured_identity_is_answered() {
    for (name, text) in [
        ("id.server", "node-a"),
        ("ID.Server", "node-a"),
        ("hostname.bind", "node-a"),
        ("version.bind", "poddns 0.1"),
        ("version.server", "poddns 0.1"),
    ] {
        for rtype in [16, 255] {
            let response = ask(&identified(), name, rtype, 3);
            let [record] = &response.answer[..] else { panic!("{response:?}") };
            assert_eq!((Class(record.class), record.ttl, record.rtype), (Class::CH, 0, 16));
            assert_eq!(record.data, [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat());
            assert_eq!(record.owner, WireName::new(name));
            assert!(response.has(AA));
        }
    }
}

/// 3.1: an operator can disable it; here it is disabled by default, and REFUSED then.
#[test]
fn identity_is_refused_by_default() {
    let names = ["id.server", "hostname.bind", "version.bind", "version.server"];
    let silent = Server::new(Mode::Verified);
    let only_id = silent.with(|config| config.chaos_id = Some("x"));
    let only_version = silent.with(|config| config.chaos_version = Some("x"));
    for (server, counts) in [(silent, [0; 4]), (only_id, [1, 1, 0, 0]), (only_version, [0, 0, 1, 1])] {
        for (name, count) in names.into_iter().zip(counts) {
            let response = ask(&server, name, 16, 3);
            assert_eq!(response.answer.len(), count, "{name}");
            let refused = (Rcode::REFUSED, Some(Ede::NOT_SUPPORTED));
            assert_eq!((Rcode(response.rcode), response.ede()) == refused, count == 0, "{name}");
        }
    }
}

/// Only for type TXT, only in class CH, and no other names in that class.
#[test]
fn other_chaos_queries_are_refused() {
    for (name, rtype, class) in [
        ("id.server", 1, 3),
        ("id.server", 16, 4),
        ("id.server", 16, 255),
        ("server", 16, 3),
        ("x.id.server", 16, 3),
        ("version.bindx", 16, 3),
        ("pod.cluster.local", 16, 3),
        ("10-244-1-5.default.pod.cluster.local", 1, 3),
    ] {
        let response = ask(&identified(), name, rtype, class);
        assert_eq!(
            (Rcode(response.rcode), response.ede()),
            (Rcode::REFUSED, Some(Ede::NOT_SUPPORTED)),
            "{name}"
        );
        assert!(!response.has(AA));
    }
    // In class IN the name is outside the zones.
    let response = ask(&identified(), "id.server", 16, 1);
    assert_eq!(response.ede(), Some(Ede::NOT_AUTHORITATIVE));
}

/// A text is one string of which at most 255 octets are sent.
#[test]
fn long_texts_are_truncated() {
    for (len, sent) in [(0, 0), (255, 255), (256, 255), (300, 255)] {
        let text = "x".repeat(len);
        let server = Server::new(Mode::Verified).with(|config| config.chaos_id = Some(&text));
        let data = &ask(&server, "id.server", 16, 3).answer[0].data;
        assert_eq!((data.len(), usize::from(data[0])), (sent + 1, sent), "{len}");
    }
}
