//! Requests as they come, and answers as they go.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use poddns_watch::feed::decode::Format;
use serde_json::{Value, json};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A list of the one namespace kube-system.
    Identify,
    List,
    /// A watch that begins with a list.
    Stream,
    Watch,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub verb: Verb,
    /// `pods` or `namespaces`.
    pub resource: &'static str,
    pub namespace: Option<String>,
    pub query: Vec<(String, String)>,
    pub accept: String,
    pub token: Option<String>,
    pub status: u16,
}

impl Seen {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A prepared answer, instead of the true one.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer.
    Whole { status: u16, headers: Vec<(&'static str, String)>, body: Bytes },
    /// A body that begins so, and then does that.
    Part { body: Bytes, then: Then },
    /// No answer, ever.
    Silence,
}

#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Ends as it should.
    End,
    /// The connection breaks.
    Break,
    /// Nothing more comes.
    Stall,
}

impl Reply {
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, headers: Vec::new(), body: body.into() }
    }

    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    pub fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Whole { status, mut headers, body } => {
                headers.push((name, value.to_owned()));
                Self::Whole { status, headers, body }
            }
            other => other,
        }
    }
}

pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

pub fn parse(request: &Request<Incoming>) -> Seen {
    let parts: Vec<&str> = request.uri().path().trim_start_matches("/api/v1/").split('/').collect();
    let (namespace, name) = match parts.as_slice() {
        ["namespaces", namespace, resource] => (Some((*namespace).to_owned()), *resource),
        [resource] => (None, *resource),
        _ => panic!("what is {}?", request.uri()),
    };
    let resource = if name == "namespaces" { "namespaces" } else { "pods" };
    let query: Vec<(String, String)> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), decode(value)))
        .collect();
    let has = |key: &str| query.iter().any(|(name, value)| name == key && value == "true");
    let verb = match (has("watch"), has("sendInitialEvents")) {
        (true, true) => Verb::Stream,
        (true, false) => Verb::Watch,
        (false, _) if query.iter().any(|(_, value)| value == "metadata.name=kube-system") => Verb::Identify,
        (false, _) => Verb::List,
    };
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let token = token.map(str::to_owned);
    let accept = header(header::ACCEPT).unwrap_or_default().to_owned();
    Seen { verb, resource, namespace, query, accept, token, status: 0 }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("digits"), 16).expect("digits")
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(octets).expect("text")
}

pub fn prepared(reply: Reply) -> Option<Response<Body>> {
    let builder = Response::builder().header(header::CONTENT_TYPE, "application/json");
    match reply {
        Reply::Whole { status, headers, body } => {
            let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
            Some(builder.status(status).body(whole(body)).expect("a response"))
        }
        Reply::Part { body, then } => {
            let first = stream::iter([Ok(Frame::data(body))]);
            let rest = match then {
                Then::End => stream::empty().boxed(),
                Then::Break => stream::iter([Err(std::io::Error::other("broken"))]).boxed(),
                Then::Stall => stream::pending().boxed(),
            };
            Some(builder.body(StreamBody::new(first.chain(rest)).boxed_unsync()).expect("a response"))
        }
        Reply::Silence => None,
    }
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(whole(body.to_string())).expect("a response")
}

/// An answer in either encoding.
pub fn response(status: StatusCode, format: Format, body: &Value) -> Response<Body> {
    let octets = match format {
        Format::Json => return json_response(status, body),
        Format::Protobuf => super::protobuf::answer(body),
    };
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, format.media_type());
    builder.body(whole(octets)).expect("a response")
}

pub fn failure(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code).expect("a code");
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": message, "reason": reason, "code": code});
    json_response(status, &body)
}
