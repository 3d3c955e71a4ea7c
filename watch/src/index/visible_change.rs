//! Visibility of a change in responses.

use std::ops::{BitOr, BitOrAssign};

/// Visibility of a change to readers: a visible one advances the serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct VisibleChange(pub(super) bool);

impl VisibleChange {
    /// Nothing that a reader could see.
    pub(super) const NO: Self = Self(false);
    /// Something that a reader can see.
    pub(super) const YES: Self = Self(true);
}

impl BitOr for VisibleChange {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for VisibleChange {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
