//! Queries for permanent pods while other pods are added and removed at full speed: all are answered.
//!
//! `PODDNS_STRESS_QUERIES` is the number of queries, 3,000 by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::indexed::Indexed;
use poddns_core::podip::PodIpLabel;
use poddns_net::{Server, Settings};
use poddns_test_support::dns::{addresses, ask, query};
use poddns_watch::{IndexOptions, IndexWriter, PodRecord, Uid, index};

/// Number of permanent pods.
const STABLE: u32 = 64;
/// Number of pods that are added and removed.
const PODS: u32 = 3000;
const CLIENTS: u32 = 2;

fn v4(block: u8, number: u32) -> IpAddr {
    Ipv4Addr::from_bits((u32::from(block) << 24) + number).into()
}

fn v6(number: u32) -> IpAddr {
    Ipv6Addr::from_bits((0xfd00_u128 << 112) + u128::from(number)).into()
}

fn apply(writer: &mut IndexWriter, namespace: &str, name: &str, addresses: &[IpAddr]) {
    let uid = Uid::of_name(namespace, name);
    writer.apply(&PodRecord { uid, namespace: namespace.parse().unwrap(), name, addresses });
}

/// Adds and removes pods, some of which share an address with a permanent one, until all clients have ended.
fn churn(writer: &mut IndexWriter, clients: &AtomicUsize) {
    for number in (0..PODS).cycle() {
        if clients.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (namespace, name) = (format!("churn-{}", number % 7), format!("pod-{number}"));
        apply(writer, &namespace, &name, &[v4(20, number)]);
        apply(writer, &namespace, &name, &[v6(PODS + number), v4(20, number)]);
        apply(writer, "agents", &name, &[v4(192, number % STABLE)]);
        let gone = (number + PODS / 2) % PODS;
        writer.remove(Uid::of_name(&format!("churn-{}", gone % 7), &format!("pod-{gone}")));
        writer.remove(Uid::of_name("agents", &format!("pod-{gone}")));
    }
}

/// Queries a permanent pod by each of its addresses and by name.
fn check(server: SocketAddr, number: u32) {
    let own = [v4(10, number), v6(number), v4(192, number)];
    for address in own {
        let name = format!("{}.stable.pod.cluster.local", PodIpLabel::from(address));
        let response = ask(server, &query(7, &name));
        let expected: Vec<_> = [address].into_iter().filter(IpAddr::is_ipv4).collect();
        assert_eq!((response[3] & 15, addresses(&response)), (0, expected), "{name}");
    }
    let name = format!("pod-{number}.stable.pod.cluster.local");
    let response = ask(server, &query(7, &name));
    assert_eq!((response[3] & 15, addresses(&response)), (0, vec![own[0], own[2]]), "{name}");
}

#[test]
fn pods_that_stay_are_answered_under_churn() {
    let queries = std::env::var("PODDNS_STRESS_QUERIES").map_or(3000, |text| text.parse().unwrap());
    let rounds = u32::div_ceil(queries, 4 * CLIENTS);
    let (mut writer, index) = index(IndexOptions { pod_names: true });
    for number in 0..STABLE {
        apply(
            &mut writer,
            "stable",
            &format!("pod-{number}"),
            &[v4(10, number), v6(number), v4(192, number)],
        );
    }
    let mut settings = Settings::default();
    (settings.admin, settings.listen) = (Vec::new(), vec![([127, 0, 0, 1], 0).into()]);
    settings.pod_names = true;
    let server = Server::with_pods(settings, Arc::new(Indexed(index))).unwrap();
    let address = server.addresses()[0];
    let running = Arc::new(AtomicUsize::new(CLIENTS as usize));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let running = Running(Arc::clone(&running));
            thread::spawn(move || {
                (0..rounds).for_each(|round| check(address, (round + client) % STABLE));
                drop(running);
            })
        })
        .collect();
    churn(&mut writer, &running);
    for client in clients {
        client.join().unwrap();
    }
    server.stop();
}

/// Decrements the number of running clients when dropped, also by a panic.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
