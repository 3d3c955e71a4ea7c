//! Allocation of slots in an array.

use std::num::NonZeroU32;

use super::numbers::Number;

/// Allocates the numbers of an array's slots from 1 on. Released numbers are reused, the last one first.
///
/// It needs no memory of its own: a free slot holds the number of the next free slot; see [`FreeLinks`].
#[derive(Debug)]
pub(super) struct FreeList<N> {
    first: Option<N>,
    highest: u32,
    live: u32,
}

/// The slots of an array, each with a word that holds the number of the next free slot while the slot is free.
pub(super) trait FreeLinks<N> {
    /// Returns the number that [`set_next`](Self::set_next) stored in a free slot.
    fn next(&self, free: N) -> Option<N>;

    /// Stores the number of the next free slot.
    fn set_next(&mut self, free: N, next: Option<N>);
}

impl<N> Default for FreeList<N> {
    fn default() -> Self {
        Self { first: None, highest: 0, live: 0 }
    }
}

impl<N: Number> FreeList<N> {
    /// Returns a slot that is not in use, and marks it as used.
    #[expect(clippy::needless_pass_by_value, reason = "it is a reference, shared or exclusive")]
    pub(super) fn allocate(&mut self, slots: impl FreeLinks<N>) -> N {
        self.live = self.live.saturating_add(1);
        if let Some(free) = self.first {
            self.first = slots.next(free);
            return free;
        }
        let number = NonZeroU32::MIN.saturating_add(self.highest);
        self.highest = number.get();
        number.into()
    }

    /// Releases a slot, and overwrites its link word.
    pub(super) fn release(&mut self, mut slots: impl FreeLinks<N>, number: N) {
        self.live = self.live.saturating_sub(1);
        slots.set_next(number, self.first.replace(number));
    }

    /// Returns the number of slots in use.
    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// Returns the highest number that was ever allocated, 0 if none was.
    pub(super) fn highest(&self) -> u32 {
        self.highest
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::super::numbers::{NodeId, bits};
    use super::*;

    impl FreeLinks<NodeId> for &mut [u32; 8] {
        fn next(&self, free: NodeId) -> Option<NodeId> {
            NodeId::from_bits(self[free.get() as usize])
        }

        fn set_next(&mut self, free: NodeId, next: Option<NodeId>) {
            self[free.get() as usize] = bits(next);
        }
    }

    #[test]
    fn slots_are_reused_last_in_first_out() {
        let mut links = [0; 8];
        let mut list = FreeList::default();
        let [one, two] = [(); 2].map(|()| list.allocate(&mut links));
        assert_eq!((one.get(), two.get()), (1, 2));
        list.release(&mut links, one);
        list.release(&mut links, two);
        assert_eq!((list.highest(), list.live()), (2, 0));
        let reused = [(); 3].map(|()| list.allocate(&mut links).get());
        assert_eq!((reused, list.highest(), list.live()), ([2, 1, 3], 3, 3));
    }
}
