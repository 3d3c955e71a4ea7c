//! Model check of one writer and one reader: all interleavings, and all values that the memory model lets them read.
//!
//! Only in builds with `--cfg poddns_loom`, in which tables have one slot per bucket and arrays one element per
//! segment, so that a few pods cause splits, spills and reuse:
//!
//! ```text
//! RUSTFLAGS="--cfg poddns_loom" cargo test -p poddns-watch --test index_loom \
//!     --config profile.dev.package.loom.opt-level=3 --config profile.dev.package.poddns-watch.opt-level=3
//! ```
//!
//! Set `LOOM_MAX_PREEMPTIONS` to search further than the default of two preemptions.
//!
//! Each test checks a look-up whose result must be true, or false, all the time.
#![cfg(poddns_loom)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use loom::thread;
use poddns_core::{Label, Owner, PodLookup};
use poddns_watch::{Index, IndexOptions, IndexWriter, PodRecord, Uid, index};

fn v4(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()
}

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

/// Adds or changes the pod `name` of a namespace. Its uid is derived from both names.
fn apply(writer: &mut IndexWriter, namespace: &str, name: &str, addresses: &[IpAddr]) {
    let uid = Uid::of_name(namespace, name);
    writer.apply(&PodRecord { uid, namespace: label(namespace), name, addresses });
}

fn remove(writer: &mut IndexWriter, namespace: &str, name: &str) {
    writer.remove(Uid::of_name(namespace, name));
}

/// Runs `write` and `read` concurrently, in all orders.
fn check(
    pod_names: bool,
    prepare: impl Fn(&mut IndexWriter) + Send + Sync + 'static,
    write: impl Fn(&mut IndexWriter) + Send + Sync + 'static,
    read: impl Fn(&Index) + Copy + Send + Sync + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    // Filling an index takes more steps than the default allows.
    builder.max_branches = 10_000;
    builder.check(move || {
        let (mut writer, index) = index(IndexOptions { pod_names });
        prepare(&mut writer);
        let reader = Arc::clone(&index);
        let reader = thread::spawn(move || read(&reader));
        write(&mut writer);
        reader.join().unwrap_or_else(|_| panic!("the reader has seen something that never was"));
    });
}

/// A table is split at three, five and seven words. A look-up must find each pod, whether the split moves the pod to
/// the new bucket, moves it out of a spill block, or leaves it. The hash decides which, so the test uses several
/// addresses.
#[test]
fn a_pod_stays_while_the_table_grows() {
    for (first, pods) in (0..200).step_by(10).flat_map(|first| [(first, 2), (first, 4), (first, 6)]) {
        let pod = |number: u8| (number.to_string(), v4(number));
        let prepare = move |writer: &mut IndexWriter| {
            for (name, address) in (first..first + pods).map(pod) {
                apply(writer, "a", &name, &[address]);
            }
        };
        let write = move |writer: &mut IndexWriter| apply(writer, "a", "new", &[v4(250)]);
        for (_, address) in (first..first + pods).map(pod) {
            check(false, prepare, write, move |index| assert!(index.contains(&label("a"), address).unwrap()));
        }
        check(false, prepare, write, |index| assert!(!index.contains(&label("a"), v4(251)).unwrap()));
    }
}

#[test]
fn pod_stays_while_spill_blocks_change() {
    fn prepare(writer: &mut IndexWriter) {
        for number in 1..4 {
            apply(writer, "a", &number.to_string(), &[v4(number)]);
        }
    }
    fn write(writer: &mut IndexWriter) {
        remove(writer, "a", "1");
        apply(writer, "a", "4", &[v4(4)]);
        remove(writer, "a", "2");
        apply(writer, "a", "5", &[v4(5)]);
    }
    check(false, prepare, write, |index| assert!(index.contains(&label("a"), v4(3)).unwrap()));
}

#[test]
fn shared_address_stays_while_others_change() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        apply(writer, "b", "2", &[v4(1)]);
        remove(writer, "b", "2");
    }
    check(false, prepare, write, |index| assert!(index.contains(&label("a"), v4(1)).unwrap()));
    check(false, prepare, write, |index| assert!(!index.contains(&label("c"), v4(1)).unwrap()));
}

#[test]
fn shared_address_stays_when_one_pod_leaves() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
        apply(writer, "a", "2", &[v4(1)]);
    }
    check(
        false,
        prepare,
        |writer| remove(writer, "a", "2"),
        |index| assert!(index.contains(&label("a"), v4(1)).unwrap()),
    );
}

#[test]
fn reused_namespace_number_brings_no_shares() {
    fn prepare(writer: &mut IndexWriter) {
        writer.apply_namespace(label("a"));
        apply(writer, "c", "1", &[v4(1)]);
        apply(writer, "c", "2", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        writer.remove_namespace(&label("a"));
        apply(writer, "b", "3", &[v4(1)]);
    }
    check(false, prepare, write, |index| assert!(!index.contains(&label("a"), v4(1)).unwrap()));
}

#[test]
fn reused_shared_id_never_mixes_addresses() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
        apply(writer, "b", "2", &[v4(1)]);
        apply(writer, "c", "3", &[v4(2)]);
    }
    fn write(writer: &mut IndexWriter) {
        remove(writer, "b", "2");
        apply(writer, "b", "4", &[v4(2)]);
    }
    check(false, prepare, write, |index| assert!(index.contains(&label("a"), v4(1)).unwrap()));
    check(false, prepare, write, |index| assert!(!index.contains(&label("c"), v4(1)).unwrap()));
    check(false, prepare, write, |index| assert!(!index.contains(&label("a"), v4(2)).unwrap()));
}

#[test]
fn address_never_moves_to_reused_namespace_number() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        remove(writer, "a", "1");
        apply(writer, "b", "2", &[v4(2)]);
    }
    check(false, prepare, write, |index| assert!(!index.contains(&label("b"), v4(1)).unwrap()));
    check(false, prepare, write, |index| assert!(!index.contains(&label("a"), v4(2)).unwrap()));
}

#[test]
fn ipv6_address_never_moves_with_reused_slot() {
    fn prepare(writer: &mut IndexWriter) {
        writer.apply_namespace(label("b"));
        apply(writer, "a", "1", &[v6(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
        apply(writer, "b", "2", &[v6(2)]);
    }
    check(false, prepare, write, |index| assert!(!index.contains(&label("b"), v6(1)).unwrap()));
    check(false, prepare, write, |index| assert!(!index.contains(&label("a"), v6(2)).unwrap()));
}

#[test]
fn new_address_appears_before_old_disappears() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
    }
    check(
        false,
        prepare,
        |writer| apply(writer, "a", "1", &[v4(2)]),
        |index| {
            // Looked up in this order, one of the two must be present.
            let old = index.contains(&label("a"), v4(1)).unwrap();
            assert!(old || index.contains(&label("a"), v4(2)).unwrap());
        },
    );
}

#[test]
fn name_has_all_old_or_new_addresses() {
    check(
        true,
        |writer| apply(writer, "a", "web", &[v4(1), v4(2)]),
        |writer| {
            apply(writer, "a", "web", &[v4(3), v4(4)]);
            apply(writer, "a", "db", &[v4(5), v4(6)]);
        },
        |index| {
            let mut all = Vec::new();
            index.addresses_of(&label("a"), &label("web"), &mut |address| all.push(address)).unwrap();
            assert!(all == [v4(1), v4(2)] || all == [v4(3), v4(4)], "{all:?}");
        },
    );
}

#[test]
fn owner_is_never_mixed_from_pods() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "one", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        remove(writer, "a", "one");
        apply(writer, "a", "two", &[v4(2)]);
    }
    fn has_owner(index: &Index, address: IpAddr, name: &str) {
        let owner = index.owner_of(address).unwrap();
        // The owner is reported without a name while the name does not resolve to the address.
        let [pod, nameless] =
            [Some(label(name)), None].map(|name| Owner::Pod { namespace: label("a"), name });
        assert!(owner == pod || owner == nameless || owner == Owner::None, "{owner:?}");
    }
    check(true, prepare, write, |index| has_owner(index, v4(1), "one"));
    check(true, prepare, write, |index| has_owner(index, v4(2), "two"));
}

/// Looks up the forward name between two look-ups of the owner. If both return the same owner, the name existed all the
/// time.
fn leads_back(index: &Index, address: IpAddr) {
    let before = index.owner_of(address).unwrap();
    let Owner::Pod { namespace, name } = before else { return };
    let mut found = false;
    match name {
        None => found = index.contains(&namespace, address).unwrap(),
        Some(name) => {
            index.addresses_of(&namespace, &name, &mut |other| found |= other == address).unwrap();
        }
    }
    assert!(found || index.owner_of(address).unwrap() != before, "{before:?} has no {address}");
}

#[test]
fn names_of_new_pods_lead_back() {
    let write = |writer: &mut IndexWriter| apply(writer, "a", "web", &[v4(1), v6(1)]);
    for names in [false, true] {
        check(names, |_| (), write, |index| leads_back(index, v4(1)));
        check(names, |_| (), write, |index| leads_back(index, v6(1)));
    }
}

#[test]
fn names_of_changing_pods_lead_back() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "web", &[v4(1)]);
    }
    let write = |writer: &mut IndexWriter| apply(writer, "a", "web", &[v4(2)]);
    for names in [false, true] {
        check(names, prepare, write, |index| leads_back(index, v4(1)));
        check(names, prepare, write, |index| leads_back(index, v4(2)));
    }
}

#[test]
fn names_of_removed_pods_lead_back() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "web", &[v4(1), v4(2)]);
    }
    for names in [false, true] {
        check(names, prepare, |writer| remove(writer, "a", "web"), |index| leads_back(index, v4(1)));
        check(names, prepare, |writer| remove(writer, "a", "web"), |index| leads_back(index, v4(2)));
    }
}

#[test]
fn names_of_replaced_pods_lead_back() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "web", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        let uid = Uid::of_name("another", "uid");
        writer.apply(&PodRecord { uid, namespace: label("a"), name: "web", addresses: &[v4(2)] });
    }
    for names in [false, true] {
        check(names, prepare, write, |index| leads_back(index, v4(1)));
        check(names, prepare, write, |index| leads_back(index, v4(2)));
    }
}

#[test]
fn names_at_shared_addresses_lead_back() {
    fn prepare(writer: &mut IndexWriter) {
        apply(writer, "a", "1", &[v4(1)]);
    }
    fn write(writer: &mut IndexWriter) {
        apply(writer, "b", "2", &[v4(1)]);
        remove(writer, "a", "1");
    }
    for names in [false, true] {
        check(names, prepare, write, |index| leads_back(index, v4(1)));
    }
}
