//! Readers concurrent with a writer at full speed, on real threads. However the kernel schedules them, a pod that stays
//! is found by every look-up, a pod that never existed by none, and no look-up fails.
//!
//! `PODDNS_STRESS_LOOKUPS` is the number of look-ups of each test, 20,000 by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use poddns_core::{Label, Owner, PodLookup};
use poddns_watch::{Index, IndexOptions, IndexWriter, ListScope, PodRecord, Uid, index};

/// Number of pods that the writer adds and removes repeatedly.
const PODS: u32 = 3000;
/// Number of pods that stay.
const STABLE: u32 = 64;
/// Minimum number of look-ups in a call of [`look_up`].
const LOOKUPS: u32 = 14;

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

/// Returns the addresses of pod `number`, one of each family, in an address block of its own.
fn addresses(block: u8, number: u32) -> [IpAddr; 2] {
    let v4 = Ipv4Addr::from_bits((u32::from(block) << 24) + number);
    let v6 = Ipv6Addr::from_bits((u128::from(block) << 112) + u128::from(number));
    [v4.into(), v6.into()]
}

/// Returns a node's address, which a stable pod shares with others.
fn node(number: u32) -> IpAddr {
    Ipv4Addr::from_bits((192 << 24) + number).into()
}

/// A pod with all fields that the writer receives, prepared so that the writer's thread only writes.
struct Pod {
    uid: Uid,
    namespace: Label,
    name: String,
}

impl Pod {
    fn new(namespace: &str, name: String) -> Self {
        Self { uid: Uid::of_name(namespace, &name), namespace: label(namespace), name }
    }

    fn apply(&self, writer: &mut IndexWriter, addresses: &[IpAddr]) {
        let Self { uid, namespace, name } = self;
        writer.apply(&PodRecord { uid: *uid, namespace: *namespace, name, addresses });
    }
}

/// Pods that stay, pods that are added and removed, and pods that temporarily share the nodes' addresses.
struct Pods {
    stable: Vec<Pod>,
    churning: Vec<Pod>,
    agents: Vec<Pod>,
}

impl Pods {
    fn new() -> Self {
        let pods = |count, namespace: fn(u32) -> String, name| {
            (0..count).map(|number| Pod::new(&namespace(number), format!("{name}-{number}"))).collect()
        };
        Self {
            stable: pods(STABLE, |_| "stable".to_owned(), "pod"),
            churning: pods(PODS, |number| format!("churn-{}", number % 7), "pod"),
            agents: pods(PODS, |_| "agents".to_owned(), "agent"),
        }
    }

    fn apply_stable(&self, writer: &mut IndexWriter) {
        for (number, pod) in (0..).zip(&self.stable) {
            let [v4, v6] = addresses(10, number);
            pod.apply(writer, &[v4, v6, node(number)]);
        }
    }

    /// Adds pods, changes their addresses, lets others share the nodes' addresses, and removes them, with their
    /// namespaces; in between, a list is begun, cut off, begun again and completed. Returns once `done` returns true.
    fn churn(&self, writer: &mut IndexWriter, done: impl Fn() -> bool) {
        loop {
            for (number, (pod, agent)) in (0_u32..).zip(self.churning.iter().zip(&self.agents)) {
                if done() {
                    return;
                }
                let [v4, v6] = addresses(20, number);
                pod.apply(writer, &[v4]);
                if number.is_multiple_of(3) {
                    pod.apply(writer, &[v6, v4]);
                }
                agent.apply(writer, &[node(number % STABLE)]);
                if number.is_multiple_of(5) {
                    writer.remove(agent.uid);
                }
                if number.is_multiple_of(500) {
                    writer.begin_pod_list(&ListScope::All);
                }
            }
            writer.begin_pod_list(&ListScope::All);
            self.apply_stable(writer);
            writer.end_pod_list(&ListScope::All);
            assert_eq!(writer.index().stats().pods, STABLE as usize);
        }
    }
}

/// Makes one round of look-ups with known results.
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
    assert_eq!(index.owner_of(v4), Ok(owner));
    assert_eq!(index.owner_of(v6), Ok(owner));
    let owner_of_shared = index.owner_of(shared).unwrap();
    assert!(owner_of_shared == owner || owner_of_shared == Owner::Shared, "{owner_of_shared:?}");
    if let Some(name) = name {
        let mut found = Vec::new();
        index.addresses_of(&stable, &name, &mut |address| found.push(address)).unwrap();
        assert_eq!(found, [v4, v6, shared]);
    }

    // These pods are added and removed, but always in the same namespace.
    for address in addresses(20, number % PODS) {
        let other = label(&format!("churn-{}", (number + 1) % 7));
        assert!(!index.contains(&other, address).unwrap(), "{address} was never there");
        let expected = label(&format!("churn-{}", number % PODS % 7));
        match index.owner_of(address).unwrap() {
            Owner::None => (),
            Owner::Pod { namespace, .. } => assert_eq!(namespace, expected, "{address}"),
            Owner::Shared => panic!("{address} was never shared"),
        }
    }
}

/// Number of changes of one writer, counted twice: odd while a change is in progress.
#[derive(Default)]
struct Changes(AtomicU64);

impl Changes {
    fn change(&self, change: impl FnOnce()) {
        self.0.fetch_add(1, Ordering::SeqCst);
        change();
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Looks up the owner of an address, then the forward name that a PTR record would contain, then the owner again. The
/// name must resolve to the address unless the owner has changed. Returns true if this could be checked, which needs at
/// most one change in progress: within one change, no address loses and regains an owner.
fn reverse_and_forward_agree(index: &Index, changes: &Changes, address: IpAddr) -> bool {
    let begun = changes.0.load(Ordering::SeqCst);
    let before = index.owner_of(address).unwrap();
    let Owner::Pod { namespace, name } = before else { return false };
    let mut found = false;
    match name {
        None => found = index.contains(&namespace, address).unwrap(),
        Some(name) => {
            index.addresses_of(&namespace, &name, &mut |other| found |= other == address).unwrap();
        }
    }
    let after = index.owner_of(address).unwrap();
    let one_change = changes.0.load(Ordering::SeqCst) - begun <= 1;
    assert!(found || after != before || !one_change, "{before:?} has no {address}");
    one_change && after == before
}

/// Adds a few pods, renames them, moves and shares their addresses, and removes them, until `done` returns true.
fn rename(writer: &mut IndexWriter, changes: &Changes, done: impl Fn() -> bool) {
    let pods: Vec<_> = (0..8).map(|number| Pod::new("a", format!("pod-{number}"))).collect();
    // Pods with the same names but other uids, as in a StatefulSet.
    let twins: Vec<_> = (0..8)
        .map(|number| Pod {
            uid: Uid::of_name("twin", &number.to_string()),
            ..Pod::new("a", format!("pod-{number}"))
        })
        .collect();
    let others: Vec<_> = (0..8).map(|number| Pod::new("b", format!("other-{number}"))).collect();
    while !done() {
        for (number, ((pod, twin), other)) in (0..).zip(pods.iter().zip(&twins).zip(&others)) {
            let [v4, v6] = addresses(30, number);
            let [next, _] = addresses(30, (number + 1) % 8);
            changes.change(|| pod.apply(writer, &[v4]));
            changes.change(|| pod.apply(writer, &[v6, v4]));
            changes.change(|| other.apply(writer, &[v4]));
            changes.change(|| pod.apply(writer, &[v6, next]));
            changes.change(|| twin.apply(writer, &[v6]));
            changes.change(|| _ = writer.remove(other.uid));
            changes.change(|| _ = writer.remove(twin.uid));
            changes.change(|| _ = writer.remove(pod.uid));
        }
    }
}

#[test]
fn reverse_names_lead_back() {
    const SEEN: u32 = 2000;
    for pod_names in [false, true] {
        let (mut writer, index) = index(IndexOptions { pod_names });
        let (changes, running) = (Arc::new(Changes::default()), Arc::new(AtomicUsize::new(1)));
        let reader = {
            let (changes, running) = (Arc::clone(&changes), Running(Arc::clone(&running)));
            thread::spawn(move || {
                let (mut seen, mut number) = (0, 0);
                while seen < SEEN {
                    for address in addresses(30, number % 8) {
                        seen += u32::from(reverse_and_forward_agree(&index, &changes, address));
                    }
                    number += 1;
                }
                drop(running);
            })
        };
        rename(&mut writer, &changes, || running.load(Ordering::Relaxed) == 0);
        reader.join().unwrap_or_else(|_| panic!("a reader saw what was not so"));
    }
}

/// Cores on which the readers run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Any core, chosen by the kernel.
    Free,
    /// The writer's core.
    Pinned,
    /// The writer's core, at the lowest priority.
    Niced,
}

/// Runs `readers` readers on an index without pod names, then on one with them, until their look-ups are done.
fn stress(readers: usize, layout: Layout) {
    let lookups = std::env::var("PODDNS_STRESS_LOOKUPS").map_or(20_000, |text| text.parse().unwrap());
    let rounds = u32::div_ceil(lookups, LOOKUPS * u32::try_from(readers).unwrap() * 2);
    if layout != Layout::Free {
        scheduling::stay_on_one_core();
    }
    let pods = Pods::new();
    for pod_names in [false, true] {
        let (mut writer, index) = index(IndexOptions { pod_names });
        pods.apply_stable(&mut writer);
        let running = Arc::new(AtomicUsize::new(readers));
        let readers: Vec<_> = (0..readers)
            .map(|reader| {
                let (index, running) = (Arc::clone(&index), Running(Arc::clone(&running)));
                thread::spawn(move || {
                    if layout == Layout::Niced {
                        scheduling::lowest_priority();
                    }
                    for round in 0..rounds {
                        // Below `PODS`, because `look_up` derives a pod's namespace from `number`.
                        let number = round.wrapping_mul(2) + u32::try_from(reader).unwrap();
                        look_up(&index, pod_names, number % PODS);
                    }
                    drop(running);
                })
            })
            .collect();
        pods.churn(&mut writer, || running.load(Ordering::Relaxed) == 0);
        for reader in readers {
            reader.join().unwrap_or_else(|_| panic!("a reader saw what was not so"));
        }
    }
}

/// Counts a running reader until it ends, even by a panic.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
mod scheduling {
    use rustix::{process, thread};

    /// Binds this thread, and the threads that it starts, to one of the cores that it may use.
    pub(crate) fn stay_on_one_core() {
        let allowed = thread::sched_getaffinity(None).unwrap();
        let core = (0..thread::CpuSet::MAX_CPU).find(|&core| allowed.is_set(core)).unwrap();
        let mut only = thread::CpuSet::new();
        only.set(core);
        thread::sched_setaffinity(None, &only).unwrap();
    }

    /// Lowers the priority of this thread.
    pub(crate) fn lowest_priority() {
        process::nice(19).unwrap();
    }
}

/// On other systems the tests run without these restrictions.
#[cfg(not(target_os = "linux"))]
mod scheduling {
    pub(crate) fn stay_on_one_core() {}
    pub(crate) fn lowest_priority() {}
}

#[test]
fn readers_on_any_core() {
    stress(2, Layout::Free);
}

#[test]
fn eight_readers_to_a_core() {
    stress(8 * thread::available_parallelism().map_or(1, usize::from), Layout::Free);
}

#[test]
fn readers_on_the_writers_core() {
    stress(2, Layout::Pinned);
}

#[test]
fn niced_readers_on_the_writers_core() {
    stress(1, Layout::Niced);
}

#[test]
fn eight_niced_readers_on_the_writers_core() {
    stress(8, Layout::Niced);
}
