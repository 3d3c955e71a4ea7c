//! The rules that lead to an answer, by name.

/// The rule that led to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// NOTIMP: an opcode other than QUERY.
    OpcodeNotServed,
    /// FORMERR: the query cannot be read.
    Malformed,
    /// BADVERS: an EDNS version other than 0.
    EdnsVersionNotServed,
    /// FORMERR, or the response to a cookie: a query without a question.
    WithoutQuestion,
    /// The text configured for a name such as `version.bind` in class CH.
    ServerIdentity,
    /// REFUSED: a class other than IN, and no name of class CH that is configured.
    ClassNotServed,
    /// REFUSED: the driver limits the questions of the client; see [`refuse`](crate::refuse).
    ClientLimited,
    /// A zone transfer: REFUSED, unless the driver transfers zones. It answers signed queries, too.
    Transfer,
    /// REFUSED: no zone of this server has the name.
    OutsideZones,
    /// The name is a zone's apex.
    Apex,
    /// NODATA: nothing is at the name, but a zone begins below it.
    AboveZone,
    /// NXDOMAIN: the name has more labels than any that exists.
    TooManyLabels,
    /// NXDOMAIN: no namespace can have such a name.
    NotANamespace,
    /// NXDOMAIN: mode disabled.
    ModeDisabled,
    /// NXDOMAIN: [`Config::namespaces`](crate::Config::namespaces) does not have the namespace.
    NamespaceNotServed,
    /// NODATA: mode insecure, where every namespace exists.
    NamespaceUnchecked,
    /// NODATA: the cluster has the namespace.
    NamespaceExists,
    /// NXDOMAIN: the cluster does not have the namespace.
    NoSuchNamespace,
    /// NXDOMAIN: an IPv4-mapped address, which no pod has.
    MappedAddress,
    /// NXDOMAIN: the address is outside of [`Config::pod_cidrs`](crate::Config::pod_cidrs).
    OutsidePodCidrs,
    /// NXDOMAIN: [`Config::block_special`](crate::Config::block_special) forbids the address.
    SpecialAddress,
    /// The address in the name: mode insecure, which looks nothing up.
    AddressUnchecked,
    /// The address in the name: mode insecure, and the cluster has the namespace.
    AddressOfNamespace,
    /// The address in the name: a pod of the namespace has it.
    PodHasAddress,
    /// NXDOMAIN: no pod of the namespace, or in a reverse zone no pod at all, has the address.
    NoPodHasAddress,
    /// NXDOMAIN: the label is no address, and [`Config::pod_names`](crate::Config::pod_names) is off.
    PodNamesNotServed,
    /// NXDOMAIN: the label is no address, and no pod can have such a name.
    NotAPodName,
    /// The pod's addresses: the namespace has a pod of this name.
    PodExists,
    /// NXDOMAIN: the namespace has no pod of this name.
    NoSuchPod,
    /// NODATA: addresses of a reverse zone are below the name.
    PartOfAddress,
    /// NXDOMAIN: a label in a reverse zone is no octet or nibble of an address.
    NotAnAddress,
    /// The name of the pod that has the address.
    PodOfAddress,
    /// NODATA: several pods share the address.
    SharedAddress,
    /// NXDOMAIN: with [`Visibility::Namespace`](crate::Visibility::Namespace), no pod of the namespace has the client's
    /// address, or the client is not known. Whether there is such a namespace or pod was not looked up.
    NotVisible,
    /// SERVFAIL: no complete list of the cluster yet.
    Unsynced,
    /// SERVFAIL: the index is older than [`Config::max_staleness`](crate::Config::max_staleness).
    TooStale,
    /// SERVFAIL: the index could not be read; see [`Unknown`](crate::Unknown).
    Unreadable,
}

impl Reason {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: &[Self] = &[
        Self::OpcodeNotServed,
        Self::Malformed,
        Self::EdnsVersionNotServed,
        Self::WithoutQuestion,
        Self::ServerIdentity,
        Self::ClassNotServed,
        Self::ClientLimited,
        Self::Transfer,
        Self::OutsideZones,
        Self::Apex,
        Self::AboveZone,
        Self::TooManyLabels,
        Self::NotANamespace,
        Self::ModeDisabled,
        Self::NamespaceNotServed,
        Self::NamespaceUnchecked,
        Self::NamespaceExists,
        Self::NoSuchNamespace,
        Self::MappedAddress,
        Self::OutsidePodCidrs,
        Self::SpecialAddress,
        Self::AddressUnchecked,
        Self::AddressOfNamespace,
        Self::PodHasAddress,
        Self::NoPodHasAddress,
        Self::PodNamesNotServed,
        Self::NotAPodName,
        Self::PodExists,
        Self::NoSuchPod,
        Self::PartOfAddress,
        Self::NotAnAddress,
        Self::PodOfAddress,
        Self::SharedAddress,
        Self::NotVisible,
        Self::Unsynced,
        Self::TooStale,
        Self::Unreadable,
    ];

    /// Returns the place of the reason in [`ALL`](Self::ALL), for a table of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the reason as one word for logs and JSON, such as `no-pod-has-address`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpcodeNotServed => "opcode-not-served",
            Self::Malformed => "malformed",
            Self::EdnsVersionNotServed => "edns-version-not-served",
            Self::WithoutQuestion => "without-question",
            Self::ServerIdentity => "server-identity",
            Self::ClassNotServed => "class-not-served",
            Self::ClientLimited => "client-limited",
            Self::Transfer => "transfer",
            Self::OutsideZones => "outside-zones",
            Self::Apex => "apex",
            Self::AboveZone => "above-zone",
            Self::TooManyLabels => "too-many-labels",
            Self::NotANamespace => "not-a-namespace",
            Self::ModeDisabled => "mode-disabled",
            Self::NamespaceNotServed => "namespace-not-served",
            Self::NamespaceUnchecked => "namespace-unchecked",
            Self::NamespaceExists => "namespace-exists",
            Self::NoSuchNamespace => "no-such-namespace",
            Self::MappedAddress => "mapped-address",
            Self::OutsidePodCidrs => "outside-pod-cidrs",
            Self::SpecialAddress => "special-address",
            Self::AddressUnchecked => "address-unchecked",
            Self::AddressOfNamespace => "address-of-namespace",
            Self::PodHasAddress => "pod-has-address",
            Self::NoPodHasAddress => "no-pod-has-address",
            Self::PodNamesNotServed => "pod-names-not-served",
            Self::NotAPodName => "not-a-pod-name",
            Self::PodExists => "pod-exists",
            Self::NoSuchPod => "no-such-pod",
            Self::PartOfAddress => "part-of-address",
            Self::NotAnAddress => "not-an-address",
            Self::PodOfAddress => "pod-of-address",
            Self::SharedAddress => "shared-address",
            Self::NotVisible => "not-visible",
            Self::Unsynced => "unsynced",
            Self::TooStale => "too-stale",
            Self::Unreadable => "unreadable",
        }
    }

    /// Returns whether a guard of the operator's forbids the address: NXDOMAIN with EDE 15.
    #[must_use]
    pub const fn is_guard(self) -> bool {
        matches!(self, Self::OutsidePodCidrs | Self::SpecialAddress)
    }

    /// Returns whether the answer rests on the index, and so on how fresh that is.
    #[must_use]
    pub const fn is_of_index(self) -> bool {
        matches!(
            self,
            Self::NamespaceExists
                | Self::NoSuchNamespace
                | Self::AddressOfNamespace
                | Self::PodHasAddress
                | Self::NoPodHasAddress
                | Self::PodExists
                | Self::PodOfAddress
                | Self::SharedAddress
                | Self::NotVisible
                | Self::NoSuchPod
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place_and_word() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), at);
            assert!(Reason::ALL.iter().all(|other| other == reason || other.as_str() != reason.as_str()));
        }
        assert_eq!(Reason::ALL.len(), Reason::Unreadable.index() + 1, "none is missing behind it");
    }
}
