//! Lists, events and failures in the two encodings.

use bytes::Bytes;
use serde_json::{Value, json};

use super::encoding::{Encoding, ListMetadata, Wire};
use super::object::ApiObject;
use super::protobuf::{self, ENVELOPE_TAIL, delimited, field, write_varint};
use super::store::ObjectEvent;

/// A part of the body of a watch.
pub(super) enum WatchPart {
    /// An event, encoded when it is sent.
    Event(ObjectEvent),
    Bytes(Bytes),
    /// Breaks the connection.
    Break,
}

impl Encoding {
    /// Returns a `Status` as the body of a response.
    pub(super) fn status(self, status: &Value) -> Vec<u8> {
        match self {
            Self::Json => status.to_string().into_bytes(),
            Self::Protobuf => protobuf::envelope("v1", "Status", &protobuf::status(status)),
        }
    }
}

impl Wire {
    /// Returns `apiVersion` and `kind` of the objects of a resource.
    fn type_meta(self, resource: &str) -> [&'static str; 2] {
        match (self.only_metadata, resource) {
            (true, _) => ["meta.k8s.io/v1", "PartialObjectMetadata"],
            (false, "pods") => ["v1", "Pod"],
            (false, _) => ["v1", "Namespace"],
        }
    }

    /// Returns the beginning of a list of `objects`.
    pub(super) fn list_head(self, resource: &str, meta: &ListMetadata, objects: &[ApiObject]) -> Vec<u8> {
        let [api_version, kind] = self.type_meta(resource);
        match self.encoding {
            Encoding::Json => {
                let mut metadata = json!({"resourceVersion": meta.version.to_string()});
                if let Some((token, left)) = &meta.next {
                    metadata["continue"] = json!(token);
                    metadata["remainingItemCount"] = json!(left);
                }
                let head = format!("{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\"");
                format!("{head},\"metadata\":{metadata},\"items\":[").into_bytes()
            }
            Encoding::Protobuf => {
                let metadata = field(1, &protobuf::list_metadata(meta));
                let items: usize = objects.iter().map(|object| 1 + delimited(object.size(self))).sum();
                let mut head = protobuf::envelope_head(api_version, &format!("{kind}List"));
                head.push(2 << 3 | 2);
                write_varint((metadata.len() + items) as u64, &mut head);
                head.extend(metadata);
                head
            }
        }
    }

    /// Appends an item of a list.
    pub(super) fn item(self, object: &ApiObject, is_first: bool, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Json if is_first => {}
            Encoding::Json => out.push(b','),
            Encoding::Protobuf => {
                out.push(2 << 3 | 2);
                write_varint(object.size(self) as u64, out);
            }
        }
        object.write(self, false, out);
    }

    /// Returns the end of a list.
    pub(super) fn list_tail(self) -> &'static [u8] {
        match self.encoding {
            Encoding::Json => b"]}\n",
            Encoding::Protobuf => ENVELOPE_TAIL,
        }
    }

    /// Returns an event of a watch.
    pub(super) fn event(self, kind: &str, object: &ApiObject) -> Bytes {
        match self.encoding {
            Encoding::Json => {
                let mut out = Vec::with_capacity(object.size(self) + 200);
                out.extend(format!("{{\"type\":\"{kind}\",\"object\":").into_bytes());
                object.write(self, true, &mut out);
                out.extend(b"}\n");
                out.into()
            }
            Encoding::Protobuf => {
                let size = object.size(self);
                let mut out = Vec::with_capacity(size + 200);
                let [api_version, object_kind] = object.type_meta(self);
                let head = protobuf::envelope_head(api_version, object_kind);
                let raw = head.len() + 1 + delimited(size) + ENVELOPE_TAIL.len();
                protobuf::event_head(kind, raw, &mut out);
                out.extend(head);
                out.push(2 << 3 | 2);
                write_varint(size as u64, &mut out);
                object.write(self, false, &mut out);
                out.extend(ENVELOPE_TAIL);
                out.into()
            }
        }
    }

    /// Returns a bookmark: the one that ends the initial events of a streaming list, or an ordinary one.
    pub(super) fn bookmark(self, resource: &str, version: u64, ends_list: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if ends_list {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let [api_version, kind] = self.type_meta(resource);
        match self.encoding {
            Encoding::Json => {
                let mut object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
                if !self.only_metadata {
                    object["spec"] = json!({"containers": null});
                    object["status"] = json!({});
                }
                json_event("BOOKMARK", &object)
            }
            Encoding::Protobuf => {
                let object = field(1, &protobuf::object_metadata(&metadata));
                protobuf::event("BOOKMARK", &protobuf::envelope(api_version, kind, &object)).into()
            }
        }
    }

    /// Returns the event that ends a watch with a failure.
    pub(super) fn error(self, status: &Value) -> Bytes {
        match self.encoding {
            Encoding::Json => json_event("ERROR", status),
            Encoding::Protobuf => protobuf::event("ERROR", &self.encoding.status(status)).into(),
        }
    }

    /// Returns an event that decoders reject.
    pub(super) fn garbled(self) -> Bytes {
        match self.encoding {
            Encoding::Json => Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":nonsense}\n"),
            Encoding::Protobuf => protobuf::event("MODIFIED", b"k8s\0\x12\x02\x0a\x7f").into(),
        }
    }
}

fn json_event(kind: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": kind, "object": object})).into()
}
