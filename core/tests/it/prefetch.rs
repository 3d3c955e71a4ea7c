//! Announcement of a batch of queries to the index before they are answered.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};

use poddns_core::podip::PodIpLabel;
use poddns_core::{Config, Label, Mode, PodLookup, Unknown, Zone, prefetch};

/// An index that records announcements, one item per call.
#[derive(Default)]
struct AnnouncementRecorder(RefCell<Vec<Vec<IpAddr>>>);

impl PodLookup for AnnouncementRecorder {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        panic!("nothing is looked up yet")
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        panic!("nothing is looked up yet")
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.0.borrow_mut().push(addresses.to_vec());
    }
}

/// Returns the beginning of a query: a header of zeros and one label.
fn query(label: &str) -> Vec<u8> {
    let len = u8::try_from(label.len()).unwrap();
    [&[0; 12], &[len][..], label.as_bytes()].concat()
}

fn announced(mode: Mode, queries: &[Vec<u8>]) -> Vec<Vec<IpAddr>> {
    let zones = [Zone::new("cluster.local").unwrap()];
    let pods = AnnouncementRecorder::default();
    // Through a reference, which must forward the hint.
    prefetch(&Config::new(mode, &zones), &&pods, queries.iter().map(Vec::as_slice));
    pods.0.into_inner()
}

#[test]
fn index_receives_addresses_of_queries() {
    let mut queries = ["10-0-0-1", "web-0", "FD00--1", "10-0-0-2", ""].map(query).to_vec();
    // Truncated in the header, directly behind it, and in the label.
    queries.extend([0, 11, 12, 16].map(|len| query("10-0-0-3")[..len].to_vec()));
    let expected: Vec<IpAddr> =
        ["10.0.0.1", "fd00::1", "10.0.0.2"].map(|address| address.parse().unwrap()).to_vec();
    assert_eq!(announced(Mode::Verified, &queries), [expected]);
}

#[test]
fn batch_of_any_size_is_prefetched_whole() {
    let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number));
    for size in 0..100 {
        let queries: Vec<_> =
            (0..size).map(|number| query(PodIpLabel::from(address(number)).as_str())).collect();
        let announced = announced(Mode::Verified, &queries);
        assert!(announced.iter().all(|part| (2..=32).contains(&part.len())), "{announced:?}");
        // A single remaining address is not announced.
        let worth = if size % 32 == 1 { size - 1 } else { size };
        assert!((0..worth).map(address).eq(announced.concat()), "{size}");
    }
}

#[test]
fn queries_without_lookup_prefetch_nothing() {
    let queries = ["10-0-0-1", "10-0-0-2"].map(query);
    assert!(!announced(Mode::Verified, &queries).is_empty());
    for mode in [Mode::Disabled, Mode::Insecure] {
        assert!(announced(mode, &queries).is_empty(), "{mode:?}");
    }
}
