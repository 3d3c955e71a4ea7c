//! Hashes with random keys.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// The random keys of an index's hashes.
///
/// The creator of a pod chooses its name, so names and identities are hashed by `SipHash`, which resists chosen
/// collisions. Addresses, the first key of every look-up, are assigned by the network plugin, and their hashes are not
/// observable from outside, so a hash of two multiplications suffices.
#[derive(Clone, Debug)]
pub(super) struct HashKeys {
    #[cfg(not(poddns_loom))]
    names: std::hash::RandomState,
    // A model checker needs identical runs.
    #[cfg(poddns_loom)]
    names: std::hash::BuildHasherDefault<std::hash::DefaultHasher>,
    addresses: (u64, SharedSeed),
}

impl Default for HashKeys {
    fn default() -> Self {
        #[cfg(not(poddns_loom))]
        let names = std::hash::RandomState::new();
        #[cfg(poddns_loom)]
        let names = std::hash::BuildHasherDefault::default();
        // The output of a keyed `SipHash` is as random as its key, whereas foldhash's own seeds are not random.
        let addresses = (names.hash_one(0), SharedSeed::from_u64(names.hash_one(1)));
        Self { names, addresses }
    }
}

impl HashKeys {
    /// Returns the table hash of a name or an identity.
    pub(super) fn hash(&self, of: impl Hash) -> u32 {
        self.names.hash_one(of) as u32
    }

    /// Returns the table hash of an address, given as a number.
    pub(super) fn hash_address(&self, address: impl Hash) -> u32 {
        let (key, seed) = &self.addresses;
        let mut hasher = FoldHasher::with_seed(*key, seed);
        address.hash(&mut hasher);
        hasher.finish() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_its_own_key() {
        // Equal by chance once in 2^64.
        let (one, two) = (HashKeys::default(), HashKeys::default());
        assert_ne!([one.hash(1), one.hash(2)], [two.hash(1), two.hash(2)]);
        let addresses = |keys: &HashKeys| [1_u32, 2].map(|address| keys.hash_address(address));
        assert_ne!(addresses(&one), addresses(&two));
    }
}
