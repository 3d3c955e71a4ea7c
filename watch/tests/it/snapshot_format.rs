//! The encoding of snapshots: written snapshots are read back, everything else is rejected.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use poddns_core::Label;
use poddns_watch::snapshot_format::{
    SnapshotCounts, SnapshotDecoder, SnapshotEncoder, SnapshotFormatError, SnapshotHeader, SnapshotItem,
};
use poddns_watch::{MAX_ADDRESSES, PodRecord, Uid};
use proptest::collection::vec;
use proptest::prelude::*;

/// A pod that owns its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    uid: Uid,
    namespace: Label,
    name: String,
    addresses: Vec<IpAddr>,
}

impl Pod {
    fn record(&self) -> PodRecord<'_> {
        let Self { uid, namespace, name, addresses } = self;
        PodRecord { uid: *uid, namespace: *namespace, name, addresses }
    }
}

/// Contents of a snapshot.
type SnapshotContents = (SnapshotHeader, Vec<Label>, Vec<Pod>);

fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|_| panic!("{text} is a label"))
}

fn encode((header, namespaces, pods): &SnapshotContents) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut encoder = SnapshotEncoder::new(&mut octets, header);
    for namespace in namespaces {
        encoder.namespace(namespace);
    }
    for pod in pods {
        encoder.pod(&pod.record());
        encoder.flush().unwrap();
    }
    let counts = encoder.finish().unwrap();
    assert_eq!((counts.namespaces as usize, counts.pods as usize), (namespaces.len(), pods.len()));
    octets
}

fn decode(octets: &[u8]) -> Result<SnapshotContents, SnapshotFormatError> {
    let decoder = SnapshotDecoder::new(octets)?;
    let header = decoder.header().clone();
    let (mut namespaces, mut pods) = (Vec::new(), Vec::new());
    decoder.read(|item| match item {
        SnapshotItem::Namespace(namespace) => namespaces.push(namespace),
        SnapshotItem::Pod(PodRecord { uid, namespace, name, addresses }) => {
            pods.push(Pod { uid, namespace, name: name.to_owned(), addresses: addresses.to_vec() });
        }
    })?;
    Ok((header, namespaces, pods))
}

/// Returns a small snapshot with every kind of content.
fn sample() -> SnapshotContents {
    let header = SnapshotHeader {
        synced_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        origin: "source: https://10.0.0.1\npods: true".to_owned(),
        serial: None,
    };
    let pod = |number: u8, name: &str, addresses: &[&str]| Pod {
        uid: Uid::from_bytes([number; 16]),
        namespace: label("kube-system"),
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let pods = vec![pod(1, "", &["10.42.2.46"]), pod(2, "web-0", &["10.42.2.47", "fd00:10:42::2f"])];
    (header, vec![label("default"), label("kube-system")], pods)
}

prop_compose! {
    fn any_label()(text in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?") -> Label { label(&text) }
}

prop_compose! {
    fn any_pod()(
        uid in any::<[u8; 16]>(),
        namespace in any_label(),
        name in proptest::option::of(any_label()),
        addresses in vec(any::<IpAddr>(), 1..=MAX_ADDRESSES),
    ) -> Pod {
        let name = name.map_or(String::new(), |name| name.as_str().to_owned());
        Pod { uid: Uid::from_bytes(uid), namespace, name, addresses }
    }
}

prop_compose! {
    fn any_snapshot()(
        millis in 0..10_000_000_000_000_u64,
        origin in any::<String>(),
        serial in any::<Option<u32>>(),
        namespaces in vec(any_label(), 0..20),
        pods in vec(any_pod(), 0..40),
    ) -> SnapshotContents {
        let synced_at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        (SnapshotHeader { synced_at, origin, serial }, namespaces, pods)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_inverts_encoding(contents in any_snapshot()) {
        prop_assert_eq!(decode(&encode(&contents)).unwrap(), contents);
    }

    #[test]
    fn any_octets_are_read_or_refused(mut octets in vec(any::<u8>(), 0..400), begins in any::<bool>()) {
        if begins {
            let mut sound = encode(&(sample().0, Vec::new(), Vec::new()));
            sound.truncate(sound.len() - 13);
            octets.splice(0..0, sound);
        }
        prop_assert!(decode(&octets).is_err(), "a checksum is not guessed");
    }
}

#[test]
fn cut_off_anywhere_it_is_refused() {
    let octets = encode(&sample());
    assert_eq!(decode(&octets).unwrap(), sample());
    for length in 0..octets.len() {
        match decode(&octets[..length]) {
            Err(SnapshotFormatError::Foreign) => assert!(length < 8, "{length}"),
            Err(SnapshotFormatError::Truncated(at)) => {
                assert!(length >= 8 && at <= length as u64, "{length}");
            }
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn with_any_bit_flipped_it_is_refused() {
    let octets = encode(&sample());
    for bit in 0..octets.len() * 8 {
        let mut flipped = octets.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn any_other_length_is_refused() {
    let octets = encode(&sample());
    for at in 0..octets.len() {
        let mut less = octets.clone();
        less.remove(at);
        assert!(decode(&less).is_err(), "without octet {at}");
        let mut more = octets.clone();
        more.insert(at, octets[at]);
        assert!(decode(&more).is_err(), "octet {at} twice");
    }
    let twice = [&octets[..], &octets].concat();
    assert!(matches!(
        decode(&twice),
        Err(SnapshotFormatError::Damaged { what: "something follows the end", .. })
    ));
}

#[test]
fn damaged_snapshots_are_explained() {
    let fault = |octets: &[u8]| decode(octets).unwrap_err().to_string();
    let octets = encode(&sample());
    assert_eq!(fault(b""), "it is not a snapshot of poddns");
    assert_eq!(fault(br#"{"kind": "List"}"#), "it is not a snapshot of poddns");
    let mut newer = octets.clone();
    newer[8] = 3;
    assert_eq!(fault(&newer), "it is of format 3, written by a newer poddns; this one reads format 2");
    let truncated = fault(&octets[..octets.len() - 1]);
    let end = octets.len() - 4;
    assert_eq!(truncated, format!("it ends after {end} octets, in the middle: it was cut off"));
    let mut damaged = octets.clone();
    let address = octets.windows(4).position(|window| window == [10, 42, 2, 46]).unwrap();
    damaged[address] = 11;
    assert_eq!(fault(&damaged), "it is damaged: its checksum is not that of its contents");
    damaged[address - 1] = 5;
    assert!(fault(&damaged).ends_with(": unknown address family"), "{}", fault(&damaged));
}

#[test]
fn what_no_index_keeps_is_not_written() {
    let (header, ..) = sample();
    let mut octets = Vec::new();
    let mut encoder = SnapshotEncoder::new(&mut octets, &header);
    let many = vec![IpAddr::from([10, 0, 0, 1]); MAX_ADDRESSES + 1];
    for (name, addresses) in [("none", &[][..]), ("with.dots", &many[..])] {
        encoder.pod(&PodRecord { uid: Uid::parse(name), namespace: label("a"), name, addresses });
    }
    assert_eq!(encoder.finish().unwrap(), SnapshotCounts { namespaces: 0, pods: 1 });
    let (_, _, pods) = decode(&octets).unwrap();
    assert_eq!((pods[0].name.as_str(), pods[0].addresses.len()), ("", MAX_ADDRESSES));
}
