//! Tables of responses: modes, names, guards, freshness, pod names and zones.

use core::cell::Cell;
use core::net::IpAddr;
use core::time::Duration;

use poddns_core::wire::{Rcode, Rtype};
use poddns_core::{
    DropReason, Freshness, IpCidr, Label, Mode, NoPods, Outcome, Owner, PodLookup, Request, Transport,
    Unknown, respond,
};

use crate::support::cluster::{label, recorded};
use crate::support::query::Query;
use crate::support::response::RD;
use crate::support::{CLIENT, CLUSTER, NOW, Server};

/// Checks a server's responses to A queries for names below `pod.cluster.local`.
fn table(server: &Server<'_>, rows: &[(&str, &str)]) {
    table_of_type(server, Rtype::A, rows);
}

fn table_of_type(server: &Server<'_>, rtype: Rtype, rows: &[(&str, &str)]) {
    for (name, expected) in rows {
        let response = server.summary(&format!("{name}.pod.cluster.local"), rtype);
        assert_eq!(response, *expected, "{name} {rtype} {:?}", server.config);
    }
}

#[test]
fn disabled_has_nothing_below_its_apex() {
    let server = Server::new(Mode::Disabled);
    table(
        &server,
        &[
            ("default", "NXDOMAIN"),
            ("10-244-1-5.default", "NXDOMAIN"),
            ("web-1.default", "NXDOMAIN"),
            ("a.10-244-1-5.default", "NXDOMAIN"),
            ("*", "NXDOMAIN"),
        ],
    );
    assert_eq!(server.summary("pod.cluster.local", Rtype::A), "NODATA");
    // Regardless of other settings.
    let unsynced = recorded().fresh(Freshness::Unsynced);
    let server = Server { pods: &unsynced, ..server }.with(|config| {
        config.pod_names = true;
        config.check_namespaces = true;
    });
    table(
        &server,
        &[("default", "NXDOMAIN"), ("10-244-1-5.default", "NXDOMAIN"), ("web-1.default", "NXDOMAIN")],
    );
}

#[test]
fn insecure_answers_address_in_name() {
    let server = Server { pods: &NoPods, ..Server::new(Mode::Insecure) };
    table(
        &server,
        &[
            ("default", "NODATA"),
            ("any-name-will-do", "NODATA"),
            ("10-42-2-46.default", "10.42.2.46"),
            ("10-42-2-46.nowhere", "10.42.2.46"),
            ("10-42-2-46.0", "10.42.2.46"),
            ("8-8-8-8.default", "8.8.8.8"),
            ("127-0-0-1.default", "127.0.0.1"),
            ("0-0-0-0.default", "0.0.0.0"),
            ("fd00--1.default", "NODATA"),
            ("--.default", "NODATA"),
            // Not an RFC 1123 label, so not a namespace.
            ("-default", "NXDOMAIN"),
            ("default-", "NXDOMAIN"),
            ("de_fault", "NXDOMAIN"),
            ("*", "NXDOMAIN"),
            ("10-42-2-46.de_fault", "NXDOMAIN"),
            ("10-42-2-46.*", "NXDOMAIN"),
            ("10-42-2-46.-", "NXDOMAIN"),
            // Not an address.
            ("web-1.default", "NXDOMAIN"),
            ("*.default", "NXDOMAIN"),
            ("any.default", "NXDOMAIN"),
            ("10-42-2.default", "NXDOMAIN"),
            ("10-42-2-256.default", "NXDOMAIN"),
            ("010-42-2-46.default", "NXDOMAIN"),
            ("--ffff-102-304.default", "NXDOMAIN"),
            // Too many labels.
            ("a.10-42-2-46.default", "NXDOMAIN"),
            ("10-42-2-46.10-42-2-46.default", "NXDOMAIN"),
        ],
    );
    table_of_type(
        &server,
        Rtype::AAAA,
        &[
            ("10-42-2-46.default", "NODATA"),
            ("fd00--1.default", "fd00::1"),
            ("--.default", "::"),
            ("--ffff-102-304.default", "NXDOMAIN"),
            ("0-0-0-0-0-ffff-102-304.default", "NXDOMAIN"),
        ],
    );
}

#[test]
fn insecure_can_check_namespaces() {
    let server = Server::new(Mode::Insecure).with(|config| config.check_namespaces = true);
    let rows = [
        ("default", "NODATA"),
        ("rec", "NODATA"),
        ("nowhere", "NXDOMAIN"),
        ("8-8-8-8.default", "8.8.8.8"),
        ("8-8-8-8.nowhere", "NXDOMAIN"),
        ("web-1.default", "NXDOMAIN"),
    ];
    table(&server, &rows);
    // Mode verified looks namespaces up in any case, so the setting changes nothing.
    let server = Server::new(Mode::Verified);
    let with = server.with(|config| config.check_namespaces = true);
    for (name, _) in rows {
        let name = format!("{name}.pod.cluster.local");
        assert_eq!(server.summary(&name, Rtype::A), with.summary(&name, Rtype::A), "{name}");
    }
}

#[test]
fn verified_answers_for_pods() {
    let server = Server::new(Mode::Verified);
    table(
        &server,
        &[
            ("default", "NODATA"),
            ("rec", "NODATA"),
            ("nowhere", "NXDOMAIN"),
            ("10-244-1-5.default", "10.244.1.5"),
            ("10-244-1-5.DEFAULT", "10.244.1.5"),
            // The address of another namespace's pod, and a namespace that does not exist.
            ("10-244-1-5.team-a", "NXDOMAIN"),
            ("10-244-1-5.nowhere", "NXDOMAIN"),
            // Addresses of no pod, of a pod that has ended, and of a pod in another namespace since.
            ("10-99-99-99.default", "NXDOMAIN"),
            ("10-244-1-20.default", "NXDOMAIN"),
            ("10-244-1-21.default", "NXDOMAIN"),
            ("10-244-2-6.team-a", "NXDOMAIN"),
            ("10-244-2-6.team-b", "10.244.2.6"),
            // Terminating; shared by pods with host network; second address of its pod.
            ("10-244-1-30.default", "10.244.1.30"),
            ("192-168-1-10.default", "192.168.1.10"),
            ("192-168-1-10.kube-system", "192.168.1.10"),
            ("10-244-1-7.default", "10.244.1.7"),
            ("web-1.default", "NXDOMAIN"),
        ],
    );
    table_of_type(
        &server,
        Rtype::AAAA,
        &[
            ("fd00-10-244-1--7.default", "fd00:10:244:1::7"),
            ("FD00-10-244-1-0-0-0-7.default", "fd00:10:244:1::7"),
            ("fd00-0010-0244-0001--0007.default", "fd00:10:244:1::7"),
            ("fd00-10-244-1--6.default", "fd00:10:244:1::6"),
            ("fd00-10-244-5--.default", "fd00:10:244:5::"),
            ("fd00-10-244-5--0.default", "fd00:10:244:5::"),
            ("0--abcd.default", "::abcd"),
            ("10-244-1-5.default", "NODATA"),
        ],
    );
    // Nor for a pod that has such an address.
    let mapped = recorded().pod("default", "mapped", &["::ffff:10.0.0.1".parse().unwrap()]);
    let server = Server { pods: &mapped, ..server };
    table_of_type(&server, Rtype::AAAA, &[("--ffff-a00-1.default", "NXDOMAIN")]);
    table(&server, &[("--ffff-a00-1.default", "NXDOMAIN"), ("10-0-0-1.default", "NXDOMAIN")]);
}

#[test]
fn only_listed_namespaces_are_served() {
    // Sorted, as the configuration requires.
    let listed: Vec<Label> = ["default", "nowhere", "team-a"].map(label).into();
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode).with(|config| config.namespaces = &listed);
        table(
            &server,
            &[
                ("default", "NODATA"),
                ("DEFAULT", "NODATA"),
                ("team-b", "NXDOMAIN"),
                ("10-244-1-5.default", "10.244.1.5"),
                ("10-244-2-5.team-a", "10.244.2.5"),
                ("10-244-2-6.team-b", "NXDOMAIN"),
            ],
        );
    }
    // Listed but not existing: mode insecure checks the list only.
    let insecure = Server::new(Mode::Insecure).with(|config| config.namespaces = &listed);
    table(&insecure, &[("nowhere", "NODATA"), ("8-8-8-8.nowhere", "8.8.8.8")]);
    let verified = Server::new(Mode::Verified).with(|config| config.namespaces = &listed);
    table(&verified, &[("nowhere", "NXDOMAIN")]);
}

#[test]
fn pod_cidrs_bound_every_mode() {
    let cidrs: Vec<IpCidr> = ["10.244.0.0/23", "fd00:10:244:1::/64"].map(|text| text.parse().unwrap()).into();
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode).with(|config| config.pod_cidrs = &cidrs);
        table(
            &server,
            &[
                ("10-244-1-5.default", "10.244.1.5"),
                ("10-244-2-5.team-a", "NXDOMAIN EDE15"),
                ("10-243-255-255.default", "NXDOMAIN EDE15"),
                ("192-168-1-10.default", "NXDOMAIN EDE15"),
                ("fd00-10-244-5--.default", "NXDOMAIN EDE15"),
                ("default", "NODATA"),
                ("web-1.default", "NXDOMAIN"),
            ],
        );
        table_of_type(
            &server,
            Rtype::AAAA,
            &[
                ("fd00-10-244-1--7.default", "fd00:10:244:1::7"),
                ("fd00-10-244-5--.default", "NXDOMAIN EDE15"),
                ("10-244-2-5.team-a", "NXDOMAIN EDE15"),
            ],
        );
    }
    let insecure = Server::new(Mode::Insecure).with(|config| config.pod_cidrs = &cidrs);
    table(&insecure, &[("10-244-0-0.nowhere", "10.244.0.0"), ("10-244-1-255.nowhere", "10.244.1.255")]);
    let disabled = Server::new(Mode::Disabled).with(|config| config.pod_cidrs = &cidrs);
    table(&disabled, &[("10-244-1-5.default", "NXDOMAIN"), ("8-8-8-8.default", "NXDOMAIN")]);
}

#[test]
fn guards_apply_to_pod_names() {
    let addresses =
        ["10.244.1.99", "10.9.9.9", "127.0.0.1", "fd00:9::1", "fe80::1"].map(|text| text.parse().unwrap());
    let cluster = recorded()
        .pod("default", "mixed", &addresses)
        .pod("default", "outside", &addresses[1..2])
        .pod("default", "special", &addresses[2..3])
        .pod("default", "mapped", &["::ffff:10.244.1.98".parse().unwrap()])
        .pod("default", "mapped-too", &["::ffff:10.244.1.98".parse().unwrap(), addresses[0]]);
    let cidrs: Vec<IpCidr> = ["10.244.0.0/16", "fe80::/10"].map(|text| text.parse().unwrap()).into();
    let open =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    let bounded = open.with(|config| config.pod_cidrs = &cidrs);
    let guarded = open.with(|config| config.block_special = true);
    let both = bounded.with(|config| config.block_special = true);
    for (server, mixed, outside, special) in [
        (open, ["10.244.1.99 10.9.9.9 127.0.0.1", "fd00:9::1 fe80::1"], "10.9.9.9", "127.0.0.1"),
        (bounded, ["10.244.1.99", "fe80::1"], "NXDOMAIN EDE15", "NXDOMAIN EDE15"),
        (guarded, ["10.244.1.99 10.9.9.9", "fd00:9::1"], "10.9.9.9", "NXDOMAIN EDE15"),
        (both, ["10.244.1.99", "NODATA"], "NXDOMAIN EDE15", "NXDOMAIN EDE15"),
    ] {
        table(
            &server,
            &[("mixed.default", mixed[0]), ("outside.default", outside), ("special.default", special)],
        );
        table_of_type(&server, Rtype::AAAA, &[("mixed.default", mixed[1]), ("mapped-too.default", "NODATA")]);
        table(&server, &[("mapped-too.default", "10.244.1.99"), ("nobody.default", "NXDOMAIN")]);
    }
    // A mapped address is not returned for any name, with or without guards.
    for server in [open, bounded, guarded] {
        table_of_type(&server, Rtype::AAAA, &[("mapped.default", "NXDOMAIN")]);
    }
    // The extended error for a guard has precedence over that for a stale index.
    let stale = cluster.clone().fresh(Freshness::Stale { age: Duration::from_secs(1) });
    table(
        &Server { pods: &stale, ..guarded },
        &[("special.default", "NXDOMAIN EDE15"), ("outside.default", "10.9.9.9 EDE3")],
    );
}

#[test]
fn blocked_addresses_stay_blocked_before_first_sync() {
    let unsynced = recorded().fresh(Freshness::Unsynced);
    let server = Server { pods: &unsynced, ..Server::new(Mode::Verified) };
    let server = server.with(|config| config.block_special = true);
    table(&server, &[("127-0-0-1.default", "NXDOMAIN EDE15"), ("10-244-1-5.default", "SERVFAIL EDE14")]);
}

#[test]
fn pod_names_are_answered_with_all_addresses() {
    let cluster = recorded().pod("default", "10-244-1-5", &[IpAddr::from([10, 0, 0, 9])]).pod(
        "default",
        "four",
        &["fd00::1", "10.0.0.1", "10.0.0.2", "fd00::2"].map(|text| text.parse().unwrap()),
    );
    let server =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    table(
        &server,
        &[
            ("web-1.default", "10.244.1.5"),
            ("WEB-1.default", "10.244.1.5"),
            ("web-2.default", "10.244.1.6"),
            ("v6-2.default", "NODATA"),
            ("four.default", "10.0.0.1 10.0.0.2"),
            ("web-1.team-a", "NXDOMAIN"),
            ("web.team-a", "10.244.2.5"),
            ("succ-1.default", "NXDOMAIN"),
            ("web_1.default", "NXDOMAIN"),
            ("*.default", "NXDOMAIN"),
            ("web-1", "NXDOMAIN"),
            ("a.web-1.default", "NXDOMAIN"),
            // A label that parses as an address is an address, even if a pod has that name.
            ("10-244-1-5.default", "10.244.1.5"),
            ("10-0-0-9.default", "10.0.0.9"),
        ],
    );
    table_of_type(
        &server,
        Rtype::AAAA,
        &[("web-2.default", "fd00:10:244:1::6"), ("four.default", "fd00::1 fd00::2")],
    );
    table_of_type(
        &server,
        Rtype::ANY,
        &[("web-1.default", "10.244.1.5"), ("four.default", "fd00::1 fd00::2")],
    );
    table_of_type(&server, Rtype::TXT, &[("web-1.default", "NODATA"), ("nobody.default", "NXDOMAIN")]);
    // The name of a pod without addresses does not exist.
    table(&server, &[("pending-1.default", "NXDOMAIN")]);
    // Only if enabled, and only in mode verified.
    let off = server.with(|config| config.pod_names = false);
    table(&off, &[("web-1.default", "NXDOMAIN")]);
    let insecure = server.with(|config| config.mode = Mode::Insecure);
    table(&insecure, &[("web-1.default", "NXDOMAIN"), ("four.default", "NXDOMAIN")]);
}

/// Responses for names while the index is stale: three existing names, three others.
const STALE: [&str; 6] = [
    "10.244.1.5 EDE3",
    "NODATA EDE3",
    "10.244.1.5 EDE3",
    "NXDOMAIN EDE19",
    "NXDOMAIN EDE19",
    "NXDOMAIN EDE19",
];

#[test]
fn extended_errors_follow_freshness() {
    let age = Duration::from_secs(61);
    let names = [
        "10-244-1-5.default",
        "default",
        "web-1.default",
        "10-99-99-99.default",
        "nowhere",
        "nobody.default",
    ];
    let rows: [(Freshness, Option<Duration>, [&str; 6]); 8] = [
        (Freshness::Fresh, None, ["10.244.1.5", "NODATA", "10.244.1.5", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"]),
        (
            Freshness::Fresh,
            Some(Duration::ZERO),
            ["10.244.1.5", "NODATA", "10.244.1.5", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"],
        ),
        (Freshness::Unsynced, None, ["SERVFAIL EDE14"; 6]),
        (Freshness::Unsynced, Some(Duration::MAX), ["SERVFAIL EDE14"; 6]),
        (Freshness::Stale { age }, None, STALE),
        (Freshness::Resyncing { age }, None, STALE),
        (Freshness::Stale { age }, Some(age), STALE),
        (Freshness::Resyncing { age }, Some(age), STALE),
    ];
    let less = age.checked_sub(Duration::from_nanos(1));
    let too_old = [Freshness::Stale { age }, Freshness::Resyncing { age }]
        .map(|state| (state, less, ["SERVFAIL EDE22"; 6]));
    for (freshness, max_staleness, expected) in rows.into_iter().chain(too_old) {
        let cluster = recorded().fresh(freshness);
        let server = Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| {
            config.pod_names = true;
            config.max_staleness = max_staleness;
        });
        let rows: Vec<_> = names.into_iter().zip(expected).collect();
        table(&server, &rows);
        // Answers that do not depend on the index.
        table(&server, &[("a.b.c", "NXDOMAIN"), ("de_fault", "NXDOMAIN"), ("a.de_fault", "NXDOMAIN")]);
        assert_eq!(server.summary("pod.cluster.local", Rtype::A), "NODATA");
    }
}

#[test]
fn insecure_needs_index_for_namespaces_only() {
    let stale = Freshness::Stale { age: Duration::from_secs(1) };
    for (freshness, name, address) in
        [(Freshness::Unsynced, "SERVFAIL EDE14", "SERVFAIL EDE14"), (stale, "NODATA EDE3", "8.8.8.8 EDE3")]
    {
        let cluster = recorded().fresh(freshness);
        let server = Server { pods: &cluster, ..Server::new(Mode::Insecure) };
        table(
            &server,
            &[("default", "NODATA"), ("8-8-8-8.default", "8.8.8.8"), ("web-1.default", "NXDOMAIN")],
        );
        let checked = server.with(|config| config.check_namespaces = true);
        table(&checked, &[("default", name), ("8-8-8-8.default", address), ("web-1.default", "NXDOMAIN")]);
    }
}

#[test]
fn age_exists_unless_index_is_fresh() {
    let age = Duration::from_secs(9);
    let ages =
        [Freshness::Unsynced, Freshness::Fresh, Freshness::Stale { age }, Freshness::Resyncing { age }];
    assert_eq!(ages.map(Freshness::age), [None, None, Some(age), Some(age)]);
}

#[test]
fn recursion_desired_is_echoed_and_never_available() {
    let server = Server::new(Mode::Verified);
    for name in ["10-244-1-5.default.pod.cluster.local", "nowhere.pod.cluster.local", "example.com"] {
        assert!(server.udp(&Query::new(name, 1).flags(RD).octets()).has(RD));
        assert!(!server.udp(&Query::new(name, 1).octets()).has(RD));
    }
}

#[test]
fn the_output_buffer_bounds_the_response() {
    let cluster =
        recorded().pod("default", "many", &(0..200).map(|n| [10, 0, 0, n].into()).collect::<Vec<_>>());
    let config = Server::new(Mode::Verified).with(|config| config.pod_names = true).config;
    let query = Query::new("many.default.pod.cluster.local", 1).octets();
    let request = |transport| Request::new(transport, CLIENT, NOW);
    for len in [0, 511] {
        let outcome = respond(&config, &cluster, &query, &request(Transport::Udp), &mut vec![0; len]);
        assert_eq!(outcome, Outcome::Drop(DropReason::NoRoom), "{len} octets");
    }
    // Over TCP, an RRset that does not fit is left out completely as well.
    for (len, truncated) in [(512, true), (1232, true), (4096, false)] {
        let mut out = vec![0; len];
        let outcome = respond(&config, &cluster, &query, &request(Transport::Tcp), &mut out);
        let Outcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
        assert_eq!((reply.truncated, reply.rcode), (truncated, Rcode::NOERROR), "{len} octets");
        assert_eq!(out[7], if truncated { 0 } else { 200 });
    }
}

#[test]
fn lookup_may_be_borrowed_and_minimal() {
    /// A lookup with one namespace, one pod, and only the required methods.
    struct Small;

    impl PodLookup for Small {
        fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
            Ok(namespace.as_str() == "one")
        }
        fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
            Ok(namespace.as_str() == "one" && address == IpAddr::from([10, 0, 0, 1]))
        }
    }

    let server =
        Server { pods: &Small, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    table(
        &server,
        &[("one", "NODATA"), ("10-0-0-1.one", "10.0.0.1"), ("web.one", "NXDOMAIN"), ("two", "NXDOMAIN")],
    );
    assert_eq!(PodLookup::owner_of(&Small, CLIENT), Ok(Owner::None));
    assert_eq!(server.udp(&Query::new("pod.cluster.local", 6).octets()).answer[0].soa_numbers()[0], 1);

    // A reference forwards all methods.
    let age = Duration::from_secs(1);
    let stale = recorded().fresh(Freshness::Stale { age });
    let (direct, borrowed) = (&stale as &dyn PodLookup, &&stale as &dyn PodLookup);
    assert_eq!((borrowed.freshness(), borrowed.serial()), (direct.freshness(), direct.serial()));
    let addresses: Vec<IpAddr> =
        ["10.244.1.6", "192.168.1.10", "8.8.8.8"].map(|text| text.parse().unwrap()).into();
    for address in addresses {
        assert_eq!(borrowed.owner_of(address).unwrap(), direct.owner_of(address).unwrap());
    }
    let server =
        Server { pods: borrowed, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    table(
        &server,
        &[
            ("default", "NODATA EDE3"),
            ("nowhere", "NXDOMAIN EDE19"),
            ("10-244-1-5.default", "10.244.1.5 EDE3"),
            ("10-244-1-5.team-a", "NXDOMAIN EDE19"),
            ("web-2.default", "10.244.1.6 EDE3"),
        ],
    );
    let nobody = Server { pods: &NoPods, ..Server::new(Mode::Verified) };
    table(&nobody, &[("default", "NXDOMAIN"), ("10-244-1-5.default", "NXDOMAIN")]);
    assert!(CLUSTER.pods.len() > 1);
}

/// An index that finds a pod named `web` in one look-up; afterwards the pod is gone or unreadable.
struct Vanishing {
    lookups: Cell<u32>,
    end: Result<(), Unknown>,
    freshness: Freshness,
}

impl PodLookup for Vanishing {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Ok(true)
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        Ok(false)
    }

    fn addresses_of(&self, _: &Label, _: &Label, each: &mut dyn FnMut(IpAddr)) -> Result<(), Unknown> {
        if self.lookups.replace(1) > 0 {
            return self.end;
        }
        each(IpAddr::from([10, 0, 0, 1]));
        Ok(())
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }
}

/// NODATA would mean that the name exists: an answer must not combine look-ups of different moments.
#[test]
fn pod_gone_between_lookups_is_nxdomain() {
    let stale = Freshness::Stale { age: Duration::from_secs(1) };
    for (freshness, end, expected) in [
        (Freshness::Fresh, Ok(()), "NXDOMAIN"),
        (stale, Ok(()), "NXDOMAIN EDE19"),
        (Freshness::Fresh, Err(Unknown), "SERVFAIL EDE0"),
    ] {
        for rtype in [Rtype::A, Rtype::AAAA, Rtype::ANY] {
            let pods = Vanishing { lookups: Cell::default(), end, freshness };
            let server = Server { pods: &pods, ..Server::new(Mode::Verified) };
            let server = server.with(|config| config.pod_names = true);
            assert_eq!(server.summary("web.default.pod.cluster.local", rtype), expected, "{rtype}");
        }
    }
}
