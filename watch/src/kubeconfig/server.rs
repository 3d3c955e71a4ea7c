//! The API server's URL, interpreted as `kubectl` does.

use http::Uri;

use crate::quote::QuotedUrl;

/// Returns the URL of an API server.
///
/// The default scheme, as in `127.0.0.1:6443`, is HTTPS if `tls` is true, that is, if the configuration has TLS
/// settings or credentials; else HTTP. The error describes the fault.
pub(crate) fn url(text: &str, tls: bool) -> Result<Uri, String> {
    let trimmed = text.trim();
    let wrong = |fault: String| format!("server {}: {fault}", QuotedUrl(text));
    let (scheme, rest) = match trimmed.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if tls => ("https".to_owned(), trimmed),
        None => ("http".to_owned(), trimmed),
    };
    if scheme != "https" && scheme != "http" {
        return Err(wrong("its scheme must be https or http".to_owned()));
    }
    let url: Uri = format!("{scheme}://{rest}").parse().map_err(|error| wrong(format!("{error}")))?;
    let authority = url.authority().ok_or_else(|| wrong("it names no host".to_owned()))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it holds a user name; that belongs into the user's entry".to_owned()));
    }
    port(&url).map_err(wrong)?;
    if url.query().is_some() {
        return Err(wrong("it has a query, which no API server's URL has".to_owned()));
    }
    Ok(url)
}

/// Checks the host and port of a URL. Returns the port if there is one.
pub(crate) fn port(url: &Uri) -> Result<Option<u16>, String> {
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let host = url.host().unwrap_or_default();
    if host.is_empty() || host == "[]" {
        return Err("it names no host".to_owned());
    }
    match host_port.get(host.len()..) {
        Some("" | ":") => Ok(None),
        Some(port) => match port.strip_prefix(':').map(str::parse) {
            Some(Ok(0) | Err(_)) | None => Err("its port must be a number from 1 to 65535".to_owned()),
            Some(Ok(port)) => Ok(Some(port)),
        },
        None => Err("it names no host".to_owned()),
    }
}

/// Adds the default port to an HTTP URL.
pub(crate) fn with_port(url: Uri) -> Uri {
    if url.scheme_str() != Some("http") || url.port().is_some() {
        return url;
    }
    let host = url.host().unwrap_or_default();
    format!("http://{host}:80{}", url.path()).parse().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scheme_is_added() {
        let cases = [
            ("https://10.0.0.1:6443", false, "https://10.0.0.1:6443/"),
            (" https://10.0.0.1:6443\n", false, "https://10.0.0.1:6443/"),
            ("HTTPS://Example.COM/", false, "https://Example.COM/"),
            ("127.0.0.1:6443", true, "https://127.0.0.1:6443/"),
            ("127.0.0.1:8080", false, "http://127.0.0.1:8080/"),
            ("localhost", true, "https://localhost/"),
            ("[::1]:6443", true, "https://[::1]:6443/"),
            ("https://rancher.example/k8s/clusters/c-1", false, "https://rancher.example/k8s/clusters/c-1"),
        ];
        for (text, tls, expected) in cases {
            assert_eq!(url(text, tls).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn the_port_of_http_is_80() {
        for (text, expected) in [
            ("http://x/a", "http://x:80/a"),
            ("http://x:1/", "http://x:1/"),
            ("https://x/", "https://x/"),
            ("http://[::1]", "http://[::1]:80/"),
        ] {
            assert_eq!(with_port(text.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn invalid_urls_are_refused() {
        for text in [
            "",
            " ",
            "https://",
            "https:///api",
            "tcp://10.0.0.1",
            "https://10.0.0.1:0",
            "https://10.0.0.1:99999",
            "https://10.0.0.1:x",
            "https://a b",
            "https://u:p@10.0.0.1",
            "https://[::1",
            "https://x/?a=b",
            "https://h\u{e9}",
            "unix:///run/api.sock",
            "https://[]:1",
            "https://:6443",
            "https://[::1]6443",
        ] {
            let fault = url(text, true).unwrap_err();
            assert!(fault.starts_with("server \""), "{text}: {fault}");
            assert!(!fault.contains("u:p"), "{fault}");
        }
    }
}
