//! Generated pods: each is rendered when it is sent, from a template and a few numbers.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// Maximum number of generated pods, each of which has two addresses of its own in 10.0.0.0/8.
pub const MAX_PODS: u32 = 1 << 23;

/// Number of namespaces that generated pods are spread over.
pub const NAMESPACES: u32 = 1000;

/// A generated pod: the values in which it differs from other generated pods and from earlier states of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratedPod {
    /// Below [`MAX_PODS`].
    pub number: u32,
    /// Number of times that the pod with this number was deleted and created again; part of its name and its uid.
    pub incarnation: u32,
    /// True if the pod has its second address.
    pub moved: bool,
    pub(super) restarts: u32,
    pub(super) version: u64,
    exists: bool,
}

impl GeneratedPod {
    /// Returns its only address, which no pod with another number ever has.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 + self.number + if self.moved { MAX_PODS } else { 0 })
    }

    /// Returns its unused address, which no pod has at present.
    #[must_use]
    pub fn other_address(&self) -> Ipv4Addr {
        Self { moved: !self.moved, ..*self }.address()
    }

    /// Returns its namespace, one of [`NAMESPACES`].
    #[must_use]
    pub fn namespace(&self) -> String {
        namespace_name(self.number % NAMESPACES)
    }

    /// Returns its name, which no other pod ever has.
    #[must_use]
    pub fn name(&self) -> String {
        format!("frontend-7c9f7b8d6-{:06x}{:02x}", self.number, self.incarnation)
    }

    pub(super) fn uid(&self) -> String {
        uid(u64::from(self.number) << 32 | u64::from(self.incarnation))
    }
}

fn namespace_name(number: u32) -> String {
    format!("team-{number}")
}

/// Returns the namespaces of generated pods.
pub(super) fn namespaces() -> impl Iterator<Item = Value> {
    (0..NAMESPACES).map(|number| {
        let name = namespace_name(number);
        let metadata = json!({
            "name": name, "uid": uid(u64::MAX - u64::from(number)), "creationTimestamp": "2026-11-22T14:34:33Z",
            "labels": {"kubernetes.io/metadata.name": name},
        });
        json!({"kind": "Namespace", "apiVersion": "v1", "metadata": metadata,
               "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    })
}

/// Returns a UUID whose bits look random.
fn uid(number: u64) -> String {
    // The finalizer of SplitMix64: every bit of the result depends on every bit of the input.
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

/// A change of a generated pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PodChange {
    pub(super) before: Option<GeneratedPod>,
    /// The pod with the version of its deletion, if the change deletes it.
    pub(super) after: GeneratedPod,
}

impl PodChange {
    /// True if the change deletes the pod.
    pub(super) fn is_deletion(&self) -> bool {
        !self.after.exists
    }
}

/// All generated pods, at a few bytes each.
#[derive(Debug, Default)]
pub(super) struct GeneratedPods {
    pods: Vec<GeneratedPod>,
    /// Number of changes so far.
    changes: u32,
}

impl GeneratedPods {
    /// Generates running pods of this version, with one address each.
    ///
    /// # Panics
    ///
    /// Panics if there are more than [`MAX_PODS`].
    pub(super) fn new(pods: u32, version: u64) -> Self {
        assert!(pods <= MAX_PODS, "at most {MAX_PODS} pods");
        let pod = |number| GeneratedPod {
            number,
            incarnation: 0,
            moved: false,
            restarts: 0,
            version,
            exists: true,
        };
        Self { pods: (0..pods).map(pod).collect(), changes: 0 }
    }

    /// Returns the existing pods whose number is at least `number`.
    pub(super) fn from(&self, number: u32) -> impl Iterator<Item = &GeneratedPod> {
        let from = usize::try_from(number).unwrap_or(usize::MAX).min(self.pods.len());
        self.pods[from..].iter().filter(|pod| pod.exists)
    }

    /// Returns how many pods have a number of at least `number`, including deleted ones.
    pub(super) fn count_from(&self, number: u32) -> usize {
        self.pods.len().saturating_sub(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Returns at most `at_most` pods, evenly spread over the numbers.
    pub(super) fn sample(&self, at_most: usize) -> Vec<GeneratedPod> {
        let count = at_most.min(self.pods.len());
        (0..count).map(|number| self.pods[number * self.pods.len() / count]).collect()
    }

    /// Makes the next change, at `version`, and returns it; `None` if there are no pods.
    ///
    /// There are four kinds of changes, in turn: a new status with the same address, a new address, a deletion, and the
    /// creation of a pod with another name in place of the deleted one.
    pub(super) fn change(&mut self, version: u64) -> Option<PodChange> {
        let count = u32::try_from(self.pods.len()).expect("at most MAX_PODS");
        if count == 0 {
            return None;
        }
        let turn = self.changes % 4;
        // The creation has the number of the deletion before it.
        let step = self.changes - u32::from(turn == 3);
        self.changes += 1;
        // Multiplicative hashing selects another pod for each step, in scattered order.
        let number = (u64::from(step.wrapping_mul(0x9e37_79b9)) * u64::from(count)) >> 32;
        let pod = &mut self.pods[usize::try_from(number).expect("below the count of pods")];
        let before = pod.exists.then_some(*pod);
        pod.version = version;
        match turn {
            0 => pod.restarts += 1,
            1 => pod.moved = !pod.moved,
            2 => pod.exists = false,
            _ => {
                pod.incarnation += 1;
                pod.moved = !pod.moved;
                pod.exists = true;
            }
        }
        Some(PodChange { before, after: *pod })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_addresses_and_uids_are_unique() {
        let pods = GeneratedPods::new(2000, 1);
        let fields: [fn(&GeneratedPod) -> String; 3] =
            [GeneratedPod::uid, GeneratedPod::name, |pod| pod.address().to_string()];
        for field in fields {
            let all: BTreeSet<_> = pods.from(0).map(field).collect();
            assert_eq!(all.len(), 2000);
        }
    }

    #[test]
    fn changes_are_returned_as_they_happen() {
        let mut pods = GeneratedPods::new(50, 1);
        let mut known: BTreeSet<String> = pods.from(0).map(GeneratedPod::uid).collect();
        let mut kinds = Vec::new();
        for version in 2..402 {
            let change = pods.change(version).expect("there are pods");
            let kind = match (change.before, change.is_deletion()) {
                (None, _) => known.insert(change.after.uid()).then_some("added"),
                (Some(_), true) => known.remove(&change.after.uid()).then_some("deleted"),
                (Some(_), false) => known.contains(&change.after.uid()).then_some("modified"),
            };
            kinds.push(kind.expect("a pod that is known, or new"));
            assert_eq!(change.after.version, version);
        }
        assert_eq!(kinds[..4], ["modified", "modified", "deleted", "added"]);
        assert_eq!(known, pods.from(0).map(GeneratedPod::uid).collect());
        assert_eq!(known.len(), 50);
    }

    #[test]
    fn no_pods_do_not_change() {
        assert_eq!(GeneratedPods::new(0, 1).change(2), None);
    }
}
