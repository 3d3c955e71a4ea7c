//! Readers beside a writer that does everything at once, with real threads: what stays must be there in every
//! single look-up, and what never was must not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use poddns_core::{Label, Owner, PodLookup};
use poddns_watch::{Index, IndexOptions, IndexWriter, ListScope, PodRecord, Uid, index};

/// Rounds of the writer, each of [`PODS`] pods.
const ROUNDS: u32 = 6;
const PODS: u32 = 3000;
/// Pods that stay.
const STABLE: u32 = 64;

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

/// The addresses of pod `number`, one of each family, in a block of addresses of its own.
fn addresses(block: u8, number: u32) -> [IpAddr; 2] {
    let v4 = Ipv4Addr::from_bits((u32::from(block) << 24) + number);
    let v6 = Ipv6Addr::from_bits((u128::from(block) << 112) + u128::from(number));
    [v4.into(), v6.into()]
}

/// A node's address, which a stable pod shares with others.
fn node(number: u32) -> IpAddr {
    Ipv4Addr::from_bits((192 << 24) + number).into()
}

fn apply(writer: &mut IndexWriter, namespace: &str, name: &str, addresses: &[IpAddr]) {
    let uid = Uid::of_name(namespace, name);
    writer.apply(&PodRecord { uid, namespace: label(namespace), name, addresses });
}

fn apply_stable(writer: &mut IndexWriter) {
    for number in 0..STABLE {
        let [v4, v6] = addresses(10, number);
        apply(writer, "stable", &format!("pod-{number}"), &[v4, v6, node(number)]);
    }
}

/// Pods come, change their addresses, share the nodes' addresses, and go again, with their namespaces; in
/// between a list is begun, cut off, begun again and completed.
fn churn(writer: &mut IndexWriter) {
    for round in 0..ROUNDS {
        for number in 0..PODS {
            let namespace = format!("churn-{}", number % 7);
            let [v4, v6] = addresses(20, number);
            apply(writer, &namespace, &format!("pod-{number}"), &[v4]);
            if number % 3 == 0 {
                apply(writer, &namespace, &format!("pod-{number}"), &[v6, v4]);
            }
            apply(writer, "agents", &format!("agent-{number}-{round}"), &[node(number % STABLE)]);
            if number % 500 == 0 {
                writer.begin_pod_list(&ListScope::All);
            }
        }
        writer.begin_pod_list(&ListScope::All);
        apply_stable(writer);
        writer.end_pod_list(&ListScope::All);
        assert_eq!(writer.index().stats().pods, STABLE as usize);
    }
}

/// One round of look-ups whose answers are known.
fn look_up(index: &Index, pod_names: bool, number: u32) {
    let (stable, other) = (label("stable"), label("churn-1"));
    assert!(index.namespace_exists(&stable).unwrap());
    assert!(!index.namespace_exists(&label("never")).unwrap());

    let [v4, v6] = addresses(10, number % STABLE);
    let shared = node(number % STABLE);
    for address in [v4, v6, shared] {
        assert!(index.contains(&stable, address).unwrap(), "{address} is always there");
        assert!(!index.contains(&other, address).unwrap(), "{address} was never there");
    }
    let name = pod_names.then(|| label(&format!("pod-{}", number % STABLE)));
    let owner = Owner::Pod { namespace: stable, name };
    assert_eq!(index.owner_of(v4).unwrap(), owner);
    assert_eq!(index.owner_of(v6).unwrap(), owner);
    let owner_of_shared = index.owner_of(shared).unwrap();
    assert!(owner_of_shared == owner || owner_of_shared == Owner::Shared, "{owner_of_shared:?}");
    if let Some(name) = name {
        let mut found = Vec::new();
        index.addresses_of(&stable, &name, &mut |address| found.push(address)).unwrap();
        assert_eq!(found, [v4, v6, shared]);
    }

    // These come and go, but only ever in one namespace.
    for address in addresses(20, number % PODS) {
        assert!(!index.contains(&label(&format!("churn-{}", (number + 1) % 7)), address).unwrap());
        let expected = label(&format!("churn-{}", number % PODS % 7));
        match index.owner_of(address).unwrap() {
            Owner::Nobody => (),
            Owner::Pod { namespace, .. } => assert_eq!(namespace, expected, "{address}"),
            Owner::Shared => panic!("{address} was never shared"),
        }
    }
}

fn stress(pod_names: bool) {
    let (mut writer, index) = index(IndexOptions { pod_names });
    apply_stable(&mut writer);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|reader| {
            let (index, done) = (Arc::clone(&index), Arc::clone(&done));
            thread::spawn(move || {
                let mut rounds = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    // Below 7 * PODS, so that `number % 7` and `number % PODS % 7` are about the same pod.
                    look_up(&index, pod_names, (rounds.wrapping_mul(2) + reader) % PODS);
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    churn(&mut writer);
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        let rounds = reader.join().unwrap_or_else(|_| panic!("a reader saw what was not so"));
        assert!(rounds > 0, "every reader was there");
    }
}

#[test]
fn without_names() {
    stress(false);
}

#[test]
fn with_names() {
    stress(true);
}
