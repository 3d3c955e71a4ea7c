//! Objects in the form in which they are stored and sent.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::encoding::{Encoding, Wire};
use super::generated::GeneratedPod;
use super::protobuf;
use super::template::{FieldValues, PodTemplate};

/// An object of the cluster.
#[derive(Clone, Debug)]
pub(super) enum ApiObject {
    /// An object from [`ApiServer::put`](super::ApiServer::put).
    Put(Arc<Value>),
    /// A generated pod, rendered when it is sent.
    Generated(GeneratedPod),
}

impl ApiObject {
    pub(super) fn put(object: Value) -> Self {
        Self::Put(Arc::new(object))
    }

    pub(super) fn namespace(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Put(object) => object["metadata"]["namespace"].as_str().map(Cow::Borrowed),
            Self::Generated(pod) => Some(pod.namespace().into()),
        }
    }

    pub(super) fn phase(&self) -> &str {
        match self {
            Self::Put(object) => object["status"]["phase"].as_str().unwrap_or_default(),
            Self::Generated(_) => "Running",
        }
    }

    /// Returns `apiVersion` and `kind` in the form that is sent.
    pub(super) fn type_meta(&self, wire: Wire) -> [&str; 2] {
        match self {
            _ if wire.only_metadata => ["meta.k8s.io/v1", "PartialObjectMetadata"],
            Self::Put(object) => ["apiVersion", "kind"].map(|key| object[key].as_str().unwrap_or_default()),
            Self::Generated(_) => ["v1", "Pod"],
        }
    }

    /// Returns the whole object, or a `PartialObjectMetadata` of it.
    fn value(&self, only_metadata: bool) -> Cow<'_, Value> {
        let object = match self {
            Self::Put(object) => Cow::Borrowed(&**object),
            Self::Generated(pod) => {
                let mut text = Vec::new();
                PodTemplate::json().write(&FieldValues::json(pod, true), &mut text);
                Cow::Owned(serde_json::from_slice(&text).expect("the template is JSON"))
            }
        };
        if only_metadata {
            let [api_version, kind] = ["meta.k8s.io/v1", "PartialObjectMetadata"];
            Cow::Owned(json!({"kind": kind, "apiVersion": api_version, "metadata": object["metadata"]}))
        } else {
            object
        }
    }

    /// Returns the number of bytes that [`write`](Self::write) appends for an item of a list.
    pub(super) fn size(&self, wire: Wire) -> usize {
        match (self, wire.encoding) {
            (Self::Generated(pod), Encoding::Json) if !wire.only_metadata => {
                PodTemplate::json().size(&FieldValues::json(pod, false))
            }
            (Self::Generated(pod), Encoding::Protobuf) if !wire.only_metadata => {
                PodTemplate::protobuf().size(&FieldValues::protobuf(pod))
            }
            _ => {
                let mut out = Vec::new();
                self.write(wire, false, &mut out);
                out.len()
            }
        }
    }

    /// Appends the object. Items of a list have no `kind` and `apiVersion` in JSON; in protobuf the envelope contains
    /// them.
    pub(super) fn write(&self, wire: Wire, has_kind: bool, out: &mut Vec<u8>) {
        match (self, wire.encoding) {
            (Self::Generated(pod), Encoding::Json) if !wire.only_metadata => {
                PodTemplate::json().write(&FieldValues::json(pod, has_kind), out);
            }
            (Self::Generated(pod), Encoding::Protobuf) if !wire.only_metadata => {
                PodTemplate::protobuf().write(&FieldValues::protobuf(pod), out);
            }
            (_, Encoding::Json) => {
                let mut object = self.value(wire.only_metadata);
                // As in a real list, where only items of type `PartialObjectMetadata` have a kind.
                if !has_kind
                    && !wire.only_metadata
                    && let Some(fields) = object.to_mut().as_object_mut()
                {
                    fields.remove("kind");
                    fields.remove("apiVersion");
                }
                serde_json::to_writer(out, &*object).expect("JSON");
            }
            (_, Encoding::Protobuf) => out.extend(protobuf::object(&self.value(wire.only_metadata))),
        }
    }
}

/// Returns a running pod with these addresses.
pub fn pod(namespace: &str, name: &str, addresses: &[&str]) -> Value {
    let ips: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name, "uid": format!("{namespace}/{name}")},
        "spec": {"containers": [{"name": "c", "image": "example.invalid/x:1"}]},
        "status": {"phase": "Running", "podIP": addresses.first(), "podIPs": ips},
    })
}

/// Returns a namespace.
pub fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "uid": name},
           "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
}
