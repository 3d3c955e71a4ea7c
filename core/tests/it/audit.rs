//! The audit reports answers that mode verified would have refused, and changes no response.

use core::time::Duration;

use poddns_core::wire::Rtype;
use poddns_core::{AuditFinding, Freshness, Mode, Outcome, Request, Transport};

use crate::coredns;
use crate::support::cluster::recorded;
use crate::support::query::Query;
use crate::support::{CLIENT, NOW, Server};

/// Returns the finding on an A query for this name in the zone.
fn finding(server: &Server<'_>, name: &str) -> Option<AuditFinding> {
    let query = Query::new(&format!("{name}.pod.cluster.local"), Rtype::A.0).octets();
    match server.octets(&query, &Request::new(Transport::Udp, CLIENT, NOW)).0 {
        Outcome::Reply(reply) => reply.audit,
        outcome => panic!("{outcome:?}"),
    }
}

fn audited() -> Server<'static> {
    Server::new(Mode::Insecure).with(|config| config.audit = true)
}

#[test]
fn findings_name_the_cause() {
    let server = audited();
    for (name, expected) in [
        ("10-244-1-5.default", None),
        ("10-244-1-5.nowhere", Some(AuditFinding::NoSuchNamespace)),
        ("10-9-9-9.default", Some(AuditFinding::NoSuchPod)),
        ("10-9-9-9.nowhere", Some(AuditFinding::NoSuchNamespace)),
        ("10-244-1-5.team-a", Some(AuditFinding::OtherNamespace)),
        // Refused in both modes.
        ("x.default", None),
        ("default", None),
        ("0--ffff-a00-1.default", None),
        ("1-2-3-4.a.default", None),
    ] {
        assert_eq!(finding(&server, name), expected, "{name}");
    }
}

#[test]
fn shared_addresses_are_of_other_namespaces() {
    let host = [192, 168, 0, 1].into();
    let cluster = recorded().pod("kube-system", "proxy", &[host]).pod("kube-system", "agent", &[host]);
    let server = Server { pods: &cluster, ..audited() };
    assert_eq!(finding(&server, "192-168-0-1.kube-system"), None);
    assert_eq!(finding(&server, "192-168-0-1.default"), Some(AuditFinding::OtherNamespace));
}

#[test]
fn guarded_queries_have_no_finding() {
    let namespaces = ["team-a".parse().expect("a label")];
    let cidrs = ["10.244.0.0/16".parse().expect("a network")];
    let server = audited().with(|config| config.namespaces = &namespaces);
    assert_eq!(finding(&server, "10-9-9-9.default"), None);
    let server = audited().with(|config| config.pod_cidrs = &cidrs);
    assert_eq!(finding(&server, "10-9-9-9.default"), None);
    let server = audited().with(|config| config.check_namespaces = true);
    assert_eq!(finding(&server, "10-9-9-9.nowhere"), None);
    assert_eq!(finding(&server, "10-9-9-9.default"), Some(AuditFinding::NoSuchPod));
}

#[test]
fn finding_before_first_list_is_not_ready() {
    let unsynced = recorded().fresh(Freshness::Unsynced);
    let server = Server { pods: &unsynced, ..audited() };
    assert_eq!(finding(&server, "10-244-1-5.default"), Some(AuditFinding::NotReady));
    let age = Duration::from_secs(60);
    let stale = recorded().fresh(Freshness::Stale { age });
    let server = Server { pods: &stale, ..audited() };
    assert_eq!(finding(&server, "10-244-1-5.default"), None);
}

#[test]
fn only_mode_insecure_is_audited() {
    for mode in [Mode::Verified, Mode::Disabled] {
        let server = Server::new(mode).with(|config| config.audit = true);
        assert_eq!(finding(&server, "10-9-9-9.default"), None, "{mode:?}");
    }
    assert_eq!(finding(&Server::new(Mode::Insecure), "10-9-9-9.default"), None, "off by default");
}

#[test]
fn responses_to_coredns_queries_stay_the_same() {
    let mut found = 0;
    for check_namespaces in [false, true] {
        let plain = Server::new(Mode::Insecure).with(|config| config.check_namespaces = check_namespaces);
        let audited = plain.with(|config| config.audit = true);
        for (transport, query) in coredns::queries() {
            let request = Request::new(transport, CLIENT, NOW);
            let (outcome, octets) = audited.octets(&query, &request);
            let (expected, same) = plain.octets(&query, &request);
            assert_eq!(octets, same);
            if let (Outcome::Reply(mut reply), Outcome::Reply(expected)) = (outcome, expected) {
                found += usize::from(reply.audit.take().is_some());
                assert_eq!(reply, expected);
            }
        }
    }
    assert!(found > 20, "{found} findings");
}
