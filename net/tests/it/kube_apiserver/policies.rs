//! Reverse names, visibility and the audit while the cluster changes.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Message;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, ask, is_answered, name, query, rcode};
use poddns_test_support::wait::until;
use serde_json::Value;

use crate::kube_apiserver::api::{PodPath, Write, address};
use crate::kube_apiserver::following::{KUBECONFIG, start_with};
use crate::support::follow_until_ready;

const NXDOMAIN: u8 = 3;

/// Returns the rcode and the names of the response to a PTR query.
fn reverse(daemon: &Daemon, address: IpAddr) -> (u8, Vec<String>) {
    let IpAddr::V4(address) = address else { panic!("{address} is of IPv6") };
    let [first, second, third, fourth] = address.octets();
    let mut query = query(1, &format!("{fourth}.{third}.{second}.{first}.in-addr.arpa"));
    let end = query.len();
    // Type PTR.
    query[end - 3] = 12;
    let response = ask(daemon.address(), &query);
    let message = Message::from_vec(&response).expect("a message");
    (rcode(&response), message.answers.iter().map(|record| record.data.to_string()).collect())
}

#[test]
fn reverse_name_follows_its_pods() {
    let namespace = "reverse";
    let (api, daemon) = start_with(namespace, &["--reverse-zone=10.42.0.0/16"]);
    let (address, pods) = (address(), [PodPath(namespace, "one"), PodPath(namespace, "two")]);
    assert_eq!(reverse(&daemon, address), (NXDOMAIN, vec![]));
    api.run_pod(pods[0], &[address]);
    let own = format!("{}.{namespace}.pod.cluster.local.", address.to_string().replace('.', "-"));
    until("one pod has it", || reverse(&daemon, address) == (0, vec![own.clone()]));
    assert!(is_answered(&daemon, namespace, address), "the name leads back");
    api.run_pod(pods[1], &[address]);
    until("two pods have it", || reverse(&daemon, address) == (0, vec![]));
    api.write(Write::delete(pods[0], 0));
    until("one of them is gone", || reverse(&daemon, address) == (0, vec![own.clone()]));
    api.write(Write::delete(pods[1], 0));
    until("nobody has it", || reverse(&daemon, address) == (NXDOMAIN, vec![]));
}

#[test]
fn clients_see_namespace_of_their_pod() {
    let namespace = "seen";
    let (api, daemon) = start_with(namespace, &["--visibility=namespace", "--reverse-zone=10.42.0.0/16"]);
    let (pod, client) = (PodPath(namespace, "client"), Ipv4Addr::new(127, 42, 0, 1));
    let address = address();
    let IpAddr::V4(other) = address else { panic!("{address} is of IPv6") };
    api.run_pod(PodPath(namespace, "other"), &[address]);
    api.run_pod(PodPath("default", "marker-of-seen"), &[Ipv4Addr::new(127, 42, 0, 2).into()]);
    let asked = query(1, &format!("{}.{namespace}.pod.cluster.local", other.to_string().replace('.', "-")));
    let from = |client| Stream::connect_from(client, daemon.address()).exchange(&asked);
    let absent = query(1, &format!("{}.nosuch.pod.cluster.local", other.to_string().replace('.', "-")));
    assert_eq!(rcode(&from(client)), NXDOMAIN, "it is no pod");
    api.run_pod(pod, &[client.into()]);
    until("the client is a pod", || rcode(&from(client)) == 0);
    // A pod of another namespace and the host itself get the answer for a name that does not exist.
    for stranger in [Ipv4Addr::new(127, 42, 0, 2), Ipv4Addr::LOCALHOST] {
        let hidden = from(stranger);
        let nothing = Stream::connect_from(stranger, daemon.address()).exchange(&absent);
        assert_eq!((rcode(&hidden), hidden[..12].to_vec()), (NXDOMAIN, nothing[..12].to_vec()));
    }
    assert_eq!(reverse(&daemon, address), (NXDOMAIN, vec![]), "nor by the reverse name");
    api.write(Write::delete(pod, 0));
    until("the client is no pod any more", || rcode(&from(client)) == NXDOMAIN);
}

#[test]
fn audit_finds_what_verified_would_refuse() {
    let namespace = "audited";
    let (api, _verified) = start_with(namespace, &[]);
    let daemon = follow_until_ready(&KUBECONFIG, &["--pods=insecure", "--audit"]);
    let (there, gone) = (address(), address());
    api.run_pod(PodPath(namespace, "there"), &[there]);
    let document = || serde_json::from_str::<Value>(&daemon.get("/audit").1).expect("JSON");
    let refused = |reason: &str| document()["refused"][reason].as_u64().expect("a count");
    // The audit counts the pod as refused until the index has it.
    until("the pod is known", || {
        let before = refused("no-such-pod") + refused("no-such-namespace") + not_ready(&document());
        let is_answered = is_answered(&daemon, namespace, there);
        let after = refused("no-such-pod") + refused("no-such-namespace") + not_ready(&document());
        is_answered && before == after
    });
    let before = [refused("no-such-pod"), refused("other-namespace")];
    assert!(is_answered(&daemon, namespace, gone) && is_answered(&daemon, "default", there));
    assert_eq!([refused("no-such-pod"), refused("other-namespace")], before.map(|count| count + 1));
    let IpAddr::V4(gone) = gone else { panic!("{gone} is of IPv6") };
    let dashed = name(gone);
    let first = dashed.split('.').next().expect("a label");
    assert!(daemon.get("/audit").1.contains(first), "the name is in the table");
}

fn not_ready(document: &Value) -> u64 {
    document["not_ready"].as_u64().expect("a count")
}
