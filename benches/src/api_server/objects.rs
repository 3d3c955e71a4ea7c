//! The cluster that is served: every pod is written when it is asked for, from a template and a few numbers.

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::pods::NAMESPACES;

/// A pod as kube-apiserver 1.36 sent it, without line feeds, with `{{field}}` where pods differ.
const TEMPLATE: &str = include_str!("../../data/pod.json");

/// As many as have an address of their own.
pub const MAX_PODS: u32 = 1 << 23;

/// The version of the pods at the beginning, and of all namespaces.
pub(super) const FIRST_VERSION: u32 = 1000;

/// What distinguishes a pod from the others, and from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Below [`MAX_PODS`].
    pub number: u32,
    /// How often a pod of this number was deleted and made again; in its name and its uid.
    pub incarnation: u32,
    /// Whether it has its second address.
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

    fn uid(&self) -> String {
        uid(u64::from(self.number) << 32 | u64::from(self.incarnation))
    }
}

fn namespace(number: u32) -> String {
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

/// What the template is made of.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Text(&'static str),
    /// Nothing in a list.
    Kind,
    Name,
    Namespace,
    Uid,
    Version,
    Address,
    Restarts,
}

/// Kinds of changes, as watches tell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// All pods, a few octets each, and the text that they share.
#[derive(Debug)]
pub(super) struct Cluster {
    pods: Vec<Pod>,
    version: u32,
    /// Changes so far.
    changes: u32,
    pieces: Vec<Piece>,
}

impl Cluster {
    /// So many running pods, with one address each.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PODS`].
    pub(super) fn new(pods: u32) -> Self {
        assert!(pods <= MAX_PODS, "at most {MAX_PODS} pods");
        let pods = (0..pods).map(Pod::new).collect();
        Self { pods, version: FIRST_VERSION, changes: 0, pieces: pieces() }
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// Appends a pod with the members that tell its kind.
    fn write(&self, pod: &Pod, kind: &str, out: &mut String) {
        for piece in &self.pieces {
            let written = match piece {
                Piece::Kind => out.write_str(kind),
                Piece::Text(text) => out.write_str(text),
                Piece::Name => write!(out, "frontend-7c9f7b8d6-{:06x}{:02x}", pod.number, pod.incarnation),
                Piece::Namespace => write!(out, "team-{}", pod.number % NAMESPACES),
                Piece::Uid => out.write_str(&pod.uid()),
                Piece::Version => write!(out, "{}", pod.version),
                Piece::Address => write!(out, "{}", pod.address()),
                Piece::Restarts => write!(out, "{}", pod.restarts),
            };
            written.expect("a String takes anything");
        }
    }

    /// Appends an item of a list of pods, which does not tell its kind.
    pub(super) fn write_item(&self, pod: &Pod, out: &mut String) {
        self.write(pod, "", out);
    }

    /// Appends a line of a watch of pods.
    pub(super) fn write_added(&self, pod: &Pod, out: &mut String) {
        self.write_event(pod, Kind::Added, out);
    }

    fn write_event(&self, pod: &Pod, kind: Kind, out: &mut String) {
        write!(out, "{{\"type\":\"{}\",\"object\":", kind.name()).expect("a String takes anything");
        self.write(pod, "\"kind\":\"Pod\",\"apiVersion\":\"v1\",", out);
        out.push_str("}\n");
    }

    /// Makes the next change and gives its line; `None` if there is no pod.
    ///
    /// Four kinds in turn: a new status of a pod that keeps its address, a new address, a deletion, and the
    /// addition of a pod in place of the deleted one, under another name.
    pub(super) fn change(&mut self) -> Option<String> {
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
        let mut line = String::new();
        self.write_event(&pod, kind, &mut line);
        Some(line)
    }

    /// The pods from a number on that exist.
    pub(super) fn from(&self, number: u32) -> impl Iterator<Item = &Pod> {
        let from = usize::try_from(number).unwrap_or(usize::MAX).min(self.pods.len());
        self.pods[from..].iter().filter(|pod| pod.exists)
    }
}

fn pieces() -> Vec<Piece> {
    let object = TEMPLATE.trim_end().strip_prefix('{').expect("an object");
    let mut parts = object.split("{{");
    let mut pieces = vec![Piece::Text("{"), Piece::Kind];
    pieces.extend(parts.next().map(Piece::Text));
    for part in parts {
        let (field, text) = part.split_once("}}").expect("a field ends");
        pieces.push(match field {
            "name" => Piece::Name,
            "namespace" => Piece::Namespace,
            "uid" => Piece::Uid,
            "version" => Piece::Version,
            "address" => Piece::Address,
            "restarts" => Piece::Restarts,
            other => panic!("the template has a field {other}"),
        });
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// A namespace's metadata, which is all that is asked of it.
pub(super) fn namespace_metadata(number: u32) -> String {
    let (name, uid) = (namespace(number), uid(u64::MAX - u64::from(number)));
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"name\":\"{name}\",\
         \"uid\":\"{uid}\",\"resourceVersion\":\"{FIRST_VERSION}\",\"creationTimestamp\":\"2026-11-22T14:34:33Z\",\
         \"labels\":{{\"kubernetes.io/metadata.name\":\"{name}\"}}}}}}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::core::v1::Pod as FullPod;
    use serde_json::Value;

    use super::*;

    fn items(cluster: &Cluster) -> Vec<String> {
        let item = |pod: &Pod| {
            let mut text = String::new();
            cluster.write_item(pod, &mut text);
            text
        };
        cluster.from(0).map(item).collect()
    }

    #[test]
    fn a_pod_is_what_the_recording_is_with_other_fields() {
        let cluster = Cluster::new(3);
        let text = items(&cluster).remove(2);
        let pod: FullPod = serde_json::from_str(&text).expect("a pod");
        assert_eq!(pod.metadata.name.as_deref(), Some("frontend-7c9f7b8d6-00000200"));
        assert_eq!(pod.metadata.namespace.as_deref(), Some("team-2"));
        let status = pod.status.expect("a status");
        assert_eq!(status.pod_ips.map(|ips| ips.len()), Some(1));
        assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.2"));
        assert!((9000..9500).contains(&text.len()), "{} octets, as recorded", text.len());
    }

    #[test]
    fn names_addresses_and_uids_are_of_one_pod_each() {
        let cluster = Cluster::new(2000);
        let pods: Vec<Value> =
            items(&cluster).iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        for path in ["/metadata/uid", "/metadata/name", "/status/podIP"] {
            let all: BTreeSet<_> = pods.iter().filter_map(|pod| pod.pointer(path)?.as_str()).collect();
            assert_eq!(all.len(), 2000, "{path}");
        }
    }

    #[test]
    fn changes_are_told_as_they_happen() {
        let mut cluster = Cluster::new(50);
        let mut kinds = Vec::new();
        let mut known: BTreeSet<String> = cluster.from(0).map(Pod::uid).collect();
        for _ in 0..400 {
            let line = cluster.change().expect("there are pods");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            let uid = event["object"]["metadata"]["uid"].as_str().expect("a uid").to_owned();
            match event["type"].as_str() {
                Some("ADDED") => assert!(known.insert(uid), "new"),
                Some("DELETED") => assert!(known.remove(&uid), "known"),
                _ => assert!(known.contains(&uid), "known"),
            }
            kinds.push(event["type"].as_str().map(str::to_owned));
        }
        assert_eq!(
            kinds[..4],
            ["MODIFIED", "MODIFIED", "DELETED", "ADDED"].map(|kind| Some(kind.to_owned()))
        );
        assert_eq!(known, cluster.from(0).map(Pod::uid).collect());
        assert_eq!(known.len(), 50);
    }

    #[test]
    fn no_pods_do_not_change() {
        assert_eq!(Cluster::new(0).change(), None);
    }
}
