//! Responses, and those that a test prepares.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::format::Format;
use super::protobuf;

/// The body of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A prepared response, instead of the true one.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole response.
    Whole {
        /// The status code.
        status: u16,
        /// Headers beside `Content-Type: application/json`.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Bytes,
    },
    /// A body with a beginning, and an end of some kind.
    Part {
        /// The beginning.
        body: Bytes,
        /// The end.
        then: Then,
    },
    /// No response, ever.
    Silence,
}

/// The end of a body.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// The body ends as it should.
    End,
    /// The connection breaks.
    Break,
    /// Nothing more is sent, and the connection stays open.
    Stall,
}

impl Reply {
    /// A response with this status.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, headers: Vec::new(), body: body.into() }
    }

    /// A response with status 200.
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

    /// Returns `None` for silence.
    pub(super) fn into_response(self) -> Option<Response<Body>> {
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
                    Then::End => stream::empty().boxed(),
                    Then::Break => stream::iter([Err(io::Error::other("broken"))]).boxed(),
                    Then::Stall => stream::pending().boxed(),
                };
                Some(builder.body(StreamBody::new(first.chain(rest)).boxed_unsync()).expect("a response"))
            }
            Self::Silence => None,
        }
    }
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A response in JSON.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(whole(body.to_string())).expect("a response")
}

/// A response in either encoding.
pub(super) fn response(status: StatusCode, format: Format, body: &Value) -> Response<Body> {
    let octets = match format {
        Format::Json => return json_response(status, body),
        Format::Protobuf => protobuf::answer(body),
    };
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, format.media_type());
    builder.body(whole(octets)).expect("a response")
}

/// A failure, in JSON.
pub(super) fn failure(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code).expect("a code");
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": message, "reason": reason, "code": code});
    json_response(status, &body)
}
