//! Names of the rules that lead to an answer.

use crate::words::worded;

worded! {
    /// The rule that led to a response.
    #[non_exhaustive]
    Reason {
        /// NOTIMP: an opcode other than QUERY.
        OpcodeNotServed = "opcode-not-served",
        /// FORMERR: the query cannot be read.
        Malformed = "malformed",
        /// BADVERS: an EDNS version other than 0.
        EdnsVersionNotServed = "edns-version-not-served",
        /// FORMERR, or the response to a cookie: a query without a question.
        WithoutQuestion = "without-question",
        /// The text configured for a name such as `version.bind` in class CH.
        ServerIdentity = "server-identity",
        /// REFUSED: a class other than IN, and not a name of class CH that has a configured text.
        ClassNotServed = "class-not-served",
        /// REFUSED: the driver limits the questions of the client; see [`refuse`](crate::refuse).
        ClientLimited = "client-limited",
        /// A zone transfer: REFUSED, unless the driver transfers zones. Also any signed query that the driver
        /// answers.
        Transfer = "transfer",
        /// REFUSED: the name is in no zone of this server.
        OutsideZones = "outside-zones",
        /// The name is a zone's apex.
        Apex = "apex",
        /// NODATA: the name has no records, but is above the apex of a zone.
        AboveZone = "above-zone",
        /// NXDOMAIN: the name has more labels than any existing name.
        TooManyLabels = "too-many-labels",
        /// NXDOMAIN: the label is not a valid namespace name.
        NotANamespace = "not-a-namespace",
        /// NXDOMAIN: mode disabled.
        ModeDisabled = "mode-disabled",
        /// NXDOMAIN: [`Config::namespaces`](crate::Config::namespaces) does not have the namespace.
        NamespaceNotServed = "namespace-not-served",
        /// NODATA: mode insecure, where every namespace exists.
        NamespaceUnchecked = "namespace-unchecked",
        /// NODATA: the cluster has the namespace.
        NamespaceExists = "namespace-exists",
        /// NXDOMAIN: the cluster does not have the namespace.
        NoSuchNamespace = "no-such-namespace",
        /// NXDOMAIN: an IPv4-mapped address, which no pod has.
        MappedAddress = "mapped-address",
        /// NXDOMAIN: the address is outside of [`Config::pod_cidrs`](crate::Config::pod_cidrs).
        OutsidePodCidrs = "outside-pod-cidrs",
        /// NXDOMAIN: [`Config::block_special`](crate::Config::block_special) forbids the address.
        SpecialAddress = "special-address",
        /// The address in the name: mode insecure, without a look-up.
        AddressUnchecked = "address-unchecked",
        /// The address in the name: mode insecure, and the cluster has the namespace.
        AddressOfNamespace = "address-of-namespace",
        /// The address in the name: a pod of the namespace has it.
        PodHasAddress = "pod-has-address",
        /// NXDOMAIN: no pod of the namespace, or in a reverse zone no pod at all, has the address.
        NoPodHasAddress = "no-pod-has-address",
        /// NXDOMAIN: the label is not an address, and [`Config::pod_names`](crate::Config::pod_names) is off.
        PodNamesNotServed = "pod-names-not-served",
        /// NXDOMAIN: the label is neither an address nor a valid pod name.
        NotAPodName = "not-a-pod-name",
        /// The pod's addresses: the namespace has a pod of this name.
        PodExists = "pod-exists",
        /// NXDOMAIN: the namespace has no pod of this name.
        NoSuchPod = "no-such-pod",
        /// NODATA: the name is an incomplete address in a reverse zone, so names exist below it.
        PartOfAddress = "part-of-address",
        /// NXDOMAIN: a label in a reverse zone is not an octet or nibble.
        NotAnAddress = "not-an-address",
        /// The name of the pod that has the address.
        PodOfAddress = "pod-of-address",
        /// NODATA: several pods share the address.
        SharedAddress = "shared-address",
        /// NXDOMAIN: with [`Visibility::Namespace`](crate::Visibility::Namespace), no pod of the namespace has the
        /// client's address, or the client is not known. Existence of the namespace and the pod was not checked.
        NotVisible = "not-visible",
        /// SERVFAIL: no complete list of the cluster yet.
        Unsynced = "unsynced",
        /// SERVFAIL: the index is older than [`Config::max_staleness`](crate::Config::max_staleness).
        TooStale = "too-stale",
        /// SERVFAIL: the index could not be read; see [`Unknown`](crate::Unknown).
        Unreadable = "unreadable",
    }
}

impl Reason {
    /// Returns whether a guard forbids the address: NXDOMAIN with EDE 15.
    #[must_use]
    pub const fn is_guard(self) -> bool {
        matches!(self, Self::OutsidePodCidrs | Self::SpecialAddress)
    }

    /// Returns whether the answer depends on the index, and therefore on its freshness.
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
