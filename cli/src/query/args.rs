//! Arguments of `poddns query` that have their own parsers.

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, io};

use hickory_proto::rr::{DNSClass, RecordType};
use thiserror::Error;

use crate::outcome::CommandError;
use crate::text::parse_hex;

/// Maximum time of a try in seconds: one day.
const MAX_SECONDS: f64 = 86_400.0;

/// Reason why an argument is invalid. clap prepends the argument's name and value.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum ArgError {
    #[error("not a record type; give a mnemonic such as A, AAAA, PTR, SOA, or TYPE0 to TYPE65535")]
    Type,
    #[error("not a class; give IN, CH, HS, NONE, ANY, or CLASS0 to CLASS65535")]
    Class,
    #[error("not a time above 0 and up to a day, such as 5, 0.25, 5s or 500ms")]
    Seconds,
    #[error("not a server; give ADDR, ADDR:PORT or [IPv6]:PORT")]
    Server,
    #[error("not a port; give 1 to 65535")]
    Port,
    #[error("not a cookie; give 8 or 16 to 40 octets in hexadecimal (RFC 7873 4)")]
    Cookie,
    #[error("not an EDNS option; give its code, 0 to 65535, and its data in hexadecimal, as in 65001:00ff")]
    Option,
}

/// Parses a record type: a mnemonic in any case, or `TYPE123` (RFC 3597 5).
pub(crate) fn record_type(text: &str) -> Result<RecordType, ArgError> {
    let upper = text.to_ascii_uppercase();
    if let Some(number) = upper.strip_prefix("TYPE") {
        return number.parse().map(u16::into).map_err(|_| ArgError::Type);
    }
    match upper.as_str() {
        // hickory has no mnemonic for IXFR, and has one for a type that is not registered (ANAME).
        "IXFR" => Ok(RecordType::IXFR),
        "ANAME" => Err(ArgError::Type),
        known => known.parse().map_err(|_| ArgError::Type),
    }
}

/// Parses a class: a mnemonic in any case, or `CLASS123` (RFC 3597 5).
pub(super) fn class(text: &str) -> Result<DNSClass, ArgError> {
    let upper = text.to_ascii_uppercase();
    match upper.strip_prefix("CLASS") {
        Some(number) => number.parse().map(u16::into).map_err(|_| ArgError::Class),
        None => upper.parse().map_err(|_| ArgError::Class),
    }
}

/// Parses a time in seconds, or with one of the units `ms`, `s` and `m`. Fractions are allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration, ArgError> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1.0));
    let seconds = number.parse::<f64>().map_err(|_| ArgError::Seconds)? * unit;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| ArgError::Seconds)?;
    if duration.is_zero() || seconds > MAX_SECONDS {
        return Err(ArgError::Seconds);
    }
    Ok(duration)
}

/// Parses a port other than 0.
pub(super) fn port(text: &str) -> Result<u16, ArgError> {
    text.parse().ok().filter(|&port| port > 0).ok_or(ArgError::Port)
}

/// A server, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerArg {
    /// An address, or a host name.
    pub(crate) host: String,
    /// The port, if one is given.
    pub(crate) port: Option<u16>,
}

impl ServerArg {
    /// Returns this host without a port; the port depends on the command.
    pub(crate) fn local() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: None }
    }

    /// Returns the addresses of the server, with `port` as default.
    pub(crate) fn addresses(&self, port: u16) -> Result<Vec<SocketAddr>, ServerError> {
        let unresolved = |source| ServerError::Unresolved { server: self.to_string(), source };
        let found = (self.host.as_str(), self.port.unwrap_or(port)).to_socket_addrs().map_err(unresolved)?;
        let addresses: Vec<SocketAddr> = found.collect();
        if addresses.is_empty() { Err(ServerError::NoAddress(self.to_string())) } else { Ok(addresses) }
    }

    /// Returns the first address of the server.
    pub(crate) fn first_address(&self, port: u16) -> Result<SocketAddr, ServerError> {
        let first = self.addresses(port)?.into_iter().next();
        first.ok_or_else(|| ServerError::NoAddress(self.to_string()))
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> Self {
        Self::run(error)
    }
}

/// Reason why a server cannot be queried.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    #[error("no address for server '{server}': {source}")]
    Unresolved { server: String, source: io::Error },
    #[error("no address for server '{0}'")]
    NoAddress(String),
}

impl FromStr for ServerArg {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or(ArgError::Server)?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or(ArgError::Server)?)),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        if host.is_empty() {
            return Err(ArgError::Server);
        }
        Ok(Self { host: host.to_owned(), port: port.map(self::port).transpose()? })
    }
}

impl fmt::Display for ServerArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.as_str()) {
            (Some(port), host) if host.contains(':') => write!(f, "[{host}]:{port}"),
            (Some(port), host) => write!(f, "{host}:{port}"),
            (None, host) => f.write_str(host),
        }
    }
}

/// The octets of `--cookie`; if empty, a random client cookie is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieArg(pub(super) Vec<u8>);

impl FromStr for CookieArg {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let octets = parse_hex(text).ok_or(ArgError::Cookie)?;
        match octets.len() {
            0 | 8 | 16..=40 => Ok(Self(octets)),
            _ => Err(ArgError::Cookie),
        }
    }
}

/// An EDNS option to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OptionArg {
    pub(super) code: u16,
    pub(super) data: Vec<u8>,
}

impl FromStr for OptionArg {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let (code, data) = text.split_once(':').unwrap_or((text, ""));
        let code = code.parse().map_err(|_| ArgError::Option)?;
        let data = parse_hex(data).ok_or(ArgError::Option)?;
        Ok(Self { code, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name_and_number() {
        for (text, number) in [("a", 1), ("AAAA", 28), ("any", 255), ("Ixfr", 251), ("type65280", 65_280)] {
            assert_eq!(record_type(text).map(u16::from), Ok(number), "{text}");
        }
        for bad in ["", "B", "TYPE", "TYPE65536", "TYPE-1", "ANAME"] {
            assert_eq!(record_type(bad), Err(ArgError::Type), "{bad}");
        }
    }

    #[test]
    fn classes_by_name_and_number() {
        for (text, number) in [("in", 1), ("CH", 3), ("class9", 9), ("ANY", 255)] {
            assert_eq!(class(text).map(u16::from), Ok(number), "{text}");
        }
        assert_eq!(class("XX"), Err(ArgError::Class));
    }

    #[test]
    fn servers_with_and_without_port() {
        for (text, host, port) in [
            ("10.96.0.10", "10.96.0.10", None),
            ("127.0.0.1:1053", "127.0.0.1", Some(1053)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:1053", "::1", Some(1053)),
            ("localhost:5353", "localhost", Some(5353)),
        ] {
            assert_eq!(text.parse(), Ok(ServerArg { host: host.to_owned(), port }), "{text}");
        }
        for (bad, why) in [
            ("", ArgError::Server),
            (":53", ArgError::Server),
            ("[::1", ArgError::Server),
            ("[::1]53", ArgError::Server),
            ("127.0.0.1:", ArgError::Port),
            ("127.0.0.1:0", ArgError::Port),
            ("127.0.0.1:65536", ArgError::Port),
        ] {
            assert_eq!(bad.parse::<ServerArg>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn times_are_positive_and_bounded() {
        for (text, milliseconds) in
            [("0.25", 250), ("5s", 5000), ("500ms", 500), ("1m", 60_000), ("0.5m", 30_000)]
        {
            assert_eq!(seconds(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["0", "-1", "NaN", "inf", "1e9", "5h", "5 s", "s", "", "1e-30"] {
            assert_eq!(seconds(bad), Err(ArgError::Seconds), "{bad}");
        }
    }

    #[test]
    fn options_and_cookies_are_hexadecimal() {
        assert_eq!("65001:00ff".parse(), Ok(OptionArg { code: 65_001, data: vec![0, 255] }));
        assert_eq!("3".parse(), Ok(OptionArg { code: 3, data: Vec::new() }));
        assert_eq!("3:0".parse::<OptionArg>(), Err(ArgError::Option));
        assert_eq!("0011223344556677".parse::<CookieArg>().map(|cookie| cookie.0.len()), Ok(8));
        assert_eq!("001122".parse::<CookieArg>(), Err(ArgError::Cookie));
    }
}
