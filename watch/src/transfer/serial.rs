//! Serial numbers of versions (RFC 1982).

/// Returns whether serial `one` is greater than `other` (RFC 1982 3.2, with 32 bits). False if they are 2^31 apart.
pub(super) const fn is_newer(one: u32, other: u32) -> bool {
    matches!(one.wrapping_sub(other), 1..=0x7fff_ffff)
}

/// Returns the serial of the version after `last`, published at `now` in Unix seconds: `now` if that is greater than
/// `last`, else `last` plus 1.
pub(super) const fn next(last: u32, now: u32) -> u32 {
    if is_newer(now, last) { now } else { last.wrapping_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_follows_clock_but_never_decreases() {
        assert_eq!(next(100, 105), 105);
        assert_eq!(next(100, 100), 101);
        assert_eq!(next(100, 5), 101, "a clock that was set back");
        assert_eq!(next(u32::MAX, 3), 3, "in 2106");
        assert_eq!(next(u32::MAX, u32::MAX), 0);
        assert!(is_newer(0, u32::MAX) && !is_newer(u32::MAX, 0) && !is_newer(7, 7));
    }
}
