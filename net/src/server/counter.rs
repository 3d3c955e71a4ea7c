//! A number that one thread counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread counts up and any thread reads.
///
/// One writer means that load and store suffice: no locked instruction in the packet path.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only ever called by the counter's own thread.
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    /// Adds a number. Only ever called by the counter's own thread.
    pub(crate) fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    /// Makes it this number: for what goes down, too.
    pub(crate) fn set(&self, number: usize) {
        self.0.store(number as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
