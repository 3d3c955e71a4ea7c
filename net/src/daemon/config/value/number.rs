//! Numbers and times.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use poddns_core::Ttl;

use super::{ValueError, ValueKind, show_or_off};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

pub(in crate::daemon::config) const TTL: ValueKind<Ttl> = ValueKind {
    placeholder: "SECONDS",
    allowed: "0 to 3600 (seconds)",
    parse: |text| {
        let seconds = whole(text, 0..=u64::from(Ttl::MAX.as_secs()))?;
        Ttl::from_secs(seconds).ok_or_else(|| OUT_OF_RANGE.into())
    },
    show: |ttl| ttl.as_secs().to_string(),
};

pub(in crate::daemon::config) const THREADS: ValueKind<NonZeroUsize> = ValueKind {
    placeholder: "N",
    allowed: "1 to 512",
    parse: |text| non_zero(text, 1..=512),
    show: ToString::to_string,
};

pub(in crate::daemon::config) const CONNECTIONS: ValueKind<usize> = ValueKind {
    placeholder: "N",
    allowed: "1 to 1000000",
    parse: |text| whole(text, 1..=1_000_000),
    show: ToString::to_string,
};

pub(in crate::daemon::config) const UP_TO_A_MILLION: ValueKind<NonZeroU32> = ValueKind {
    placeholder: "N",
    allowed: "1 to 1000000",
    parse: |text| non_zero(text, 1..=1_000_000),
    show: ToString::to_string,
};

/// Rate in responses a second.
pub(in crate::daemon::config) const RATE: ValueKind<Option<NonZeroU32>> = ValueKind {
    placeholder: "N",
    allowed: "off, or 1 to 1000000 (responses a second)",
    parse: |text| off_or(text, |text| non_zero(text, 1..=1_000_000)),
    show: |rate| show_or_off(rate.as_ref(), ToString::to_string),
};

/// Rate in negative responses a second.
pub(in crate::daemon::config) const NEGATIVE_RATE: ValueKind<Option<NonZeroU32>> =
    ValueKind { allowed: "off, or 1 to 1000000 (negative answers a second)", ..RATE };

/// Number of responses beyond the limit of which one is sent truncated and the others are dropped.
pub(in crate::daemon::config) const SLIP: ValueKind<u8> = ValueKind {
    placeholder: "N",
    allowed: "0 to 255",
    parse: |text| whole(text, 0..=255),
    show: ToString::to_string,
};

/// Prefix length of an IPv4 network.
pub(in crate::daemon::config) const IPV4_PREFIX: ValueKind<u8> = ValueKind {
    placeholder: "BITS",
    allowed: "0 to 32",
    parse: |text| whole(text, 0..=32),
    show: ToString::to_string,
};

/// Prefix length of an IPv6 network.
pub(in crate::daemon::config) const IPV6_PREFIX: ValueKind<u8> =
    ValueKind { allowed: "0 to 128", parse: |text| whole(text, 0..=128), ..IPV4_PREFIX };

pub(in crate::daemon::config) const RATE_LIMIT_TABLE: ValueKind<usize> = ValueKind {
    placeholder: "N",
    allowed: "1024 to 16777216 (client networks)",
    parse: |text| whole(text, 1024..=16_777_216),
    show: ToString::to_string,
};

/// Size in bytes, written in MiB.
pub(in crate::daemon::config) const MEBIBYTES: ValueKind<usize> = ValueKind {
    placeholder: "MIB",
    allowed: "1 to 1024 (MiB)",
    parse: |text| Ok(whole::<usize>(text, 1..=1024)? << 20),
    show: |bytes| (bytes >> 20).to_string(),
};

pub(in crate::daemon::config) const IDLE_TIMEOUT: ValueKind<Duration> = ValueKind {
    placeholder: "TIME",
    allowed: "a time from 100ms to 1h such as 10s",
    parse: |text| time(text, SECOND / 10..=HOUR),
    show: show_time,
};

pub(in crate::daemon::config) const LAME_DUCK: ValueKind<Duration> = ValueKind {
    placeholder: "TIME",
    allowed: "a time from 0s to 1h such as 5s",
    parse: |text| time(text, Duration::ZERO..=HOUR),
    show: show_time,
};

pub(in crate::daemon::config) const SECOND_TO_DAY: ValueKind<Duration> = ValueKind {
    placeholder: "TIME",
    allowed: "a time from 1s to 1d such as 30s or 5m",
    parse: |text| time(text, SECOND..=DAY),
    show: show_time,
};

pub(in crate::daemon::config) const SECOND_TO_WEEK_OR_OFF: ValueKind<Option<Duration>> = ValueKind {
    placeholder: "TIME",
    allowed: "off, or a time from 1s to 7d such as 90s, 5m or 1h",
    parse: |text| off_or(text, |text| time(text, SECOND..=7 * DAY)),
    show: |value| show_or_off(value.as_ref(), show_time),
};

pub(in crate::daemon::config) const MINUTE_TO_WEEK_OR_OFF: ValueKind<Option<Duration>> = ValueKind {
    placeholder: "TIME",
    allowed: "off, or a time from 1m to 7d such as 1h",
    parse: |text| off_or(text, |text| time(text, MINUTE..=7 * DAY)),
    show: |value| show_or_off(value.as_ref(), show_time),
};

const OUT_OF_RANGE: &str = "is out of range";

/// Parses `off` as `None`, and other texts by `parse`.
fn off_or<T>(text: &str, parse: impl Fn(&str) -> Result<T, ValueError>) -> Result<Option<T>, ValueError> {
    if text == "off" { Ok(None) } else { parse(text).map(Some) }
}

/// Parses a whole number within the range.
fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, ValueError> {
    // `u64::from_str` would accept a plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a whole number".into());
    }
    // All characters are digits, so parsing fails only for a number that is too large.
    let number = text.parse().unwrap_or(u64::MAX);
    if range.contains(&number) { Ok(number) } else { Err(OUT_OF_RANGE.into()) }
}

/// Parses a whole number within the range and converts it to `T`.
fn whole<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Result<T, ValueError> {
    T::try_from(number(text, range)?).map_err(|_| OUT_OF_RANGE.into())
}

/// Parses a whole number within a range that excludes zero.
fn non_zero<T: TryFrom<NonZeroU64>>(text: &str, range: RangeInclusive<u64>) -> Result<T, ValueError> {
    let number = NonZeroU64::new(number(text, range)?);
    number.and_then(|number| number.try_into().ok()).ok_or_else(|| OUT_OF_RANGE.into())
}

/// Parses a time such as `500ms`, `5s`, `2m`, `1h`, `1d`, or a bare number of seconds.
pub(in crate::daemon::config) fn time(
    text: &str,
    range: RangeInclusive<Duration>,
) -> Result<Duration, ValueError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("is not a time: a whole number and ms, s, m, h or d".into()),
    };
    let count = number(count, 0..=u64::MAX).map_err(|_| "is not a time")?;
    let time = Duration::from_millis(count.saturating_mul(milliseconds));
    if range.contains(&time) { Ok(time) } else { Err(OUT_OF_RANGE.into()) }
}

/// Returns a time in the largest unit of which it is a multiple.
fn show_time(time: &Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let all = Duration::ZERO..=Duration::MAX;
        let cases =
            [("0", 0), ("5", 5_000), ("500ms", 500), ("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000)];
        for (text, milliseconds) in cases {
            assert_eq!(time(text, all.clone()).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "s", "-5s", "+5s", "1.5s", "5 s", "5S", "5sec", "99999999999999999999x"] {
            assert!(time(text, all.clone()).is_err(), "{text}");
        }
        assert!(time("99999999999999999999d", Duration::ZERO..=Duration::from_secs(1)).is_err());
    }

    #[test]
    fn times_are_shown_as_they_are_read() {
        for text in ["0s", "1ms", "1500ms", "1s", "90s", "2m", "1h", "36h", "7d"] {
            assert_eq!(show_time(&time(text, Duration::ZERO..=Duration::MAX).unwrap()), text);
        }
    }
}
