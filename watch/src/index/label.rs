//! Labels packed into words.

use poddns_core::Label;

/// A label as eight words, for comparison with atomic words: 63 octets, padded with zeros, and the length in the last
/// octet. The length is never 0 in a valid label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct PackedLabel(pub(super) [u64; PackedLabel::WORDS]);

impl PackedLabel {
    pub(super) const WORDS: usize = 8;

    pub(super) fn new(label: &Label) -> Self {
        let mut octets = [0_u8; 64];
        // A copy of fixed length is faster than one of the label's length.
        octets[..63].copy_from_slice(label.as_padded());
        octets[63] = label.as_bytes().len() as u8;
        let mut words = [0; Self::WORDS];
        for (word, chunk) in words.iter_mut().zip(octets.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self(words)
    }

    /// Returns the label; `None` if the words do not encode a label.
    pub(super) fn label(&self) -> Option<Label> {
        let mut octets = [0; 64];
        for (chunk, word) in octets.as_chunks_mut().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        let len = usize::from(octets[63]);
        Label::from_wire(octets.get(..len)?)
    }

    /// Returns the length of the label in octets.
    pub(super) fn len(&self) -> usize {
        (self.0[Self::WORDS - 1] >> 56) as usize
    }

    /// Returns the label as 32-bit words, padded with zeros, without its length.
    pub(super) fn halves(&self) -> impl Iterator<Item = u32> {
        let halves = self.0.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32]);
        // The last octet of the last half is the length, and no label has 64 octets.
        halves.enumerate().map(|(at, half)| if at == 15 { half & 0x00ff_ffff } else { half })
    }

    /// Returns the label from its [`PackedLabel::halves`].
    pub(super) fn from_halves(halves: [u32; 16]) -> Self {
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
    fn labels_of_every_length_round_trip() {
        for len in 1..=63 {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let label: Label = text.parse().unwrap_or_else(|_| panic!("{text} is a label"));
            let packed = PackedLabel::new(&label);
            assert_eq!(packed.label(), Some(label));
            assert_eq!(packed.len(), len);
            let mut halves = [0; 16];
            for (to, from) in halves.iter_mut().zip(packed.halves()) {
                *to = from;
            }
            assert_eq!(PackedLabel::from_halves(halves), packed);
            let used = len.div_ceil(4);
            assert!(halves[used..].iter().all(|&half| half == 0));
        }
    }

    #[test]
    fn zero_words_are_no_label() {
        assert_eq!(PackedLabel::default().label(), None);
    }
}
