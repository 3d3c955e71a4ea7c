//! Objects in protobuf, in the form that an API server sends. They are encoded here field by field, so that the decoder
//! under test is not checked against its own message types. Field numbers are those of `generated.proto` in
//! `k8s.io/api` and `k8s.io/apimachinery`.

use serde_json::Value;

use super::encoding::ListMetadata;

/// `contentEncoding` and `contentType` of `runtime.Unknown`, both empty.
pub(super) const ENVELOPE_TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// Appends a varint.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Returns the size of a value together with its length prefix, in bytes.
pub(super) fn delimited(size: usize) -> usize {
    let mut length = Vec::new();
    write_varint(size as u64, &mut length);
    length.len() + size
}

/// Returns a field whose value is a message, a string or bytes.
pub(super) fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    write_varint(value.len() as u64, &mut field);
    field.extend(value);
    field
}

fn number(number: u8, value: u64) -> Vec<u8> {
    let mut field = vec![number << 3];
    write_varint(value, &mut field);
    field
}

/// Returns a field with a string, or no bytes if the value is not a string.
fn text(number: u8, value: &Value) -> Vec<u8> {
    value.as_str().map(|text| field(number, text.as_bytes())).unwrap_or_default()
}

/// Returns a field for each entry of a map of strings.
fn map(number: u8, members: &Value) -> impl Iterator<Item = Vec<u8>> {
    let members = members.as_object().into_iter().flatten();
    members.map(move |(key, value)| field(number, &[field(1, key.as_bytes()), text(2, value)].concat()))
}

/// Returns an `ObjectMeta`.
pub(super) fn object_metadata(meta: &Value) -> Vec<u8> {
    let fields = [(1, "name"), (3, "namespace"), (5, "uid"), (6, "resourceVersion")];
    let mut message: Vec<u8> = fields.into_iter().flat_map(|(at, name)| text(at, &meta[name])).collect();
    if meta["deletionTimestamp"].is_string() {
        message.extend(field(9, &number(1, 1_795_358_074)));
    }
    message.extend(map(11, &meta["labels"]).flatten());
    message.extend(map(12, &meta["annotations"]).flatten());
    message
}

/// Returns a pod, a namespace, or the metadata of either.
pub(super) fn object(object: &Value) -> Vec<u8> {
    let message = field(1, &object_metadata(&object["metadata"]));
    if object["status"].get("podIPs").is_none() && object["spec"].get("containers").is_none() {
        return message;
    }
    let container = [field(1, b"c"), field(2, b"example.invalid/x:1")].concat();
    let mut spec = field(2, &container);
    if object["spec"]["hostNetwork"] == true {
        spec.extend(number(11, 1));
    }
    let status = &object["status"];
    let ips = status["podIPs"].as_array().into_iter().flatten();
    let ips = ips.flat_map(|ip| field(12, &text(1, &ip["ip"])));
    let status: Vec<u8> =
        text(1, &status["phase"]).into_iter().chain(text(6, &status["podIP"])).chain(ips).collect();
    [message, field(2, &spec), field(3, &status)].concat()
}

/// Returns a `Status`.
pub(super) fn status(status: &Value) -> Vec<u8> {
    let seconds = status["details"]["retryAfterSeconds"].as_u64().unwrap_or_default();
    [
        field(1, b""),
        text(2, &status["status"]),
        text(3, &status["message"]),
        text(4, &status["reason"]),
        field(5, &number(5, seconds)),
        number(6, status["code"].as_u64().unwrap_or_default()),
    ]
    .concat()
}

/// Returns a `ListMeta`.
pub(super) fn list_metadata(meta: &ListMetadata) -> Vec<u8> {
    let token = meta.next.as_ref().map_or("", |(token, _)| token);
    let left = meta.next.as_ref().map(|(_, left)| number(4, *left as u64)).unwrap_or_default();
    [field(1, b""), field(2, meta.version.to_string().as_bytes()), field(3, token.as_bytes()), left].concat()
}

/// Returns the magic number and the type, which precede the object.
pub(super) fn envelope_head(api_version: &str, kind: &str) -> Vec<u8> {
    let fields = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".as_slice(), &field(1, &fields)].concat()
}

/// Returns an object in its envelope, `runtime.Unknown`.
pub(super) fn envelope(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    [&envelope_head(api_version, kind), &field(2, object)[..], ENVELOPE_TAIL].concat()
}

/// Appends everything that precedes an object of `object` bytes, beginning with the length of the event.
pub(super) fn event_head(kind: &str, object: usize, out: &mut Vec<u8>) {
    let kind = field(1, kind.as_bytes());
    let extension = 1 + delimited(object);
    let length = kind.len() + 1 + delimited(extension);
    out.extend(u32::try_from(length).expect("an event is small").to_be_bytes());
    out.extend(kind);
    out.push(2 << 3 | 2);
    write_varint(extension as u64, out);
    out.push(1 << 3 | 2);
    write_varint(object as u64, out);
}

/// Returns an event with an object in its envelope.
pub(super) fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    event_head(kind, object.len(), &mut event);
    event.extend(object);
    event
}
