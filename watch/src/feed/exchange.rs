//! One request and its response, as read by the driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Request as HttpRequest, Response, StatusCode, Version};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;
use tower::BoxError;

use super::access::{CLIENT_WAIT_TIMEOUT, ClusterAccess};
use super::connection::Liveness;
use super::decode::{Format, ListDecoder, ListItem, Object, Status, WatchDecoder};
use super::machine::cause::{Cause, Refusal};
use super::machine::request::ApiRequest;
use super::server::ConfiguredServer;
use crate::Namespace;

/// Maximum number of bytes that are read of the body of an error response.
const MAX_STATUS: usize = 1 << 16;
/// Time limit for reading that body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The objects to request.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The path of the URL.
    pub(crate) path: String,
    /// The field selector of lists and watches.
    pub(crate) selector: Option<&'static str>,
    /// True if only the metadata of objects is needed.
    pub(crate) metadata_only: bool,
}

impl Endpoint {
    /// The path of the list of namespaces.
    pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";

    fn uri(&self, request: &ApiRequest) -> String {
        let path = if *request == ApiRequest::Identify { Self::NAMESPACES } else { &self.path };
        format!("{path}?{}", request.query(self.selector))
    }

    /// Returns the `Accept` header: protobuf first, unless the server has refused it.
    fn accept(&self, request: &ApiRequest, protobuf: bool) -> String {
        let kind = match (self.metadata_only || *request == ApiRequest::Identify, request.is_watch()) {
            (false, _) => "",
            (true, true) => ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            (true, false) => ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        };
        let stream = if request.is_watch() { ";stream=watch" } else { "" };
        let plain = Format::Json.media_type();
        let json = if kind.is_empty() { plain.to_owned() } else { format!("{plain}{kind},{plain}") };
        if protobuf { format!("{}{kind}{stream},{json}", Format::Protobuf.media_type()) } else { json }
    }
}

/// Contents of the response to an accepted request.
pub(crate) enum AnswerContent {
    /// Identity of the cluster: the uid of `kube-system`, if there is one, and the revision.
    Identity(Option<String>, String),
    /// A body, still to be read.
    Body(Response<Body>, Format),
    /// None: the request was not made, because the cluster was identified with another client.
    OtherClient,
}

/// A response, with the properties of its connection.
pub(crate) struct ServerAnswer {
    pub(crate) answer: AnswerContent,
    /// The generation of the client.
    pub(crate) client: u64,
    /// The server that the client is for.
    pub(crate) server: ConfiguredServer,
    /// The connection's liveness.
    pub(crate) liveness: Option<Liveness>,
    /// True if the connection is HTTP/2, which checks its liveness by PINGs.
    pub(crate) http2: bool,
}

/// Decoder of the body of a response.
pub(crate) enum BodyDecoder<K> {
    List(ListDecoder<K>),
    Watch(WatchDecoder<K>),
}

impl<K: Object> BodyDecoder<K> {
    pub(crate) fn new(request: &ApiRequest, format: Format) -> Self {
        if request.is_watch() {
            Self::Watch(WatchDecoder::new(format))
        } else {
            Self::List(ListDecoder::new(format))
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::List(list) => list.push(chunk),
            Self::Watch(watch) => watch.push(chunk),
        }
    }
}

/// Sender of the requests of one watch.
#[derive(Clone)]
pub(crate) struct Requester {
    access: Arc<ClusterAccess>,
    endpoint: Arc<Endpoint>,
    /// True once the server, or a proxy in front of it, has refused protobuf.
    json_only: Arc<AtomicBool>,
    /// Time without data before a probe, and time limit for the response to the probe.
    pub(crate) probe_interval: Duration,
}

impl Requester {
    pub(crate) fn new(access: Arc<ClusterAccess>, endpoint: Endpoint, probe_interval: Duration) -> Self {
        Self { access, endpoint: Arc::new(endpoint), json_only: Arc::default(), probe_interval }
    }

    /// Returns the server of the client in use.
    pub(crate) fn server(&self) -> ConfiguredServer {
        self.access.server()
    }

    /// Makes a request and returns its response once the headers have arrived. Only [`ApiRequest::Identify`] is sent
    /// with another client than `confirmed`.
    pub(crate) fn request(
        &self,
        request: ApiRequest,
        confirmed: Option<u64>,
    ) -> BoxFuture<'static, Result<ServerAnswer, Cause>> {
        let requester = self.clone();
        Box::pin(async move {
            let client = requester.access.client_within(CLIENT_WAIT_TIMEOUT).await;
            let client = client.map_err(|error| Cause::Credentials(error))?;
            // There is no await between the two, so both belong to this client.
            let (number, server) = (requester.access.generation(), requester.access.server());
            if request != ApiRequest::Identify && confirmed.is_some_and(|confirmed| confirmed != number) {
                let answer = AnswerContent::OtherClient;
                return Ok(ServerAnswer { answer, client: number, server, liveness: None, http2: false });
            }
            let protobuf = !requester.json_only.load(Ordering::Relaxed);
            let response = requester.send(&client, &request, protobuf).await?;
            let refused =
                matches!(response.status(), StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE);
            let response = if refused && protobuf {
                requester.json_only.store(true, Ordering::Relaxed);
                requester.send(&client, &request, false).await?
            } else {
                response
            };
            read(&request, response, number, server).await
        })
    }

    /// Requests `/version`, to check whether the server is alive. Any response counts.
    pub(crate) fn probe(&self) -> BoxFuture<'static, Result<(), BoxError>> {
        let requester = self.clone();
        Box::pin(async move {
            let request = HttpRequest::get("/version").body(Body::empty())?;
            let client = requester.access.client().await?;
            match timeout(requester.probe_interval, client.send(request)).await {
                Ok(answer) => answer.map(drop).map_err(BoxError::from),
                Err(_) => Err(format!("no answer to a probe within {:?}", requester.probe_interval).into()),
            }
        })
    }

    async fn send(
        &self,
        client: &Client,
        request: &ApiRequest,
        protobuf: bool,
    ) -> Result<Response<Body>, Cause> {
        let built = HttpRequest::get(self.endpoint.uri(request))
            .header(ACCEPT, self.endpoint.accept(request, protobuf))
            .body(Body::empty());
        let built = built.map_err(Cause::unreachable)?;
        let sent = client.send(built).await;
        let response = sent.map_err(|error| {
            self.access.unreachable(&error);
            Cause::unreachable(error)
        })?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.access.refused();
        }
        Ok(response)
    }
}

/// Processes the headers of a response, and the body of an error or of an identity.
async fn read(
    request: &ApiRequest,
    response: Response<Body>,
    client: u64,
    server: ConfiguredServer,
) -> Result<ServerAnswer, Cause> {
    let liveness = response.extensions().get::<Liveness>().cloned();
    let http2 = response.version() == Version::HTTP_2;
    if !response.status().is_success() {
        return Err(Cause::Status(refusal(response).await));
    }
    let kind = content_type(response.headers());
    let Some(format) = kind.as_deref().and_then(Format::of_content_type) else {
        let kind = kind.unwrap_or_else(|| "none".to_owned());
        return Err(Cause::garbage(format!("its Content-Type is {kind}")));
    };
    let answer = if *request == ApiRequest::Identify {
        let (uid, revision) = identity(response, format).await?;
        AnswerContent::Identity(uid, revision)
    } else {
        AnswerContent::Body(response, format)
    };
    Ok(ServerAnswer { answer, client, server, liveness, http2 })
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(CONTENT_TYPE)?.to_str().ok()?.to_owned())
}

/// Reads an error response.
async fn refusal(response: Response<Body>) -> Refusal {
    let code = response.status().as_u16();
    let kind = content_type(response.headers());
    let after = retry_after(response.headers());
    let mut body = Vec::new();
    // If the rest does not arrive, the bytes received so far are used.
    let _ = timeout(BODY_TIMEOUT, read_start(response.into_body(), &mut body)).await;
    let refusal = Refusal::from(Status::of_answer(code, kind.as_deref(), &body));
    Refusal { retry_after: after.or(refusal.retry_after), ..refusal }
}

/// Reads the first [`MAX_STATUS`] bytes of a body, or as many as arrive.
async fn read_start(mut body: Body, start: &mut Vec<u8>) {
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let room = MAX_STATUS - start.len();
        start.extend_from_slice(data.get(..room).unwrap_or(&data));
        if start.len() == MAX_STATUS {
            return;
        }
    }
}

/// Returns the seconds in `Retry-After` (RFC 9110 10.2.3). API servers do not send dates in it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Reads the response to [`ApiRequest::Identify`]. A server that ignores the selector lists all namespaces.
async fn identity(response: Response<Body>, format: Format) -> Result<(Option<String>, String), Cause> {
    let mut body = response.into_body();
    let mut decoder = ListDecoder::<Namespace>::new(format);
    let mut uid = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Cause::broken)?;
        let Ok(data) = frame.into_data() else { continue };
        decoder.push(data);
        while let Some(item) = decoder.next().map_err(Cause::garbage)? {
            if let ListItem::Object(namespace) = item
                && namespace.metadata().name == "kube-system"
            {
                uid = Some(namespace.metadata().uid.clone()).filter(|uid| !uid.is_empty());
            }
        }
    }
    let end = decoder.finish().map_err(Cause::garbage)?;
    Ok((uid, end.resource_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds() {
        let headers = |value: &str| HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("-7")), None);
        assert_eq!(retry_after(&headers("Fri, 31 Dec 1999 23:59:59 GMT")), None);
    }

    #[tokio::test]
    async fn refusal_keeps_the_start_of_its_body() {
        let long = format!("overloaded{}", " ".repeat(2 * MAX_STATUS));
        let response = Response::builder().status(500).body(Body::from(long.into_bytes())).unwrap();
        assert_eq!(refusal(response).await.message, "overloaded");
        let mut start = Vec::new();
        read_start(Body::from(vec![b'a'; MAX_STATUS + 1]), &mut start).await;
        assert_eq!(start.len(), MAX_STATUS);
    }

    #[test]
    fn protobuf_is_preferred_and_json_accepted() {
        let endpoint = Endpoint { path: "/api/v1/pods".to_owned(), selector: None, metadata_only: false };
        let watch = ApiRequest::Watch { version: "1".to_owned(), timeout: 300 };
        let accept = endpoint.accept(&watch, true);
        assert_eq!(accept, "application/vnd.kubernetes.protobuf;stream=watch,application/json");
        assert!(!endpoint.accept(&watch, false).contains("protobuf"));
        assert!(endpoint.accept(&ApiRequest::Identify, true).contains("as=PartialObjectMetadataList"));
    }
}
