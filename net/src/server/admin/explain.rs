//! Explanations of answers as JSON, for `/explain` and the tool.

use std::net::IpAddr;

use poddns_core::wire::Rtype;
use poddns_core::{Explanation, Freshness, Label, Owner, PodLookup, explain, explain_to, podip};
use serde_json::{Value, json};

use super::status::freshness;
use crate::server::presentation::show;
use crate::server::settings::{Needs, Settings};

/// Version of the document's shape.
const VERSION: u32 = 1;

/// Returns the JSON document that explains the answer to a question of class IN, with a line feed at its end; `None` if
/// `name` is not exactly one name in wire form. The default type is PTR below `arpa`, else that of the address in the
/// name, else A.
///
/// With [visibility](Settings::visibility), it explains the answer to this client, or, without one, to a client that
/// sees everything.
///
/// It applies the rules of [`respond`](poddns_core::respond) to these settings and pods. docs/tool.md describes the
/// document.
#[must_use]
pub fn explain_json(
    settings: &Settings,
    pods: &dyn PodLookup,
    name: &[u8],
    rtype: Option<Rtype>,
    client: Option<IpAddr>,
) -> Option<String> {
    let rtype = rtype.unwrap_or_else(|| usual_type(name));
    let config = settings.answers();
    let explanation = match client {
        Some(client) => explain_to(&config, pods, client, name, rtype),
        None => explain(&config, pods, name, rtype),
    }?;
    let document = document(&explanation, settings, name);
    Some(format!("{document:#}\n"))
}

fn document(explanation: &Explanation<'_>, settings: &Settings, name: &[u8]) -> Value {
    let label = |label: &[u8]| label.escape_ascii().to_string();
    json!({
        "version": VERSION,
        "name": show(name),
        "type": explanation.rtype.to_string(),
        "status": explanation.rcode.to_string(),
        "extended_error": explanation.ede.map(|ede| json!({ "code": ede.0, "name": ede.mnemonic() })),
        "has_records": explanation.has_records,
        "reason": explanation.reason.as_str(),
        "text": explanation.to_string(),
        "mode": settings.mode.as_str(),
        "zone": explanation.zone.map(|zone| zone.apex().to_string()),
        "namespace": explanation.namespace.map(label),
        "namespace_exists": explanation.namespace_exists,
        "label": explanation.label.map(label),
        "address": explanation.address,
        "owner": explanation.owner.map(owner),
        "client": explanation.client,
        "freshness": state(explanation.freshness, settings),
    })
}

/// Returns the state of the index; null if no answer depends on it.
fn state(of: Freshness, settings: &Settings) -> Value {
    if settings.needs() == Needs::Nothing { Value::Null } else { freshness(of) }
}

fn owner(owner: Owner) -> Value {
    match owner {
        Owner::None => json!({ "kind": "nobody" }),
        Owner::Shared => json!({ "kind": "shared" }),
        Owner::Pod { namespace, name } => json!({
            "kind": "pod",
            "namespace": namespace.as_str(),
            "name": name.as_ref().map(Label::as_str),
        }),
    }
}

/// Returns PTR below `arpa`, else the type of the address in the name, since it only has records of its own family,
/// else A.
fn usual_type(name: &[u8]) -> Rtype {
    if name.to_ascii_lowercase().ends_with(b"\x04arpa\x00") {
        return Rtype::PTR;
    }
    let label = name.split_first().and_then(|(&len, tail)| tail.get(..usize::from(len)));
    match label.and_then(podip::parse) {
        Some(IpAddr::V6(_)) => Rtype::AAAA,
        _ => Rtype::A,
    }
}

#[cfg(test)]
mod tests {
    use poddns_core::NoPods;

    use super::*;

    #[test]
    fn documents_have_name_answer_and_reason() {
        let mut settings = Settings::default();
        settings.mode = poddns_core::Mode::Insecure;
        let name = b"\x0410\\4\x07default\x03pod\x07cluster\x05local\x00";
        let text = explain_json(&settings, &NoPods, name, None, None).expect("a name");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["name"], "10\\\\4.default.pod.cluster.local.");
        assert_eq!((&document["type"], &document["status"]), (&"A".into(), &"NXDOMAIN".into()));
        assert_eq!(document["reason"], "not-a-pod-name");
        assert_eq!(
            (&document["zone"], &document["mode"]),
            (&"pod.cluster.local.".into(), &"insecure".into())
        );
        assert_eq!((&document["freshness"], &document["owner"]), (&Value::Null, &Value::Null));
        assert_eq!(explain_json(&settings, &NoPods, b"\x01", None, None), None);
    }

    #[test]
    fn names_are_shown_as_in_master_files() {
        assert_eq!(show(b"\x00"), ".");
        assert_eq!(show(b"\x03a.b\x02\x00\xff\x00"), "a\\.b.\\000\\255.");
        assert_eq!(usual_type(b"\x06fd00--\x00"), Rtype::AAAA);
        assert_eq!(usual_type(b"\x00"), Rtype::A);
        assert_eq!(usual_type(b"\x0210\x07in-addr\x04Arpa\x00"), Rtype::PTR);
    }
}
