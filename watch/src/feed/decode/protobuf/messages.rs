//! The messages, reduced to the fields that are kept. All other fields are skipped.

use crate::feed::decode::frame::{
    INITIAL_EVENTS_END, INITIAL_EVENTS_END_VALUE, ListEnd, MalformedObject, WatchFrame,
};
use crate::feed::decode::object::{Object, Sealed};
use crate::feed::decode::status;
use crate::pod::PodAddresses;
use crate::pod::lenient::Faults;
use crate::{Metadata, Phase};

/// Message `k8s.io.api.core.v1.Pod`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ObjectMetaMessage>,
    #[prost(message, required, tag = "2")]
    spec: PodSpecMessage,
    #[prost(message, required, tag = "3")]
    status: PodStatusMessage,
}

/// Message `k8s.io.api.core.v1.PodSpec`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PodSpecMessage {
    #[prost(bool, tag = "11")]
    host_network: bool,
}

/// Message `k8s.io.api.core.v1.PodStatus`.
#[derive(Clone, PartialEq, prost::Message)]
struct PodStatusMessage {
    #[prost(string, tag = "1")]
    phase: String,
    #[prost(string, tag = "6")]
    pod_ip: String,
    #[prost(message, repeated, tag = "12")]
    pod_ips: Vec<PodIpMessage>,
}

/// Message `k8s.io.api.core.v1.PodIP`.
#[derive(Clone, PartialEq, prost::Message)]
struct PodIpMessage {
    #[prost(string, tag = "1")]
    ip: String,
}

/// Message `k8s.io.api.core.v1.Namespace`, or `PartialObjectMetadata` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NamespaceMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ObjectMetaMessage>,
}

/// Message `k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ObjectMetaMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<TimeMessage>,
}

/// Message `Time` of `meta/v1`. Only its presence is used.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct TimeMessage {}

/// The object of a bookmark, of any kind.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BookmarkMessage {
    #[prost(message, required, tag = "1")]
    metadata: BookmarkMetaMessage,
}

/// `ObjectMeta` of a bookmark.
#[derive(Clone, PartialEq, prost::Message)]
struct BookmarkMetaMessage {
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, repeated, tag = "12")]
    annotations: Vec<AnnotationMessage>,
}

/// An entry of a map of strings.
#[derive(Clone, PartialEq, prost::Message)]
struct AnnotationMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Message `ListMeta` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListMetaMessage {
    #[prost(string, tag = "2")]
    resource_version: String,
    #[prost(string, tag = "3")]
    continue_token: String,
    #[prost(int64, optional, tag = "4")]
    remaining_item_count: Option<i64>,
}

/// Message `Status` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusMessage {
    #[prost(message, required, tag = "1")]
    metadata: ListMetaMessage,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, required, tag = "5")]
    details: StatusDetailsMessage,
    #[prost(int32, tag = "6")]
    code: i32,
}

/// Message `StatusDetails` of `meta/v1`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct StatusDetailsMessage {
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

/// Message `TypeMeta` of `runtime`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TypeMetaMessage {
    #[prost(string, tag = "2")]
    pub(super) kind: String,
}

impl From<PodMessage> for crate::Pod {
    fn from(message: PodMessage) -> Self {
        let mut faults = Faults::default();
        let metadata = metadata(message.metadata, &mut faults);
        let phase = Phase::parse(&message.status.phase, &mut faults);
        let mut addresses = PodAddresses::default();
        for item in &message.status.pod_ips {
            addresses.add(&item.ip, "status.podIPs[].ip", &mut faults);
        }
        addresses.add(&message.status.pod_ip, "status.podIP", &mut faults);
        Self::new(metadata, message.spec.host_network, phase, addresses, faults)
    }
}

impl From<NamespaceMessage> for crate::Namespace {
    fn from(message: NamespaceMessage) -> Self {
        let mut faults = Faults::default();
        let metadata = metadata(message.metadata, &mut faults);
        Self::new(metadata, faults)
    }
}

fn metadata(message: Option<ObjectMetaMessage>, faults: &mut Faults) -> Metadata {
    if message.is_none() {
        faults.note(format_args!("metadata is missing"));
    }
    message.unwrap_or_default().into()
}

impl From<ObjectMetaMessage> for Metadata {
    fn from(message: ObjectMetaMessage) -> Self {
        Self {
            name: message.name,
            namespace: message.namespace,
            uid: message.uid,
            resource_version: message.resource_version,
            terminating: message.deletion_timestamp.is_some(),
        }
    }
}

impl<K> From<BookmarkMessage> for WatchFrame<K> {
    fn from(message: BookmarkMessage) -> Self {
        let BookmarkMetaMessage { resource_version, annotations } = message.metadata;
        let initial_events_end = annotations
            .iter()
            .any(|entry| entry.key == INITIAL_EVENTS_END && entry.value == INITIAL_EVENTS_END_VALUE);
        Self::Bookmark { resource_version, initial_events_end }
    }
}

impl From<ListMetaMessage> for ListEnd {
    fn from(message: ListMetaMessage) -> Self {
        Self {
            resource_version: message.resource_version,
            continue_token: (!message.continue_token.is_empty()).then_some(message.continue_token),
            remaining: message.remaining_item_count.and_then(|count| u64::try_from(count).ok()),
        }
    }
}

impl From<StatusMessage> for status::Status {
    fn from(message: StatusMessage) -> Self {
        let retry_after = i64::from(message.details.retry_after_seconds);
        let token = message.metadata.continue_token;
        Self::new(i64::from(message.code), &message.reason, &message.message, retry_after, token)
    }
}

impl Sealed for crate::Pod {}

impl Object for crate::Pod {
    const KIND: &'static str = "Pod";

    fn metadata(&self) -> &Metadata {
        self.metadata()
    }

    fn fault(&self) -> Option<&str> {
        self.fault()
    }

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<MalformedObject>> {
        merge(bytes, |message: &mut PodMessage| message.metadata.take()).map(Self::from)
    }
}

impl Sealed for crate::Namespace {}

/// Lists and watches of namespaces contain `PartialObjectMetadata`.
impl Object for crate::Namespace {
    const KIND: &'static str = "Namespace";

    fn metadata(&self) -> &Metadata {
        self.metadata()
    }

    fn fault(&self) -> Option<&str> {
        self.fault()
    }

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<MalformedObject>> {
        merge(bytes, |message: &mut NamespaceMessage| message.metadata.take()).map(Self::from)
    }
}

/// Decodes a message. The error for a malformed one contains the metadata that was read.
fn merge<M: prost::Message + Default>(
    bytes: &[u8],
    metadata: impl FnOnce(&mut M) -> Option<ObjectMetaMessage>,
) -> Result<M, Box<MalformedObject>> {
    let mut message = M::default();
    match message.merge(bytes) {
        Ok(()) => Ok(message),
        Err(error) => {
            let metadata = metadata(&mut message).unwrap_or_default().into();
            Err(Box::new(MalformedObject { metadata, cause: format!("not valid protobuf: {error}") }))
        }
    }
}
