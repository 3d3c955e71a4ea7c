//! The OPT pseudo-section: EDNS(0) of the response (RFC 6891).

use std::fmt::Write as _;

use hickory_proto::op::Edns;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::text::{hex, show_text};

/// Option codes (IANA, DNS EDNS0 Option Codes) with a textual form other than hexadecimal.
const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EDE: u16 = 15;

/// Length of a client cookie in octets (RFC 7873 4).
const CLIENT_COOKIE: usize = 8;

/// Returns the lines of the pseudo-section. `cookie` is the client cookie that was sent, if any.
pub(crate) fn show_edns(edns: &Edns, cookie: Option<&[u8]>) -> String {
    let dnssec_ok = if edns.flags().dnssec_ok { " do" } else { "" };
    let mut text =
        format!("; EDNS: version: {}, flags:{dnssec_ok}; udp: {}\n", edns.version(), edns.max_payload());
    for (code, option) in edns.options().as_ref() {
        let _ = writeln!(text, "; {}", show_option(u16::from(*code), &octets_of(option), cookie));
    }
    text
}

/// Returns the extended errors of a response, as `15 (Blocked): (text)`.
pub(crate) fn extended_errors(edns: &Edns) -> Vec<String> {
    extended_error_data(edns).filter_map(|data| show_ede(&data)).collect()
}

/// Returns the extended errors of a response: code, registered name, and extra text that is safe to print.
pub(crate) fn extended_error_parts(edns: &Edns) -> Vec<(u16, Option<&'static str>, String)> {
    extended_error_data(edns).filter_map(|data| ede_parts(&data)).collect()
}

fn extended_error_data(edns: &Edns) -> impl Iterator<Item = Vec<u8>> {
    let options = edns.options().as_ref().iter();
    options.filter(|(code, _)| u16::from(*code) == EDE).map(|(_, option)| octets_of(option))
}

/// Returns the options of a response: code, data in hexadecimal, and meaning.
pub(crate) fn options(edns: &Edns, cookie: Option<&[u8]>) -> Vec<(u16, String, String)> {
    let show = |(code, option): &(EdnsCode, EdnsOption)| {
        let (code, data) = (u16::from(*code), octets_of(option));
        (code, hex(&data), show_option(code, &data, cookie))
    };
    edns.options().as_ref().iter().map(show).collect()
}

/// Returns an option's data in wire form.
fn octets_of(option: &EdnsOption) -> Vec<u8> {
    // Fails only for options too long for a message; these are from a message.
    Vec::try_from(option).unwrap_or_default()
}

fn show_option(code: u16, data: &[u8], cookie: Option<&[u8]>) -> String {
    let known = match code {
        NSID => Some(format!("NSID: {} (\"{}\")", hex(data), show_text(&String::from_utf8_lossy(data)))),
        COOKIE => Some(format!("COOKIE: {}{}", hex(data), judge_cookie(data, cookie))),
        KEEPALIVE => show_keepalive(data).map(|time| format!("TCP KEEPALIVE: {time}")),
        PADDING => Some(format!("PAD: {} octets", data.len())),
        EDE => show_ede(data).map(|error| format!("EDE: {error}")),
        _ => None,
    };
    known.unwrap_or_else(|| format!("OPT={code}: {}", hex(data)))
}

/// Returns the validity of a returned cookie: a response must carry the client cookie that was sent (RFC 7873 5.3).
fn judge_cookie(data: &[u8], sent: Option<&[u8]>) -> &'static str {
    match sent.and_then(|sent| sent.get(..CLIENT_COOKIE)) {
        None => "",
        Some(client) if !data.starts_with(client) => " (bad: not the client cookie that was sent)",
        Some(_) if data.len() == CLIENT_COOKIE => " (echoed, without a server cookie)",
        Some(_) => " (good)",
    }
}

/// Returns the idle time-out (RFC 7828 3.1); the data is in units of 100 milliseconds.
fn show_keepalive(data: &[u8]) -> Option<String> {
    let tenths = u16::from_be_bytes(data.try_into().ok()?);
    Some(format!("{}.{} s", tenths / 10, tenths % 10))
}

/// Returns code, name and extra text (RFC 8914 2).
fn ede_parts(data: &[u8]) -> Option<(u16, Option<&'static str>, String)> {
    let (code, text) = data.split_first_chunk()?;
    let code = u16::from_be_bytes(*code);
    // Some servers end the text with a NUL, which clients must accept (RFC 8914 2).
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    Some((code, ede_name(code), show_text(&String::from_utf8_lossy(text))))
}

fn show_ede(data: &[u8]) -> Option<String> {
    let (code, name, text) = ede_parts(data)?;
    let mut shown = code.to_string();
    if let Some(name) = name {
        let _ = write!(shown, " ({name})");
    }
    if !text.is_empty() {
        let _ = write!(shown, ": ({text})");
    }
    Some(shown)
}

/// Returns the registered name of an extended error (IANA, Extended DNS Error Codes).
fn ede_name(code: u16) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "Other Error",
        "Unsupported DNSKEY Algorithm",
        "Unsupported DS Digest Type",
        "Stale Answer",
        "Forged Answer",
        "DNSSEC Indeterminate",
        "DNSSEC Bogus",
        "Signature Expired",
        "Signature Not Yet Valid",
        "DNSKEY Missing",
        "RRSIGs Missing",
        "No Zone Key Bit Set",
        "NSEC Missing",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error",
        "Invalid Data",
        "Signature Expired before Valid",
        "Too Early",
        "Unsupported NSEC3 Iterations Value",
        "Unable to conform to policy",
        "Synthesized",
        "Invalid Query Type",
    ];
    NAMES.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_options_are_decoded() {
        let cases: [(u16, &[u8], &str); 7] = [
            (NSID, b"node-a", "NSID: 6e6f64652d61 (\"node-a\")"),
            (EDE, b"\x00\x0fnot a pod", "EDE: 15 (Blocked): (not a pod)"),
            (EDE, b"\x00\x0e", "EDE: 14 (Not Ready)"),
            (EDE, b"\xff\xffx\0", "EDE: 65535: (x)"),
            (KEEPALIVE, b"\x00\x7b", "TCP KEEPALIVE: 12.3 s"),
            (PADDING, &[0; 5], "PAD: 5 octets"),
            (65001, b"\x01\xab", "OPT=65001: 01ab"),
        ];
        for (code, data, shown) in cases {
            assert_eq!(show_option(code, data, None), shown);
        }
    }

    #[test]
    fn ill_formed_options_are_shown_in_hexadecimal() {
        for (code, data, shown) in
            [(EDE, b"\x00".as_slice(), "OPT=15: 00"), (KEEPALIVE, b"\x00\x01\x02", "OPT=11: 000102")]
        {
            assert_eq!(show_option(code, data, None), shown);
        }
    }

    #[test]
    fn cookies_are_judged_by_what_was_sent() {
        let sent = Some(b"12345678".as_slice());
        assert_eq!(judge_cookie(b"12345678abcdefgh", sent), " (good)");
        assert_eq!(judge_cookie(b"12345678", sent), " (echoed, without a server cookie)");
        assert!(judge_cookie(b"87654321abcdefgh", sent).starts_with(" (bad"));
        assert_eq!(judge_cookie(b"87654321abcdefgh", None), "");
    }

    #[test]
    fn extended_errors_are_named_by_number() {
        assert_eq!(ede_name(0), Some("Other Error"));
        assert_eq!(ede_name(22), Some("No Reachable Authority"));
        assert_eq!(ede_name(30), Some("Invalid Query Type"));
        assert_eq!(ede_name(31), None);
    }
}
