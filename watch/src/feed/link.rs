//! What a watch sees of its requests below kube: whether the server took a watch, when it was last heard,
//! what `Retry-After` it gave. kube's `watcher` shows none of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower::{BoxError, service_fn};

use super::access::Access;
use super::backoff::Backoff;

/// A watch that ends sooner than this was cut short: another one is not begun at once.
const SHORT_WATCH: Duration = Duration::from_secs(5);

/// The signs of life of one watch, shared between its requests and its [`Driver`](super::drive::Driver).
#[derive(Debug)]
pub(crate) struct Signs {
    accepted: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    heard: Instant,
    retry_after: Option<Duration>,
    watch_began: Option<Instant>,
    pace: Backoff,
}

impl Signs {
    pub(crate) fn new() -> Self {
        let state =
            State { heard: Instant::now(), retry_after: None, watch_began: None, pace: Backoff::new() };
        Self { accepted: watch::Sender::new(0), state: Mutex::new(state) }
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the watches that the server took.
    pub(crate) fn accepted(&self) -> watch::Receiver<u64> {
        self.accepted.subscribe()
    }

    /// When the last part of a good answer came.
    pub(crate) fn heard(&self) -> Instant {
        self.state(|state| state.heard)
    }

    /// The wait that the last failed answer asked for; given once.
    pub(crate) fn take_retry_after(&self) -> Option<Duration> {
        self.state(|state| state.retry_after.take())
    }

    /// A watch was taken.
    pub(crate) fn accept(&self) {
        self.state(|state| {
            state.heard = Instant::now();
            state.watch_began = Some(state.heard);
        });
        self.accepted.send_modify(|count| *count += 1);
    }

    fn hear(&self) {
        self.state(|state| state.heard = Instant::now());
    }

    /// How long to wait before the next watch. kube begins it at once when one ends without an error, so a
    /// server, or a proxy before it, that closes every watch right away would be asked without pause.
    fn pause(&self) -> Duration {
        self.state(|state| match state.watch_began {
            Some(began) if began.elapsed() < SHORT_WATCH => state.pace.next(None),
            _ => Duration::ZERO,
        })
    }
}

/// The client of one watch: kube's, observed.
#[derive(Clone)]
pub(crate) struct Link {
    access: Arc<Access>,
    signs: Arc<Signs>,
}

impl Link {
    /// A client whose requests leave their signs in `signs`.
    pub(crate) fn client(access: Arc<Access>, signs: Arc<Signs>) -> Client {
        let link = Self { access, signs };
        Client::new(service_fn(move |request| link.clone().send(request)), "default")
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<ObservedBody>, BoxError> {
        let is_watch = query(request.uri()).any(|(key, value)| key == "watch" && value == "true");
        if is_watch {
            sleep(self.signs.pause()).await;
            read_consistently(request.uri_mut());
        }
        let result = self.access.client().await?.send(request).await;
        let response = result.inspect_err(|error| self.access.unreachable(error))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.access.refused();
        }
        match response.status().is_success() {
            true if is_watch => self.signs.accept(),
            true => self.signs.hear(),
            false => self.signs.state(|state| state.retry_after = retry_after(&response)),
        }
        let signs = self.signs;
        Ok(response.map(|body| body.inspect_frame(move |_| signs.hear()).boxed_unsync()))
    }
}

type ObservedBody = UnsyncBoxBody<bytes::Bytes, kube::Error>;

fn query(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
}

/// `Retry-After` in seconds (RFC 9110 10.2.3). API servers use no dates there.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Asks for a streaming list of what is true now.
///
/// kube begins a streaming list at `resourceVersion=0`, which means "anything you have": a replica of the API
/// server that lags behind would give a state older than the one we have, and addresses long gone would
/// resolve again. Without the parameter the list is as consistent as a paged one.
fn read_consistently(uri: &mut Uri) {
    if !query(uri).any(|(key, value)| key == "sendInitialEvents" && value == "true") {
        return;
    }
    let path = uri.path();
    let kept: Vec<&str> =
        uri.query().unwrap_or_default().split('&').filter(|pair| *pair != "resourceVersion=0").collect();
    if let Ok(changed) = format!("{path}?{}", kept.join("&")).parse() {
        *uri = changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streaming_lists_are_read_consistently() {
        let mut uri: Uri = "/api/v1/pods?&watch=true&sendInitialEvents=true&\
                            resourceVersionMatch=NotOlderThan&resourceVersion=0"
            .parse()
            .unwrap();
        read_consistently(&mut uri);
        assert_eq!(uri, "/api/v1/pods?&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    }

    #[test]
    fn other_watches_stay_as_they_are() {
        let watch = "/api/v1/pods?&watch=true&resourceVersion=0";
        let mut uri: Uri = watch.parse().unwrap();
        read_consistently(&mut uri);
        assert_eq!(uri, watch);
    }

    #[test]
    fn retry_after_is_seconds() {
        let response = |value: &str| Response::builder().header("Retry-After", value).body(()).unwrap();
        assert_eq!(retry_after(&response("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&response("-7")), None);
        assert_eq!(retry_after(&response("Fri, 31 Dec 1999 23:59:59 GMT")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn watches_that_end_at_once_are_begun_more_and_more_slowly() {
        let signs = Signs::new();
        assert_eq!(signs.pause(), Duration::ZERO, "the first is not held back");
        let mut total = Duration::ZERO;
        for _ in 0..50 {
            signs.accept();
            let pause = signs.pause();
            tokio::time::advance(pause).await;
            total += pause;
        }
        assert!(total > Duration::from_mins(1), "{total:?} for fifty watches");
        signs.accept();
        tokio::time::advance(SHORT_WATCH).await;
        assert_eq!(signs.pause(), Duration::ZERO, "one that lived is not");
    }
}
