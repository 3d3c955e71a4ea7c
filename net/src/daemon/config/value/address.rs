//! Addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use cidr::IpInet;
use poddns_core::IpCidr;

use super::{ValueError, ValueKind};
use crate::daemon::config::draft::ExemptValue;

/// Addresses of one value of `listen`: one, or both wildcards.
pub(in crate::daemon::config) const LISTEN: ValueKind<Vec<SocketAddr>> = ValueKind {
    placeholder: "ADDR:PORT",
    allowed: "IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, or *:PORT for 0.0.0.0 and [::]",
    parse: listen,
    show: show_listen,
};

/// Addresses of the admin endpoints: none, one, or both wildcards.
pub(in crate::daemon::config) const ADMIN: ValueKind<Vec<SocketAddr>> = ValueKind {
    placeholder: "ADDR:PORT",
    allowed: "off, IPv4:PORT, [IPv6]:PORT, or *:PORT for 0.0.0.0 and [::]",
    parse: |text| if text == "off" { Ok(Vec::new()) } else { listen(text) },
    show: show_listen,
};

/// Address of a secondary.
pub(in crate::daemon::config) const SECONDARY: ValueKind<SocketAddr> = ValueKind {
    placeholder: "ADDR[:PORT]",
    allowed: "IPv4, IPv4:PORT, IPv6 or [IPv6]:PORT",
    parse: secondary,
    show: ToString::to_string,
};

/// Network of pods.
pub(in crate::daemon::config) const NETWORK: ValueKind<IpCidr> = ValueKind {
    placeholder: "CIDR",
    allowed: "networks such as 10.244.0.0/16 or fd00:10:244::/56",
    parse: network,
    show: ToString::to_string,
};

/// Network of clients.
pub(in crate::daemon::config) const CLIENTS: ValueKind<IpCidr> =
    ValueKind { allowed: "networks such as 10.0.0.0/24 or fd00:1::/64", ..NETWORK };

/// Network of forwarders.
pub(in crate::daemon::config) const FORWARDERS: ValueKind<IpCidr> =
    ValueKind { allowed: "networks such as 10.96.0.10/32 or fd00:10:96::a/128", ..NETWORK };

/// Networks that the rate limits exempt.
pub(in crate::daemon::config) const EXEMPT: ValueKind<ExemptValue> = ValueKind {
    placeholder: "CIDR",
    allowed: "none, private (RFC 1918, 100.64.0.0/10, fc00::/7, link-local, loopback) or networks in CIDR notation",
    parse: |text| match text {
        "none" => Ok(ExemptValue::None),
        "private" => Ok(ExemptValue::Private),
        _ => network(text).map(ExemptValue::Network),
    },
    show: ToString::to_string,
};

/// Returns the text of the addresses: `*:PORT` if there are several, which only both wildcards are.
fn show_listen(addresses: &Vec<SocketAddr>) -> String {
    match addresses.as_slice() {
        [] => "off".to_owned(),
        [address] => address.to_string(),
        [address, ..] => format!("*:{}", address.port()),
    }
}

/// Parses the address of a secondary, with or without a port.
fn secondary(text: &str) -> Result<SocketAddr, ValueError> {
    /// Port of DNS.
    const PORT: u16 = 53;
    let address = match text.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, PORT)),
        Err(_) => text.parse::<SocketAddr>(),
    };
    let address = address.map_err(|_| "is not an address with or without a port")?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err("is not the address of a server".into());
    }
    Ok(address)
}

fn network(text: &str) -> Result<IpCidr, ValueError> {
    if text.parse::<IpAddr>().is_ok() {
        return Err("has no prefix length".into());
    }
    let given: IpInet = text.parse().map_err(|_| "is not a network in CIDR notation")?;
    let network = given.network();
    // Either the address or the length is wrong, so this does not guess.
    if given.address() == network.first_address() {
        Ok(network)
    } else {
        Err(format!("has bits set beyond its prefix; did you mean {network}?").into())
    }
}

/// Parses one value of `listen`: `*:53` is both wildcards.
fn listen(text: &str) -> Result<Vec<SocketAddr>, ValueError> {
    match text.strip_prefix("*:") {
        Some(text) => {
            let port = port(text)?;
            Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()])
        }
        None => address(text).map(|address| vec![address]),
    }
}

/// Parses an address with a port that a socket can be bound to and reply from.
fn address(text: &str) -> Result<SocketAddr, ValueError> {
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

/// A host, with the interface after a `%`.
enum Host<'a> {
    V4(Ipv4Addr),
    V6(Ipv6Addr, Option<&'a str>),
}

/// Splits `192.0.2.1:53` and `[fe80::1%eth0]:53` at the port.
fn split(text: &str) -> Result<(Host<'_>, &str), ValueError> {
    let Some(rest) = text.strip_prefix('[') else {
        let colons = text.matches(':').count();
        if colons > 1 {
            return Err("is an IPv6 address without brackets".into());
        }
        let (ip, port) = text.split_once(':').unwrap_or((text, ""));
        let ip: Ipv4Addr = ip.parse().map_err(|_| "is not an IP address with a port")?;
        return if colons == 0 { Err("has no port".into()) } else { Ok((Host::V4(ip), port)) };
    };
    let (ip, port) = rest.rsplit_once(']').ok_or("has no closing bracket")?;
    let port = port.strip_prefix(':').ok_or("has no port")?;
    let (ip, interface) = ip.split_once('%').map_or((ip, None), |(ip, interface)| (ip, Some(interface)));
    let ip = ip.parse().map_err(|_| "is not an IPv6 address in brackets")?;
    Ok((Host::V6(ip, interface), port))
}

/// Parses a port: digits without a sign or leading zeros.
fn port(text: &str) -> Result<u16, ValueError> {
    let canonical = text.parse().ok().filter(|port: &u16| port.to_string() == text);
    canonical.ok_or_else(|| "has no valid port".into())
}

/// Returns the address if it can be the source of a reply. A multicast or broadcast address cannot, and clients ignore
/// replies from another address than the one they sent the query to.
fn unicast_v4(ip: Ipv4Addr) -> Result<Ipv4Addr, ValueError> {
    if ip.is_multicast() {
        Err("is a multicast address".into())
    } else if ip.is_broadcast() {
        Err("is the broadcast address".into())
    } else {
        Ok(ip)
    }
}

fn unicast_v6(ip: Ipv6Addr) -> Result<(), ValueError> {
    if ip.is_multicast() {
        return Err("is a multicast address".into());
    }
    // IPv6 sockets accept IPv6 clients only.
    ip.to_ipv4_mapped().map_or(Ok(()), |v4| Err(format!("is an IPv4 address; write {v4}").into()))
}

/// Returns the index of the interface of a link-local address. Other addresses are unique across interfaces (RFC 4007
/// 4); with an interface they would be a second notation of the same socket.
fn scope(ip: Ipv6Addr, interface: Option<&str>) -> Result<u32, ValueError> {
    let interface = match (ip.is_unicast_link_local(), interface) {
        (false, None) => return Ok(0),
        (false, Some(_)) => {
            return Err("has an interface, which only link-local addresses (fe80::/10) have".into());
        }
        (true, None) => return Err(format!("needs an interface: [{ip}%eth0] or the like").into()),
        (true, Some(interface)) => interface,
    };
    let number = interface.parse().ok().filter(|number: &u32| *number != 0);
    number
        .or_else(|| crate::sys::interface_index(interface))
        .ok_or_else(|| format!("names no interface: {interface:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_takes_unicast_addresses_with_ports() {
        assert_eq!(listen("127.0.0.1:53").unwrap(), [([127, 0, 0, 1], 53).into()]);
        assert_eq!(listen("[::1]:0").unwrap().len(), 1);
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
            assert_eq!(listen(text).unwrap_err().to_string(), why, "{text}");
        }
    }

    #[test]
    fn networks_have_no_host_bits() {
        assert!(network("10.244.0.0/16").is_ok());
        assert!(network("fd00::/8").is_ok());
        assert_eq!(
            network("10.244.1.0/16").unwrap_err().to_string(),
            "has bits set beyond its prefix; did you mean 10.244.0.0/16?"
        );
        assert_eq!(network("10.244.0.0").unwrap_err().to_string(), "has no prefix length");
        assert!(network("10.244.0.0/33").is_err());
    }
}
