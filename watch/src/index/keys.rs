//! Hashes with random keys, and labels as words.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use poddns_core::Label;

/// What hashes are keyed with, drawn at random for each index.
///
/// Names and identities are chosen by whoever may create pods, so they are hashed by `SipHash`: nobody can choose
/// ones that meet in one bucket. Addresses are what every look-up begins with. They are handed out by the
/// network plugin, and no hash of one is ever seen outside, so a hash of two multiplications does for them.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    #[cfg(not(poddns_loom))]
    names: std::hash::RandomState,
    // A model checker wants every run to be the same.
    #[cfg(poddns_loom)]
    names: std::hash::BuildHasherDefault<std::hash::DefaultHasher>,
    addresses: (u64, SharedSeed),
}

impl Default for Keys {
    fn default() -> Self {
        #[cfg(not(poddns_loom))]
        let names = std::hash::RandomState::new();
        #[cfg(poddns_loom)]
        let names = std::hash::BuildHasherDefault::default();
        // A keyed `SipHash` of anything is as random as its key, and foldhash's own seeds are not.
        let addresses = (names.hash_one(0), SharedSeed::from_u64(names.hash_one(1)));
        Self { names, addresses }
    }
}

impl Keys {
    /// The table hash of anything that somebody may choose.
    pub(super) fn hash(&self, of: impl Hash) -> u32 {
        self.names.hash_one(of) as u32
    }

    /// The table hash of an address, as a number.
    pub(super) fn hash_address(&self, address: impl Hash) -> u32 {
        let (key, seed) = &self.addresses;
        let mut hasher = FoldHasher::with_seed(*key, seed);
        address.hash(&mut hasher);
        hasher.finish() as u32
    }
}

/// A label as eight words, for comparisons with atomic words: 63 octets, zero beyond the end, and the length
/// in the last octet. Length 0 is no label's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Packed(pub(super) [u64; Packed::WORDS]);

impl Packed {
    pub(super) const WORDS: usize = 8;

    pub(super) fn new(label: &Label) -> Self {
        let mut octets = [0_u8; 64];
        // Of fixed length, which is faster than of the label's.
        octets[..63].copy_from_slice(label.as_padded());
        octets[63] = label.as_bytes().len() as u8;
        let mut words = [0; Self::WORDS];
        for (word, chunk) in words.iter_mut().zip(octets.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self(words)
    }

    /// The label again; `None` for words that never were one.
    pub(super) fn label(&self) -> Option<Label> {
        let mut octets = [0; 64];
        for (chunk, word) in octets.as_chunks_mut().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        let len = usize::from(octets[63]);
        Label::from_wire(octets.get(..len)?)
    }

    /// Octets of the label.
    pub(super) fn len(&self) -> usize {
        (self.0[Self::WORDS - 1] >> 56) as usize
    }

    /// The label in words of 32 bits, zero beyond the end, without its length.
    pub(super) fn halves(&self) -> impl Iterator<Item = u32> {
        let halves = self.0.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32]);
        // The last octet of the last one is the length, which no label reaches.
        halves.enumerate().map(|(at, half)| if at == 15 { half & 0x00ff_ffff } else { half })
    }

    /// The label whose [`Packed::halves`] these are.
    pub(super) fn of_halves(halves: [u32; 16]) -> Self {
        let mut words = [0; Self::WORDS];
        for (word, [low, high]) in words.iter_mut().zip(halves.as_chunks().0) {
            *word = u64::from(*low) | (u64::from(*high) << 32);
        }
        // A label has no zero octet, so it ends before the first one.
        let octets = halves.iter().flat_map(|half| half.to_le_bytes());
        let len = octets.take_while(|&octet| octet != 0).count();
        words[Self::WORDS - 1] |= (len as u64) << 56;
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_every_length_survive() {
        for len in 1..=63 {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let label: Label = text.parse().unwrap_or_else(|_| panic!("{text} is a label"));
            let packed = Packed::new(&label);
            assert_eq!(packed.label(), Some(label));
            assert_eq!(packed.len(), len);
            let mut halves = [0; 16];
            for (to, from) in halves.iter_mut().zip(packed.halves()) {
                *to = from;
            }
            assert_eq!(Packed::of_halves(halves), packed);
            let used = len.div_ceil(4);
            assert!(halves[used..].iter().all(|&half| half == 0));
        }
    }

    #[test]
    fn nothing_is_no_label() {
        assert_eq!(Packed::default().label(), None);
    }

    #[test]
    fn each_index_has_its_own_key() {
        // Equal by chance once in 2^64.
        let (one, two) = (Keys::default(), Keys::default());
        assert_ne!([one.hash(1), one.hash(2)], [two.hash(1), two.hash(2)]);
        let addresses = |keys: &Keys| [1_u32, 2].map(|address| keys.hash_address(address));
        assert_ne!(addresses(&one), addresses(&two));
    }
}
