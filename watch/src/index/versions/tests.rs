//! Random changes, versions and walks, in any order, compared with the sets of records that the versions should
//! contain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use poddns_core::{Label, PodLookup};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{IndexOptions, IndexWriter, ListScope, PodRecord, Uid, index};
use crate::transfer::{Publication, Versions, WalkId, ZoneChanges, ZoneRecord, ZoneRecords};

/// A record that owns its texts.
type Owned = (String, Option<String>, IpAddr);
type Zone = BTreeSet<Owned>;

fn owned(record: ZoneRecord<'_>) -> Owned {
    (record.namespace.to_owned(), record.name.map(str::to_owned), record.address)
}

/// Returns the records of the pods in an index.
fn zone(writer: &IndexWriter) -> Zone {
    let mut zone = Zone::new();
    writer.for_each_pod(|pod| {
        let namespace = pod.namespace.to_string();
        for &address in pod.addresses {
            zone.insert((namespace.clone(), None, address));
            if !pod.name.is_empty() {
                assert!(
                    zone.insert((namespace.clone(), Some(pod.name.to_owned()), address)),
                    "one of a name"
                );
            }
        }
    });
    zone
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn address(number: u16) -> IpAddr {
    if number % 3 == 2 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number).into()
    } else {
        IpAddr::from([10, 0, (number >> 8) as u8, number as u8])
    }
}

struct World {
    writer: IndexWriter,
    start: Instant,
    /// Milliseconds since `start`.
    now: u64,
    /// Contents of each version.
    versions: BTreeMap<u32, Zone>,
    current: u32,
    walks: Vec<(WalkId, u32, ZoneRecords)>,
    completed: usize,
}

impl World {
    fn new(pod_names: bool, limit: usize) -> Self {
        let (mut writer, _) = index(IndexOptions { pod_names });
        writer.begin_versions(limit, None);
        let (versions, walks) = (BTreeMap::new(), Vec::new());
        Self { writer, start: Instant::now(), now: 0, versions, current: 0, walks, completed: 0 }
    }

    fn publish(&mut self) {
        let (at, unix) = (self.start + Duration::from_millis(self.now), (self.now / 1000) as u32);
        match self.writer.publish_version(at, unix) {
            Publication::New(serial) => {
                assert!(self.versions.last_key_value().is_none_or(|(&last, _)| serial > last));
                self.versions.insert(serial, zone(&self.writer));
                self.current = serial;
                assert_eq!(self.writer.index().serial(), serial);
            }
            Publication::Unchanged => assert_eq!(zone(&self.writer), self.versions[&self.current]),
            Publication::Later(due) => assert!(due > at),
            Publication::Unsynced => unreachable!("the writer does not know"),
        }
        self.compare();
    }

    /// Applies the journal to every version that it covers, and compares the results.
    fn compare(&self) {
        let Some(versions) = self.writer.versions() else { unreachable!() };
        for (&known, zone) in &self.versions {
            match versions.since(known).expect("there is a version") {
                (serial, ZoneChanges::Current) => assert_eq!((serial, known), (self.current, self.current)),
                (serial, ZoneChanges::Versions(list)) => {
                    let (mut zone, mut at) = (zone.clone(), known);
                    for version in &list {
                        assert_eq!(version.from, at);
                        at = version.to;
                        for record in version.removed.iter() {
                            assert!(zone.remove(&owned(record)));
                        }
                        for record in version.added.iter() {
                            assert!(zone.insert(owned(record)));
                        }
                        assert_eq!(zone, self.versions[&at]);
                    }
                    assert_eq!((at, serial), (self.current, self.current));
                }
                (_, ZoneChanges::Unknown) => {}
            }
        }
    }

    fn begin_walk(&mut self) {
        let walk = self.writer.versions_mut().and_then(Versions::begin_walk);
        if let Some((id, serial)) = walk {
            assert_eq!(serial, self.current);
            self.walks.push((id, serial, ZoneRecords::default()));
        }
    }

    fn step(&mut self, walk: usize) {
        if self.walks.is_empty() {
            return;
        }
        let walk = walk % self.walks.len();
        let (id, serial, records) = &mut self.walks[walk];
        if self.writer.step(*id, records).expect("little changes") {
            return;
        }
        let mut walked: Vec<Owned> = records.iter().map(owned).collect();
        walked.sort();
        let expected: Vec<Owned> = self.versions[serial].iter().cloned().collect();
        assert_eq!(walked, expected, "version {serial}");
        let id = *id;
        self.walks.remove(walk);
        self.writer.versions_mut().unwrap().end_walk(id);
        self.completed += 1;
    }

    fn apply(&mut self, pod: u16, namespace: u8, name: u8, addresses: &[IpAddr]) {
        let (namespace, name) = (label(&format!("ns{}", namespace % 3)), format!("pod-{name}"));
        let uid = Uid::of_name("", &pod.to_string());
        self.writer.apply(&PodRecord { uid, namespace, name: &name, addresses });
    }

    fn run(&mut self, [kind, first, second, third, fourth]: [u8; 5]) {
        let choices = [third, fourth, third ^ fourth].map(|choice| address(u16::from(choice % 10)));
        match kind % 24 {
            0..=8 => {
                self.apply(u16::from(first % 10), second, second / 3 % 6, &choices[..usize::from(kind / 64)]);
            }
            9 | 10 => drop(self.writer.remove(Uid::of_name("", &(first % 10).to_string()))),
            11 => (0..40).for_each(|more| {
                let pod = 100 + u16::from(first % 8) * 40 + more;
                self.apply(pod, second, 100 + more as u8, &[address(pod)]);
            }),
            12 => self.writer.begin_pod_list(&ListScope::All),
            13 => drop(self.writer.end_pod_list(&ListScope::All)),
            14..=16 => {
                self.now += u64::from(first) * 20;
                self.publish();
            }
            17 | 18 => self.begin_walk(),
            _ => self.step(first.into()),
        }
    }

    /// Runs all walks to their end, with changes in between.
    fn finish(&mut self, list: &[[u8; 5]]) {
        let mut more = list.iter().cycle();
        while !self.walks.is_empty() {
            self.step(0);
            if let Some(&[_, a, b, c, d]) = more.next() {
                self.run([a % 12 + 72, a, b, c, d]);
            }
        }
        self.now += 1_000_000;
        self.writer.end_pod_list(&ListScope::All);
        self.publish();
    }
}

fn run(pod_names: bool, limit: usize, list: &[[u8; 5]]) -> usize {
    let mut world = World::new(pod_names, limit);
    world.publish();
    for &operation in list {
        world.run(operation);
    }
    world.finish(list);
    world.completed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_and_journal_yield_the_versions(names: bool, list in vec(any::<[u8; 5]>(), 0..400)) {
        run(names, 1 << 20, &list);
    }

    #[test]
    fn short_journal_loses_nothing_but_its_beginning(names: bool, list in vec(any::<[u8; 5]>(), 0..200)) {
        run(names, 2_000, &list);
    }
}

#[test]
fn walk_returns_its_version_despite_changes() {
    let mut world = World::new(true, 1 << 20);
    for number in 0..200 {
        world.apply(number, 0, number as u8, &[address(number)]);
    }
    world.publish();
    world.begin_walk();
    // Each pod gets the address of the next one, while the walk continues.
    for number in 0..200_u16 {
        world.apply(number, 1, number as u8, &[address((number + 1) % 200)]);
        world.step(0);
    }
    world.finish(&[]);
    assert_eq!(world.completed, 1);
}

#[test]
fn walk_beside_too_many_changes_is_lost() {
    let mut world = World::new(false, 64 << 20);
    world.publish();
    world.begin_walk();
    for number in 0..90_000_u32 {
        let address = IpAddr::from([10, (number >> 16) as u8, (number >> 8) as u8, number as u8]);
        let uid = Uid::of_name("", &number.to_string());
        world.writer.apply(&PodRecord { uid, namespace: label("a"), name: "", addresses: &[address] });
    }
    let (id, _, records) = &mut world.walks[0];
    assert_eq!(world.writer.step(*id, records), None);
}

#[test]
fn change_beyond_the_journal_begins_it_anew() {
    let mut world = World::new(false, 1_000);
    world.publish();
    let first = world.current;
    for number in 0..50 {
        world.apply(number, 0, 0, &[address(number)]);
    }
    world.now += 1_000;
    world.publish();
    let versions = world.writer.versions().unwrap();
    assert!(matches!(versions.since(first), Some((_, ZoneChanges::Unknown))));
    assert!(matches!(versions.since(world.current), Some((_, ZoneChanges::Current))));
    world.apply(0, 0, 0, &[address(60)]);
    world.now += 1_000;
    world.publish();
    let (_, since) = world.writer.versions().unwrap().since(world.current - 1).unwrap();
    assert!(matches!(since, ZoneChanges::Versions(list) if list.len() == 1));
}

#[test]
fn relist_is_one_version() {
    let mut world = World::new(true, 1 << 20);
    for number in 0..30 {
        world.apply(number, 0, number as u8, &[address(number)]);
    }
    world.publish();
    let known = world.current;
    world.writer.begin_pod_list(&ListScope::All);
    for number in 15..60 {
        world.apply(number, 0, number as u8, &[address(number)]);
        world.now += 1_500;
        world.publish();
        assert_eq!(world.current, known, "while the list is under way");
    }
    world.writer.end_pod_list(&ListScope::All);
    world.publish();
    let (_, since) = world.writer.versions().unwrap().since(known).unwrap();
    let ZoneChanges::Versions(list) = since else { panic!("{since:?}") };
    // Two records for each pod.
    let counts: Vec<_> = list.iter().map(|v| (v.removed.iter().count(), v.added.iter().count())).collect();
    assert_eq!(counts, [(30, 60)]);
}

#[test]
fn endless_list_delays_versions_for_bounded_time() {
    let mut world = World::new(false, 1 << 20);
    world.publish();
    let known = world.current;
    world.writer.begin_pod_list(&ListScope::All);
    world.apply(1, 0, 0, &[address(1)]);
    world.now += 60_000;
    world.publish();
    assert_eq!(world.current, known);
    world.now += 121_000;
    world.publish();
    assert_ne!(world.current, known);
}

#[test]
fn comparison_without_end_delays_no_version() {
    let mut world = World::new(false, 1 << 20);
    world.publish();
    let known = world.current;
    world.writer.begin_pod_comparison(&ListScope::All);
    world.apply(1, 0, 0, &[address(1)]);
    world.now += 1_000;
    world.publish();
    assert_ne!(world.current, known);
}

#[test]
fn walk_ends_with_its_versions() {
    let mut world = World::new(false, 1 << 20);
    for number in 0..9 {
        world.apply(number, 0, number as u8, &[address(number)]);
    }
    world.publish();
    world.begin_walk();
    // As on a reload that changes the size of the journal.
    world.writer.begin_versions(1 << 10, Some(world.current));
    world.now += 1_000;
    world.publish();
    world.begin_walk();
    let [(of_old, ..), (of_new, ..)] = world.walks[..] else { panic!("{:?}", world.walks) };
    assert_eq!(world.writer.step(of_old, &mut ZoneRecords::default()), None);
    world.writer.versions_mut().unwrap().end_walk(of_old);
    assert_eq!(world.writer.step(of_new, &mut ZoneRecords::default()), Some(true));
}

#[test]
fn versions_are_a_second_apart() {
    let mut world = World::new(false, 1 << 20);
    world.publish();
    let first = world.current;
    for (now, expected) in
        [(10, first), (999, first), (1_000, first + 1), (1_500, first + 1), (2_000, first + 2)]
    {
        world.now = now;
        world.apply(1, 0, 0, &[address(now as u16)]);
        world.publish();
        assert_eq!(world.current, expected, "at {now} ms");
    }
}

#[test]
fn serial_follows_that_of_snapshot() {
    let (mut writer, _) = index(IndexOptions::default());
    writer.begin_versions(1_000, Some(5_000));
    assert_eq!(writer.publish_version(Instant::now(), 100), Publication::New(5_001));
    let (mut writer, _) = index(IndexOptions::default());
    writer.begin_versions(1_000, Some(50));
    assert_eq!(writer.publish_version(Instant::now(), 100), Publication::New(101));
}

#[test]
fn versions_begun_later_know_shared_addresses() {
    let (mut writer, _) = index(IndexOptions::default());
    for (number, namespace) in ["a", "b", "a"].into_iter().enumerate() {
        let uid = Uid::of_name("", &number.to_string());
        let pod = PodRecord { uid, namespace: label(namespace), name: "", addresses: &[address(1)] };
        writer.apply(&pod);
    }
    writer.begin_versions(1_000, None);
    writer.publish_version(Instant::now(), 1);
    let (id, _) = writer.versions_mut().unwrap().begin_walk().unwrap();
    let mut records = ZoneRecords::default();
    while writer.step(id, &mut records).unwrap() {}
    assert_eq!(records.iter().map(owned).collect::<Zone>(), zone(&writer));
    assert_eq!(records.iter().count(), 2);
}
