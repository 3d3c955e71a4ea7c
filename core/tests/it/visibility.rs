//! Visibility: for a client, hidden names are indistinguishable from absent ones, byte for byte.

use core::net::IpAddr;
use core::time::Duration;

use poddns_core::podip::PodIpLabel;
use poddns_core::wire::{Rcode, Rtype};
use poddns_core::{
    Freshness, IpCidr, Label, Mode, Outcome, Owner, PodLookup, Reason, Request, ReverseZones, Transport,
    Visibility, explain, explain_to,
};
use proptest::prelude::*;

use crate::support::cluster::recorded;
use crate::support::generate::{plain_query, setting};
use crate::support::query::{Edns, Query};
use crate::support::response::WireName;
use crate::support::{CLUSTER, NOW, Server};
use poddns_core_checks::TestCluster;

/// Addresses of a pod of `default`, of a pod of `team-a`, of a node (pods of `kube-system` and `default`), and of no
/// pod.
const DEFAULT: &str = "10.244.1.5";
const TEAM_A: &str = "10.244.2.5";
const NODE: &str = "192.168.1.10";
const NOBODY: &str = "10.9.9.9";

fn networks() -> &'static [IpCidr] {
    static NETWORKS: std::sync::LazyLock<Vec<IpCidr>> = std::sync::LazyLock::new(|| {
        ["0.0.0.0/0", "::/0"].iter().map(|text| text.parse().expect("a network")).collect()
    });
    &NETWORKS
}

/// Returns a server that hides namespaces from all clients but their own pods.
fn server() -> Server<'static> {
    Server::new(Mode::Verified).with(|config| {
        config.visibility = Visibility::Namespace;
        config.pod_names = true;
        config.reverse_zones = ReverseZones::new(networks()).expect("two zones");
    })
}

fn ask(server: &Server<'_>, client: &str, query: &[u8], transport: Transport) -> (Outcome, Vec<u8>) {
    server.octets(query, &Request::new(transport, client.parse().expect("an address"), NOW))
}

/// Returns the response in short: `yes` for records, `NODATA`, or the rcode.
fn summary(server: &Server<'_>, client: &str, name: &str, rtype: Rtype) -> String {
    let query = Query::new(name, rtype.0).edns(&Edns::new(1232)).octets();
    let request = Request::new(Transport::Udp, client.parse().expect("an address"), NOW);
    let (_, response) = server.outcome(&query, &request);
    let response = response.expect("a response");
    match Rcode(response.rcode) {
        Rcode::NOERROR if response.answer.is_empty() => "NODATA".to_owned(),
        Rcode::NOERROR => "yes".to_owned(),
        rcode => rcode.to_string(),
    }
}

fn at(name: &str) -> String {
    format!("{name}.pod.cluster.local")
}

#[test]
fn clients_see_their_own_namespace() {
    let server = server();
    for (client, name, expected) in [
        (DEFAULT, "default", "NODATA"),
        (DEFAULT, "10-244-1-5.default", "yes"),
        (DEFAULT, "10-244-1-6.default", "yes"),
        (DEFAULT, "web-2.default", "yes"),
        (DEFAULT, "10-9-9-9.default", "NXDOMAIN"),
        (DEFAULT, "team-a", "NXDOMAIN"),
        (DEFAULT, "10-244-2-5.team-a", "NXDOMAIN"),
        (DEFAULT, "web.team-a", "NXDOMAIN"),
        (TEAM_A, "10-244-2-5.team-a", "yes"),
        (TEAM_A, "web.team-a", "yes"),
        (TEAM_A, "10-244-1-5.default", "NXDOMAIN"),
        (NOBODY, "10-244-1-5.default", "NXDOMAIN"),
        (NOBODY, "default", "NXDOMAIN"),
        // No pod is in this namespace, so no client sees it.
        (DEFAULT, "rec", "NXDOMAIN"),
    ] {
        assert_eq!(summary(&server, client, &at(name), Rtype::A), expected, "{client} asks for {name}");
    }
    // The apex is visible to all.
    assert_eq!(summary(&server, NOBODY, "pod.cluster.local", Rtype::SOA), "yes");
}

#[test]
fn shared_address_sees_all_its_namespaces() {
    let server = server();
    for name in ["192-168-1-10.default", "10-244-1-5.default", "192-168-1-10.kube-system", "kube-system"] {
        assert_ne!(summary(&server, NODE, &at(name), Rtype::A), "NXDOMAIN", "{name}");
    }
    assert_eq!(summary(&server, NODE, &at("10-244-2-5.team-a"), Rtype::A), "NXDOMAIN");
    assert_eq!(summary(&server, DEFAULT, &at("192-168-1-10.default"), Rtype::A), "yes");
    assert_eq!(summary(&server, DEFAULT, &at("192-168-1-10.kube-system"), Rtype::A), "NXDOMAIN");
}

#[test]
fn pods_of_two_families_are_one_client() {
    let server = server();
    for client in ["10.244.1.6", "fd00:10:244:1::6", "::ffff:10.244.1.6"] {
        assert_eq!(summary(&server, client, &at("10-244-1-5.default"), Rtype::A), "yes", "{client}");
        assert_eq!(summary(&server, client, &at("10-244-2-5.team-a"), Rtype::A), "NXDOMAIN", "{client}");
    }
    assert_eq!(summary(&server, "::ffff:10.9.9.9", &at("10-244-1-5.default"), Rtype::A), "NXDOMAIN");
}

#[test]
fn visible_to_clients_see_everything() {
    let all: [IpCidr; 2] = ["10.9.9.0/24", "fd00:9::/64"].map(|text| text.parse().expect("a network"));
    let server = server().with(|config| config.visible_to = &all);
    for client in [NOBODY, "fd00:9::1", "::ffff:10.9.9.1"] {
        assert_eq!(summary(&server, client, &at("10-244-2-5.team-a"), Rtype::A), "yes", "{client}");
        assert_eq!(summary(&server, client, &at("rec"), Rtype::A), "NODATA", "{client}");
        assert_eq!(summary(&server, client, "5.2.244.10.in-addr.arpa", Rtype::PTR), "yes", "{client}");
    }
    assert_eq!(summary(&server, "10.9.8.1", &at("10-244-2-5.team-a"), Rtype::A), "NXDOMAIN");
}

#[test]
fn reverse_names_are_seen_with_forward_names() {
    let server = server();
    let node = "10.1.168.192.in-addr.arpa";
    for (client, name, expected) in [
        (DEFAULT, "5.1.244.10.in-addr.arpa", "yes"),
        (DEFAULT, "5.2.244.10.in-addr.arpa", "NXDOMAIN"),
        (TEAM_A, "5.2.244.10.in-addr.arpa", "yes"),
        (TEAM_A, "5.1.244.10.in-addr.arpa", "NXDOMAIN"),
        (NODE, "5.1.244.10.in-addr.arpa", "yes"),
        (NODE, "5.2.244.10.in-addr.arpa", "NXDOMAIN"),
        (NOBODY, "5.1.244.10.in-addr.arpa", "NXDOMAIN"),
        (DEFAULT, node, "NODATA"),
        (NODE, node, "NODATA"),
        (TEAM_A, node, "NXDOMAIN"),
        // Names above addresses are not hidden.
        (NOBODY, "1.244.10.in-addr.arpa", "NODATA"),
    ] {
        assert_eq!(summary(&server, client, name, Rtype::PTR), expected, "{client} asks for {name}");
    }
}

/// A hidden namespace that exists and one that does not: the responses have the same octets behind the question.
#[test]
fn hidden_namespaces_are_like_absent_ones() {
    let age = Duration::from_secs(100);
    let states = [Freshness::Fresh, Freshness::Stale { age }, Freshness::Unsynced];
    for (freshness, transport) in
        states.iter().flat_map(|state| [(state, Transport::Udp), (state, Transport::Tcp)])
    {
        let cluster = recorded().fresh(*freshness);
        let cidrs: [IpCidr; 1] = ["10.0.0.0/8".parse().expect("a network")];
        let server = Server { pods: &cluster, ..server() }.with(|config| config.pod_cidrs = &cidrs);
        for name in [
            "team-a",
            "10-244-2-5.team-a",
            "web.team-a",
            "10-9-9-9.team-a",
            "192-168-1-10.team-a",
            "x.team-a",
        ] {
            for rtype in [Rtype::A, Rtype::AAAA, Rtype::ANY, Rtype::TXT] {
                let asked = |name: &str| {
                    let query = Query::new(&at(name), rtype.0).edns(&Edns::new(1232)).octets();
                    let (outcome, mut octets) = ask(&server, DEFAULT, &query, transport);
                    octets.drain(12..query.len() - 11);
                    (outcome, octets)
                };
                let (hidden, absent) = (asked(name), asked(&name.replace("team-a", "absent")));
                assert_eq!(hidden, absent, "{name} {rtype} {freshness:?}");
            }
        }
    }
}

#[test]
fn hidden_and_absent_have_one_reason() {
    let reply = |client: &str, name: &str| {
        let query = Query::new(&at(name), 1).octets();
        match ask(&server(), client, &query, Transport::Udp).0 {
            Outcome::Reply(reply) => (reply.rcode, reply.reason),
            outcome => panic!("{outcome:?}"),
        }
    };
    for name in ["team-a", "absent", "10-244-2-5.team-a", "10-244-2-5.absent", "web.team-a", "web.absent"] {
        assert_eq!(reply(DEFAULT, name), (Rcode::NXDOMAIN, Reason::NotVisible), "{name}");
    }
    assert_eq!(reply(DEFAULT, "10-9-9-9.default"), (Rcode::NXDOMAIN, Reason::NoPodHasAddress));
    assert_eq!(reply(DEFAULT, "a.b.c"), (Rcode::NXDOMAIN, Reason::TooManyLabels));
}

#[test]
fn other_modes_hide_no_pods() {
    for mode in [Mode::Insecure, Mode::Disabled] {
        let plain = Server::new(mode);
        let hiding = plain.with(|config| config.visibility = Visibility::Namespace);
        for name in ["10-244-1-5.default", "default", "10-9-9-9.absent"] {
            let query = Query::new(&at(name), 1).octets();
            let ask = |server| ask(server, NOBODY, &query, Transport::Udp);
            assert_eq!(ask(&hiding), ask(&plain), "{mode:?} {name}");
        }
    }
}

#[test]
fn explanations_name_the_client() {
    let server = server();
    let why = |client: Option<&str>, name: &str| {
        let name = WireName::new(name).0;
        let (config, pods) = (&server.config, server.pods);
        let explanation = match client {
            None => explain(config, pods, &name, Rtype::A),
            Some(client) => explain_to(config, pods, client.parse().expect("an address"), &name, Rtype::A),
        };
        explanation.expect("a name").to_string()
    };
    let sync = "; the index is in sync with the cluster";
    let name = at("10-244-2-5.team-a");
    assert_eq!(
        why(None, &name),
        format!(
            "10.244.2.5 is a pod of 'team-a'{sync}; only pods of 'team-a' and clients of visible-to see it"
        )
    );
    assert_eq!(
        why(Some(TEAM_A), &name),
        format!("10.244.2.5 is a pod of 'team-a'{sync}; 10.244.2.5 may see it")
    );
    assert_eq!(
        why(Some("::ffff:10.244.1.5"), &name),
        format!("10.244.1.5 may not see it: it is no pod of 'team-a' and not in visible-to{sync}")
    );
    assert_eq!(
        why(Some(DEFAULT), "5.2.244.10.in-addr.arpa"),
        format!(
            "10.244.1.5 may not see it: it is no pod of the namespace of that address and not in visible-to{sync}"
        )
    );
}

/// Returns the cluster as visible to a client: the namespaces in which a pod has its address, with their pods.
fn seen_by(cluster: &TestCluster, client: IpAddr) -> TestCluster {
    let namespaces: Vec<Label> =
        cluster.namespaces.iter().copied().filter(|one| cluster.contains(one, client) == Ok(true)).collect();
    let pods = cluster.pods.iter().filter(|pod| namespaces.contains(&pod.namespace)).cloned().collect();
    TestCluster { namespaces, pods, ..cluster.clone() }
}

proptest! {
    /// Every response equals that of a server without visibility for a cluster of only the visible namespaces.
    #[test]
    fn clients_cannot_tell_hidden_from_absent(
        setting in setting(),
        query in plain_query(),
        client in prop::sample::select(vec![DEFAULT, TEAM_A, NODE, NOBODY, "fd00:10:244:1::6", "10.244.2.6"]),
        tcp in any::<bool>(),
    ) {
        let cluster = setting.cluster();
        let plain = setting.server().with(|config| {
            config.mode = Mode::Verified;
            config.visibility = Visibility::All;
        });
        let hiding = plain.with(|config| {
            config.visibility = Visibility::Namespace;
            config.visible_to = &[];
            config.trust_ecs = &[];
        });
        let reduced = seen_by(cluster, client.parse().expect("an address"));
        let reduced = Server { pods: &reduced, ..plain };
        let (query, transport) = (query.octets(), if tcp { Transport::Tcp } else { Transport::Udp });
        prop_assert_eq!(ask(&hiding, client, &query, transport).1, ask(&reduced, client, &query, transport).1);
    }

    /// An address has the same owner for clients that see the pod's namespace, and none for others.
    #[test]
    fn reverse_names_are_visible_with_forward_names(number in 0_usize..40, client in 0_usize..40) {
        let addresses: Vec<IpAddr> = CLUSTER.pods.iter().flat_map(|pod| pod.addresses.clone()).collect();
        let (address, client) = (addresses[number % addresses.len()], addresses[client % addresses.len()].to_string());
        let server = server().with(|config| config.pod_names = false);
        let reverse = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(v6) => {
                let nibbles: Vec<String> = format!("{:032x}", v6.to_bits()).chars().rev().map(String::from).collect();
                nibbles.join(".") + ".ip6.arpa"
            }
        };
        let rtype = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
        let forward = CLUSTER.namespaces.iter().any(|namespace| {
            summary(&server, &client, &at(&format!("{}.{namespace}", PodIpLabel::from(address))), rtype) == "yes"
        });
        let expected = match (forward, CLUSTER.owner_of(address)) {
            (false, _) => "NXDOMAIN",
            (true, Ok(Owner::Shared)) => "NODATA",
            (true, _) => "yes",
        };
        prop_assert_eq!(summary(&server, &client, &reverse, Rtype::PTR), expected);
    }
}
