//! Observation, in tests, of the states that readers see if the writer stops between two of its stores.
//!
//! A writer that is suspended for long leaves the index between two stores. Threaded tests hit such a state once in
//! thousands of runs; here, the atomic words call an observer after each store, on the writer's thread.

use std::cell::RefCell;
use std::sync::atomic::{self, Ordering};

thread_local! {
    static OBSERVER: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

fn stop() {
    OBSERVER.with(|observer| {
        // Already borrowed: a store by the observer itself.
        let Ok(mut observer) = observer.try_borrow_mut() else { return };
        if let Some(observe) = observer.as_mut() {
            observe();
        }
    });
}

/// Calls `observe` after each store to the index that `write` makes.
pub(super) fn observed<T>(observe: impl FnMut() + 'static, write: impl FnOnce() -> T) -> T {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            OBSERVER.with(|observer| observer.borrow_mut().take());
        }
    }
    OBSERVER.with(|observer| *observer.borrow_mut() = Some(Box::new(observe)));
    let _clear = Clear;
    write()
}

macro_rules! observed_atomic {
    ($name:ident, $value:ty) => {
        /// An atomic integer whose stores are observed.
        #[derive(Debug)]
        pub(super) struct $name(atomic::$name);

        impl $name {
            pub(super) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(super) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            pub(super) fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
                stop();
            }
        }
    };
}

observed_atomic!(AtomicU32, u32);
observed_atomic!(AtomicU64, u64);

/// Stores of readers are not observed.
impl AtomicU64 {
    pub(super) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    pub(super) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_sub(value, order)
    }
}
