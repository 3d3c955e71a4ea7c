//! Requests for pods and namespaces.

use http::{header, request};

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestVerb {
    /// A list of the namespace kube-system alone.
    Identify,
    /// A list, or one of its pages.
    List,
    /// A watch that begins with a list.
    Stream,
    /// A watch.
    Watch,
}

/// A request that the server has received.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Its purpose.
    pub verb: RequestVerb,
    /// `pods` or `namespaces`.
    pub resource: &'static str,
    /// The namespace; `None` for all of them.
    pub namespace: Option<String>,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The value of `Accept`.
    pub accept: String,
    /// The bearer token.
    pub token: Option<String>,
    /// The status of the response; 0 if there is none.
    pub status: u16,
}

impl SeenRequest {
    /// Returns the value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Parses a request. Returns `None` if it is not for pods or namespaces.
    pub(super) fn parse(request: &request::Parts) -> Option<Self> {
        let path = request.uri.path().strip_prefix("/api/v1/")?;
        let (namespace, resource) = match path.split('/').collect::<Vec<_>>()[..] {
            ["namespaces", namespace, "pods"] => (Some(namespace.to_owned()), "pods"),
            ["pods"] => (None, "pods"),
            ["namespaces"] => (None, "namespaces"),
            _ => return None,
        };
        let query = request.uri.query().unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let has = |key: &str| query.iter().any(|(name, value)| name == key && value == "true");
        let verb = match (has("watch"), has("sendInitialEvents")) {
            (true, true) => RequestVerb::Stream,
            (true, false) => RequestVerb::Watch,
            (false, _) if query.iter().any(|(_, value)| value == "metadata.name=kube-system") => {
                RequestVerb::Identify
            }
            (false, _) => RequestVerb::List,
        };
        let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
        let token = header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let token = token.map(str::to_owned);
        let accept = header(header::ACCEPT).unwrap_or_default().to_owned();
        Some(Self { verb, resource, namespace, query, accept, token, status: 0 })
    }
}
