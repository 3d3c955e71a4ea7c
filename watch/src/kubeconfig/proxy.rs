//! Selection of the proxy for the API server, by the rules of Go's `net/http` and `kubectl`.

use std::ffi::OsString;
use std::net::IpAddr;

use http::Uri;

use super::server;
use crate::quote::QuotedUrl;

/// Returns the proxy for requests to `server`: the kubeconfig's `proxy-url`, or else the one from `HTTPS_PROXY` or
/// `HTTP_PROXY`, subject to `NO_PROXY`.
///
/// The error describes the fault in the URL of the selected proxy.
pub(crate) fn choose(
    server: &Uri,
    proxy_url: Option<&str>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Uri>, String> {
    // NO_PROXY applies only to proxies from the environment, as in Go.
    if let Some(text) = proxy_url {
        return url(text, false).map(Some).map_err(|fault| format!("proxy-url {}: {fault}", QuotedUrl(text)));
    }
    let first = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| {
            let value = variable(name)?.into_string().ok()?;
            (!value.is_empty()).then_some((name, value))
        })
    };
    let names = match server.scheme_str() {
        Some("https") => ["HTTPS_PROXY", "https_proxy"],
        _ => ["HTTP_PROXY", "http_proxy"],
    };
    let Some((name, text)) = first(names) else { return Ok(None) };
    let excluded = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
    if is_excluded(server, &excluded) {
        return Ok(None);
    }
    url(&text, true).map(Some).map_err(|fault| format!("{name}={}: {fault}", QuotedUrl(&text)))
}

/// Returns the URL of a proxy with its port. The default scheme, if it is optional, is `http`.
fn url(text: &str, scheme_is_optional: bool) -> Result<Uri, String> {
    const SCHEMES: &str = "supported are http://, https:// and socks5://";
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if scheme_is_optional => ("http".to_owned(), text),
        None => return Err(format!("it has no scheme; {SCHEMES}")),
    };
    let (scheme, default_port) = match scheme.as_str() {
        "http" => ("http", 80),
        "https" => ("https", 443),
        // The proxy resolves names in either case.
        "socks5" | "socks5h" => ("socks5", 1080),
        _ => return Err(format!("a proxy of this kind is not supported; {SCHEMES}")),
    };
    let parsed: Uri = format!("{scheme}://{rest}").parse().map_err(|error| format!("{error}"))?;
    let port = server::port(&parsed)?.unwrap_or(default_port);
    let host = parsed.host().unwrap_or_default();
    let user =
        parsed.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
    let authority = match user {
        Some(_) if scheme == "socks5" => {
            return Err("a user name and password for a SOCKS proxy are not supported".to_owned());
        }
        Some(user) => format!("{user}@{host}:{port}"),
        None => format!("{host}:{port}"),
    };
    format!("{scheme}://{authority}/").parse().map_err(|error| format!("{error}"))
}

/// Returns whether `NO_PROXY` excludes a server. Loopback addresses and `localhost` are always excluded.
fn is_excluded(server: &Uri, no_proxy: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("https") { 443 } else { 80 });
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').any(|pattern| {
        let pattern = pattern.trim().to_ascii_lowercase();
        pattern == "*" || matches(&pattern, &host, address, port)
    })
}

fn matches(pattern: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if let Some((network, length)) = pattern.split_once('/') {
        return address.is_some_and(|address| in_network(network, length, address));
    }
    // A bare IPv6 address contains colons, but no port.
    let (name, only) = match pattern.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match pattern.split_once(':') {
            Some((name, only)) if !only.contains(':') => (name, Some(only)),
            _ => (pattern, None),
        },
    };
    if only.is_some_and(|only| only.parse() != Ok(port)) {
        return false;
    }
    if let Ok(named) = name.parse::<IpAddr>() {
        return address == Some(named.to_canonical());
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        // Hosts below the domain, but not the domain itself.
        Some(domain) => !domain.is_empty() && is_below(host, domain),
        None => !name.is_empty() && (host == name || is_below(host, name)),
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Returns whether an address is in a CIDR block. Host bits of the block are ignored.
fn in_network(network: &str, length: &str, address: IpAddr) -> bool {
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let Ok(length) = length.parse::<u8>() else { return false };
    let max = if network.is_ipv4() { 32 } else { 128 };
    if length > max || network.is_ipv4() != address.is_ipv4() {
        return false;
    }
    prefix(network, length) == prefix(address, length)
}

/// Returns the leading bits of an address.
fn prefix(address: IpAddr, length: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    bits.checked_shr(width - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the proxy for a server, with this `proxy-url` and these variables.
    fn chosen(
        server: &str,
        proxy_url: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let chosen = choose(&server.parse().unwrap(), proxy_url, variable);
        chosen.map(|proxy| proxy.map(|proxy| proxy.to_string()))
    }

    #[test]
    fn proxy_url_beats_the_environment() {
        let both = [("HTTPS_PROXY", "http://a"), ("NO_PROXY", "*")];
        let proxy = chosen("https://10.0.0.1", Some("socks5h://b"), &both).unwrap();
        assert_eq!(proxy.as_deref(), Some("socks5://b:1080/"));
    }

    #[test]
    fn the_variable_is_that_of_the_scheme() {
        let both = [("HTTPS_PROXY", "secure:3128"), ("http_proxy", "http://u:p@plain")];
        assert_eq!(chosen("https://x", None, &both).unwrap().as_deref(), Some("http://secure:3128/"));
        assert_eq!(chosen("http://x", None, &both).unwrap().as_deref(), Some("http://u:p@plain:80/"));
        assert_eq!(chosen("https://x", None, &[("ALL_PROXY", "http://a")]).unwrap(), None);
        assert_eq!(chosen("https://x", None, &[("HTTPS_PROXY", "")]).unwrap(), None);
    }

    #[test]
    fn unsupported_proxies_are_refused() {
        for url in
            ["ftp://a", "socks4://a", "socks5://u:p@a", "a:b", "http://", "http://a:0", "proxy:3128", "://"]
        {
            let fault = chosen("https://x", Some(url), &[]).unwrap_err();
            assert!(fault.starts_with("proxy-url \""), "{fault}");
        }
        let fault = chosen("https://x", None, &[("https_proxy", "quic://u:secret@a")]).unwrap_err();
        assert!(fault.starts_with("https_proxy=\"...@a\": a proxy of this kind is not supported"), "{fault}");
        // The URL of a proxy that is not used is not checked.
        assert_eq!(
            chosen("https://x", None, &[("HTTPS_PROXY", "quic://a"), ("no_proxy", "x")]).unwrap(),
            None
        );
    }

    #[test]
    fn no_proxy_excludes_as_in_go() {
        let cases = [
            ("https://localhost:6443", "", true),
            ("https://127.0.0.9:6443", "", true),
            ("https://[::1]:6443", "", true),
            ("https://10.0.0.1:6443", "", false),
            ("https://10.0.0.1:6443", "*", true),
            ("https://10.0.0.1:6443", "10.0.0.0/8", true),
            ("https://10.0.0.1:6443", "10.1.2.3/8, x", true),
            ("https://10.0.0.1:6443", "0.0.0.0/0", true),
            ("https://10.0.0.1:6443", "::/0", false),
            ("https://10.0.0.1:6443", "10.0.0.1", true),
            ("https://10.0.0.1:6443", "10.0.0.1:6443", true),
            ("https://10.0.0.1", "10.0.0.1:443", true),
            ("https://10.0.0.1:6443", "10.0.0.1:443", false),
            ("https://10.0.0.1:6443", "0.0.1", true),
            ("https://10.0.0.1:6443", "0.0.1:443", false),
            ("https://[fd00::1]:6443", "fd00::/8", true),
            ("https://[fd00::1]:6443", "fd00::1", true),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", true),
            ("https://[fd00::1]:6443", "[fd00::1]", true),
            ("https://api.example.com", "example.com", true),
            ("https://API.example.com", "Example.COM", true),
            ("https://example.com", "example.com", true),
            ("https://example.com", ".example.com", false),
            ("https://api.example.com", "*.example.com", true),
            ("https://api.example.com", " , .example.com:443", true),
            ("https://api.example.com", "example.com:80", false),
            ("https://notexample.com", "example.com", false),
            ("https://api.example.com", "10.0.0.0/99,/,:,[,]:1,.,*.", false),
        ];
        for (server, no_proxy, excluded) in cases {
            let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)];
            let proxy = chosen(server, None, &variables).unwrap();
            assert_eq!(proxy.is_none(), excluded, "{server} with NO_PROXY={no_proxy}");
        }
    }
}
