//! Interface between the responder and an index of pods.

use core::error::Error;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::Label;

/// The pods of a cluster.
///
/// The first two methods are enough for the modes `insecure` with `check-namespaces` and `verified`. The defaults of
/// the others disable their features: no pod names, no PTR, always fresh.
///
/// All methods are called while a query is answered, so they must neither block nor allocate. They take `&self`: an
/// index that is written concurrently has to synchronise internally. Results of different calls need not be
/// consistent with each other; a query causes only a few calls.
///
/// A look-up returns the state at one moment during the call, or [`Unknown`], never a negative result that was not
/// read: resolvers cache negative answers. A query with an unknown look-up is answered with SERVFAIL.
///
/// ```
/// use core::net::{IpAddr, Ipv4Addr};
/// use poddns_core::{Label, PodLookup, Unknown};
///
/// /// One namespace, one pod.
/// struct OnePod(Label);
///
/// impl PodLookup for OnePod {
///     fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
///         Ok(*namespace == self.0)
///     }
///     fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
///         Ok(*namespace == self.0 && address == IpAddr::V4(Ipv4Addr::new(10, 42, 2, 46)))
///     }
/// }
/// ```
pub trait PodLookup {
    /// Returns true if the cluster has this namespace, with or without pods.
    ///
    /// Must also be true of a namespace in which [`contains`](Self::contains) or [`addresses_of`](Self::addresses_of)
    /// finds a pod, even if the namespace object has not been received yet: NXDOMAIN for a name also denies all names
    /// below it (RFC 8020 2), and resolvers that cached it deny them until its TTL expires.
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown>;

    /// Returns true if a pod of this namespace has this address, as any of its `status.podIPs`.
    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown>;

    /// Announces that [`contains`](Self::contains) will be called for these addresses next, each with a namespace
    /// that is not yet known.
    ///
    /// This is a hint and must not affect answers: an index larger than the processor's caches can load the memory
    /// for all of them at once, instead of waiting for each in turn. See [`prefetch`](crate::prefetch()).
    fn prefetch(&self, addresses: &[IpAddr]) {
        let _ = addresses;
    }

    /// Calls `each` with every address of the pod of this name, once each, in a stable order. `Ok` without a call
    /// means that there is no such pod, or that pod names are not kept; with [`Unknown`], `each` is not called.
    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let _ = (namespace, pod, each);
        Ok(())
    }

    /// Returns the owner of the address, for PTR.
    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let _ = address;
        Ok(Owner::None)
    }

    /// Returns whether pods with these two addresses have a namespace in common, for visibility of reverse names.
    ///
    /// The default returns false for two different addresses that are both [shared](Owner::Shared): their namespaces
    /// are not known.
    fn share_namespace(&self, one: IpAddr, other: IpAddr) -> Result<bool, Unknown> {
        match (self.owner_of(one)?, self.owner_of(other)?) {
            (Owner::None, _) | (_, Owner::None) => Ok(false),
            (Owner::Pod { namespace, .. }, _) => self.contains(&namespace, other),
            (_, Owner::Pod { namespace, .. }) => self.contains(&namespace, one),
            (Owner::Shared, Owner::Shared) => Ok(one == other),
        }
    }

    /// Returns the freshness of the index.
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    /// Returns the freshness of the namespaces. Used in mode insecure, where answers do not depend on pods.
    fn namespace_freshness(&self) -> Freshness {
        self.freshness()
    }

    /// Returns the SOA serial: Unix seconds, modulo 2^32 (RFC 1982), of the last change that could affect an answer,
    /// or of the start if there was none, so that the serial does not decrease over a restart. 1 without an index.
    fn serial(&self) -> u32 {
        1
    }
}

/// A look-up failed: whether its subject exists is unknown.
///
/// A lock-free index that is being changed may not provide a consistent view; an index behind a lock or a connection
/// may not provide one in time. The query is answered with SERVFAIL and EDE 0 (Other Error), and
/// [`Reply::is_unknown`](crate::Reply::is_unknown) returns true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pod index could not be read")
    }
}

impl Error for Unknown {}

/// Freshness of an index relative to its cluster. Answers, readiness, status and metrics all use this one state.
///
/// Exhaustive, so that readiness and metrics cannot omit a state: a watch is established or not, and a list was
/// completed before or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// No complete list yet: every response that depends on the index is SERVFAIL with EDE 14 (Not Ready).
    Unsynced,
    /// In sync.
    Fresh,
    /// The watch has been down for `age`. Answers have EDE 3 or 19; SERVFAIL with EDE 22 once `age` exceeds
    /// [`Config::max_staleness`](crate::Config::max_staleness).
    Stale {
        /// Time since the index was last known to be in sync.
        age: Duration,
    },
    /// A list is in progress after the watch was down; until it completes, the index is as stale as before.
    Resyncing {
        /// Time since the index was last known to be in sync.
        age: Duration,
    },
}

impl Freshness {
    /// The time since the index was in sync; `None` if it is in sync or never was.
    #[must_use]
    pub const fn age(self) -> Option<Duration> {
        match self {
            Self::Unsynced | Self::Fresh => None,
            Self::Stale { age } | Self::Resyncing { age } => Some(age),
        }
    }
}

/// Owner of an address. Exhaustive: no pod, one pod, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No pod has it.
    None,
    /// Exactly one pod has it.
    Pod {
        /// The pod's namespace.
        namespace: Label,
        /// The pod's name, if names are kept and it is a single label.
        name: Option<Label>,
    },
    /// Several pods have it, such as pods with `hostNetwork: true` on one node.
    Shared,
}

/// An index without pods and namespaces, for modes that need none.
///
/// ```
/// use poddns_core::{NoPods, PodLookup};
/// assert_eq!(NoPods.namespace_exists(&"default".parse().unwrap()), Ok(false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoPods;

impl PodLookup for NoPods {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Ok(false)
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        Ok(false)
    }
}

/// Pods of another lookup, such as an index behind a pointer, with a freshness that the wrapper can override.
///
/// All look-ups are forwarded, so that a wrapper cannot leave one at its default by mistake.
pub trait LookupWrapper {
    /// Type of the wrapped lookup.
    type Inner: PodLookup + ?Sized;

    /// Returns the wrapped lookup.
    fn inner(&self) -> &Self::Inner;

    /// Returns the freshness, as [`PodLookup::freshness`].
    fn freshness(&self) -> Freshness {
        self.inner().freshness()
    }

    /// Returns the freshness of the namespaces, as [`PodLookup::namespace_freshness`].
    fn namespace_freshness(&self) -> Freshness {
        self.inner().namespace_freshness()
    }
}

impl<P: PodLookup + ?Sized> LookupWrapper for &P {
    type Inner = P;

    fn inner(&self) -> &P {
        self
    }
}

impl<W: LookupWrapper> PodLookup for W {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        self.inner().namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.inner().contains(namespace, address)
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.inner().prefetch(addresses);
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        self.inner().addresses_of(namespace, pod, each)
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        self.inner().owner_of(address)
    }

    fn share_namespace(&self, one: IpAddr, other: IpAddr) -> Result<bool, Unknown> {
        self.inner().share_namespace(one, other)
    }

    fn freshness(&self) -> Freshness {
        LookupWrapper::freshness(self)
    }

    fn namespace_freshness(&self) -> Freshness {
        LookupWrapper::namespace_freshness(self)
    }

    fn serial(&self) -> u32 {
        self.inner().serial()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lookup with results that differ from all defaults.
    struct Distinct;

    impl PodLookup for Distinct {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Err(Unknown)
        }

        fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
            Ok(true)
        }

        fn addresses_of(&self, _: &Label, _: &Label, _: &mut dyn FnMut(IpAddr)) -> Result<(), Unknown> {
            Err(Unknown)
        }

        fn owner_of(&self, _: IpAddr) -> Result<Owner, Unknown> {
            Ok(Owner::Shared)
        }

        fn share_namespace(&self, _: IpAddr, _: IpAddr) -> Result<bool, Unknown> {
            Err(Unknown)
        }

        fn freshness(&self) -> Freshness {
            Freshness::Unsynced
        }

        fn serial(&self) -> u32 {
            7
        }
    }

    /// A wrapper that overrides the freshness.
    struct Fresh(Distinct);

    impl LookupWrapper for Fresh {
        type Inner = Distinct;

        fn inner(&self) -> &Distinct {
            &self.0
        }

        fn freshness(&self) -> Freshness {
            Freshness::Fresh
        }
    }

    #[test]
    fn wrapped_lookup_answers_every_method() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let label = Label::from_wire(b"a");
        let check = |pods: &dyn PodLookup, freshness| {
            let Some(label) = label else { return assert!(label.is_some()) };
            assert_eq!(pods.namespace_exists(&label), Err(Unknown));
            assert_eq!(pods.contains(&label, address), Ok(true));
            assert_eq!(pods.addresses_of(&label, &label, &mut |_| ()), Err(Unknown));
            assert_eq!(pods.owner_of(address), Ok(Owner::Shared));
            assert_eq!(pods.share_namespace(address, address), Err(Unknown));
            assert_eq!((pods.freshness(), pods.namespace_freshness()), (freshness, Freshness::Unsynced));
            assert_eq!(pods.serial(), 7);
        };
        check(&&Distinct, Freshness::Unsynced);
        check(&Fresh(Distinct), Freshness::Fresh);
    }
}
