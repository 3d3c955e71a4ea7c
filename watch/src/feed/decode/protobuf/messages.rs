//! The messages, cut down to the fields that are kept: all others are skipped by their length.

use crate::feed::decode::frame::{
    INITIAL_EVENTS_END, INITIAL_EVENTS_END_VALUE, ListEnd, Malformed, WatchFrame,
};
use crate::feed::decode::object::{Object, Sealed};
use crate::feed::decode::status;
use crate::pod::Addresses;
use crate::pod::lenient::Faults;
use crate::{Metadata, Phase};

/// `k8s.io.api.core.v1.Pod`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pod {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ObjectMeta>,
    #[prost(message, required, tag = "2")]
    spec: PodSpec,
    #[prost(message, required, tag = "3")]
    status: PodStatus,
}

/// `k8s.io.api.core.v1.PodSpec`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PodSpec {
    #[prost(bool, tag = "11")]
    host_network: bool,
}

/// `k8s.io.api.core.v1.PodStatus`.
#[derive(Clone, PartialEq, prost::Message)]
struct PodStatus {
    #[prost(string, tag = "1")]
    phase: String,
    #[prost(string, tag = "6")]
    pod_ip: String,
    #[prost(message, repeated, tag = "12")]
    pod_ips: Vec<PodIp>,
}

/// `k8s.io.api.core.v1.PodIP`.
#[derive(Clone, PartialEq, prost::Message)]
struct PodIp {
    #[prost(string, tag = "1")]
    ip: String,
}

/// `k8s.io.api.core.v1.Namespace`, or `PartialObjectMetadata` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Namespace {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ObjectMeta>,
}

/// `k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<Time>,
}

/// `Time` of `meta/v1`, of which only the presence counts.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Time {}

/// The object of a bookmark, of any kind.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Bookmark {
    #[prost(message, required, tag = "1")]
    metadata: BookmarkMeta,
}

/// `ObjectMeta` of a bookmark.
#[derive(Clone, PartialEq, prost::Message)]
struct BookmarkMeta {
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, repeated, tag = "12")]
    annotations: Vec<Annotation>,
}

/// An entry of a map of strings.
#[derive(Clone, PartialEq, prost::Message)]
struct Annotation {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `ListMeta` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListMeta {
    #[prost(string, tag = "2")]
    resource_version: String,
    #[prost(string, tag = "3")]
    continue_token: String,
    #[prost(int64, optional, tag = "4")]
    remaining_item_count: Option<i64>,
}

/// `Status` of `meta/v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(message, required, tag = "1")]
    metadata: ListMeta,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, required, tag = "5")]
    details: StatusDetails,
    #[prost(int32, tag = "6")]
    code: i32,
}

/// `StatusDetails` of `meta/v1`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct StatusDetails {
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

/// `TypeMeta` of `runtime`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TypeMeta {
    #[prost(string, tag = "2")]
    pub(super) kind: String,
}

impl From<Pod> for crate::Pod {
    fn from(message: Pod) -> Self {
        let mut faults = Faults::default();
        let metadata = metadata(message.metadata, &mut faults);
        let phase = Phase::parse(&message.status.phase, &mut faults);
        let mut addresses = Addresses::default();
        for item in &message.status.pod_ips {
            addresses.add(&item.ip, "status.podIPs[].ip", &mut faults);
        }
        addresses.add(&message.status.pod_ip, "status.podIP", &mut faults);
        Self::new(metadata, message.spec.host_network, phase, addresses, faults)
    }
}

impl From<Namespace> for crate::Namespace {
    fn from(message: Namespace) -> Self {
        let mut faults = Faults::default();
        let metadata = metadata(message.metadata, &mut faults);
        Self::new(metadata, faults)
    }
}

fn metadata(message: Option<ObjectMeta>, faults: &mut Faults) -> Metadata {
    if message.is_none() {
        faults.note(format_args!("metadata is missing"));
    }
    message.unwrap_or_default().into()
}

impl From<ObjectMeta> for Metadata {
    fn from(message: ObjectMeta) -> Self {
        Self {
            name: message.name,
            namespace: message.namespace,
            uid: message.uid,
            resource_version: message.resource_version,
            terminating: message.deletion_timestamp.is_some(),
        }
    }
}

impl<K> From<Bookmark> for WatchFrame<K> {
    fn from(message: Bookmark) -> Self {
        let BookmarkMeta { resource_version, annotations } = message.metadata;
        let initial_events_end = annotations
            .iter()
            .any(|entry| entry.key == INITIAL_EVENTS_END && entry.value == INITIAL_EVENTS_END_VALUE);
        Self::Bookmark { resource_version, initial_events_end }
    }
}

impl From<ListMeta> for ListEnd {
    fn from(message: ListMeta) -> Self {
        Self {
            resource_version: message.resource_version,
            continue_token: (!message.continue_token.is_empty()).then_some(message.continue_token),
            remaining: message.remaining_item_count.and_then(|count| u64::try_from(count).ok()),
        }
    }
}

impl From<Status> for status::Status {
    fn from(message: Status) -> Self {
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

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<Malformed>> {
        merge(bytes, |message: &mut Pod| message.metadata.take()).map(Self::from)
    }
}

impl Sealed for crate::Namespace {}

/// Lists and watches of namespaces are of `PartialObjectMetadata`.
impl Object for crate::Namespace {
    const KIND: &'static str = "Namespace";

    fn metadata(&self) -> &Metadata {
        self.metadata()
    }

    fn fault(&self) -> Option<&str> {
        self.fault()
    }

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<Malformed>> {
        merge(bytes, |message: &mut Namespace| message.metadata.take()).map(Self::from)
    }
}

/// Decodes a message; what was read of a broken one names the object.
fn merge<M: prost::Message + Default>(
    bytes: &[u8],
    metadata: impl FnOnce(&mut M) -> Option<ObjectMeta>,
) -> Result<M, Box<Malformed>> {
    let mut message = M::default();
    match message.merge(bytes) {
        Ok(()) => Ok(message),
        Err(error) => {
            let metadata = metadata(&mut message).unwrap_or_default().into();
            Err(Box::new(Malformed { metadata, cause: format!("not valid protobuf: {error}") }))
        }
    }
}
