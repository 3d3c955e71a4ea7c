//! The names that exist: modes and their guards.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Config, Mode};
use crate::lookup::{Freshness, Owner, PodLookup, Unknown};
use crate::podip::PodIpLabel;
use crate::reason::Reason;
use crate::reverse::ReversePlace;
use crate::wire::Ede;
use crate::zone::Place;
use crate::{Label, podip};

/// The content of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding<'q> {
    /// The name does not exist, nor any below it.
    Nothing,
    /// The zone's apex.
    Apex,
    /// A name without records, with names below it (RFC 8020 2: an empty non-terminal).
    Empty,
    /// This address.
    Address(AddressBits),
    /// The allowed addresses of this pod: at least one.
    Pod(PodName<'q>),
    /// Unknown at the moment; the extended error states the cause.
    Unknown(Ede),
}

/// An address as an integer with the octets in memory order. Decisions carry addresses in this form because octet
/// arrays are copied octet by octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressBits {
    V4(u32),
    V6(u128),
}

impl From<IpAddr> for AddressBits {
    #[inline]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(u32::from_ne_bytes(v4.octets())),
            IpAddr::V6(v6) => Self::V6(u128::from_ne_bytes(v6.octets())),
        }
    }
}

impl From<AddressBits> for IpAddr {
    #[inline]
    fn from(address: AddressBits) -> Self {
        match address {
            AddressBits::V4(bits) => Self::from(bits.to_ne_bytes()),
            AddressBits::V6(bits) => Self::from(bits.to_ne_bytes()),
        }
    }
}

/// A finding, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict<'q> {
    pub(crate) finding: Finding<'q>,
    /// True if the index was out of sync with the cluster.
    pub(crate) stale: bool,
    /// The rule that led to the finding.
    pub(crate) reason: Reason,
}

/// A pod's name and namespace as spelled in the question, both valid Kubernetes labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodName<'q> {
    namespace: &'q [u8],
    name: &'q [u8],
}

impl<'q> PodName<'q> {
    /// Returns `None` if the name is not valid for a pod.
    fn read(namespace: &'q [u8], name: &'q [u8]) -> Option<Self> {
        Label::from_wire(name).map(|_| Self { namespace, name })
    }

    /// Calls `each` with the pod's addresses, including those that may not be returned.
    pub(crate) fn addresses<P: PodLookup + ?Sized>(
        &self,
        pods: &P,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        match (Label::from_wire(self.namespace), Label::from_wire(self.name)) {
            (Some(namespace), Some(name)) => pods.addresses_of(&namespace, &name, each),
            // Unreachable: both labels were checked before.
            _ => Ok(()),
        }
    }
}

impl<'q> From<Found<'q>> for Verdict<'q> {
    fn from((finding, reason): Found<'q>) -> Self {
        Self { finding, stale: false, reason }
    }
}

/// A finding and its reason.
type Found<'q> = (Finding<'q>, Reason);

/// Returns the verdict that the name does not exist, decided without the index.
const fn nothing(reason: Reason) -> Verdict<'static> {
    Verdict { finding: Finding::Nothing, stale: false, reason }
}

/// Returns the content of a name in a zone.
#[inline]
pub(crate) fn judge<'q, P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    place: Place<'q>,
) -> Verdict<'q> {
    let (namespace, name) = match place {
        Place::Apex => return (Finding::Apex, Reason::Apex).into(),
        Place::Deeper => return nothing(Reason::TooManyLabels),
        Place::Namespace(namespace) => (namespace, None),
        Place::Pod { label, namespace } => (namespace, Some(label)),
    };
    let Some(label) = Label::from_wire(namespace) else {
        return nothing(Reason::NotANamespace);
    };
    if config.mode == Mode::Disabled {
        return nothing(Reason::ModeDisabled);
    }
    if !is_served(config, &label) {
        return nothing(Reason::NamespaceNotServed);
    }
    let Some(name) = name else {
        return judge_namespace(config, pods, &label);
    };
    match podip::parse(name) {
        Some(address) => judge_address(config, pods, &label, address),
        None => match PodName::read(namespace, name) {
            Some(pod) => judge_pod_name(config, pods, pod),
            None => nothing(Reason::NotAPodName),
        },
    }
}

/// Returns true if the namespace is served: all are if none is configured.
#[inline]
pub(crate) fn is_served(config: &Config<'_>, namespace: &Label) -> bool {
    config.namespaces.is_empty() || config.namespaces.binary_search(namespace).is_ok()
}

fn judge_namespace<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    namespace: &Label,
) -> Verdict<'static> {
    if config.mode == Mode::Insecure && !config.check_namespaces {
        return (Finding::Empty, Reason::NamespaceUnchecked).into();
    }
    let reasons = [Reason::NoSuchNamespace, Reason::NamespaceExists];
    if_in_index(config, pods, Finding::Empty, reasons, || pods.namespace_exists(namespace))
}

#[inline]
fn judge_address<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    namespace: &Label,
    address: IpAddr,
) -> Verdict<'static> {
    if is_mapped(address) {
        return nothing(Reason::MappedAddress);
    }
    if let Some(reason) = forbidden(config, address) {
        return nothing(reason);
    }
    match config.mode {
        Mode::Disabled => nothing(Reason::ModeDisabled),
        Mode::Insecure if !config.check_namespaces => {
            (Finding::Address(address.into()), Reason::AddressUnchecked).into()
        }
        Mode::Insecure => {
            let reasons = [Reason::NoSuchNamespace, Reason::AddressOfNamespace];
            if_in_index(config, pods, Finding::Address(address.into()), reasons, || {
                pods.namespace_exists(namespace)
            })
        }
        Mode::Verified => {
            let reasons = [Reason::NoPodHasAddress, Reason::PodHasAddress];
            if_in_index(config, pods, Finding::Address(address.into()), reasons, || {
                pods.contains(namespace, address)
            })
        }
    }
}

fn judge_pod_name<'q, P: PodLookup + ?Sized>(config: &Config<'_>, pods: &P, pod: PodName<'q>) -> Verdict<'q> {
    if config.mode != Mode::Verified || !config.pod_names {
        return nothing(Reason::PodNamesNotServed);
    }
    from_index(
        config,
        pods,
        |found| found,
        || {
            let (mut allowed, mut blocked) = (false, None);
            pod.addresses(pods, &mut |address| {
                allowed |= is_allowed(config, address);
                blocked = blocked.or(if is_mapped(address) { None } else { forbidden(config, address) });
            })?;
            Ok(if allowed {
                (Finding::Pod(pod), Reason::PodExists)
            } else {
                (Finding::Nothing, blocked.unwrap_or(Reason::NoSuchPod))
            })
        },
    )
}

/// Returns the content of a name in a reverse zone: an address that exactly one pod has points to that pod's name.
pub(crate) fn judge_reverse(
    config: &Config<'_>,
    pods: &dyn PodLookup,
    place: ReversePlace,
) -> Verdict<'static> {
    let address = match place {
        ReversePlace::Apex => return (Finding::Apex, Reason::Apex).into(),
        ReversePlace::Part => return (Finding::Empty, Reason::PartOfAddress).into(),
        ReversePlace::NoAddress => return nothing(Reason::NotAnAddress),
        ReversePlace::Deeper => return nothing(Reason::TooManyLabels),
        ReversePlace::Whole(address) => address,
    };
    if is_mapped(address) {
        return nothing(Reason::MappedAddress);
    }
    if let Some(reason) = forbidden(config, address) {
        return nothing(reason);
    }
    from_index(
        config,
        pods,
        |found| found,
        || {
            Ok(match pods.owner_of(address)? {
                Owner::None => (Finding::Nothing, Reason::NoPodHasAddress),
                Owner::Shared => (Finding::Empty, Reason::SharedAddress),
                Owner::Pod { namespace, .. } if !is_served(config, &namespace) => {
                    (Finding::Nothing, Reason::NamespaceNotServed)
                }
                Owner::Pod { .. } => (Finding::Address(address.into()), Reason::PodOfAddress),
            })
        },
    )
}

/// Returns the first two labels of the name that a PTR record for the address points to: pod and namespace. `None` if
/// the address no longer belongs to exactly one pod in a served namespace.
pub(crate) fn name_of(
    config: &Config<'_>,
    pods: &dyn PodLookup,
    address: IpAddr,
) -> Result<Option<(PodLabel, Label)>, Unknown> {
    Ok(match pods.owner_of(address)? {
        Owner::Pod { namespace, name } if is_served(config, &namespace) => {
            // A label that parses as a dashed address is never taken for a pod's name.
            let name = name.filter(|name| config.pod_names && podip::parse(name.as_bytes()).is_none());
            Some((name.map_or_else(|| PodLabel::Address(address.into()), PodLabel::Name), namespace))
        }
        _ => None,
    })
}

/// The label of a pod: one of its addresses, or its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PodLabel {
    Address(PodIpLabel),
    Name(Label),
}

impl PodLabel {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Address(label) => label.as_bytes(),
            Self::Name(label) => label.as_bytes(),
        }
    }
}

/// Returns true if the address may be returned, regardless of the name.
pub(crate) fn is_allowed(config: &Config<'_>, address: IpAddr) -> bool {
    !is_mapped(address) && forbidden(config, address).is_none()
}

/// Returns the guard that forbids the address, in any mode and for any name.
#[inline]
fn forbidden(config: &Config<'_>, address: IpAddr) -> Option<Reason> {
    if config.pod_cidrs.is_empty() && !config.block_special { None } else { guard(config, address) }
}

fn guard(config: &Config<'_>, address: IpAddr) -> Option<Reason> {
    if !config.pod_cidrs.is_empty() && !config.pod_cidrs.iter().any(|cidr| cidr.contains(&address)) {
        return Some(Reason::OutsidePodCidrs);
    }
    (config.block_special && is_special(address)).then_some(Reason::SpecialAddress)
}

/// Returns `finding` and the reason `present` if `look` returns true, else `Finding::Nothing` and `absent`.
#[expect(clippy::inline_always, reason = "on the path of every query; a call copies the finding")]
#[inline(always)]
fn if_in_index<'q, P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    finding: Finding<'q>,
    [absent, present]: [Reason; 2],
    look: impl FnOnce() -> Result<bool, Unknown>,
) -> Verdict<'q> {
    let look = || look().map(|exists| (exists, if exists { present } else { absent }));
    from_index(config, pods, |exists| if exists { finding } else { Finding::Nothing }, look)
}

/// Returns the result of `finding` for the value that `look` reads from the index, unless the index is too stale.
#[expect(clippy::inline_always, reason = "on the path of every query; a call copies the finding")]
#[inline(always)]
fn from_index<'q, P: PodLookup + ?Sized, T>(
    config: &Config<'_>,
    pods: &P,
    finding: impl FnOnce(T) -> Finding<'q>,
    look: impl FnOnce() -> Result<(T, Reason), Unknown>,
) -> Verdict<'q> {
    let freshness = match config.mode {
        Mode::Insecure => pods.namespace_freshness(),
        Mode::Disabled | Mode::Verified => pods.freshness(),
    };
    let stale = match freshness {
        Freshness::Unsynced => return (Finding::Unknown(Ede::NOT_READY), Reason::Unsynced).into(),
        Freshness::Fresh => false,
        Freshness::Stale { age } | Freshness::Resyncing { age } => {
            if config.max_staleness.is_some_and(|most| age > most) {
                return (Finding::Unknown(Ede::NO_REACHABLE_AUTHORITY), Reason::TooStale).into();
            }
            true
        }
    };
    match look() {
        Ok((found, reason)) => Verdict { finding: finding(found), stale, reason },
        Err(Unknown) => Verdict { finding: Finding::Unknown(Ede::OTHER), stale, reason: Reason::Unreadable },
    }
}

/// Returns true for an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), which no pod has: an AAAA record with it would
/// lead clients to the IPv4 host, bypassing all rules on IPv4 addresses.
#[inline]
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// Returns true for an address that no pod can have: unspecified, loopback, link-local, multicast, broadcast,
/// documentation or benchmark (RFC 6890 and its successors in the IANA special-purpose registries).
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    // RFC 6890 2.2.2: all of 0/8 means this host on this network (RFC 1122 3.2.1.3).
    let [first, second, ..] = address.octets();
    let this_network = first == 0;
    // RFC 2544: 198.18.0.0/15.
    let benchmark = first == 198 && second & 0xfe == 18;
    this_network
        || benchmark
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let documentation = match address.segments() {
        // RFC 3849: 2001:db8::/32. RFC 9637: 3fff::/20.
        [0x2001, 0x0db8, ..] => true,
        [0x3fff, second, ..] => second & 0xf000 == 0,
        _ => false,
    };
    // RFC 5180: 2001:2::/48.
    let benchmark = matches!(address.segments(), [0x2001, 0x0002, 0, ..]);
    documentation
        || benchmark
        || address.is_unspecified()
        || address.is_loopback()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || translates_to_special_v4(address)
}

/// Returns true if a NAT64 translator maps the address to a special IPv4 address: `64:ff9b::a.b.c.d` (RFC 6052 2.1).
fn translates_to_special_v4(address: Ipv6Addr) -> bool {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return false;
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    is_special_v4(Ipv4Addr::new(a, b, c, d))
}
