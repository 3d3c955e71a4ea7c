//! Objects in protobuf, as an API server writes them: encoded here field by field, since the messages under test must not
//! be their own yardstick. Field numbers are those of `generated.proto` in `k8s.io/api` and `k8s.io/apimachinery`.

use serde_json::Value;

/// A message under way.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn bytes(mut self, number: u64, bytes: impl AsRef<[u8]>) -> Self {
        self.varint(number << 3 | 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn number(mut self, number: u64, value: u64) -> Self {
        self.varint(number << 3);
        self.varint(value);
        self
    }

    /// A string, if there is one.
    fn text(self, number: u64, value: &Value) -> Self {
        match value.as_str() {
            Some(text) => self.bytes(number, text),
            None => self,
        }
    }
}

fn object_meta(meta: &Value) -> Vec<u8> {
    let message = Message::default()
        .text(1, &meta["name"])
        .text(3, &meta["namespace"])
        .text(5, &meta["uid"])
        .text(6, &meta["resourceVersion"]);
    let message = match meta["deletionTimestamp"].as_str() {
        Some(_) => message.bytes(9, Message::default().number(1, 1_795_358_074).0),
        None => message,
    };
    let annotations = meta["annotations"].as_object().into_iter().flatten();
    annotations
        .fold(message, |message, (key, value)| {
            message.bytes(12, Message::default().bytes(1, key).text(2, value).0)
        })
        .0
}

/// A pod, a namespace or the metadata of either.
fn object(object: &Value) -> Vec<u8> {
    let message = Message::default().bytes(1, object_meta(&object["metadata"]));
    if object["status"].get("podIPs").is_none() && object["spec"].get("containers").is_none() {
        return message.0;
    }
    let container = Message::default().bytes(1, "c").bytes(2, "example.invalid/x:1").0;
    let spec = Message::default().bytes(2, container);
    let spec = if object["spec"]["hostNetwork"] == true { spec.number(11, 1) } else { spec };
    let status = &object["status"];
    let ips = status["podIPs"].as_array().into_iter().flatten();
    let status = Message::default().text(1, &status["phase"]).text(6, &status["podIP"]);
    let status = ips.fold(status, |status, ip| status.bytes(12, Message::default().text(1, &ip["ip"]).0));
    message.bytes(2, spec.0).bytes(3, status.0).0
}

fn status(status: &Value) -> Vec<u8> {
    let details =
        Message::default().number(5, status["details"]["retryAfterSeconds"].as_u64().unwrap_or_default());
    Message::default()
        .bytes(1, [])
        .text(2, &status["status"])
        .text(3, &status["message"])
        .text(4, &status["reason"])
        .bytes(5, details.0)
        .number(6, status["code"].as_u64().unwrap_or_default())
        .0
}

/// An object in its envelope.
fn envelope(object: &Value, raw: &[u8]) -> Vec<u8> {
    let type_meta = Message::default().text(1, &object["apiVersion"]).text(2, &object["kind"]);
    let unknown = Message::default().bytes(1, type_meta.0).bytes(2, raw).bytes(3, []).bytes(4, []);
    [b"k8s\0", unknown.0.as_slice()].concat()
}

/// A list, or a `Status`.
pub(super) fn answer(body: &Value) -> Vec<u8> {
    let Some(items) = body["items"].as_array() else { return envelope(body, &status(body)) };
    let meta = Message::default()
        .text(2, &body["metadata"]["resourceVersion"])
        .text(3, &body["metadata"]["continue"]);
    let list = Message::default().bytes(1, meta.0);
    let list = items.iter().fold(list, |list, item| list.bytes(2, object(item)));
    envelope(body, &list.0)
}

/// An event, after its length.
pub(super) fn event(event: &Value) -> Vec<u8> {
    let of = &event["object"];
    let raw = if event["type"] == "ERROR" { status(of) } else { object(of) };
    frame(event["type"].as_str().expect("a type"), &envelope(of, &raw))
}

/// An event whose object nobody can read, after its length.
pub(super) fn garbled() -> Vec<u8> {
    frame("MODIFIED", b"k8s\0\x12\x02\x0a\x7f")
}

fn frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let message = Message::default().bytes(1, kind).bytes(2, Message::default().bytes(1, object).0).0;
    let length = u32::try_from(message.len()).expect("a small event");
    [&length.to_be_bytes(), message.as_slice()].concat()
}
