//! A response as text, in dig's long form and in its short form.

use std::fmt::Write as _;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, RData, Record};

use super::edns::{extended_errors, show_edns};
use super::exchange::{Response, transport_name};
use crate::text::{hex, show_name, show_string, show_text, show_type};

/// The parts of dig's long form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sections(u8);

impl Sections {
    /// Header, warnings and EDNS.
    pub(crate) const COMMENTS: Self = Self(1);
    pub(crate) const QUESTION: Self = Self(1 << 1);
    pub(crate) const ANSWER: Self = Self(1 << 2);
    pub(crate) const AUTHORITY: Self = Self(1 << 3);
    pub(crate) const ADDITIONAL: Self = Self(1 << 4);
    /// Time, server and size.
    pub(crate) const STATS: Self = Self(1 << 5);
    pub(crate) const ALL: Self = Self((1 << 6) - 1);

    /// Returns the set with (or without) the parts of `other`.
    pub(crate) const fn set(self, other: Self, on: bool) -> Self {
        Self(if on { self.0 | other.0 } else { self.0 & !other.0 })
    }

    /// Returns whether an empty line separates two responses.
    pub(crate) const fn separates(self) -> bool {
        self.has(Self::COMMENTS) || self.has(Self::STATS)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Returns dig's long form: header, OPT pseudo-section, the four sections, and time, server and size.
pub(crate) fn long(response: &Response, cookie: Option<&[u8]>, sections: Sections) -> String {
    let message = &response.message;
    let mut text = String::new();
    let comments = sections.has(Sections::COMMENTS);
    if comments {
        push_comments(&mut text, response, cookie);
    }
    if sections.has(Sections::QUESTION) && !message.queries.is_empty() {
        text.push_str(if comments { ";; QUESTION SECTION:\n" } else { "" });
        for query in &message.queries {
            let (name, class, rtype) =
                (show_name(query.name()), show_class(query.query_class()), show_type(query.query_type()));
            let _ = writeln!(text, ";{name}\t\t{class}\t{rtype}");
        }
        text.push_str(if comments { "\n" } else { "" });
    }
    for (section, title, records) in [
        (Sections::ANSWER, "ANSWER", &message.answers),
        (Sections::AUTHORITY, "AUTHORITY", &message.authorities),
        (Sections::ADDITIONAL, "ADDITIONAL", &message.additionals),
    ] {
        if sections.has(section) {
            push_section(&mut text, comments.then_some(title), records);
        }
    }
    if sections.has(Sections::STATS) {
        push_stats(&mut text, response);
    }
    text
}

fn push_comments(text: &mut String, response: &Response, cookie: Option<&[u8]>) {
    text.push_str(";; Got answer:\n");
    push_header(text, response);
    if response.left_over > 0 {
        let _ = writeln!(text, ";; WARNING: {} octets behind the end of the message", response.left_over);
    }
    text.push('\n');
    if let Some(edns) = &response.message.edns {
        let _ = write!(text, ";; OPT PSEUDOSECTION:\n{}", show_edns(edns, cookie));
    }
}

fn push_stats(text: &mut String, response: &Response) {
    let (server, transport) = (response.server, transport_name(response.transport));
    let _ = write!(
        text,
        ";; Query time: {} usec\n;; SERVER: {ip}#{port}({ip}) ({transport})\n;; MSG SIZE  rcvd: {}\n",
        response.elapsed.as_micros(),
        response.octets.len(),
        ip = server.ip(),
        port = server.port(),
    );
}

/// Returns the data of the answers only, one per line.
pub(crate) fn short(message: &Message) -> String {
    message.answers.iter().fold(String::new(), |mut text, record| {
        let _ = writeln!(text, "{}", show_rdata(&record.data));
        text
    })
}

/// Returns the status and the extended errors, which the short form omits.
pub(crate) fn status(message: &Message) -> String {
    let mut text = show_rcode(u16::from(message.metadata.response_code));
    for error in message.edns.iter().flat_map(extended_errors) {
        let _ = write!(text, ", EDE {error}");
    }
    text
}

fn push_header(text: &mut String, response: &Response) {
    let header = &response.message.metadata;
    let opcode = show_opcode(header.op_code);
    let status = show_rcode(u16::from(header.response_code));
    let _ = writeln!(text, ";; ->>HEADER<<- opcode: {opcode}, status: {status}, id: {}", header.id);
    let _ = write!(text, ";; flags: {}", flags(&response.message).join(" "));
    // The counts in the header include OPT and TSIG, which are additional records too.
    let counts = ["QUERY", "ANSWER", "AUTHORITY", "ADDITIONAL"];
    let values = response.octets.get(4..12).unwrap_or_default().as_chunks::<2>().0;
    for (index, (section, value)) in counts.iter().zip(values).enumerate() {
        let separator = if index == 0 { ';' } else { ',' };
        let _ = write!(text, "{separator} {section}: {}", u16::from_be_bytes(*value));
    }
    text.push('\n');
}

/// Returns the flags that are set, by dig's names.
pub(super) fn flags(message: &Message) -> Vec<&'static str> {
    let header = &message.metadata;
    let flags = [
        (true, "qr"),
        (header.authoritative, "aa"),
        (header.truncation, "tc"),
        (header.recursion_desired, "rd"),
        (header.recursion_available, "ra"),
        (header.authentic_data, "ad"),
        (header.checking_disabled, "cd"),
    ];
    flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)).collect()
}

fn push_section(text: &mut String, title: Option<&str>, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    if let Some(title) = title {
        let _ = writeln!(text, ";; {title} SECTION:");
    }
    for record in records {
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{}",
            show_name(&record.name),
            record.ttl,
            show_class(record.dns_class),
            show_type(record.record_type()),
            show_rdata(&record.data)
        );
    }
    if title.is_some() {
        text.push('\n');
    }
}

pub(super) fn show_rdata(data: &RData) -> String {
    match data {
        RData::NS(name) => show_name(name),
        RData::CNAME(name) => show_name(name),
        RData::PTR(name) => show_name(name),
        RData::MX(mx) => format!("{} {}", mx.preference, show_name(&mx.exchange)),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, show_name(&srv.target))
        }
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            show_name(&soa.mname),
            show_name(&soa.rname),
            soa.serial,
            soa.refresh.cast_unsigned(),
            soa.retry.cast_unsigned(),
            soa.expire.cast_unsigned(),
            soa.minimum
        ),
        RData::TXT(txt) => {
            txt.txt_data.iter().map(|string| show_string(string)).collect::<Vec<_>>().join(" ")
        }
        RData::HINFO(hinfo) => format!("{} {}", show_string(&hinfo.cpu), show_string(&hinfo.os)),
        RData::CAA(caa) => format!("{} {} {}", caa.flags(), show_text(&caa.tag), show_string(&caa.value)),
        RData::NAPTR(naptr) => format!(
            "{} {} {} {} {} {}",
            naptr.order,
            naptr.preference,
            show_string(&naptr.flags),
            show_string(&naptr.services),
            show_string(&naptr.regexp),
            show_name(&naptr.replacement)
        ),
        // RFC 3597 5: the generic form, for data without a form of its own.
        RData::NULL(null) | RData::Unknown { rdata: null, .. } => {
            format!("\\# {} {}", null.anything.len(), hex(&null.anything))
        }
        RData::Update0(_) => "\\# 0".to_owned(),
        other => show_text(&other.to_string()),
    }
}

/// Returns a class's mnemonic, or the `CLASS123` of RFC 3597 5.
pub(crate) fn show_class(class: DNSClass) -> String {
    match class {
        DNSClass::IN | DNSClass::CH | DNSClass::HS | DNSClass::NONE | DNSClass::ANY => class.to_string(),
        other => format!("CLASS{}", u16::from(other)),
    }
}

fn show_opcode(opcode: OpCode) -> String {
    match opcode {
        OpCode::Query | OpCode::Status | OpCode::Notify | OpCode::Update => opcode.to_string(),
        OpCode::Unknown(number) => format!("OPCODE{number}"),
    }
}

/// Returns a response code's mnemonic (IANA, DNS RCODEs), or `RCODE123`.
pub(crate) fn show_rcode(rcode: u16) -> String {
    const LOW: [&str; 12] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
    ];
    const HIGH: [&str; 8] =
        ["BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"];
    let code = usize::from(rcode);
    let name = LOW.get(code).or_else(|| HIGH.get(code.checked_sub(16)?));
    name.map_or_else(|| format!("RCODE{rcode}"), |&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{HINFO, NAPTR, NULL, TXT};

    use crate::text::parse_name;
    use hickory_proto::rr::RecordType;

    use super::*;

    #[test]
    fn response_codes_are_at_their_numbers() {
        for (code, name) in [
            (0, "NOERROR"),
            (5, "REFUSED"),
            (11, "DSOTYPENI"),
            (12, "RCODE12"),
            (15, "RCODE15"),
            (16, "BADVERS"),
            (23, "BADCOOKIE"),
            (24, "RCODE24"),
        ] {
            assert_eq!(show_rcode(code), name);
        }
    }

    #[test]
    fn unknown_data_is_printed_generically() {
        let unknown = |octets: &[u8]| RData::Unknown {
            code: RecordType::Unknown(65_280),
            rdata: NULL::with(octets.to_vec()),
        };
        assert_eq!(show_rdata(&unknown(&[1, 0xab])), r"\# 2 01ab");
        assert_eq!(show_type(RecordType::Unknown(65_280)), "TYPE65280");
        assert_eq!(show_class(DNSClass::Unknown(9)), "CLASS9");
        assert_eq!(show_class(DNSClass::CH), "CH");
    }

    #[test]
    fn strings_are_quoted_one_by_one() {
        let txt = TXT::from_bytes(vec![b"v=1 \"x\"", b"\x07"]);
        assert_eq!(show_rdata(&RData::TXT(txt)), r#""v=1 \"x\"" "\007""#);
        let hinfo = HINFO::from_bytes(Box::from(b"PC \"1\"".as_slice()), Box::from("L\u{202e}".as_bytes()));
        assert_eq!(show_rdata(&RData::HINFO(hinfo)), r#""PC \"1\"" "L\226\128\174""#);
        let part = |text: &str| Box::from(text.as_bytes());
        let naptr =
            NAPTR::new(1, 2, part("u"), part("E2U"), part(r#"!"\1!"#), parse_name("a\\.b").expect("a name"));
        assert_eq!(show_rdata(&RData::NAPTR(naptr)), r#"1 2 "u" "E2U" "!\"\\1!" a\.b."#);
    }
}
