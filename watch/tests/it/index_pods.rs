//! Pods that are added, changed and removed, as by a feed.

use std::net::IpAddr;

use poddns_core::{Label, Owner, PodLookup};
use poddns_watch::PodComparison;
use poddns_watch::{
    Change, Index, IndexOptions, IndexWriter, ListScope, MAX_ADDRESSES, PodRecord, Uid, index,
};

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|_| panic!("{text} is an address"))).collect()
}

fn apply(writer: &mut IndexWriter, uid: &str, namespace: &str, name: &str, addresses: &[&str]) -> Change {
    let (uid, namespace) = (Uid::parse(uid), label(namespace));
    writer.apply(&PodRecord { uid, namespace, name, addresses: &ips(addresses) })
}

fn has(index: &Index, namespace: &str, address: &str) -> bool {
    index.contains(&label(namespace), ips(&[address])[0]).unwrap()
}

fn addresses_of(index: &Index, namespace: &str, name: &str) -> Vec<IpAddr> {
    let mut all = Vec::new();
    index.addresses_of(&label(namespace), &label(name), &mut |address| all.push(address)).unwrap();
    all
}

#[test]
fn an_address_belongs_to_its_namespace_alone() {
    let (mut writer, index) = index(IndexOptions::default());
    assert_eq!(apply(&mut writer, "1", "default", "web", &["10.0.0.1"]), Change::Added);
    assert!(has(&index, "default", "10.0.0.1"));
    assert!(!has(&index, "kube-system", "10.0.0.1"));
    assert!(!has(&index, "default", "10.0.0.2"));
    assert!(!has(&index, "default", "::ffff:10.0.0.1"), "a mapped address is another one");
}

#[test]
fn a_duplicate_event_changes_nothing() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "1", "default", "web", &["10.0.0.1"]);
    assert_eq!(apply(&mut writer, "1", "default", "web", &["10.0.0.1"]), Change::Unchanged);
    assert_eq!(writer.remove(Uid::parse("1")), Change::Removed);
    assert_eq!(writer.remove(Uid::parse("1")), Change::Unchanged);
    assert!(!has(&index, "default", "10.0.0.1"));
}

#[test]
fn an_old_address_goes_without_anybody_telling() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "1", "default", "web", &["10.0.0.1", "fd00::1"]);
    assert_eq!(apply(&mut writer, "1", "default", "web", &["10.0.0.2", "fd00::1"]), Change::Updated);
    assert!(!has(&index, "default", "10.0.0.1"));
    assert!(has(&index, "default", "10.0.0.2") && has(&index, "default", "fd00::1"));
    assert_eq!(apply(&mut writer, "1", "default", "web", &[]), Change::Removed, "no address, no pod");
    assert!(!has(&index, "default", "fd00::1"));
    assert_eq!(index.stats().pods, 0);
}

#[test]
fn both_families_count_and_duplicates_once() {
    let (mut writer, index) = index(IndexOptions { pod_names: true });
    apply(&mut writer, "1", "default", "web", &["10.0.0.1", "fd00::1", "10.0.0.1"]);
    assert_eq!(addresses_of(&index, "default", "web"), ips(&["10.0.0.1", "fd00::1"]));
    assert_eq!(index.stats().addresses, 2);
    for text in ["10.0.0.1", "fd00::1", "fd00:0:0::0:1"] {
        assert!(has(&index, "default", text));
    }
}

#[test]
fn late_removal_spares_recreated_pod() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "old", "default", "db-0", &["10.0.0.1"]);
    apply(&mut writer, "new", "default", "db-0", &["10.0.0.1"]);
    writer.remove(Uid::parse("old"));
    assert!(has(&index, "default", "10.0.0.1"));
    writer.remove(Uid::parse("new"));
    assert!(!has(&index, "default", "10.0.0.1"));
}

#[test]
fn recreated_pod_replaces_first_by_name() {
    let (mut writer, index) = index(IndexOptions { pod_names: true });
    apply(&mut writer, "old", "default", "db-0", &["10.0.0.1"]);
    apply(&mut writer, "new", "default", "db-0", &["10.0.0.2"]);
    assert_eq!(addresses_of(&index, "default", "db-0"), ips(&["10.0.0.2"]));
    assert!(!has(&index, "default", "10.0.0.1"));
    assert_eq!(writer.remove(Uid::parse("old")), Change::Unchanged);
    assert_eq!(index.stats().pods, 1);
}

#[test]
fn shared_address_stays_until_last_leaves() {
    let (mut writer, index) = index(IndexOptions { pod_names: true });
    for (uid, namespace, name) in [("1", "net", "cni"), ("2", "net", "proxy"), ("3", "mon", "exporter")] {
        apply(&mut writer, uid, namespace, name, &["192.168.0.1"]);
    }
    assert_eq!(index.owner_of(ips(&["192.168.0.1"])[0]).unwrap(), Owner::Shared);
    writer.remove(Uid::parse("1"));
    assert!(has(&index, "net", "192.168.0.1") && has(&index, "mon", "192.168.0.1"));
    writer.remove(Uid::parse("2"));
    assert!(!has(&index, "net", "192.168.0.1") && has(&index, "mon", "192.168.0.1"));
    let last = Owner::Pod { namespace: label("mon"), name: Some(label("exporter")) };
    assert_eq!(index.owner_of(ips(&["192.168.0.1"])[0]).unwrap(), last, "it is its own again");
    writer.remove(Uid::parse("3"));
    assert_eq!(index.owner_of(ips(&["192.168.0.1"])[0]).unwrap(), Owner::None);
    assert_eq!(index.stats().addresses, 0);
}

#[test]
fn only_requested_label_names_are_kept() {
    let (mut writer, plain) = index(IndexOptions::default());
    apply(&mut writer, "1", "default", "web", &["10.0.0.1"]);
    assert!(addresses_of(&plain, "default", "web").is_empty());
    let nameless = Owner::Pod { namespace: label("default"), name: None };
    assert_eq!(plain.owner_of(ips(&["10.0.0.1"])[0]).unwrap(), nameless);

    let (mut writer, named) = index(IndexOptions { pod_names: true });
    let longest = "x".repeat(63);
    for (uid, name, address) in
        [("1", "a", "10.0.0.1"), ("2", &longest, "10.0.0.2"), ("3", "a.b", "10.0.0.3")]
    {
        apply(&mut writer, uid, "default", name, &[address]);
    }
    assert_eq!(addresses_of(&named, "default", "a"), ips(&["10.0.0.1"]));
    assert_eq!(addresses_of(&named, "default", &longest), ips(&["10.0.0.2"]));
    assert!(addresses_of(&named, "kube-system", "a").is_empty());
    assert_eq!(named.owner_of(ips(&["10.0.0.3"])[0]).unwrap(), nameless);
    assert!(has(&named, "default", "10.0.0.3"), "a name that is not kept does not matter otherwise");
}

#[test]
fn excess_addresses_are_ignored() {
    let (mut writer, index) = index(IndexOptions::default());
    let many: Vec<String> = (0..=MAX_ADDRESSES).map(|number| format!("10.0.0.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    apply(&mut writer, "1", "default", "web", &many);
    assert!(has(&index, "default", many[MAX_ADDRESSES - 1]) && !has(&index, "default", many[MAX_ADDRESSES]));
    writer.remove(Uid::parse("1"));
    assert_eq!(index.stats().addresses, 0);
}

#[test]
fn the_unspecified_addresses_are_addresses_like_others() {
    let (mut writer, index) = index(IndexOptions::default());
    assert!(!has(&index, "default", "0.0.0.0") && !has(&index, "default", "::"));
    apply(&mut writer, "1", "default", "web", &["0.0.0.0", "::"]);
    assert!(has(&index, "default", "0.0.0.0") && has(&index, "default", "::"));
}

#[test]
fn serial_is_time_of_last_change() {
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let before = now();
    let (mut writer, index) = index(IndexOptions::default());
    let serial = index.serial();
    assert!((before..=now()).contains(&u64::from(serial)), "a process before this one had a smaller one");
    writer.remove(Uid::parse("1"));
    assert_eq!(index.serial(), serial, "nothing has changed");
    let before = now();
    apply(&mut writer, "1", "default", "web", &["10.0.0.1"]);
    assert!((before..=now()).contains(&u64::from(index.serial())));
}

/// Returns both kinds of index: without pod names and with them.
fn both() -> [(IndexWriter, std::sync::Arc<Index>); 2] {
    [false, true].map(|pod_names| index(IndexOptions { pod_names }))
}

fn of_web(uid: &str, addresses: &[IpAddr], writer: &mut IndexWriter) -> Change {
    let uid = Uid::of_object("default", "web", uid);
    writer.apply(&PodRecord { uid, namespace: label("default"), name: "web", addresses })
}

#[test]
fn successor_replaces_pod_without_deletion() {
    for (mut writer, index) in both() {
        of_web("old", &ips(&["10.0.0.1"]), &mut writer);
        assert_eq!(of_web("new", &ips(&["10.0.0.2"]), &mut writer), Change::Updated);
        assert!(!has(&index, "default", "10.0.0.1"));
        assert!(has(&index, "default", "10.0.0.2"));
        assert_eq!(index.stats().pods, 1);
    }
}

#[test]
fn late_deletion_of_a_predecessor_changes_nothing() {
    for (mut writer, index) in both() {
        of_web("old", &ips(&["10.0.0.1"]), &mut writer);
        of_web("new", &ips(&["10.0.0.1"]), &mut writer);
        assert_eq!(writer.remove(Uid::of_object("default", "web", "old")), Change::Unchanged);
        assert!(has(&index, "default", "10.0.0.1"));
        assert_eq!(writer.remove(Uid::of_object("default", "web", "new")), Change::Removed);
    }
}

#[test]
fn successor_without_an_address_ends_its_predecessor() {
    for (mut writer, index) in both() {
        of_web("old", &ips(&["10.0.0.1"]), &mut writer);
        assert_eq!(of_web("new", &[], &mut writer), Change::Removed);
        assert!(!has(&index, "default", "10.0.0.1"));
    }
}

#[test]
fn comparison_changes_nothing_and_counts_as_seen() {
    for (mut writer, index) in both() {
        apply(&mut writer, "1", "default", "one", &["10.0.0.1"]);
        apply(&mut writer, "2", "default", "two", &["10.0.0.2"]);
        writer.begin_pod_list(&ListScope::All);
        let mut compare = |uid: &str, name: &str, addresses: &[&str]| {
            let (uid, namespace) = (Uid::parse(uid), label("default"));
            writer.compare(&PodRecord { uid, namespace, name, addresses: &ips(addresses) })
        };
        assert_eq!(compare("1", "one", &["10.0.0.1"]), PodComparison::Same);
        assert_eq!(compare("1", "one", &["10.0.0.9"]), PodComparison::Different);
        assert_eq!(compare("3", "three", &["10.0.0.3"]), PodComparison::Missing);
        assert_eq!(compare("3", "three", &[]), PodComparison::Same);
        assert!(has(&index, "default", "10.0.0.1") && !has(&index, "default", "10.0.0.9"));
        let mut swept = Vec::new();
        writer.sweep_pod_list(&ListScope::All, |pod| swept.extend(pod.addresses.to_vec()));
        assert_eq!(swept, ips(&["10.0.0.2"]));
        assert_eq!(index.stats().pods, 1);
    }
}
