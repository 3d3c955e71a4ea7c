//! Values as an operator would write them: for defaults, and to compare.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use poddns_watch::HostNetwork;

use super::LogFormat;
use super::draft::ExemptValue;
use crate::daemon::privileges::Landlock;
use crate::server::query_log::LoggedQueries;

/// Returns one value.
pub(super) fn one(value: impl fmt::Display) -> Vec<String> {
    vec![value.to_string()]
}

/// Returns any number of values.
pub(super) fn many<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

/// Returns `off` for nothing.
pub(super) fn or_off(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "off".to_owned(), |value| value.to_string())
}

/// Returns the addresses of the admin endpoints, of which there are several for both wildcards only.
pub(super) fn admin(addresses: &[SocketAddr]) -> String {
    match addresses {
        [] => "off".to_owned(),
        [address] => address.to_string(),
        [address, ..] => format!("*:{}", address.port()),
    }
}

/// Returns the queries that are logged.
pub(super) fn query_log(queries: Option<LoggedQueries>) -> &'static str {
    match queries {
        None => "off",
        Some(LoggedQueries::Refused) => "refused",
        Some(LoggedQueries::All) => "all",
    }
}

/// Returns a time with its largest unit.
pub(super) fn time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// Returns a domain without the dot at its end.
pub(super) fn domain(name: impl fmt::Display) -> String {
    let text = name.to_string();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}

pub(super) fn host_network(host_network: HostNetwork) -> &'static str {
    match host_network {
        HostNetwork::Include => "include",
        HostNetwork::Exclude => "exclude",
    }
}

pub(super) fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

pub(super) fn landlock(landlock: Landlock) -> &'static str {
    match landlock {
        Landlock::Off => "off",
        Landlock::On => "on",
        Landlock::Require => "require",
    }
}

impl fmt::Display for ExemptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Private => f.write_str("private"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_they_are_read() {
        for text in ["0s", "1ms", "1500ms", "1s", "90s", "2m", "1h", "36h", "7d"] {
            let read = super::super::value::time(text, Duration::ZERO..=Duration::MAX).unwrap();
            assert_eq!(time(read), text);
        }
    }
}
