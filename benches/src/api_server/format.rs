//! The two encodings of lists, events and failures.

use serde_json::json;

use super::objects::{self, FIRST_VERSION, Pod};
use super::template::{Template, Values, delimited, write_varint};

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// The resource that is listed or watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Pods,
    /// Their metadata, which is all that is asked for.
    Namespaces,
}

impl Resource {
    fn kind(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Namespaces => "PartialObjectMetadata",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Pods => "v1",
            Self::Namespaces => "meta.k8s.io/v1",
        }
    }
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    Pod(Pod),
    Namespace(u32),
}

impl Object {
    fn resource(&self) -> Resource {
        match self {
            Self::Pod(_) => Resource::Pods,
            Self::Namespace(_) => Resource::Namespaces,
        }
    }
}

/// The metadata of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListMeta {
    pub(super) version: u32,
    /// The number of the object that the next page begins with, and the count of those that are left.
    pub(super) next: Option<(u32, u32)>,
}

impl Format {
    /// Returns what the client prefers of what this server has; JSON if it does not say.
    pub(super) fn negotiate(accept: &str, has_protobuf: bool) -> Self {
        let mut wanted = accept.split(',').filter_map(|range| {
            let essence = range.split(';').next()?.trim();
            [Self::Json, Self::Protobuf].into_iter().find(|format| format.media_type() == essence)
        });
        wanted.find(|format| has_protobuf || *format == Self::Json).unwrap_or(Self::Json)
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// `Content-Type` of a list or a failure, or of a watch.
    pub(super) fn content_type(self, is_watch: bool) -> &'static str {
        match (self, is_watch) {
            (Self::Json, _) => "application/json",
            (Self::Protobuf, false) => "application/vnd.kubernetes.protobuf",
            (Self::Protobuf, true) => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    }

    /// The beginning of a list of these objects.
    pub(super) fn list_head(
        self,
        resource: Resource,
        meta: &ListMeta,
        objects: impl Iterator<Item = Object>,
    ) -> Vec<u8> {
        match self {
            Self::Json => {
                let mut metadata = json!({"resourceVersion": meta.version.to_string()});
                if let Some((next, left)) = meta.next {
                    metadata["continue"] = json!(next.to_string());
                    metadata["remainingItemCount"] = json!(left);
                }
                let (kind, api_version) = (resource.kind(), resource.api_version());
                format!(
                    "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
                )
                .into_bytes()
            }
            Self::Protobuf => {
                let metadata = field(1, &list_meta(meta));
                let items: usize = objects.map(|object| 1 + delimited(self.size(&object))).sum();
                let mut head = envelope_head(&format!("{}List", resource.kind()), resource.api_version());
                head.push(2 << 3 | 2);
                write_varint((metadata.len() + items) as u64, &mut head);
                head.extend(metadata);
                head
            }
        }
    }

    /// Appends an item of a list.
    pub(super) fn item(self, object: &Object, is_first: bool, out: &mut Vec<u8>) {
        match self {
            Self::Json if is_first => {}
            Self::Json => out.push(b','),
            Self::Protobuf => {
                out.push(2 << 3 | 2);
                write_varint(self.size(object) as u64, out);
            }
        }
        self.object(object, false, out);
    }

    /// The end of a list.
    pub(super) fn list_tail(self) -> &'static [u8] {
        match self {
            Self::Json => b"]}\n",
            Self::Protobuf => ENVELOPE_TAIL,
        }
    }

    /// Size of an object, without its kind, in bytes.
    pub(super) fn size(self, object: &Object) -> usize {
        match (self, object) {
            (Self::Json, Object::Pod(pod)) => Template::json().size(&Values::json(pod, false)),
            (Self::Protobuf, Object::Pod(pod)) => Template::protobuf().size(&Values::protobuf(pod)),
            (_, Object::Namespace(_)) => {
                let mut out = Vec::new();
                self.object(object, false, &mut out);
                out.len()
            }
        }
    }

    fn object(self, object: &Object, has_kind: bool, out: &mut Vec<u8>) {
        match (self, object) {
            (Self::Json, Object::Pod(pod)) => Template::json().write(&Values::json(pod, has_kind), out),
            (Self::Protobuf, Object::Pod(pod)) => Template::protobuf().write(&Values::protobuf(pod), out),
            (Self::Json, Object::Namespace(number)) => {
                out.extend(objects::namespace_metadata(*number).into_bytes());
            }
            (Self::Protobuf, Object::Namespace(number)) => {
                let name = objects::namespace(*number);
                let fields = [
                    field(1, name.as_bytes()),
                    field(3, b""),
                    field(5, objects::namespace_uid(*number).as_bytes()),
                    field(6, FIRST_VERSION.to_string().as_bytes()),
                    field(
                        11,
                        &[field(1, b"kubernetes.io/metadata.name"), field(2, name.as_bytes())].concat(),
                    ),
                ];
                out.extend(field(1, &fields.concat()));
            }
        }
    }

    /// An event of a watch.
    pub(super) fn event(self, kind: &str, object: &Object) -> Vec<u8> {
        let size = self.size(object);
        let mut out = Vec::with_capacity(size + 200);
        match self {
            Self::Json => {
                out.extend(format!("{{\"type\":\"{kind}\",\"object\":").into_bytes());
                self.object(object, true, &mut out);
                out.extend(b"}\n");
            }
            Self::Protobuf => {
                let resource = object.resource();
                let head = envelope_head(resource.kind(), resource.api_version());
                let raw = head.len() + 1 + delimited(size) + ENVELOPE_TAIL.len();
                event_head(kind, raw, &mut out);
                out.extend(head);
                out.push(2 << 3 | 2);
                write_varint(size as u64, &mut out);
                self.object(object, false, &mut out);
                out.extend(ENVELOPE_TAIL);
            }
        }
        out
    }

    /// A bookmark; the one that ends the initial events of a streaming list, or any other.
    pub(super) fn bookmark(self, resource: Resource, version: u32, ends_list: bool) -> Vec<u8> {
        match self {
            Self::Json => {
                let mut metadata = json!({"resourceVersion": version.to_string()});
                if ends_list {
                    metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                }
                let mut object = json!({
                    "kind": resource.kind(), "apiVersion": resource.api_version(), "metadata": metadata
                });
                if resource == Resource::Pods {
                    object["spec"] = json!({"containers": null});
                    object["status"] = json!({});
                }
                json_event("BOOKMARK", &object)
            }
            Self::Protobuf => {
                let mut metadata = field(6, version.to_string().as_bytes());
                if ends_list {
                    let entry = [field(1, b"k8s.io/initial-events-end"), field(2, b"true")].concat();
                    metadata.extend(field(12, &entry));
                }
                let object = field(1, &metadata);
                protobuf_event("BOOKMARK", &envelope(resource.kind(), resource.api_version(), &object))
            }
        }
    }

    /// The body of a failure.
    pub(super) fn status(self, code: u16, reason: &str, message: &str) -> Vec<u8> {
        match self {
            Self::Json => json_status(code, reason, message).to_string().into_bytes(),
            Self::Protobuf => protobuf_status(code, reason, message),
        }
    }

    /// The event with which a failure ends a watch.
    pub(super) fn error(self, code: u16, reason: &str, message: &str) -> Vec<u8> {
        match self {
            Self::Json => json_event("ERROR", &json_status(code, reason, message)),
            Self::Protobuf => protobuf_event("ERROR", &protobuf_status(code, reason, message)),
        }
    }
}

fn json_event(kind: &str, object: &serde_json::Value) -> Vec<u8> {
    format!("{}\n", json!({"type": kind, "object": object})).into_bytes()
}

fn json_status(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message, "reason": reason, "code": code})
}

fn protobuf_status(code: u16, reason: &str, message: &str) -> Vec<u8> {
    let mut fields = [field(1, b""), field(2, b"Failure"), field(3, message.as_bytes())].concat();
    fields.extend(field(4, reason.as_bytes()));
    fields.push(6 << 3);
    write_varint(u64::from(code), &mut fields);
    envelope("Status", "v1", &fields)
}

/// `contentEncoding` and `contentType` of `runtime.Unknown`, which are empty.
const ENVELOPE_TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// The magic number and the type: the object follows.
fn envelope_head(kind: &str, api_version: &str) -> Vec<u8> {
    let fields = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".as_slice(), &field(1, &fields)].concat()
}

fn envelope(kind: &str, api_version: &str, object: &[u8]) -> Vec<u8> {
    [&envelope_head(kind, api_version), &field(2, object)[..], ENVELOPE_TAIL].concat()
}

/// Everything before an object of so many bytes.
fn event_head(kind: &str, object: usize, out: &mut Vec<u8>) {
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

fn protobuf_event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    event_head(kind, object.len(), &mut event);
    event.extend(object);
    event
}

fn list_meta(meta: &ListMeta) -> Vec<u8> {
    let mut fields = [field(1, b""), field(2, meta.version.to_string().as_bytes())].concat();
    let (token, left) =
        meta.next.map_or((String::new(), None), |(next, left)| (next.to_string(), Some(left)));
    fields.extend(field(3, token.as_bytes()));
    if let Some(left) = left {
        fields.push(4 << 3);
        write_varint(u64::from(left), &mut fields);
    }
    fields
}

/// A field that is a message, a string or bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    write_varint(value.len() as u64, &mut field);
    field.extend(value);
    field
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use k8s_openapi::api::core::v1::Pod as FullPod;
    use poddns_watch::feed::decode::{Format as Wire, ListDecoder, ListItem, WatchDecoder, WatchFrame};

    use super::super::objects::Cluster;
    use super::*;

    fn pods() -> Vec<Object> {
        Cluster::new(3).from(0).map(|pod| Object::Pod(*pod)).collect()
    }

    fn written(object: &Object) -> Vec<u8> {
        let mut out = Vec::new();
        Format::Json.item(object, true, &mut out);
        out
    }

    #[test]
    fn made_pod_equals_recording_except_chosen_fields() {
        let text = written(&pods()[2]);
        let pod: FullPod = serde_json::from_slice(&text).expect("a pod");
        assert_eq!(pod.metadata.name.as_deref(), Some("frontend-7c9f7b8d6-00000200"));
        assert_eq!(pod.metadata.namespace.as_deref(), Some("team-2"));
        let status = pod.status.expect("a status");
        assert_eq!(status.pod_ips.map(|ips| ips.len()), Some(1));
        assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.2"));
        assert!((9000..9500).contains(&text.len()), "{} bytes, as recorded", text.len());
        assert_eq!(text.len(), Format::Json.size(&pods()[2]));
        assert!((6500..6700).contains(&Format::Protobuf.size(&pods()[2])));
    }

    fn decode(format: Format, body: Vec<u8>) -> (Vec<poddns_watch::Pod>, String) {
        let wire = Wire::of_content_type(format.content_type(false)).expect("known to the client");
        let mut decoder = ListDecoder::new(wire);
        decoder.push(Bytes::from(body));
        let mut items = Vec::new();
        while let Some(item) = decoder.next().expect("a list") {
            match item {
                ListItem::Object(pod) => items.push(pod),
                ListItem::Malformed(object) => panic!("{object:?}"),
            }
        }
        let end = decoder.finish().expect("a whole list");
        assert_eq!(end.remaining, Some(9));
        (items, end.resource_version + &end.continue_token.expect("a token"))
    }

    #[test]
    fn both_formats_hold_the_same_list() {
        let meta = ListMeta { version: 77, next: Some((5, 9)) };
        let list = |format: Format| {
            let mut body = format.list_head(Resource::Pods, &meta, pods().into_iter());
            for (number, pod) in pods().iter().enumerate() {
                format.item(pod, number == 0, &mut body);
            }
            body.extend(format.list_tail());
            decode(format, body)
        };
        let json = list(Format::Json);
        assert_eq!(json.0.len(), 3);
        assert_eq!(json.1, "775");
        assert!(list(Format::Protobuf) == json);
    }

    #[test]
    fn both_formats_hold_the_same_events() {
        let events = |format: Format| {
            let mut body = format.event("MODIFIED", &pods()[1]);
            body.extend(format.bookmark(Resource::Pods, 5, false));
            body.extend(format.bookmark(Resource::Pods, 6, true));
            body.extend(format.error(410, "Expired", "too old"));
            let wire = Wire::of_content_type(format.content_type(true)).expect("known to the client");
            let mut decoder = WatchDecoder::<poddns_watch::Pod>::new(wire);
            decoder.push(Bytes::from(body));
            let mut frames = Vec::new();
            while let Some(frame) = decoder.next().expect("events") {
                frames.push(frame);
            }
            assert_eq!(decoder.finish(), Ok(()));
            frames
        };
        let json = events(Format::Json);
        assert!(
            matches!(&json[..], [WatchFrame::Event { .. }, _, _, WatchFrame::Error(status)] if status.code == 410)
        );
        assert!(events(Format::Protobuf) == json);
    }

    #[test]
    fn format_is_what_the_client_prefers() {
        let both = "application/vnd.kubernetes.protobuf;stream=watch, application/json";
        assert_eq!(Format::negotiate(both, true), Format::Protobuf);
        assert_eq!(Format::negotiate(both, false), Format::Json);
        assert_eq!(Format::negotiate("application/json", true), Format::Json);
        assert_eq!(Format::negotiate("*/*", true), Format::Json);
    }
}
