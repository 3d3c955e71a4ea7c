//! Durations as text.

/// A day in seconds.
pub(crate) const DAY: u64 = 24 * 3600;

/// Returns a duration in its two largest units, `7 d 4 h`, or in one if the other is 0.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / DAY, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit: &str, small: u64, other: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {other}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => two(minutes, "min", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_up_to_two_units() {
        for (seconds, shown) in [
            (5, "5 s"),
            (60, "1 min"),
            (65, "1 min 5 s"),
            (3600, "1 h"),
            (3700, "1 h 1 min"),
            (7 * DAY, "7 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
