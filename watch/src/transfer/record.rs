//! Address records of a zone, and their compact form in differences and walks.

use std::fmt;
use std::net::IpAddr;

use poddns_core::Label;

/// An address record of the zone: its owner is the name of an address or of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneRecord<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The pod whose name is the owner; `None` if it is the name that encodes the address.
    pub name: Option<&'a str>,
    /// The address.
    pub address: IpAddr,
}

/// Maximum length of a record in bytes: two labels with their lengths, and an IPv6 address.
const MAX_RECORD: usize = 2 * 64 + 16;
const _: () = assert!(MAX_RECORD <= u8::MAX as usize);

/// A record as the key of a map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordKey(Box<[u8]>);

impl RecordKey {
    pub(crate) fn new(namespace: &Label, name: Option<&Label>, address: IpAddr) -> Self {
        let mut bytes = Vec::with_capacity(2 + namespace.as_str().len() + 16);
        write(&mut bytes, namespace, name, address);
        Self(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        read(&self.0).fmt(f)
    }
}

fn write(to: &mut Vec<u8>, namespace: &Label, name: Option<&Label>, address: IpAddr) {
    for label in [namespace.as_str(), name.map_or("", Label::as_str)] {
        // A label has at most 63 bytes.
        to.push(u8::try_from(label.len()).unwrap_or_default());
        to.extend_from_slice(label.as_bytes());
    }
    match address {
        IpAddr::V4(v4) => to.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => to.extend_from_slice(&v6.octets()),
    }
}

/// Decodes the bytes that [`write()`] wrote.
fn read(bytes: &[u8]) -> Option<ZoneRecord<'_>> {
    let (namespace, rest) = label(bytes)?;
    let (name, address) = label(rest)?;
    let address = match *address {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(*address.as_array::<16>()?),
    };
    Some(ZoneRecord { namespace, name: (!name.is_empty()).then_some(name), address })
}

fn label(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (label, rest) = rest.split_at_checked(usize::from(len))?;
    Some((str::from_utf8(label).ok()?, rest))
}

/// Records, concatenated in one allocation.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ZoneRecords(Vec<u8>);

impl ZoneRecords {
    /// Returns the records in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = ZoneRecord<'_>> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let (record, next) = self.at(place)?;
            place = next;
            Some(record)
        })
    }

    /// Returns the record at a place, which is 0 for the first one, and the place of the next one; `None` at the end.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<(ZoneRecord<'_>, usize)> {
        let (&len, rest) = self.0.get(place..)?.split_first()?;
        let record = read(rest.get(..usize::from(len))?)?;
        Some((record, place + 1 + usize::from(len)))
    }

    /// Returns whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the memory of the records in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Removes all records, and keeps the allocation.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a record unless `unwanted` returns true for its key.
    pub(crate) fn push_unless(
        &mut self,
        namespace: &Label,
        name: Option<&Label>,
        address: IpAddr,
        unwanted: impl FnOnce(&[u8]) -> bool,
    ) {
        let start = self.0.len();
        self.0.push(0);
        write(&mut self.0, namespace, name, address);
        let written = self.0.get(start + 1..).unwrap_or_default();
        if unwanted(written) {
            self.0.truncate(start);
            return;
        }
        let len = u8::try_from(written.len()).unwrap_or_default();
        if let Some(place) = self.0.get_mut(start) {
            *place = len;
        }
    }

    pub(crate) fn push_key(&mut self, key: &RecordKey) {
        self.0.push(u8::try_from(key.0.len()).unwrap_or_default());
        self.0.extend_from_slice(&key.0);
    }

    /// Returns unused memory to the allocator.
    pub(crate) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl fmt::Debug for ZoneRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl std::borrow::Borrow<[u8]> for RecordKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn records_survive_in_their_order() {
        let long = "x".repeat(63);
        let written = [
            ("default", None, "10.0.0.1"),
            ("a", Some("web-0"), "10.0.0.1"),
            (long.as_str(), Some(long.as_str()), "fd00::1"),
            ("a", None, "::"),
        ];
        let mut records = ZoneRecords::default();
        for (namespace, name, address) in written {
            let (namespace, name) = (namespace.parse().unwrap(), name.map(|name| name.parse().unwrap()));
            records.push_unless(&namespace, name.as_ref(), address.parse().unwrap(), |_| false);
            records.push_unless(&namespace, name.as_ref(), "9.9.9.9".parse().unwrap(), |_| true);
        }
        let read: Vec<_> = records.iter().map(|r| (r.namespace, r.name, r.address.to_string())).collect();
        assert_eq!(read, written.map(|(namespace, name, address)| (namespace, name, address.to_owned())));
    }
}
