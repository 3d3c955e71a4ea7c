//! Explanations follow the same rules as responses.

use core::time::Duration;

use poddns_core::wire::{Class, Rcode, Rtype};
use poddns_core::{Freshness, Mode, Outcome, Reason, Request, Transport, explain, explain_to};
use proptest::prelude::*;

use crate::support::cluster::recorded;
use crate::support::generate::{rtype, setting, valid_name};
use crate::support::query::{Edns, Query};
use crate::support::response::WireName;
use crate::support::{CLIENT, NOW, Server};

/// Returns the reason as text, in the recorded cluster and with pod names.
fn why(server: &Server<'_>, name: &str, rtype: Rtype) -> String {
    let name = WireName::new(name).0;
    explain(&server.config, server.pods, &name, rtype).expect("a name").to_string()
}

#[test]
fn responses_without_zone_have_reasons() {
    let server = Server::new(Mode::Verified).with(|config| config.chaos_id = Some("one"));
    let name = "10-244-1-5.default.pod.cluster.local";
    let chaos = |class: Class| Query::of(&WireName::new("id.server").0, Rtype::TXT.0, class.0).octets();
    let query = || Query::new(name, Rtype::A.0);
    let whole = query().octets();
    let cut = whole[..whole.len() - 1].to_vec();
    for (query, reason) in [
        (whole, Reason::PodHasAddress),
        (query().opcode(4).octets(), Reason::OpcodeNotServed),
        (cut, Reason::Malformed),
        (query().edns(&Edns::new(1232).version(1)).octets(), Reason::EdnsVersionNotServed),
        (Query::empty().octets(), Reason::WithoutQuestion),
        (chaos(Class::CH), Reason::ServerIdentity),
        (chaos(Class::ANY), Reason::ClassNotServed),
    ] {
        let (outcome, _) = server.outcome(&query, &Request::new(Transport::Udp, CLIENT, NOW));
        assert!(
            matches!(outcome, Outcome::Reply(reply) if reply.reason == reason),
            "{outcome:?}: {reason:?}"
        );
    }
}

#[test]
fn owners_of_addresses_are_named() {
    let server = Server::new(Mode::Verified);
    let why = |name: &str| why(&server, &format!("{name}.pod.cluster.local"), Rtype::A);
    let sync = "; the index is in sync with the cluster";
    let name = |namespace: &str| format!("10-244-1-5.{namespace}");
    let owner = server.pods.owner_of([10, 244, 1, 5].into());
    assert!(
        matches!(owner, Ok(poddns_core::Owner::Pod { namespace, .. }) if namespace.as_str() == "default"),
        "{owner:?}"
    );
    assert_eq!(why(&name("default")), format!("10.244.1.5 is a pod of 'default'{sync}"));
    assert!(
        why(&name("team-a")).ends_with(&format!(" of 'default', not of 'team-a'{sync}")),
        "{}",
        why(&name("team-a"))
    );
    assert!(why(&name("nowhere")).contains("and there is no such namespace"), "{}", why(&name("nowhere")));
    assert_eq!(why("10-9-9-9.default"), format!("no pod has 10.9.9.9{sync}"));
    assert_eq!(why("x.default"), "'x' is not a dashed address, and names of pods are not served");
    assert_eq!(why("a\u{1}.b.default"), "no name has more than two labels in front of the zone");
}

#[test]
fn guards_and_zones_are_named() {
    let cidrs = ["10.244.0.0/16".parse().expect("a network")];
    let server = Server::new(Mode::Insecure).with(|config| {
        config.pod_cidrs = &cidrs;
        config.block_special = true;
    });
    let why = |name: &str| why(&server, name, Rtype::A);
    assert_eq!(why("10-9-9-9.default.pod.cluster.local"), "10.9.9.9 is outside pod-cidr");
    assert_eq!(why("example.org"), "it is in no zone of this server, which has pod.cluster.local.");
    assert_eq!(why("pod.cluster.local"), "it is the apex of a zone; it has no record of type A");
}

#[test]
fn the_age_of_the_index_is_named() {
    let stale = |mode, freshness, most| {
        let cluster = recorded().fresh(freshness);
        let mut server = Server { pods: &cluster, ..Server::new(mode) };
        server.config.max_staleness = most;
        why(&server, "10-9-9-9.default.pod.cluster.local", Rtype::A)
    };
    let old = Freshness::Stale { age: Duration::from_secs(3) };
    assert_eq!(stale(Mode::Verified, old, None), "no pod has 10.9.9.9; the index was last in sync 3 s ago");
    assert_eq!(
        stale(Mode::Verified, old, Some(Duration::from_secs(1))),
        "the index was last in sync 3 s ago, longer than max-staleness allows"
    );
    assert_eq!(stale(Mode::Verified, Freshness::Unsynced, None), "the cluster has not been listed yet");
}

#[test]
fn only_whole_names_are_explained() {
    let server = Server::new(Mode::Verified);
    for octets in [&b""[..], b"\x01a", b"\x01a\x00x", b"\xc0\x0c"] {
        assert!(explain(&server.config, server.pods, octets, Rtype::A).is_none(), "{octets:02x?}");
    }
}

proptest! {
    #[test]
    fn explanations_equal_responses(setting in setting(), name in valid_name(), rtype in rtype(), tcp: bool) {
        let server = setting.server().with(|config| config.trust_ecs = &[]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let query = Query::of(&name, rtype, 1).octets();
        let (outcome, response) = server.outcome(&query, &Request::new(transport, CLIENT, NOW));
        let (Outcome::Reply(reply), Some(response)) = (outcome, response) else { panic!("{outcome:?}") };
        let explained = explain_to(&server.config, server.pods, CLIENT, &name, Rtype(rtype)).expect("a name");
        prop_assert_eq!((explained.rcode, explained.ede), (reply.rcode, reply.ede));
        prop_assert_eq!(explained.reason, reply.reason);
        prop_assert_eq!(explained.has_records, !response.answer.is_empty() || reply.truncated);
        prop_assert_eq!(explained.reason.is_guard(), explained.ede == Some(poddns_core::wire::Ede::BLOCKED));
        let text = explained.to_string();
        prop_assert!(!text.is_empty() && text.chars().all(|char| !char.is_control()), "{text:?}");
        prop_assert!(explained.rcode != Rcode::NXDOMAIN || !explained.has_records);
    }
}
