//! Responses, and those that a test prepares.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::encoding::Encoding;

/// The body of a response.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// A prepared response, which replaces the regular one.
#[derive(Clone, Debug)]
pub enum PreparedResponse {
    /// A whole response.
    Whole {
        /// The status code.
        status: u16,
        /// Headers in addition to `Content-Type: application/json`.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Bytes,
    },
    /// The beginning of a body, followed by an end of some kind.
    Part {
        /// The beginning.
        body: Bytes,
        /// The end.
        then: BodyEnd,
    },
    /// No response.
    Silence,
}

/// The end of a body.
#[derive(Clone, Copy, Debug)]
pub enum BodyEnd {
    /// The body ends regularly.
    End,
    /// The connection breaks.
    Break,
    /// Nothing more is sent, and the connection stays open.
    Stall,
}

impl PreparedResponse {
    /// Returns a response with this status.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, headers: Vec::new(), body: body.into() }
    }

    /// Returns a response with status 200.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    /// Adds a header to a whole response.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// Returns `None` for [`Silence`](Self::Silence).
    pub(super) fn into_response(self) -> Option<Response<ResponseBody>> {
        let builder = Response::builder().header(header::CONTENT_TYPE, "application/json");
        match self {
            Self::Whole { status, headers, body } => {
                let builder =
                    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
                Some(builder.status(status).body(whole(body)).expect("a response"))
            }
            Self::Part { body, then } => {
                let first = stream::iter([Ok(Frame::data(body))]);
                let rest = match then {
                    BodyEnd::End => stream::empty().boxed(),
                    BodyEnd::Break => stream::iter([Err(io::Error::other("broken"))]).boxed(),
                    BodyEnd::Stall => stream::pending().boxed(),
                };
                Some(builder.body(StreamBody::new(first.chain(rest)).boxed_unsync()).expect("a response"))
            }
            Self::Silence => None,
        }
    }
}

fn whole(body: impl Into<Bytes>) -> ResponseBody {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Returns a response in JSON.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(whole(body.to_string())).expect("a response")
}

/// Returns a response with a `Status`, in either encoding.
pub(super) fn status_response(encoding: Encoding, body: &Value) -> Response<ResponseBody> {
    let code = body["code"].as_u64().and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    let builder = Response::builder().status(code.expect("a status code"));
    let builder = builder.header(header::CONTENT_TYPE, encoding.media_type());
    builder.body(whole(encoding.status(body))).expect("a response")
}

/// Returns a failure in JSON.
pub(super) fn failure(code: u16, reason: &str, message: &str) -> Response<ResponseBody> {
    status_response(Encoding::Json, &failure_status(code, reason, message))
}

/// Returns the `Status` of a failure.
pub(super) fn failure_status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message, "reason": reason, "code": code})
}

/// Returns a response whose parts are created while it is sent.
pub(super) fn streamed(
    content_type: &str,
    parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<ResponseBody> {
    let builder = Response::builder().header(header::CONTENT_TYPE, content_type);
    builder.body(StreamBody::new(parts.map_ok(Frame::data)).boxed_unsync()).expect("a response")
}
