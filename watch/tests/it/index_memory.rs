//! Memory per pod, by the index's own count. `benches/src/bin/index_memory.rs` compares this count with those of the
//! allocator and the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poddns_core::Label;
use poddns_watch::{IndexOptions, IndexWriter, PodRecord, Uid, index};

fn uid(number: u32) -> Uid {
    Uid::from_bytes(u128::from(number).to_ne_bytes())
}

fn namespaces() -> Vec<Label> {
    (0..1000).filter_map(|number| format!("team-{number}").parse().ok()).collect()
}

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

/// Returns the number of bytes per pod that `pods` pods add to an index.
fn octets_per_pod(pod_names: bool, pods: u32, apply: impl Fn(&mut IndexWriter, u32, &[Label])) -> f64 {
    let (mut writer, index) = index(IndexOptions { pod_names });
    let namespaces = namespaces();
    for namespace in &namespaces {
        writer.apply_namespace(*namespace);
    }
    let empty = index.stats().bytes;
    for number in 0..pods {
        apply(&mut writer, number, &namespaces);
    }
    assert_eq!(index.stats().pods, pods as usize);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_pod = (index.stats().bytes - empty) as f64 / f64::from(pods);
    println!("{per_pod:.2} octets per pod");
    per_pod
}

#[test]
fn pod_with_one_address_takes_48_bytes() {
    let per_pod = octets_per_pod(false, 1_000_000, |writer, number, namespaces| {
        let namespace = namespaces[number as usize % 1000];
        writer.apply(&PodRecord { uid: uid(number), namespace, name: "", addresses: &[v4(number)] });
    });
    assert!(per_pod <= 48.0, "{per_pod}");
}

#[test]
fn name_takes_length_and_16_bytes() {
    let per_pod = octets_per_pod(true, 1_000_000, |writer, number, namespaces| {
        // 25 bytes: one of the lengths that leave most of the last word unused.
        let name = format!("checkout-{number:010x}-x2x4z");
        let namespace = namespaces[number as usize % 1000];
        writer.apply(&PodRecord { uid: uid(number), namespace, name: &name, addresses: &[v4(number)] });
    });
    assert!(per_pod <= 48.0 + 25.0 + 16.0, "{per_pod}");
}

#[test]
fn dual_stack_pod_takes_100_bytes() {
    let per_pod = octets_per_pod(false, 200_000, |writer, number, namespaces| {
        let v6 = Ipv6Addr::from_bits((0xfd00 << 112) | u128::from(number)).into();
        let namespace = namespaces[number as usize % 1000];
        writer.apply(&PodRecord { uid: uid(number), namespace, name: "", addresses: &[v4(number), v6] });
    });
    assert!(per_pod <= 100.0, "{per_pod}");
}

#[test]
fn host_network_pods_cost_no_more() {
    // Ten pods per node, in two namespaces, like agents for network and monitoring.
    let per_pod = octets_per_pod(false, 200_000, |writer, number, namespaces| {
        let namespace = namespaces[number as usize % 2];
        writer.apply(&PodRecord { uid: uid(number), namespace, name: "", addresses: &[v4(number / 10)] });
    });
    assert!(per_pod <= 48.0, "{per_pod}");
}
