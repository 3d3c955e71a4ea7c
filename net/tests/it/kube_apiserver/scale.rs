//! Thousands of pods are created, changed and deleted while the API server is restarted. In the end the index has the
//! addresses that `kubectl` lists.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::support::follow_until_ready;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{answered, denied, is_answered, lookup};
use poddns_test_support::wait::until;
use serde_json::{Value, json};

use crate::kube_apiserver::api::{Api, PodPath, Write};
use poddns_test_support::kube_apiserver::KubeApiserver;

/// Environment variable with the number of pods; 2,000 if it is unset.
const VARIABLE: &str = "KUBE_TEST_PODS";
const NAMESPACES: usize = 20;
/// A round changes one in this many pods.
const PART: usize = 3;
/// Size of an annotation in bytes: about that of managed fields, probes and volumes of pods in real clusters.
const ANNOTATION: usize = 4000;

/// Expected state of the cluster.
struct Cluster {
    /// Addresses of each pod; `None` if it does not exist.
    pods: Vec<Option<Vec<IpAddr>>>,
    /// Unused addresses, reused in the order in which they were freed.
    free: VecDeque<IpAddr>,
    /// Namespace and address of every pod so far, also of deleted ones.
    ever: BTreeSet<(String, IpAddr)>,
}

impl Cluster {
    fn new(pods: usize) -> Self {
        let address = |number: usize| {
            let [.., high, middle, low] = number.to_be_bytes();
            IpAddr::from(Ipv4Addr::new(10, high, middle, low))
        };
        // 1.5 addresses for each pod, so that they are reused soon.
        let free = (1..=pods * 3 / 2).map(address).collect();
        Self { pods: vec![None; pods], free, ever: BTreeSet::new() }
    }

    /// Returns one change of each pod in the part of this round.
    fn round(&mut self, round: usize) -> Vec<Vec<Write>> {
        let mut freed = Vec::new();
        let part = (0..self.pods.len()).filter(|number| number % PART == round % PART);
        let sequences = part.map(|number| self.change(number, number / PART + round, &mut freed)).collect();
        // Only now, since the writes of a round are concurrent.
        self.free.extend(freed);
        sequences
    }

    fn change(&mut self, number: usize, kind: usize, freed: &mut Vec<IpAddr>) -> Vec<Write> {
        let (namespace, name) = (namespace(number), format!("pod-{number}"));
        let pod = PodPath(&namespace, &name);
        let Some(old) = self.pods[number].take() else { return self.create(number, pod) };
        let (first, rest) = (old.first().copied(), old.get(1..).unwrap_or_default());
        match (kind % 6, first) {
            (0, Some(_)) => {
                freed.extend(first);
                vec![Write::delete(pod, 0)]
            }
            (1, Some(_)) => {
                freed.extend(first);
                let new = [&self.take(1)[..], rest].concat();
                self.set(number, pod, "Running", new)
            }
            (2, Some(address)) => {
                freed.extend(first);
                self.pods[number] = Some(Vec::new());
                vec![Write::status(pod, "Succeeded", &[address])]
            }
            (3, Some(address)) => {
                let low = u16::try_from(number % 0xffff).unwrap_or_default();
                let second =
                    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, u16::try_from(number / 0xffff).unwrap(), low);
                self.set(number, pod, "Running", vec![address, second.into()])
            }
            (4, Some(_)) => {
                self.pods[number] = Some(old);
                vec![Write::delete(pod, 3600)]
            }
            // Created again with the same name, a new uid, and possibly an address that another pod had before.
            _ => {
                freed.extend(first);
                [vec![Write::delete(pod, 0)], self.create(number, pod)].concat()
            }
        }
    }

    fn create(&mut self, number: usize, pod: PodPath<'_>) -> Vec<Write> {
        let new = self.take(1);
        let create = Write::create(pod, &json!({})).annotated(ANNOTATION);
        [vec![create], self.set(number, pod, "Running", new)].concat()
    }

    fn set(&mut self, number: usize, pod: PodPath<'_>, phase: &str, addresses: Vec<IpAddr>) -> Vec<Write> {
        self.ever.extend(addresses.iter().map(|address| (pod.0.to_owned(), *address)));
        let write = Write::status(pod, phase, &addresses);
        self.pods[number] = Some(addresses);
        vec![write]
    }

    fn take(&mut self, count: usize) -> Vec<IpAddr> {
        self.free.drain(..count).collect()
    }
}

fn namespace(number: usize) -> String {
    format!("scale-{}", number % NAMESPACES)
}

/// Contents of the cluster as `kubectl` lists them.
struct Truth {
    pods: usize,
    namespaces: usize,
    addresses: BTreeSet<(String, IpAddr)>,
}

impl Truth {
    fn read(server: &KubeApiserver) -> Self {
        let list = |arguments: &[&str]| -> Vec<Value> {
            let text = server.kubectl(&[arguments, &["--output=json"]].concat(), "");
            let mut list: Value = serde_json::from_str(&text).unwrap();
            std::mem::take(list["items"].as_array_mut().unwrap())
        };
        let mut truth = Self { pods: 0, namespaces: 0, addresses: BTreeSet::new() };
        truth.namespaces = list(&["get", "namespaces"]).len();
        for pod in list(&["get", "pods", "--all-namespaces"]) {
            let phase = pod["status"]["phase"].as_str().unwrap();
            let addresses = pod["status"]["podIPs"].as_array().map_or(&[][..], Vec::as_slice);
            if addresses.is_empty() || matches!(phase, "Succeeded" | "Failed") {
                continue;
            }
            truth.pods += 1;
            let namespace = pod["metadata"]["namespace"].as_str().unwrap();
            let address = |address: &Value| address["ip"].as_str().unwrap().parse().unwrap();
            truth.addresses.extend(addresses.iter().map(|entry| (namespace.to_owned(), address(entry))));
        }
        truth
    }

    /// Asserts that the daemon answers these addresses, and no others of `ever`.
    fn assert_served_by(&self, daemon: &Daemon, ever: &BTreeSet<(String, IpAddr)>) {
        let index = &daemon.status()["index"];
        let counted = ["pods", "addresses", "namespaces"].map(|key| index[key].as_u64().unwrap());
        let expected = [self.pods, self.addresses.len(), self.namespaces].map(|count| count as u64);
        assert_eq!(counted, expected, "pods, addresses and namespaces");
        for (namespace, address) in &self.addresses {
            assert_eq!(
                lookup(daemon, namespace, *address),
                answered(*address, None),
                "{namespace} {address}"
            );
        }
        for (namespace, address) in ever.difference(&self.addresses) {
            assert_eq!(lookup(daemon, namespace, *address), denied(None), "{namespace} {address}");
        }
    }
}

/// Waits until the daemon has seen all earlier changes of pods.
fn catch_up(api: &Api, daemon: &Daemon, number: u8) {
    let address = IpAddr::from([192, 0, 2, number]);
    api.run_pod(PodPath("default", &format!("marker-{number}")), &[address]);
    // `is_answered` requires a fresh answer, so no list is in progress either.
    until("the last change is seen", || is_answered(daemon, "default", address));
}

#[test]
fn index_equals_cluster_after_churn_and_restarts() {
    let pods = std::env::var(VARIABLE).map_or(2000, |number| number.parse().expect(VARIABLE));
    let print_memory = |when: &str, daemon: &Daemon| {
        let (now, peak) = (daemon.memory() >> 10, daemon.peak_memory() >> 10);
        println!("{when}: poddnsd has {now} KiB, {peak} KiB at most");
    };
    let server = KubeApiserver::start(&[]);
    let mut api = Api::of(&server);
    let mut cluster = Cluster::new(pods);
    for number in 0..NAMESPACES {
        api.create_namespace(&namespace(number));
    }
    let daemon = follow_until_ready(&server.admin(), &[]);
    print_memory("started", &daemon);
    for round in 0..PART {
        api.write_all(cluster.round(round));
    }
    catch_up(&api, &daemon, 1);
    print_memory(&format!("{pods} pods"), &daemon);

    for restart in 1..=2 {
        let round = restart * PART;
        let lists = daemon.metric("poddns_feed_lists_total{resource=\"pods\"}");
        // While stopped, the daemon misses the changes before and after the restart.
        daemon.signal("STOP");
        api.write_all(cluster.round(round));
        // The events that it missed may still be in its socket's buffer. The namespaces advance the resourceVersion
        // beyond the last event of a pod, so that the restarted API server requires a new list nevertheless.
        for number in 0..3 {
            api.create_namespace(&format!("restart-{restart}-{number}"));
        }
        server.kill();
        server.restart();
        api = Api::of(&server);
        api.write_all(cluster.round(round + 1));
        daemon.signal("CONT");
        // Changes during the list.
        api.write_all(cluster.round(round + 2));
        catch_up(&api, &daemon, u8::try_from(restart + 1).unwrap());
        assert!(daemon.metric("poddns_feed_lists_total{resource=\"pods\"}") > lists, "{}", daemon.log());
        print_memory(&format!("restart {restart}, {pods} changes"), &daemon);
    }

    let truth = Truth::read(&server);
    assert!(
        truth.pods > pods / 2 && truth.addresses.len() < cluster.ever.len(),
        "the churn is worth its name"
    );
    truth.assert_served_by(&daemon, &cluster.ever);
    print_memory(&format!("the same {} pods as kubectl", truth.pods), &daemon);
    // A new daemon, which lists the cluster once and has seen none of the changes.
    let new = follow_until_ready(&server.admin(), &[]);
    truth.assert_served_by(&new, &cluster.ever);
    print_memory("the same in a daemon that has just been started", &new);
}
