//! Lines of the query log: one JSON object each in both formats of the log.

use poddns_core::Transport;
use poddns_core::wire::Ede;
use serde_json::json;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::server::query_log::QueryRecord;

/// Returns the line of a record, with its line feed.
pub(super) fn line(record: &QueryRecord<'_>) -> Vec<u8> {
    let mut timestamp = String::new();
    // Writing to a String cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let transport = match record.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    let object = json!({
        "target": "poddns_query",
        "timestamp": timestamp,
        "client": record.client.ip().to_canonical(),
        "port": record.client.port(),
        "transport": transport,
        "name": record.name(),
        "type": record.question.map(|(_, rtype)| rtype.to_string()),
        "rcode": record.rcode.to_string(),
        "extended_error": record.extended_error.map(|Ede(code)| code),
        "reason": record.reason.as_str(),
    });
    format!("{object}\n").into_bytes()
}
