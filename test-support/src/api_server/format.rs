//! The two encodings of responses.

use bytes::Bytes;
use serde_json::{Value, json};

use super::cluster::{Event, partial};
use super::protobuf;

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

tokio::task_local! {
    /// The encoding that servers of this test prefer.
    static FORMAT: Format;
}

/// Runs a test with servers that prefer this encoding.
pub async fn with_format(format: Format, test: impl Future<Output = ()>) {
    FORMAT.scope(format, test).await;
}

/// Makes a test of each function, for servers of either encoding.
#[macro_export]
macro_rules! in_both_formats {
    ($($test:ident),* $(,)?) => {
        mod json {
            $(#[tokio::test]
            async fn $test() {
                use $crate::api_server::{Format, with_format};
                with_format(Format::Json, super::$test()).await;
            })*
        }
        mod protobuf {
            $(#[tokio::test]
            async fn $test() {
                use $crate::api_server::{Format, with_format};
                with_format(Format::Protobuf, super::$test()).await;
            })*
        }
    };
}

impl Format {
    /// Returns the encoding of [`with_format`]; JSON outside of it.
    pub(super) fn of_test() -> Self {
        FORMAT.try_get().unwrap_or(Self::Json)
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// A piece of a watch.
pub(super) enum Line {
    Event(Bytes),
    /// The connection breaks.
    Break,
}

/// The form in which a client receives objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    /// True if objects are cut down to their metadata.
    pub(super) only_metadata: bool,
    pub(super) format: Format,
}

impl Wire {
    /// A line that no decoder understands.
    pub(super) fn garbled(self) -> Line {
        Line::Event(match self.format {
            Format::Json => Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":nonsense}\n"),
            Format::Protobuf => protobuf::garbled().into(),
        })
    }

    pub(super) fn line(self, event: &Value) -> Line {
        Line::Event(match self.format {
            Format::Json => format!("{event}\n").into(),
            Format::Protobuf => protobuf::event(event).into(),
        })
    }

    pub(super) fn event(self, event: &Event) -> Line {
        let object = if self.only_metadata { partial(&event.object) } else { event.object.clone() };
        self.line(&json!({"type": event.kind, "object": object}))
    }
}

/// A bookmark; the one that ends the initial events of a streaming list, or any other.
pub(super) fn bookmark(resource: &str, version: u64, ends_list: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if ends_list {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let kind = if resource == "pods" { "Pod" } else { "Namespace" };
    json!({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": metadata,
           "spec": {"containers": null}, "status": {}}})
}
