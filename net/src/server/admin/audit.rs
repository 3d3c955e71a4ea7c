//! `/audit`: queries that mode verified would refuse, as JSON.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use poddns_core::podip::PodIpLabel;
use poddns_core::{AuditFinding, Label, Owner};
use serde_json::{Map, Value, json};

use super::status::freshness;
use super::{JSON, reply, text};
use crate::server::answer::ResponseInputs;
use crate::server::audit::counts::PAIRS;
use crate::server::audit::record::AuditRecord;
use crate::server::audit::table::AuditEntry;
use crate::server::audit::{AuditFileReport, AuditReport};
use crate::server::state::ServerState;

/// Version of the document's shape.
const VERSION: u32 = 1;

/// Returns the document, or the reason why there is none.
pub(super) fn document(state: &ServerState) -> Response<Full<Bytes>> {
    match value(state) {
        Some(value) => reply(StatusCode::OK, JSON, format!("{value}\n")),
        None => text(StatusCode::NOT_FOUND, "no audit is made: start poddnsd with --pods insecure --audit\n"),
    }
}

/// Returns the document; `None` if the audit is disabled.
pub(super) fn value(state: &ServerState) -> Option<Value> {
    let current = state.current();
    let AuditReport { record, file } = current.audit.as_ref()?.report();
    let AuditRecord { begun, observed, counts, missed, entries } = &record;
    let mut refused = Map::new();
    for &finding in AuditFinding::ALL.iter().filter(|&&finding| finding != AuditFinding::NotReady) {
        refused.insert(finding.as_str().to_owned(), counts.of(finding).into());
    }
    Some(json!({
        "version": VERSION,
        "now_unix_seconds": SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        "begun_unix_seconds": begun,
        "observed_seconds": observed.as_secs(),
        "freshness": freshness(current.pods.0.freshness()),
        "queries": counts.queries,
        "queries_without_client": counts.without_client,
        "not_ready": counts.of(AuditFinding::NotReady),
        "refused": refused,
        "pairs": entries.iter().map(|entry| pair(&current, entry)).collect::<Vec<_>>(),
        "max_pairs": PAIRS,
        "missed": missed,
        "file": file.map(|(path, AuditFileReport { restored, written, failed, error })| json!({
            "path": path, "restored": restored, "written": written, "failed": failed, "error": error,
        })),
    }))
}

fn pair(current: &ResponseInputs, entry: &AuditEntry) -> Value {
    let AuditEntry { pair, finding, count, error, first, last } = entry;
    let domain = current.settings.zones.first().map(|zone| zone.apex().to_string()).unwrap_or_default();
    let domain = domain.trim_end_matches('.');
    let name = format!("{}.{}.{domain}", PodIpLabel::from(pair.address), pair.namespace);
    // The current owner, whereas the finding is of the time of the query.
    let owner = match current.pods.0.owner_of(pair.address) {
        Ok(Owner::Pod { namespace, name }) => {
            json!({ "namespace": namespace.as_str(), "name": name.as_ref().map(Label::as_str) })
        }
        _ => Value::Null,
    };
    json!({
        "name": name,
        "namespace": pair.namespace.as_str(),
        "address": pair.address,
        "client": pair.client,
        "reason": finding.as_str(),
        "owner": owner,
        "count": count,
        "error": error,
        "first_unix_seconds": first,
        "last_unix_seconds": last,
    })
}
