//! Lists: listed pods are marked, the others are removed at the end.

use std::net::{IpAddr, Ipv4Addr};

use poddns_core::{Label, PodLookup};
use poddns_watch::{Change, Index, IndexOptions, IndexWriter, ListScope, PodRecord, Uid, index};

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

/// Applies the pods with these numbers, in a namespace.
fn apply(writer: &mut IndexWriter, namespace: &str, numbers: &[u8]) {
    for &number in numbers {
        let uid = Uid::parse(&number.to_string());
        let addresses = [address(number)];
        writer.apply(&PodRecord { uid, namespace: label(namespace), name: "", addresses: &addresses });
    }
}

/// Returns the numbers of the pods in the index.
fn present(index: &Index, namespace: &str) -> Vec<u8> {
    (0..=u8::MAX).filter(|&number| index.contains(&label(namespace), address(number)).unwrap()).collect()
}

#[test]
fn pods_disappear_only_at_list_end() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "a", &[1, 2, 3]);
    let serial = index.serial();
    writer.begin_pod_list(&ListScope::All);
    assert_eq!(present(&index, "a"), [1, 2, 3]);
    apply(&mut writer, "a", &[3]);
    assert_eq!((present(&index, "a"), index.serial()), (vec![1, 2, 3], serial));
    apply(&mut writer, "a", &[4, 1]);
    assert_eq!(present(&index, "a"), [1, 2, 3, 4]);
    assert_eq!(writer.end_pod_list(&ListScope::All), 1);
    assert_eq!(present(&index, "a"), [1, 3, 4]);
}

#[test]
fn pods_seen_only_by_cut_list_disappear() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "a", &[1, 2]);
    for _ in 0..300 {
        writer.begin_pod_list(&ListScope::All);
        apply(&mut writer, "a", &[1, 3]);
    }
    writer.begin_pod_list(&ListScope::All);
    apply(&mut writer, "a", &[2]);
    assert_eq!(present(&index, "a"), [1, 2, 3]);
    assert_eq!(writer.end_pod_list(&ListScope::All), 2);
    assert_eq!(present(&index, "a"), [2]);
}

#[test]
fn an_end_without_a_beginning_sweeps_nothing() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "a", &[1]);
    assert_eq!(writer.end_pod_list(&ListScope::All), 0);
    writer.begin_pod_list(&ListScope::All);
    apply(&mut writer, "a", &[1]);
    assert_eq!(writer.end_pod_list(&ListScope::All), 0);
    assert_eq!(writer.end_pod_list(&ListScope::All), 0);
    assert_eq!(present(&index, "a"), [1]);
}

#[test]
fn lists_of_namespaces_are_independent() {
    let (mut writer, index) = index(IndexOptions::default());
    let (a, b) = (ListScope::Namespace(label("a")), ListScope::Namespace(label("b")));
    apply(&mut writer, "a", &[1, 2]);
    apply(&mut writer, "b", &[3, 4]);
    writer.begin_pod_list(&a);
    writer.begin_pod_list(&b);
    apply(&mut writer, "b", &[4]);
    apply(&mut writer, "a", &[1]);
    assert_eq!(writer.end_pod_list(&a), 1);
    assert_eq!((present(&index, "a"), present(&index, "b")), (vec![1], vec![3, 4]));
    assert_eq!(writer.end_pod_list(&b), 1);
    assert_eq!((present(&index, "a"), present(&index, "b")), (vec![1], vec![4]));
    let unknown = ListScope::Namespace(label("unknown"));
    writer.begin_pod_list(&unknown);
    assert_eq!(writer.end_pod_list(&unknown), 0);
}

#[test]
fn namespaces_with_pods_survive_sweep() {
    let (mut writer, index) = index(IndexOptions::default());
    for name in ["a", "b", "c"] {
        assert_eq!(writer.apply_namespace(label(name)), Change::Added);
    }
    apply(&mut writer, "b", &[1]);
    writer.begin_namespace_list();
    assert_eq!(writer.apply_namespace(label("a")), Change::Unchanged);
    writer.begin_namespace_list();
    assert_eq!(writer.apply_namespace(label("c")), Change::Unchanged);
    assert_eq!(writer.end_namespace_list(), 2);
    let exists = |name| index.namespace_exists(&label(name)).unwrap();
    assert_eq!([exists("a"), exists("b"), exists("c")], [false, true, true]);
    writer.remove(Uid::parse("1"));
    assert!(!exists("b"), "its last pod has gone");
    assert_eq!(writer.remove_namespace(&label("b")), Change::Unchanged);
}

#[test]
fn pods_make_unreported_namespace_exist() {
    let (mut writer, index) = index(IndexOptions::default());
    apply(&mut writer, "a", &[1]);
    assert!(index.namespace_exists(&label("a")).unwrap());
    assert_eq!(writer.apply_namespace(label("a")), Change::Added);
    writer.remove(Uid::parse("1"));
    assert!(index.namespace_exists(&label("a")).unwrap());
    assert_eq!(writer.remove_namespace(&label("a")), Change::Removed);
    assert!(!index.namespace_exists(&label("a")).unwrap());
    assert_eq!(index.stats().namespaces, 0);
}
