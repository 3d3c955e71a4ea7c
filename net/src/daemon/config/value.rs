//! From the text of one value to its meaning, or to what is wrong with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cidr::IpInet;
use poddns_core::{Config, IpCidr, Label, Mode, Name, NameError, Ttl, Visibility, Zone};
use poddns_watch::HostNetwork;

use super::LogFormat;
use super::draft::ExemptValue;
use crate::daemon::privileges::{Landlock, RunAs};
use crate::server::query_log::LoggedQueries;
use crate::version::VERSION;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Fault of a value, as a predicate: "is ...", "has ...".
pub(super) type Wrong = String;

pub(super) fn mode(text: &str) -> Result<Mode, Wrong> {
    let mode = Mode::ALL.iter().find(|mode| mode.as_str() == text);
    mode.copied().ok_or_else(|| "is not a mode".to_owned())
}

pub(super) fn zone(text: &str) -> Result<Zone, Wrong> {
    Zone::new(text).map_err(|error| error.to_string())
}

pub(super) fn ttl(text: &str) -> Result<Ttl, Wrong> {
    let seconds: u16 = number(text, 0..=u64::from(Ttl::MAX.as_secs()))?.try_into().unwrap_or(u16::MAX);
    Ttl::from_secs(seconds).ok_or_else(|| "is out of range".to_owned())
}

pub(super) fn visibility(text: &str) -> Result<Visibility, Wrong> {
    let found = Visibility::ALL.iter().find(|visibility| visibility.as_str() == text);
    found.copied().ok_or_else(|| "is not a visibility".to_owned())
}

pub(super) fn network(text: &str) -> Result<IpCidr, Wrong> {
    if text.parse::<IpAddr>().is_ok() {
        return Err("has no prefix length".to_owned());
    }
    let given: IpInet = text.parse().map_err(|_| "is not a network in CIDR notation".to_owned())?;
    let network = given.network();
    // As likely a slip in the address as in the length: let the operator decide.
    if given.address() == network.first_address() {
        Ok(network)
    } else {
        Err(format!("has bits set beyond its prefix; did you mean {network}?"))
    }
}

pub(super) fn label(text: &str) -> Result<Label, Wrong> {
    text.parse().map_err(|error: poddns_core::LabelError| error.to_string())
}

pub(super) fn switch(text: &str) -> Result<bool, Wrong> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither".to_owned()),
    }
}

pub(super) fn host_network(text: &str) -> Result<HostNetwork, Wrong> {
    match text {
        "include" => Ok(HostNetwork::Include),
        "exclude" => Ok(HostNetwork::Exclude),
        _ => Err("is neither".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is not a format".to_owned()),
    }
}

/// The most octets of a text in a TXT record (RFC 1035 3.3).
const MAX_TXT: usize = 255;

pub(super) fn landlock(text: &str) -> Result<Landlock, Wrong> {
    match text {
        "off" => Ok(Landlock::Off),
        "on" => Ok(Landlock::On),
        "require" => Ok(Landlock::Require),
        _ => Err("is none of these".to_owned()),
    }
}

pub(super) fn on(text: &str) -> Result<bool, Wrong> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("is neither".to_owned()),
    }
}

pub(super) fn query_log(text: &str) -> Result<Option<LoggedQueries>, Wrong> {
    match text {
        "off" => Ok(None),
        "refused" => Ok(Some(LoggedQueries::Refused)),
        "all" => Ok(Some(LoggedQueries::All)),
        _ => Err("is none of these".to_owned()),
    }
}

/// Reads a number from 1 to a million.
pub(super) fn up_to_a_million(text: &str) -> Result<NonZeroU32, Wrong> {
    let number = u32::try_from(number(text, 1..=1_000_000)?).ok().and_then(NonZeroU32::new);
    number.ok_or_else(|| "is out of range".to_owned())
}

/// `off`, or responses a second.
pub(super) fn rate(text: &str) -> Result<Option<NonZeroU32>, Wrong> {
    if text == "off" {
        return Ok(None);
    }
    let rate = number(text, 1..=1_000_000)?;
    Ok(u32::try_from(rate).ok().and_then(NonZeroU32::new))
}

/// Reads how many responses are dropped for one that is truncated.
pub(super) fn slip(text: &str) -> Result<u8, Wrong> {
    small(text, u8::MAX)
}

/// Reads the prefix length of an IPv4 network.
pub(super) fn ipv4_prefix(text: &str) -> Result<u8, Wrong> {
    small(text, 32)
}

/// Reads the prefix length of an IPv6 network.
pub(super) fn ipv6_prefix(text: &str) -> Result<u8, Wrong> {
    small(text, 128)
}

/// A number up to `most`.
fn small(text: &str, most: u8) -> Result<u8, Wrong> {
    let number = number(text, 0..=u64::from(most))?;
    u8::try_from(number).map_err(|_| "is out of range".to_owned())
}

/// Reads the size of the rate limiter's table.
pub(super) fn rate_limit_table(text: &str) -> Result<usize, Wrong> {
    usize::try_from(number(text, 1024..=16 * 1024 * 1024)?).map_err(|_| "is out of range".to_owned())
}

/// Reads the address of a secondary, with or without a port.
pub(super) fn secondary(text: &str) -> Result<SocketAddr, Wrong> {
    /// Port of DNS.
    const PORT: u16 = 53;
    let address = match text.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, PORT)),
        Err(_) => text.parse::<SocketAddr>(),
    };
    let address = address.map_err(|_| "is not an address with or without a port".to_owned())?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err("is not the address of a server".to_owned());
    }
    Ok(address)
}

/// Reads a size in MiB, and returns it in bytes.
pub(super) fn mebibytes(text: &str) -> Result<usize, Wrong> {
    let size = usize::try_from(number(text, 1..=1024)?).map_err(|_| "is out of range".to_owned())?;
    Ok(size << 20)
}

/// Reads a number of threads.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, Wrong> {
    let number = usize::try_from(number(text, 1..=512)?).ok().and_then(NonZeroUsize::new);
    number.ok_or_else(|| "is out of range".to_owned())
}

/// Reads a number of connections.
pub(super) fn connections(text: &str) -> Result<usize, Wrong> {
    usize::try_from(number(text, 1..=1_000_000)?).map_err(|_| "is out of range".to_owned())
}

/// Makes a parser of optional values from one of values.
pub(super) fn some<T>(parse: impl Fn(&str) -> Result<T, Wrong>) -> impl Fn(&str) -> Result<Option<T>, Wrong> {
    move |text| parse(text).map(Some)
}

/// Reads the path of a file.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    not_empty(text).map(PathBuf::from)
}

/// Reads a domain name.
pub(super) fn name(text: &str) -> Result<Name, Wrong> {
    text.parse().map_err(|error: NameError| error.to_string())
}

/// Reads a user and group.
pub(super) fn user(text: &str) -> Result<RunAs, Wrong> {
    text.parse().map_err(str::to_owned)
}

/// One item of a list of networks, or a word for several or none.
pub(super) fn exempt(text: &str) -> Result<ExemptValue, Wrong> {
    match text {
        "none" => Ok(ExemptValue::None),
        "private" => Ok(ExemptValue::Private),
        _ => network(text).map(ExemptValue::Network),
    }
}

/// Reads a name server identifier.
pub(super) fn nsid(text: &str) -> Result<Option<String>, Wrong> {
    identity(text, Config::MAX_NSID)
}

/// Reads the answer of `id.server`.
pub(super) fn chaos_id(text: &str) -> Result<Option<String>, Wrong> {
    identity(text, MAX_TXT)
}

/// `off`, the name of this host, or a text.
fn identity(text: &str, most: usize) -> Result<Option<String>, Wrong> {
    let text = match text {
        "off" => return Ok(None),
        "hostname" => {
            let name = nix::unistd::gethostname().map_err(|error| format!("cannot be found out: {error}"))?;
            name.into_string().map_err(|_| "is not UTF-8 on this host".to_owned())?
        }
        text => not_empty(text)?,
    };
    if text.len() > most { Err(format!("has {} octets", text.len())) } else { Ok(Some(text)) }
}

/// `off`, the version of this program, or a text.
pub(super) fn version(text: &str) -> Result<Option<String>, Wrong> {
    match text {
        "off" => Ok(None),
        "auto" => Ok(Some(format!("poddns {VERSION}"))),
        _ if text.len() > MAX_TXT => Err(format!("has {} octets", text.len())),
        _ => not_empty(text).map(Some),
    }
}

pub(super) fn not_empty(text: &str) -> Result<String, Wrong> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Reads the path of a file that is replaced by others from its own directory. That must not be the root, where
/// Landlock would have to let everything be written.
pub(super) fn file_to_write(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(not_empty(text)?);
    if path.file_name().is_none() || text.ends_with('/') {
        return Err("names no file".to_owned());
    }
    // A relative one too, if the working directory is the root.
    let absolute = std::path::absolute(&path).map_err(|error| format!("has no directory: {error}"))?;
    if absolute.parent() == Some(Path::new("/")) {
        return Err("is in the root folder".to_owned());
    }
    Ok(path)
}

/// A whole number within the range.
fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Wrong> {
    // A sign is not for `u64::from_str` to accept: "+5" is as odd in a config as "-5".
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err("is not a whole number".to_owned());
    }
    // All digits, so the only thing that can be wrong is that it is too long.
    let number = text.parse().unwrap_or(u64::MAX);
    if range.contains(&number) { Ok(number) } else { Err("is out of range".to_owned()) }
}

/// A time such as `500ms`, `5s`, `2m`, `1h`, `1d`, or a bare number of seconds.
pub(super) fn time(text: &str, range: std::ops::RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("is not a time: a whole number and ms, s, m, h or d".to_owned()),
    };
    let count = number(count, 0..=u64::MAX).map_err(|_| "is not a time".to_owned())?;
    let time = Duration::from_millis(count.saturating_mul(milliseconds));
    if range.contains(&time) { Ok(time) } else { Err("is out of range".to_owned()) }
}

/// A time of up to a week, or `off`.
pub(super) fn week_or_off(text: &str) -> Result<Option<Duration>, Wrong> {
    if text == "off" { Ok(None) } else { time(text, SECOND..=7 * DAY).map(Some) }
}

/// A time from a minute to a week, or `off`.
pub(super) fn minute_to_week_or_off(text: &str) -> Result<Option<Duration>, Wrong> {
    if text == "off" { Ok(None) } else { time(text, MINUTE..=7 * DAY).map(Some) }
}

/// Reads a time of up to an hour.
pub(super) fn up_to_an_hour(text: &str) -> Result<Duration, Wrong> {
    time(text, Duration::ZERO..=HOUR)
}

/// Reads a time from 100 milliseconds to an hour.
pub(super) fn idle_timeout(text: &str) -> Result<Duration, Wrong> {
    time(text, SECOND / 10..=HOUR)
}

/// Reads a time from a second to a day.
pub(super) fn second_to_day(text: &str) -> Result<Duration, Wrong> {
    time(text, SECOND..=DAY)
}

/// The addresses that one `listen` stands for: `*:53` is both wildcards.
pub(super) fn listen(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    match text.strip_prefix("*:") {
        Some(text) => {
            let port = port(text)?;
            Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()])
        }
        None => address(text).map(|address| vec![address]),
    }
}

/// Reads `off`, or the addresses that one `admin` stands for, as [`listen`] does.
pub(super) fn admin(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    if text == "off" { Ok(Vec::new()) } else { listen(text) }
}

/// An address that a socket can be bound to and reply from, with its port.
fn address(text: &str) -> Result<SocketAddr, Wrong> {
    let (host, after_colon) = split(text)?;
    let port = port(after_colon)?;
    match host {
        Host::V4(ip) => unicast_v4(ip).map(|ip| (ip, port).into()),
        Host::V6(ip, interface) => {
            unicast_v6(ip)?;
            let scope_id = scope(ip, interface)?;
            Ok(SocketAddrV6::new(ip, port, 0, scope_id).into())
        }
    }
}

/// A host, with the interface that stands behind a `%`.
enum Host<'a> {
    V4(Ipv4Addr),
    V6(Ipv6Addr, Option<&'a str>),
}

/// Splits `192.0.2.1:53` and `[fe80::1%eth0]:53` at the port.
fn split(text: &str) -> Result<(Host<'_>, &str), Wrong> {
    let Some(rest) = text.strip_prefix('[') else {
        let colons = text.matches(':').count();
        if colons > 1 {
            return Err("is an IPv6 address without brackets".to_owned());
        }
        let (ip, port) = text.split_once(':').unwrap_or((text, ""));
        let ip: Ipv4Addr = ip.parse().map_err(|_| "is not an IP address with a port".to_owned())?;
        return if colons == 0 { Err("has no port".to_owned()) } else { Ok((Host::V4(ip), port)) };
    };
    let (ip, port) = rest.rsplit_once(']').ok_or("has no closing bracket")?;
    let port = port.strip_prefix(':').ok_or("has no port")?;
    let (ip, interface) = ip.split_once('%').map_or((ip, None), |(ip, interface)| (ip, Some(interface)));
    let ip = ip.parse().map_err(|_| "is not an IPv6 address in brackets".to_owned())?;
    Ok((Host::V6(ip, interface), port))
}

/// A port in the one form that it is written in: digits, without a sign or leading zeros.
fn port(text: &str) -> Result<u16, Wrong> {
    let canonical = text.parse().ok().filter(|port: &u16| port.to_string() == text);
    canonical.ok_or_else(|| "has no valid port".to_owned())
}

/// Clients ignore a reply from an address that they did not ask, and a group of hosts is no source address.
fn unicast_v4(ip: Ipv4Addr) -> Result<Ipv4Addr, Wrong> {
    if ip.is_multicast() {
        Err("is a multicast address".to_owned())
    } else if ip.is_broadcast() {
        Err("is the broadcast address".to_owned())
    } else {
        Ok(ip)
    }
}

fn unicast_v6(ip: Ipv6Addr) -> Result<(), Wrong> {
    if ip.is_multicast() {
        return Err("is a multicast address".to_owned());
    }
    // IPv6 sockets take IPv6 clients only.
    ip.to_ipv4_mapped().map_or(Ok(()), |v4| Err(format!("is an IPv4 address; write {v4}")))
}

/// The number of the interface that a link-local address belongs to. Other addresses are the same on every
/// interface (RFC 4007 4), so with one they would be another spelling of the same socket.
fn scope(ip: Ipv6Addr, interface: Option<&str>) -> Result<u32, Wrong> {
    let interface = match (ip.is_unicast_link_local(), interface) {
        (false, None) => return Ok(0),
        (false, Some(_)) => {
            return Err("has an interface, which only link-local addresses (fe80::/10) have".to_owned());
        }
        (true, None) => return Err(format!("needs an interface: [{ip}%eth0] or the like")),
        (true, Some(interface)) => interface,
    };
    let number = interface.parse().ok().filter(|number: &u32| *number != 0);
    number
        .or_else(|| crate::sys::interface_index(interface))
        .ok_or_else(|| format!("names no interface: {interface:?}"))
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
            assert_eq!(time(text, all.clone()), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-5s", "+5s", "1.5s", "5 s", "5S", "5sec", "99999999999999999999x"] {
            assert!(time(text, all.clone()).is_err(), "{text}");
        }
        assert!(time("99999999999999999999d", Duration::ZERO..=Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_file_to_write_has_a_folder() {
        for text in ["snapshot", "./snapshot", "/var/lib/poddns/snapshot", "state/snapshot"] {
            assert_eq!(file_to_write(text), Ok(text.into()));
        }
        for text in ["/", "..", "/var/lib/poddns/", ""] {
            assert!(file_to_write(text).is_err(), "{text}");
        }
        assert_eq!(file_to_write("/snapshot"), Err("is in the root folder".to_owned()));
    }

    #[test]
    fn listen_takes_unicast_addresses_with_ports() {
        assert_eq!(listen("127.0.0.1:53"), Ok(vec![([127, 0, 0, 1], 53).into()]));
        assert_eq!(listen("[::1]:0").map(|all| all.len()), Ok(1));
        let both = listen("*:53").unwrap();
        assert_eq!(both, ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
        let cases = [
            ("127.0.0.1", "has no port"),
            ("::1", "is an IPv6 address without brackets"),
            ("::1:53", "is an IPv6 address without brackets"),
            ("localhost:53", "is not an IP address with a port"),
            ("127.0.0.1:65536", "has no valid port"),
            ("*:x", "has no valid port"),
            ("*:", "has no valid port"),
            ("*:+26031", "has no valid port"),
            ("*:026031", "has no valid port"),
            ("127.0.0.1:+53", "has no valid port"),
            ("127.0.0.1:053", "has no valid port"),
            ("[::1]:053", "has no valid port"),
            ("[::1:53", "has no closing bracket"),
            ("[::1%1]:53", "has an interface, which only link-local addresses (fe80::/10) have"),
            ("[fe80::1%0]:53", "names no interface: \"0\""),
            ("[fe80::1%]:53", "names no interface: \"\""),
            ("[fe80::1]:53", "needs an interface: [fe80::1%eth0] or the like"),
            ("[::ffff:192.0.2.1]:53", "is an IPv4 address; write 192.0.2.1"),
            ("[127.0.0.1]:53", "is not an IPv6 address in brackets"),
            ("224.0.0.251:53", "is a multicast address"),
            ("[ff02::fb]:53", "is a multicast address"),
            ("255.255.255.255:53", "is the broadcast address"),
            ("[fe80::1%lo]", "has no port"),
            ("", "is not an IP address with a port"),
        ];
        for (text, why) in cases {
            assert_eq!(listen(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn networks_have_no_host_bits() {
        assert!(network("10.244.0.0/16").is_ok());
        assert!(network("fd00::/8").is_ok());
        assert_eq!(
            network("10.244.1.0/16").unwrap_err(),
            "has bits set beyond its prefix; did you mean 10.244.0.0/16?"
        );
        assert_eq!(network("10.244.0.0").unwrap_err(), "has no prefix length");
        assert!(network("10.244.0.0/33").is_err());
    }
}
