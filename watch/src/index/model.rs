//! A reference model of the index in the simplest code, and sequences of operations that compare the index with it. For
//! property tests and fuzz targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poddns_core::{Label, Owner, PodLookup};

use super::reader::Index;
use super::types::{Change, IndexOptions, ListScope, MAX_ADDRESSES, PodRecord};
use super::uid::Uid;
use super::writer::{IndexWriter, SerialClock, index_with};

/// Pods and namespaces in ordered maps.
#[derive(Clone, Debug, Default)]
pub struct Model {
    options: IndexOptions,
    pods: BTreeMap<Uid, Pod>,
    /// The namespaces that the namespace watch has reported, and whether the list under way has reported each.
    namespaces: BTreeMap<Label, bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    namespace: Label,
    /// Kept only if the options require it, and if it is a single label.
    name: Option<Label>,
    addresses: Vec<IpAddr>,
    seen: bool,
}

impl Model {
    fn apply(&mut self, record: &PodRecord<'_>) -> Change {
        let mut addresses = Vec::new();
        for &address in record.addresses {
            if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return self.remove(record.uid);
        }
        let namespace = record.namespace;
        let name = if self.options.pod_names { record.name.parse::<Label>().ok() } else { None };
        if name.is_some() {
            let same = |pod: &Pod| pod.namespace == namespace && pod.name == name;
            self.pods.retain(|&uid, pod| uid == record.uid || !same(pod));
        }
        let contents = |pod: &Pod| (pod.namespace, pod.name, pod.addresses.clone());
        let next = Pod { namespace, name, addresses, seen: true };
        let new = contents(&next);
        match self.pods.insert(record.uid, next) {
            None => Change::Added,
            Some(old) if contents(&old) == new => Change::Unchanged,
            Some(_) => Change::Updated,
        }
    }

    fn remove(&mut self, uid: Uid) -> Change {
        self.pods.remove(&uid).map_or(Change::Unchanged, |_| Change::Removed)
    }

    fn begin_pod_list(&mut self, scope: &ListScope) {
        for pod in self.pods.values_mut().filter(|pod| scope.covers(&pod.namespace)) {
            pod.seen = false;
        }
    }

    fn end_pod_list(&mut self, scope: &ListScope) -> usize {
        let before = self.pods.len();
        self.pods.retain(|_, pod| pod.seen || !scope.covers(&pod.namespace));
        before - self.pods.len()
    }

    fn end_namespace_list(&mut self) -> usize {
        let before = self.namespaces.len();
        self.namespaces.retain(|_, seen| *seen);
        before - self.namespaces.len()
    }
}

/// Number of different pods, namespaces, names and addresses in an operation list. Smaller numbers cause more
/// collisions.
#[derive(Clone, Copy, Debug)]
struct Universe {
    uids: u8,
    namespaces: u8,
    names: u8,
    addresses: u8,
}

const NARROW: Universe = Universe { uids: 8, namespaces: 3, names: 4, addresses: 8 };
const WIDE: Universe = Universe { uids: 96, namespaces: 16, names: 48, addresses: 96 };

impl Universe {
    fn uid(self, choice: u8) -> Uid {
        Uid::of_name("", &(choice % self.uids).to_string())
    }

    fn namespace(self, choice: u8) -> Label {
        label(&format!("ns{}", choice % self.namespaces))
    }

    /// Returns names of all lengths, some of which are not labels.
    fn name(self, choice: u8) -> String {
        let number = choice % self.names;
        let separator = if number % 4 == 3 { "." } else { "-" };
        format!("{}pod{separator}{number}", "x".repeat(usize::from(number)))
    }

    /// Every third address is IPv6.
    fn address(self, choice: u8) -> IpAddr {
        let number = choice % self.addresses;
        if number % 3 == 2 {
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into()
        } else {
            Ipv4Addr::new(0, 0, 0, number).into()
        }
    }
}

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|error| panic!("{text:?} {error}"))
}

/// An operation on an index and on its model.
#[derive(Clone, Debug)]
enum Operation {
    Apply { uid: Uid, namespace: Label, name: String, addresses: Vec<IpAddr> },
    Remove(Uid),
    BeginPods(ListScope),
    EndPods(ListScope),
    ApplyNamespace(Label),
    RemoveNamespace(Label),
    BeginNamespaces,
    EndNamespaces,
}

impl Operation {
    /// Decodes any five octets to an operation.
    fn decode([kind, first, second, third, fourth]: [u8; 5], universe: Universe) -> Self {
        let scope = || match second % 4 {
            0 => ListScope::Namespace(universe.namespace(first)),
            _ => ListScope::All,
        };
        match kind % 32 {
            0..=17 => {
                let choices = [third, fourth, third ^ fourth, third.wrapping_add(fourth)];
                let count = [1, 1, 1, 2, 2, 3, 4, 0][usize::from(kind / 32)];
                Self::Apply {
                    uid: universe.uid(first),
                    namespace: universe.namespace(second),
                    name: universe.name(second / 5),
                    addresses: choices.iter().take(count).map(|&choice| universe.address(choice)).collect(),
                }
            }
            18..=22 => Self::Remove(universe.uid(first)),
            23 | 24 => Self::BeginPods(scope()),
            25 => Self::EndPods(scope()),
            26 | 27 => Self::ApplyNamespace(universe.namespace(first)),
            28 | 29 => Self::RemoveNamespace(universe.namespace(first)),
            30 => Self::BeginNamespaces,
            _ => Self::EndNamespaces,
        }
    }
}

/// Result of an operation.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Changed(Change),
    Removed(usize),
    Nothing,
}

impl Operation {
    fn write(&self, writer: &mut IndexWriter) -> Effect {
        match self {
            Self::Apply { uid, namespace, name, addresses } => {
                let pod = PodRecord { uid: *uid, namespace: *namespace, name, addresses };
                Effect::Changed(writer.apply(&pod))
            }
            Self::Remove(uid) => Effect::Changed(writer.remove(*uid)),
            Self::BeginPods(scope) => {
                writer.begin_pod_list(scope);
                Effect::Nothing
            }
            Self::EndPods(scope) => Effect::Removed(writer.end_pod_list(scope)),
            Self::ApplyNamespace(namespace) => Effect::Changed(writer.apply_namespace(*namespace)),
            Self::RemoveNamespace(namespace) => Effect::Changed(writer.remove_namespace(namespace)),
            Self::BeginNamespaces => {
                writer.begin_namespace_list();
                Effect::Nothing
            }
            Self::EndNamespaces => Effect::Removed(writer.end_namespace_list()),
        }
    }

    fn model(&self, model: &mut Model) -> Effect {
        match self {
            Self::Apply { uid, namespace, name, addresses } => {
                let pod = PodRecord { uid: *uid, namespace: *namespace, name, addresses };
                Effect::Changed(model.apply(&pod))
            }
            Self::Remove(uid) => Effect::Changed(model.remove(*uid)),
            Self::BeginPods(scope) => {
                model.begin_pod_list(scope);
                Effect::Nothing
            }
            Self::EndPods(scope) => Effect::Removed(model.end_pod_list(scope)),
            Self::ApplyNamespace(namespace) => {
                let known = model.namespaces.insert(*namespace, true).is_some();
                Effect::Changed(if known { Change::Unchanged } else { Change::Added })
            }
            Self::RemoveNamespace(namespace) => {
                let known = model.namespaces.remove(namespace).is_some();
                Effect::Changed(if known { Change::Removed } else { Change::Unchanged })
            }
            Self::BeginNamespaces => {
                model.namespaces.values_mut().for_each(|seen| *seen = false);
                Effect::Nothing
            }
            Self::EndNamespaces => Effect::Removed(model.end_namespace_list()),
        }
    }
}

/// An index, its model, and the last results of both.
struct Pair {
    questions: Questions,
    model: Model,
    writer: IndexWriter,
    now: u64,
    view: View,
}

/// The keys of all possible look-ups in a universe.
struct Questions {
    namespaces: Vec<Label>,
    names: Vec<Label>,
    addresses: Vec<IpAddr>,
}

impl Questions {
    fn about(universe: Universe) -> Self {
        Self {
            namespaces: (0..universe.namespaces).map(|choice| universe.namespace(choice)).collect(),
            names: (0..universe.names).filter_map(|choice| universe.name(choice).parse().ok()).collect(),
            addresses: (0..universe.addresses).map(|choice| universe.address(choice)).collect(),
        }
    }
}

/// The results of all look-ups.
#[derive(Debug, PartialEq, Eq)]
struct View {
    namespaces: BTreeSet<Label>,
    addresses: BTreeSet<(Label, IpAddr)>,
    names: BTreeMap<(Label, Label), Vec<IpAddr>>,
    owners: BTreeMap<IpAddr, Owner>,
    /// Pairs of addresses whose pods have a namespace in common.
    neighbours: BTreeSet<(IpAddr, IpAddr)>,
}

/// Returns pairs of addresses: each with itself and with the next three.
fn pairs(addresses: &[IpAddr]) -> impl Iterator<Item = (IpAddr, IpAddr)> {
    let next = |(at, &one): (usize, _)| addresses[at..].iter().take(4).map(move |&other| (one, other));
    addresses.iter().enumerate().flat_map(next)
}

impl View {
    /// Returns the results of all look-ups in an index.
    fn of(pods: &impl PodLookup, questions: &Questions) -> Self {
        let Questions { namespaces, names, addresses } = questions;
        // A hint, so the results below must not depend on it.
        pods.prefetch(addresses);
        let mut view = Self {
            namespaces: namespaces
                .iter()
                .copied()
                .filter(|label| pods.namespace_exists(label).unwrap())
                .collect(),
            addresses: BTreeSet::new(),
            names: BTreeMap::new(),
            owners: addresses.iter().map(|&address| (address, pods.owner_of(address).unwrap())).collect(),
            neighbours: pairs(addresses)
                .filter(|&(one, other)| pods.share_namespace(one, other).unwrap())
                .collect(),
        };
        view.owners.retain(|_, owner| *owner != Owner::None);
        for &namespace in namespaces {
            let there = addresses.iter().filter(|&&address| pods.contains(&namespace, address).unwrap());
            view.addresses.extend(there.map(|&address| (namespace, address)));
            for &name in names {
                let mut all = Vec::new();
                pods.addresses_of(&namespace, &name, &mut |address| all.push(address)).unwrap();
                if !all.is_empty() {
                    view.names.insert((namespace, name), all);
                }
            }
        }
        view
    }

    /// Returns the expected results of the look-ups.
    fn expected(model: &Model, questions: &Questions) -> Self {
        let existing = model.namespaces.keys().copied();
        let mut view = Self {
            namespaces: existing.chain(model.pods.values().map(|pod| pod.namespace)).collect(),
            addresses: BTreeSet::new(),
            names: BTreeMap::new(),
            owners: BTreeMap::new(),
            neighbours: BTreeSet::new(),
        };
        for pod in model.pods.values() {
            view.addresses.extend(pod.addresses.iter().map(|&address| (pod.namespace, address)));
            if let Some(name) = pod.name {
                view.names.insert((pod.namespace, name), pod.addresses.clone());
            }
            for &address in &pod.addresses {
                let sole = Owner::Pod { namespace: pod.namespace, name: pod.name };
                view.owners.entry(address).and_modify(|owner| *owner = Owner::Shared).or_insert(sole);
            }
        }
        let is_in = |namespace, address| view.addresses.contains(&(namespace, address));
        let meet = |&(one, other): &(IpAddr, IpAddr)| {
            let shared = [one, other].map(|address| view.owners.get(&address) == Some(&Owner::Shared));
            let common = view.namespaces.iter().any(|&at| is_in(at, one) && is_in(at, other));
            common && (one == other || shared != [true, true])
        };
        view.neighbours = pairs(&questions.addresses).filter(meet).collect();
        view
    }
}

impl Pair {
    fn new(options: IndexOptions, universe: Universe) -> Self {
        let (writer, index) = index_with(options, SerialClock::Set(1));
        let questions = Questions::about(universe);
        let view = View::of(&*index, &questions);
        Self { questions, model: Model { options, ..Model::default() }, writer, now: 1, view }
    }

    fn index(&self) -> &Index {
        self.writer.index()
    }

    /// Applies an operation to both and compares everything.
    fn step(&mut self, operation: &Operation) {
        self.now += 1;
        self.writer.set_clock(self.now);
        let effect = operation.write(&mut self.writer);
        assert_eq!(effect, operation.model(&mut self.model), "{operation:?}");
        self.compare(operation);
    }

    fn compare(&mut self, operation: &Operation) {
        let serial = self.index().serial();
        let view = View::of(self.index(), &self.questions);
        assert_eq!(view, View::expected(&self.model, &self.questions), "after {operation:?}");
        let moved = u64::from(serial) == self.now;
        // A pod that replaces another one with the same name and addresses advances the serial too.
        let replaced = self.model.options.pod_names && matches!(operation, Operation::Apply { .. });
        if view != self.view || !replaced {
            assert_eq!(moved, view != self.view, "the serial follows what answers show: {operation:?}");
        }
        self.view = view;

        let stats = self.index().stats();
        let counts = (stats.pods, stats.addresses, stats.namespaces);
        let expected = (self.model.pods.len(), self.view.owners.len(), self.view.namespaces.len());
        assert_eq!(counts, expected, "{operation:?}");

        let mut left = self.model.pods.len();
        self.writer.for_each_pod(|pod| {
            left -= 1;
            let known = self.model.pods.get(&pod.uid).unwrap_or_else(|| panic!("{:?} is unknown", pod.uid));
            let name = known.name.as_ref().map_or("", Label::as_str);
            assert_eq!((pod.namespace, pod.name, pod.addresses), (known.namespace, name, &*known.addresses));
        });
        assert_eq!(left, 0, "all pods are iterated");
        let mut known = BTreeSet::new();
        self.writer.for_each_namespace(|namespace| assert!(known.insert(*namespace)));
        assert!(known.iter().eq(self.model.namespaces.keys()), "all namespaces are iterated");
    }

    /// Removes everything, one by one.
    fn clear(&mut self) {
        let uids: Vec<_> = self.model.pods.keys().copied().collect();
        let namespaces: Vec<_> = self.model.namespaces.keys().copied().collect();
        for uid in uids {
            self.step(&Operation::Remove(uid));
        }
        for namespace in namespaces {
            self.step(&Operation::RemoveNamespace(namespace));
        }
        assert_eq!(self.writer.in_use(), 0, "everything that was used can be used again");
    }
}

/// Runs an operation list on an index and on its model, twice, and compares the two after every step.
///
/// The first octet chooses the options and the universe; every five octets after it are one operation. After each of
/// the two runs everything is removed, and nothing may remain in use.
///
/// # Panics
///
/// At the first difference.
pub fn run(octets: &[u8]) {
    let Some((&first, list)) = octets.split_first() else { return };
    let universe = if first & 2 == 0 { NARROW } else { WIDE };
    let mut pair = Pair::new(IndexOptions { pod_names: first & 1 != 0 }, universe);
    for _ in 0..2 {
        for &operation in list.as_chunks().0 {
            pair.step(&Operation::decode(operation, universe));
        }
        pair.clear();
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests;
