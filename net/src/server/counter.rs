//! Counter with a single writer.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counter that one thread increments and any thread reads.
///
/// With a single writer, a load and a store suffice: the packet path has no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Must only be called by the counter's own thread.
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    /// Adds a number. Must only be called by the counter's own thread.
    pub(crate) fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    /// Sets the value, which may decrease. Must only be called by the counter's own thread.
    pub(crate) fn set(&self, number: usize) {
        self.0.store(number as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
