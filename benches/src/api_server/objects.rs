//! The cluster that is served: every pod is written when it is asked for, from a template and a few numbers.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use crate::pods::NAMESPACES;

/// As many as have an address of their own.
pub const MAX_PODS: u32 = 1 << 23;

/// The version of the pods at the beginning, and of all namespaces.
pub(super) const FIRST_VERSION: u32 = 1000;

/// Differences of a pod from the others, and from its predecessors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Below [`MAX_PODS`].
    pub number: u32,
    /// Number of times that a pod of this number was deleted and created again; part of its name and its uid.
    pub incarnation: u32,
    /// True if it has its second address.
    pub moved: bool,
    restarts: u32,
    version: u32,
    exists: bool,
}

impl Pod {
    fn new(number: u32) -> Self {
        Self { number, incarnation: 0, moved: false, restarts: 0, version: FIRST_VERSION, exists: true }
    }

    /// Its one address, which no other pod has, nor ever had.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 + self.number + if self.moved { MAX_PODS } else { 0 })
    }

    /// An address that it does not have, nor any other pod.
    #[must_use]
    pub fn other_address(&self) -> Ipv4Addr {
        Self { moved: !self.moved, ..*self }.address()
    }

    /// Its namespace, one of [`NAMESPACES`].
    #[must_use]
    pub fn namespace(&self) -> String {
        namespace(self.number % NAMESPACES)
    }

    /// Its name, which no other pod has, nor ever had.
    pub(super) fn name(&self) -> String {
        format!("frontend-7c9f7b8d6-{:06x}{:02x}", self.number, self.incarnation)
    }

    /// Its resource version.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(super) fn uid(&self) -> String {
        uid(u64::from(self.number) << 32 | u64::from(self.incarnation))
    }
}

/// The name of a namespace.
pub(super) fn namespace(number: u32) -> String {
    format!("team-{number}")
}

/// A UUID, as random as one.
fn uid(number: u64) -> String {
    // The finishing steps of SplitMix64: every bit depends on every other.
    let mix = |mut bits: u64| {
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    };
    let (high, low) = (mix(number ^ 0x9e37_79b9_7f4a_7c15), mix(!number));
    let part = |bits: u64, shift: u32, mask: u64| bits >> shift & mask;
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        part(high, 32, 0xffff_ffff),
        part(high, 16, 0xffff),
        part(high, 0, 0xfff),
        part(low, 48, 0xfff),
        part(low, 0, 0xffff_ffff_ffff),
    )
}

/// Kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    /// `type` of the event.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A change of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    /// The pod after it; as it was, with the version of its deletion, if it was deleted.
    pub(super) pod: Pod,
}

/// Changes that are remembered for watches that begin behind them.
const HISTORY: usize = 1 << 16;

/// All pods, a few bytes each, and the last changes of them.
#[derive(Debug)]
pub(super) struct Cluster {
    pods: Vec<Pod>,
    version: u32,
    /// Changes so far.
    changes: u32,
    /// One for each version up to the present one.
    history: VecDeque<Change>,
}

impl Cluster {
    /// Returns running pods with one address each.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PODS`].
    pub(super) fn new(pods: u32) -> Self {
        assert!(pods <= MAX_PODS, "at most {MAX_PODS} pods");
        let pods = (0..pods).map(Pod::new).collect();
        Self { pods, version: FIRST_VERSION, changes: 0, history: VecDeque::new() }
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The changes after a version; `None` if they are not all remembered, or the version is in the future.
    pub(super) fn changes_since(&self, version: u32) -> Option<Vec<Change>> {
        let count = usize::try_from(self.version.checked_sub(version)?).ok()?;
        let first = self.history.len().checked_sub(count)?;
        Some(self.history.range(first..).copied().collect())
    }

    /// Forgets all changes: watches can only begin at the present version.
    pub(super) fn forget(&mut self) {
        self.history.clear();
    }

    /// Makes the next change and returns it; `None` if there is no pod.
    ///
    /// Four kinds in turn: a new status of a pod that keeps its address, a new address, a deletion, and the
    /// addition of a pod in place of the deleted one, under another name.
    pub(super) fn change(&mut self) -> Option<Change> {
        let count = u32::try_from(self.pods.len()).expect("at most MAX_PODS");
        if count == 0 {
            return None;
        }
        let turn = self.changes % 4;
        // The addition is of the pod deleted before it.
        let step = self.changes - u32::from(turn == 3);
        self.changes += 1;
        self.version += 1;
        // Another pod each time, in no order.
        let number = (u64::from(step.wrapping_mul(0x9e37_79b9)) * u64::from(count)) >> 32;
        let at = usize::try_from(number).expect("below the count of pods");
        let mut pod = Pod { version: self.version, ..self.pods[at] };
        let kind = match turn {
            0 => {
                pod.restarts += 1;
                Kind::Modified
            }
            1 => {
                pod.moved = !pod.moved;
                Kind::Modified
            }
            2 => {
                pod.exists = false;
                Kind::Deleted
            }
            _ => {
                pod = Pod { incarnation: pod.incarnation + 1, moved: !pod.moved, exists: true, ..pod };
                Kind::Added
            }
        };
        self.pods[at] = pod;
        let change = Change { kind, pod };
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(change);
        Some(change)
    }

    /// The pods from a number on that exist.
    pub(super) fn from(&self, number: u32) -> impl Iterator<Item = &Pod> {
        let from = usize::try_from(number).unwrap_or(usize::MAX).min(self.pods.len());
        self.pods[from..].iter().filter(|pod| pod.exists)
    }
}

/// The uid of a namespace.
pub(super) fn namespace_uid(number: u32) -> String {
    uid(u64::MAX - u64::from(number))
}

/// A namespace's metadata in JSON.
pub(super) fn namespace_metadata(number: u32) -> String {
    let (name, uid) = (namespace(number), namespace_uid(number));
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"name\":\"{name}\",\
         \"uid\":\"{uid}\",\"resourceVersion\":\"{FIRST_VERSION}\",\"creationTimestamp\":\"2026-11-22T14:34:33Z\",\
         \"labels\":{{\"kubernetes.io/metadata.name\":\"{name}\"}}}}}}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_addresses_and_uids_are_unique() {
        let cluster = Cluster::new(2000);
        let fields: [fn(&Pod) -> String; 3] = [Pod::uid, Pod::name, |pod| pod.address().to_string()];
        for field in fields {
            let all: BTreeSet<_> = cluster.from(0).map(field).collect();
            assert_eq!(all.len(), 2000);
        }
    }

    #[test]
    fn changes_are_told_as_they_happen() {
        let mut cluster = Cluster::new(50);
        let mut kinds = Vec::new();
        let mut known: BTreeSet<String> = cluster.from(0).map(Pod::uid).collect();
        for _ in 0..400 {
            let Change { kind, pod } = cluster.change().expect("there are pods");
            match kind {
                Kind::Added => assert!(known.insert(pod.uid()), "new"),
                Kind::Deleted => assert!(known.remove(&pod.uid()), "known"),
                Kind::Modified => assert!(known.contains(&pod.uid()), "known"),
            }
            kinds.push(kind);
        }
        assert_eq!(kinds[..4], [Kind::Modified, Kind::Modified, Kind::Deleted, Kind::Added]);
        assert_eq!(known, cluster.from(0).map(Pod::uid).collect());
        assert_eq!(known.len(), 50);
    }

    #[test]
    fn no_pods_do_not_change() {
        assert_eq!(Cluster::new(0).change(), None);
    }

    #[test]
    fn history_has_the_changes_after_a_version() {
        let mut cluster = Cluster::new(8);
        assert_eq!(cluster.changes_since(FIRST_VERSION), Some(vec![]));
        let changes: Vec<_> = (0..3).filter_map(|_| cluster.change()).collect();
        assert_eq!(cluster.changes_since(FIRST_VERSION), Some(changes.clone()));
        assert_eq!(cluster.changes_since(cluster.version() - 1), Some(changes[2..].to_vec()));
        assert_eq!(cluster.changes_since(FIRST_VERSION - 1), None);
        assert_eq!(cluster.changes_since(cluster.version() + 1), None);
        cluster.forget();
        assert_eq!(cluster.changes_since(FIRST_VERSION), None);
        assert_eq!(cluster.changes_since(cluster.version()), Some(vec![]));
    }
}
