//! All interleavings of one writer and one reader, and all that the memory model allows them to see.
//!
//! Only in builds with `--cfg poddns_loom`, in which the tables have one slot to a bucket and the arrays one element
//! to a segment, so that a handful of pods makes them split, spill and reuse:
//!
//! ```text
//! RUSTFLAGS="--cfg poddns_loom" cargo test -p poddns-watch --release --test index_loom
//! ```
//!
//! Each test holds the reader to an answer that is true, or false, all the time.
#![cfg(poddns_loom)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use loom::thread;
use poddns_core::{Label, Owner, PodLookup};
use poddns_watch::{Index, IndexOptions, IndexWriter, PodRecord, Uid, index};

fn v4(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

fn v6(number: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number).into()
}

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

/// The pod `name` of a namespace, which is its uid as well.
fn apply(writer: &mut IndexWriter, namespace: &str, name: &str, addresses: &[IpAddr]) {
    let uid = Uid::of_name(namespace, name);
    writer.apply(&PodRecord { uid, namespace: label(namespace), name, addresses });
}

fn remove(writer: &mut IndexWriter, namespace: &str, name: &str) {
    writer.remove(Uid::of_name(namespace, name));
}

/// Runs `write` beside `read`, in all orders with up to this many preemptions.
fn check(pod_names: bool, prepare: fn(&mut IndexWriter), write: fn(&mut IndexWriter), read: fn(&Index)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let (mut writer, index) = index(IndexOptions { pod_names });
        prepare(&mut writer);
        let reader = Arc::clone(&index);
        let reader = thread::spawn(move || read(&reader));
        write(&mut writer);
        reader.join().unwrap_or_else(|_| panic!("the reader has seen something that never was"));
    });
}

#[test]
fn a_pod_stays_while_the_table_grows() {
    check(
        false,
        |writer| {
            apply(writer, "a", "1", &[v4(1)]);
            apply(writer, "a", "2", &[v4(2)]);
        },
        |writer| {
            for number in 3..6 {
                apply(writer, "a", &number.to_string(), &[v4(number)]);
            }
        },
        |index| {
            assert!(index.contains(&label("a"), v4(1)));
            assert!(index.contains(&label("a"), v4(2)));
            assert!(!index.contains(&label("a"), v4(9)));
        },
    );
}

#[test]
fn a_pod_stays_while_spill_blocks_come_and_go() {
    check(
        false,
        |writer| {
            for number in 1..4 {
                apply(writer, "a", &number.to_string(), &[v4(number)]);
            }
        },
        |writer| {
            remove(writer, "a", "1");
            apply(writer, "a", "4", &[v4(4)]);
            remove(writer, "a", "2");
            apply(writer, "a", "5", &[v4(5)]);
        },
        |index| assert!(index.contains(&label("a"), v4(3))),
    );
}

#[test]
fn a_shared_address_stays_while_others_join_and_leave() {
    check(
        false,
        |writer| apply(writer, "a", "1", &[v4(1)]),
        |writer| {
            apply(writer, "b", "2", &[v4(1)]);
            apply(writer, "a", "3", &[v4(1)]);
            remove(writer, "b", "2");
            remove(writer, "a", "3");
        },
        |index| {
            assert!(index.contains(&label("a"), v4(1)));
            assert!(!index.contains(&label("c"), v4(1)));
        },
    );
}

#[test]
fn what_is_shared_never_belongs_to_others_when_its_numbers_are_reused() {
    check(
        false,
        |writer| {
            apply(writer, "a", "1", &[v4(1)]);
            apply(writer, "a", "2", &[v4(1)]);
        },
        |writer| {
            remove(writer, "a", "2");
            apply(writer, "b", "3", &[v4(2)]);
            apply(writer, "c", "4", &[v4(2)]);
        },
        |index| {
            assert!(!index.contains(&label("b"), v4(1)));
            assert!(!index.contains(&label("a"), v4(2)));
            assert!(index.contains(&label("a"), v4(1)));
        },
    );
}

#[test]
fn an_address_never_belongs_to_a_namespace_that_took_over_the_number() {
    check(
        false,
        |writer| apply(writer, "a", "1", &[v4(1)]),
        |writer| {
            remove(writer, "a", "1");
            apply(writer, "b", "2", &[v4(2)]);
        },
        |index| {
            assert!(!index.contains(&label("b"), v4(1)));
            assert!(!index.contains(&label("a"), v4(2)));
        },
    );
}

#[test]
fn an_ipv6_address_is_never_mixed_of_two() {
    check(
        false,
        |writer| apply(writer, "a", "1", &[v6(1)]),
        |writer| {
            remove(writer, "a", "1");
            apply(writer, "a", "2", &["fe80::2".parse().unwrap_or(v6(2))]);
        },
        |index| {
            assert!(!index.contains(&label("a"), "fe80::1".parse().unwrap_or(v6(3))));
            assert!(!index.contains(&label("a"), v6(2)));
        },
    );
}

#[test]
fn a_changed_address_comes_before_the_old_one_goes() {
    check(
        false,
        |writer| apply(writer, "a", "1", &[v4(1)]),
        |writer| apply(writer, "a", "1", &[v4(2)]),
        |index| {
            // Asked in this order, one of the two must be there.
            let old = index.contains(&label("a"), v4(1));
            assert!(old || index.contains(&label("a"), v4(2)));
        },
    );
}

#[test]
fn a_name_has_all_its_addresses_or_all_its_new_ones() {
    check(
        true,
        |writer| apply(writer, "a", "web", &[v4(1), v6(1)]),
        |writer| {
            apply(writer, "a", "web", &[v4(2), v6(2)]);
            apply(writer, "a", "db", &[v4(3), v6(3)]);
        },
        |index| {
            let mut all = Vec::new();
            index.addresses_of(&label("a"), &label("web"), &mut |address| all.push(address));
            assert!(all == [v4(1), v6(1)] || all == [v4(2), v6(2)], "{all:?}");
        },
    );
}

#[test]
fn an_owner_is_never_put_together_from_two_pods() {
    check(
        true,
        |writer| apply(writer, "a", "one", &[v4(1)]),
        |writer| {
            remove(writer, "a", "one");
            apply(writer, "a", "two", &[v4(2)]);
        },
        |index| {
            let of = |name: &str| Owner::Pod { namespace: label("a"), name: Some(label(name)) };
            let first = index.owner_of(v4(1));
            assert!(first == of("one") || first == Owner::Nobody, "{first:?}");
            let second = index.owner_of(v4(2));
            assert!(second == of("two") || second == Owner::Nobody, "{second:?}");
        },
    );
}
