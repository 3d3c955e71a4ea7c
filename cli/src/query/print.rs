//! A response as text: dig's long form, and its short one.

use std::fmt::Write as _;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::edns::{extended_errors, show_edns};
use super::exchange::Response;
use super::text::{hex, show_name, show_string, show_text};

/// dig's long form: header, OPT pseudo-section, the four sections, and how the answer came.
pub(crate) fn long(response: &Response, cookie: Option<&[u8]>) -> String {
    let message = &response.message;
    let mut text = String::from(";; Got answer:\n");
    push_header(&mut text, response);
    if response.left_over > 0 {
        let _ = writeln!(text, ";; WARNING: {} octets behind the end of the message", response.left_over);
    }
    text.push('\n');
    if let Some(edns) = &message.edns {
        let _ = write!(text, ";; OPT PSEUDOSECTION:\n{}", show_edns(edns, cookie));
    }
    if !message.queries.is_empty() {
        text.push_str(";; QUESTION SECTION:\n");
        for query in &message.queries {
            let (name, class, rtype) =
                (show_name(query.name()), show_class(query.query_class()), show_type(query.query_type()));
            let _ = writeln!(text, ";{name}\t\t{class}\t{rtype}");
        }
        text.push('\n');
    }
    push_section(&mut text, "ANSWER", &message.answers);
    push_section(&mut text, "AUTHORITY", &message.authorities);
    push_section(&mut text, "ADDITIONAL", &message.additionals);
    let (server, transport) = (response.server, response.transport.name());
    let _ = write!(
        text,
        ";; Query time: {} usec\n;; SERVER: {ip}#{port}({ip}) ({transport})\n;; MSG SIZE  rcvd: {}\n",
        response.elapsed.as_micros(),
        response.octets.len(),
        ip = server.ip(),
        port = server.port(),
    );
    text
}

/// The answers' data alone, one a line.
pub(crate) fn short(message: &Message) -> String {
    message.answers.iter().fold(String::new(), |mut text, record| {
        let _ = writeln!(text, "{}", show_rdata(&record.data));
        text
    })
}

/// What a short form without answers leaves unsaid: the status, and the extended errors.
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
    text.push_str(";; flags: qr");
    for (set, flag) in [
        (header.authoritative, " aa"),
        (header.truncation, " tc"),
        (header.recursion_desired, " rd"),
        (header.recursion_available, " ra"),
        (header.authentic_data, " ad"),
        (header.checking_disabled, " cd"),
    ] {
        text.push_str(if set { flag } else { "" });
    }
    // As the header has them: OPT and TSIG are additional records too.
    let counts = ["QUERY", "ANSWER", "AUTHORITY", "ADDITIONAL"];
    let values = response.octets.get(4..12).unwrap_or_default().as_chunks::<2>().0;
    for (index, (section, value)) in counts.iter().zip(values).enumerate() {
        let separator = if index == 0 { ';' } else { ',' };
        let _ = write!(text, "{separator} {section}: {}", u16::from_be_bytes(*value));
    }
    text.push('\n');
}

fn push_section(text: &mut String, section: &str, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(text, ";; {section} SECTION:");
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
    text.push('\n');
}

fn show_rdata(data: &RData) -> String {
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
        // RFC 3597 5: the generic form of what has none of its own.
        RData::NULL(null) | RData::Unknown { rdata: null, .. } => {
            format!("\\# {} {}", null.anything.len(), hex(&null.anything))
        }
        other => show_text(&other.to_string()),
    }
}

/// A type's mnemonic, or the `TYPE123` of RFC 3597 5.
pub(crate) fn show_type(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(_) | RecordType::ZERO => format!("TYPE{}", u16::from(rtype)),
        known => known.to_string(),
    }
}

/// A class' mnemonic, or the `CLASS123` of RFC 3597 5.
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

/// A response code's mnemonic (IANA, DNS RCODEs), or `RCODE123`.
fn show_rcode(rcode: u16) -> String {
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
    use hickory_proto::rr::rdata::{NULL, TXT};

    use super::*;

    #[test]
    fn response_codes_stand_at_their_numbers() {
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
    fn data_without_a_form_of_its_own_is_generic() {
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
    }
}
