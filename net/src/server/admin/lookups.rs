//! `/pods` and `/explain`: the pods of the index, and the reasons for answers. They read the index as queries do, on
//! the control thread, a bounded number of rows at a time.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use poddns_core::wire::Rtype;
use poddns_core::{Label, Name};
use serde_json::{Value, json};

use super::explain::explain_json;
use super::reply::{JSON, reply, text};
use super::status::freshness;
use crate::server::answer::ResponseInputs;
use crate::server::listing::{ListError, PodCursor, PodEntry};
use crate::server::state::ServerState;

/// Version of the shape of `/pods`.
const VERSION: u32 = 1;

/// Maximum number of pods on a page, and the default.
const MAX_LIMIT: usize = 1000;

/// Record types that `type=` can name.
const TYPES: [Rtype; 9] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::SOA,
    Rtype::NS,
    Rtype::PTR,
    Rtype::TXT,
    Rtype::ANY,
    Rtype::AXFR,
    Rtype::IXFR,
];

/// Selection of the pods to list.
#[derive(Debug, Default, PartialEq, Eq)]
struct PodsRequest {
    namespace: Option<Label>,
    name: Option<Label>,
    address: Option<IpAddr>,
    from: Option<PodCursor>,
    limit: Option<usize>,
}

impl PodsRequest {
    /// Reads `namespace=`, `name=`, `address=`, `limit=` and `continue=`.
    fn read(query: &str) -> Result<Self, String> {
        let mut request = Self::default();
        for (key, value) in pairs(query) {
            let bad = |what: &str| format!("{key}={:.100} is not {what}\n", value.escape_debug());
            match &*key {
                "namespace" => request.namespace = Some(value.parse().map_err(|_| bad("a namespace"))?),
                "name" => request.name = Some(value.parse().map_err(|_| bad("a pod's name"))?),
                "address" => request.address = Some(value.parse().map_err(|_| bad("an IP address"))?),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    request.limit = Some(limit.ok_or_else(|| bad("a number from 1 to 1000"))?);
                }
                "continue" => {
                    request.from = Some(value.parse().map_err(|_| bad("a place that a page names"))?);
                }
                other => return Err(unknown(other, "namespace, name, address, limit and continue")),
            }
        }
        Ok(request)
    }

    fn wants(&self, pod: &PodEntry) -> bool {
        self.namespace.is_none_or(|namespace| pod.namespace == namespace)
            && self.name.is_none_or(|name| pod.name == Some(name))
            && self.address.is_none_or(|address| pod.addresses.contains(&address))
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

fn unknown(key: &str, known: &str) -> String {
    format!("'{:.100}' is not a parameter; there are {known}\n", key.escape_debug())
}

/// Responds with a page of the pods.
pub(super) fn pods(state: &ServerState, query: &str) -> Response<Full<Bytes>> {
    let request = match PodsRequest::read(query) {
        Ok(request) => request,
        Err(error) => return text(StatusCode::BAD_REQUEST, error),
    };
    let ResponseInputs { pods, .. } = state.current();
    let limit = request.limit.unwrap_or(MAX_LIMIT);
    match pods.0.list(request.from, limit, &|pod| request.wants(pod)) {
        Ok(page) => {
            let document = json!({
                "version": VERSION,
                "freshness": freshness(pods.0.freshness()),
                "pods": page.pods.iter().map(pod).collect::<Vec<_>>(),
                "continue": page.next.map(|cursor| cursor.to_string()),
            });
            reply(StatusCode::OK, JSON, format!("{document}\n"))
        }
        Err(error @ ListError::NoPods) => text(StatusCode::NOT_FOUND, format!("{error}\n")),
        Err(error @ ListError::NotRead) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        Err(error @ ListError::Expired) => text(StatusCode::GONE, format!("{error}\n")),
    }
}

fn pod(pod: &PodEntry) -> Value {
    json!({
        "namespace": pod.namespace.as_str(),
        "name": pod.name.as_ref().map(Label::as_str),
        "addresses": pod.addresses,
    })
}

/// Responds with the reason for an answer.
pub(super) fn explain(state: &ServerState, query: &str) -> Response<Full<Bytes>> {
    let (mut name, mut rtype, mut client) = (None, None, None);
    for (key, value) in pairs(query) {
        let bad = |what: &str| format!("{key}={:.100} is not {what}\n", value.escape_debug());
        let read = match &*key {
            "name" => wire_name(&value).map(|wire| name = Some(wire)).ok_or_else(|| bad("a domain name")),
            "type" => record_type(&value).map(|read| rtype = Some(read)).ok_or_else(|| bad("a record type")),
            "client" => value.parse().map(|read| client = Some(read)).map_err(|_| bad("an IP address")),
            other => Err(unknown(other, "name, type and client")),
        };
        if let Err(error) = read {
            return text(StatusCode::BAD_REQUEST, error);
        }
    }
    let Some(name) = name else {
        return text(
            StatusCode::BAD_REQUEST,
            "name is missing, as in /explain?name=10-42-2-46.default.pod.cluster.local\n",
        );
    };
    let ResponseInputs { settings, pods, .. } = state.current();
    match explain_json(&settings, &*pods.0, &name, rtype, client) {
        Some(document) => reply(StatusCode::OK, JSON, document),
        None => text(StatusCode::BAD_REQUEST, "name is not a domain name\n"),
    }
}

/// Returns the wire form of a name in presentation format (RFC 1035 5.1).
fn wire_name(text: &str) -> Option<Vec<u8>> {
    // The usual case, without escapes.
    if let Ok(name) = text.parse::<Name>() {
        return Some(name.as_wire().to_vec());
    }
    let mut labels = vec![Vec::new()];
    let mut rest = if text == "." { "" } else { text }.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'.' if rest.len() == 0 => break,
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => unescape(&mut rest)?,
            octet => octet,
        };
        labels.last_mut()?.push(octet);
    }
    if text == "." {
        labels.clear();
    }
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?);
        wire.extend(label);
    }
    wire.push(0);
    Some(wire)
}

/// Returns the octet of an escape, `\DDD` or `\X`, after its backslash.
fn unescape(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, rest.next()?, rest.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn record_type(text: &str) -> Option<Rtype> {
    let named =
        TYPES.into_iter().find(|rtype| rtype.mnemonic().is_some_and(|name| name.eq_ignore_ascii_case(text)));
    let number = text.strip_prefix("TYPE").unwrap_or(text);
    named.or_else(|| number.parse().ok().map(Rtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_pods_are_read() {
        let read = PodsRequest::read;
        assert_eq!(read(""), Ok(PodsRequest::default()));
        let request =
            read("namespace=web&address=fd00%3A%3A7&limit=5&continue=3-9&name=web-0").expect("sound");
        assert_eq!(request.address, "fd00::7".parse().ok());
        assert_eq!((request.limit, request.from), (Some(5), "3-9".parse().ok()));
        let errors = [
            ("namespace=Web", "namespace=Web is not a namespace\n"),
            ("limit=0", "limit=0 is not a number from 1 to 1000\n"),
            ("limit=1001", "limit=1001 is not a number from 1 to 1000\n"),
            ("continue=x", "continue=x is not a place that a page names\n"),
            ("address=10.1", "address=10.1 is not an IP address\n"),
            ("node=a", "'node' is not a parameter; there are namespace, name, address, limit and continue\n"),
        ];
        for (query, error) in errors {
            assert_eq!(read(query), Err(error.to_owned()), "{query}");
        }
    }

    #[test]
    fn names_have_the_escapes_of_master_files() {
        for (text, wire) in [
            (".", Some(&b"\x00"[..])),
            ("a.b", Some(b"\x01a\x01b\x00")),
            ("a.b.", Some(b"\x01a\x01b\x00")),
            (r"a\.b.\000", Some(b"\x03a.b\x01\x00\x00")),
            ("*", Some(b"\x01*\x00")),
            ("", None),
            (".a", None),
            ("a..b", None),
            (r"a\25", None),
            (r"a\256", None),
            ("a\\", None),
        ] {
            assert_eq!(wire_name(text).as_deref(), wire, "{text}");
        }
        assert_eq!(wire_name(&"a".repeat(64)), None);
    }

    #[test]
    fn types_are_names_or_numbers() {
        assert_eq!(record_type("aaaa"), Some(Rtype::AAAA));
        assert_eq!(record_type("28"), Some(Rtype::AAAA));
        assert_eq!(record_type("TYPE65"), Some(Rtype(65)));
        assert_eq!(record_type("B"), None);
    }
}
