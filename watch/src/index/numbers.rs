//! Typed numbers of pods, namespaces and slots.
//!
//! All numbers begin at 1, so that `None` is 0, both in a word of a table and in a register.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// A type of numbers for one kind of element.
pub(super) trait Number: Copy + From<NonZeroU32> {
    /// Returns the number that is stored as `bits`; `None` for 0.
    fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self::from)
    }

    /// Returns the number as the word to store and as an array index.
    fn get(self) -> u32;
}

/// Returns an optional number as the word to store: 0 for `None`.
pub(super) fn bits<N: Number>(number: Option<N>) -> u32 {
    number.map_or(0, N::get)
}

/// Returns the numbers in a range, except 0.
pub(super) fn numbers<N: Number>(range: RangeInclusive<u32>) -> impl Iterator<Item = N> {
    range.filter_map(N::from_bits)
}

macro_rules! define {
    ($($(#[$documentation:meta])* $name:ident;)+) => {$(
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) struct $name(NonZeroU32);

        impl From<NonZeroU32> for $name {
            fn from(number: NonZeroU32) -> Self {
                Self(number)
            }
        }

        impl Number for $name {
            fn get(self) -> u32 {
                self.0.get()
            }
        }
    )+};
}

impl NamespaceId {
    /// A number that no namespace has: there are at most [`MAX_PODS`](super::MAX_PODS) namespaces.
    pub(super) const UNUSED: Option<Self> = Some(Self(NonZeroU32::MAX));
}

define! {
    /// Row of a pod. At most [`MAX_PODS`](super::MAX_PODS), so that 26 bits hold it.
    Row;
    /// Number of a namespace while it exists.
    NamespaceId;
    /// The holder of an address: the pod's [`Row`] if pod names are kept, else its [`NamespaceId`], so that look-ups
    /// need not read the row.
    HolderKey;
    /// Number of an address that several pods share.
    SharedId;
    /// Slot of an IPv6 address.
    SlotV6;
    /// Slot of a pair of shared address and namespace.
    SharingSlot;
    /// Node of a list of addresses.
    NodeId;
    /// Slot of a pod name, in its size class.
    NameSlot;
}

/// The bits of a hash in a [`Row::tagged`] word.
const TAG: u32 = 0xfc00_0000;

impl Row {
    /// Returns the word for a table of rows: the row and six bits of its hash, which rule out 63 of 64 rows with other
    /// keys without reading them.
    pub(super) fn tagged(self, hash: u32) -> u32 {
        (hash & TAG) | self.get()
    }

    /// Returns the row in a [`tagged`](Self::tagged) word.
    pub(super) fn in_word(word: u32) -> Option<Self> {
        Self::from_bits(word & !TAG)
    }

    /// Returns whether a [`tagged`](Self::tagged) word may belong to a key with this hash.
    pub(super) const fn may_have(word: u32, hash: u32) -> bool {
        (word ^ hash) & TAG == 0
    }
}

impl HolderKey {
    pub(super) fn of_row(row: Row) -> Self {
        Self(row.0)
    }

    pub(super) fn of_namespace(namespace: NamespaceId) -> Self {
        Self(namespace.0)
    }

    pub(super) fn row(self) -> Row {
        Row(self.0)
    }

    pub(super) fn namespace(self) -> NamespaceId {
        NamespaceId(self.0)
    }
}
