//! A response as JSON: one object, on one line. docs/tool.md describes the format.

use hickory_proto::op::Edns;
use hickory_proto::rr::Record;
use serde_json::{Value, json};

use super::decode::DecodeFault;
use super::edns::{extended_error_parts, options};
use super::exchange::{Response, transport_name};
use super::plan::DigQuestion;
use super::print::{flags, show_class, show_rcode, show_rdata};
use crate::text::show_name;
use crate::text::show_type;

/// Version of the format.
const VERSION: u32 = 1;

/// Returns the object for a question with an answer.
pub(super) fn answered(asked: &DigQuestion, response: &Response, cookie: Option<&[u8]>) -> String {
    let message = &response.message;
    let errors: Vec<Value> = message
        .edns
        .iter()
        .flat_map(extended_error_parts)
        .map(|(code, name, text)| json!({ "code": code, "name": name, "text": text }))
        .collect();
    let mut object = question(asked);
    let rest = json!({
        "server": response.server.to_string(),
        "transport": transport_name(response.transport).to_ascii_lowercase(),
        "time_us": u64::try_from(response.elapsed.as_micros()).unwrap_or(u64::MAX),
        "bytes": response.octets.len(),
        "id": message.metadata.id,
        "status": show_rcode(u16::from(message.metadata.response_code)),
        "flags": flags(message),
        "extended_errors": errors,
        "answer": records(&message.answers),
        "authority": records(&message.authorities),
        "additional": records(&message.additionals),
        "faults": response.faults.iter().map(DecodeFault::to_string).collect::<Vec<_>>(),
        "edns": message.edns.as_ref().map(|edns| show_edns(edns, cookie)),
    });
    merge(&mut object, rest);
    format!("{object}\n")
}

/// Returns the object for a question without an answer.
pub(super) fn unanswered(asked: &DigQuestion, error: &str) -> String {
    let mut object = question(asked);
    merge(&mut object, json!({ "error": error }));
    format!("{object}\n")
}

fn question(asked: &DigQuestion) -> Value {
    json!({
        "version": VERSION,
        "name": show_name(&asked.name),
        "class": show_class(asked.class),
        "type": show_type(asked.record_type),
    })
}

fn merge(object: &mut Value, rest: Value) {
    if let (Value::Object(object), Value::Object(rest)) = (object, rest) {
        object.extend(rest);
    }
}

fn records(records: &[Record]) -> Vec<Value> {
    let show = |record: &Record| {
        json!({
            "name": show_name(&record.name),
            "ttl": record.ttl,
            "class": show_class(record.dns_class),
            "type": show_type(record.record_type()),
            "data": show_rdata(&record.data),
        })
    };
    records.iter().map(show).collect()
}

fn show_edns(edns: &Edns, cookie: Option<&[u8]>) -> Value {
    let options: Vec<Value> = options(edns, cookie)
        .into_iter()
        .map(|(code, data, text)| json!({ "code": code, "data": data, "text": text }))
        .collect();
    json!({
        "version": edns.version(),
        "dnssec_ok": edns.flags().dnssec_ok,
        "udp": edns.max_payload(),
        "options": options,
    })
}
