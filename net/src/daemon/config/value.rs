//! From one value's text to what it means, or what is wrong with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cidr::IpInet;
use poddns_core::{IpCidr, Label, Mode, Ttl, Zone};
use poddns_watch::HostNetwork;

use super::LogFormat;
use crate::daemon::privileges::Landlock;
use crate::server::rate_limit;

/// What is wrong with a value, as a predicate: "is ...", "has ...".
pub(super) type Wrong = String;

pub(super) fn mode(text: &str) -> Result<Mode, Wrong> {
    match text {
        "disabled" => Ok(Mode::Disabled),
        "insecure" => Ok(Mode::Insecure),
        "verified" => Ok(Mode::Verified),
        _ => Err("is not a mode".to_owned()),
    }
}

pub(super) fn zone(text: &str) -> Result<Zone, Wrong> {
    Zone::new(text).map_err(|error| error.to_string())
}

pub(super) fn ttl(text: &str) -> Result<Ttl, Wrong> {
    let seconds: u16 = number(text, 0..=u64::from(Ttl::MAX.as_secs()))?.try_into().unwrap_or(u16::MAX);
    Ttl::from_secs(seconds).ok_or_else(|| "is out of range".to_owned())
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
pub(super) const MAX_TXT: usize = 255;

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

/// `off`, or responses a second.
pub(super) fn rate(text: &str) -> Result<Option<NonZeroU32>, Wrong> {
    if text == "off" {
        return Ok(None);
    }
    let rate = number(text, 1..=1_000_000)?;
    Ok(u32::try_from(rate).ok().and_then(NonZeroU32::new))
}

/// A number up to `most`.
pub(super) fn small(text: &str, most: u8) -> Result<u8, Wrong> {
    let number = number(text, 0..=u64::from(most))?;
    u8::try_from(number).map_err(|_| "is out of range".to_owned())
}

/// One item of a list of networks, or a word for several or none.
pub(super) fn exempt(text: &str) -> Result<Vec<IpCidr>, Wrong> {
    match text {
        "none" => Ok(Vec::new()),
        "private" => Ok(rate_limit::private()),
        _ => network(text).map(|network| vec![network]),
    }
}

/// `off`, the name of this host, or a text.
pub(super) fn identity(text: &str, most: usize) -> Result<Option<String>, Wrong> {
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
        "auto" => Ok(Some(concat!("poddns ", env!("CARGO_PKG_VERSION")).to_owned())),
        _ if text.len() > MAX_TXT => Err(format!("has {} octets", text.len())),
        _ => not_empty(text).map(Some),
    }
}

pub(super) fn not_empty(text: &str) -> Result<String, Wrong> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// A file that is replaced by others from its own folder. That must not be the root, where Landlock would have to
/// let everything be written.
pub(super) fn file_to_write(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(not_empty(text)?);
    if path.file_name().is_none() || text.ends_with('/') {
        return Err("names no file".to_owned());
    }
    if path.parent() == Some(Path::new("/")) {
        return Err("is in the root folder".to_owned());
    }
    Ok(path)
}

/// A whole number within the range.
pub(super) fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Wrong> {
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

/// The addresses that one `listen` means: `*:53` is both wildcards.
pub(super) fn listen(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    match text.strip_prefix("*:") {
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| "has no valid port".to_owned())?;
            Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()])
        }
        None => address(text).map(|address| vec![address]),
    }
}

/// `off`, or the address.
pub(super) fn admin(text: &str) -> Result<Option<SocketAddr>, Wrong> {
    if text == "off" { Ok(None) } else { address(text).map(Some) }
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    if let Some(scoped) = scoped(text)? {
        return Ok(scoped.into());
    }
    text.parse().map_err(|_| {
        if text.matches(':').count() > 1 && !text.starts_with('[') {
            "is an IPv6 address without brackets".to_owned()
        } else if text.parse::<IpAddr>().is_ok() {
            "has no port".to_owned()
        } else {
            "is not an IP address with a port".to_owned()
        }
    })
}

/// `[fe80::1%eth0]:53`: the standard library knows the interface by number alone.
fn scoped(text: &str) -> Result<Option<SocketAddrV6>, Wrong> {
    let parts = text.strip_prefix('[').and_then(|rest| rest.split_once('%'));
    let Some((ip, rest)) = parts else { return Ok(None) };
    let (interface, port) = rest.rsplit_once("]:").ok_or("has no port")?;
    let ip: Ipv6Addr = ip.parse().map_err(|_| "is not an IPv6 address".to_owned())?;
    let port: u16 = port.parse().map_err(|_| "has no valid port".to_owned())?;
    let index = match interface.parse::<u32>() {
        Ok(index) => index,
        Err(_) => crate::sys::interface_index(interface)
            .ok_or_else(|| format!("names no interface: {interface:?}"))?,
    };
    Ok(Some(SocketAddrV6::new(ip, port, 0, index)))
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
    fn listen_takes_addresses_with_ports() {
        assert_eq!(listen("127.0.0.1:53"), Ok(vec![([127, 0, 0, 1], 53).into()]));
        assert_eq!(listen("[::1]:0").map(|all| all.len()), Ok(1));
        let both = listen("*:53").unwrap();
        assert_eq!(both, ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
        let cases = [
            ("127.0.0.1", "has no port"),
            ("::1", "is an IPv6 address without brackets"),
            ("::1:53", "is an IPv6 address without brackets"),
            ("localhost:53", "is not an IP address with a port"),
            ("127.0.0.1:65536", "is not an IP address with a port"),
            ("*:x", "has no valid port"),
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
