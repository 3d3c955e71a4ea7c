//! Network masks.

/// Returns a mask of `prefix` bits.
pub(super) fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

/// Returns a mask of `prefix` bits.
pub(super) fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}
