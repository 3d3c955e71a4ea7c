//! Generated pods with one address each, in a thousand namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use poddns_core::Label;
use poddns_watch::{Index, IndexOptions, IndexWriter, PodRecord, Uid, index};

/// Number of namespaces.
pub const NAMESPACES: u32 = 1000;

/// Returns the names of all namespaces.
#[must_use]
pub fn namespaces() -> Vec<Label> {
    (0..NAMESPACES).filter_map(|number| format!("team-{number}").parse().ok()).collect()
}

/// Returns the namespace of pod `number`.
///
/// # Panics
///
/// Panics if `namespaces` is shorter than the result of [`namespaces`].
#[must_use]
pub fn namespace(namespaces: &[Label], number: u32) -> &Label {
    &namespaces[(number % NAMESPACES) as usize]
}

/// Returns the address of pod `number`; numbers below 2^24 have different addresses.
#[must_use]
pub fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

/// Returns the IPv6 address of pod `number`.
#[must_use]
pub fn address_v6(number: u32) -> IpAddr {
    Ipv6Addr::from_bits((0xfd00_0010_0244 << 80) | u128::from(number)).into()
}

/// Returns the uid of pod `number`, which looks as random as a UUID.
#[must_use]
pub fn uid(number: u32) -> Uid {
    Uid::of_name("", &number.to_string())
}

/// Returns the name of pod `number`, which has 25 bytes.
#[must_use]
pub fn name(number: u32) -> String {
    format!("checkout-{number:010x}-x2x4z")
}

/// Applies pod `number` with an address to the index.
pub fn apply(writer: &mut IndexWriter, namespaces: &[Label], number: u32, address: IpAddr) {
    let (uid, namespace) = (uid(number), *namespace(namespaces, number));
    let name = if writer.keeps_names() { name(number) } else { String::new() };
    writer.apply(&PodRecord { uid, namespace, name: &name, addresses: &[address] });
}

/// Returns an index of `pods` pods, numbered from 0.
#[must_use]
pub fn filled(options: IndexOptions, pods: u32) -> (IndexWriter, Arc<Index>) {
    filled_at(options, pods, address)
}

/// Returns the same index with other addresses.
#[must_use]
pub fn filled_at(
    options: IndexOptions,
    pods: u32,
    address: impl Fn(u32) -> IpAddr,
) -> (IndexWriter, Arc<Index>) {
    let (mut writer, index) = index(options);
    let namespaces = namespaces();
    for namespace in &namespaces {
        writer.apply_namespace(*namespace);
    }
    for number in 0..pods {
        apply(&mut writer, &namespaces, number, address(number));
    }
    (writer, index)
}
