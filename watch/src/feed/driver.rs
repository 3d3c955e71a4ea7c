//! Driver of the machine of one watch: sends its requests to the API server, passes the responses to the machine, and
//! publishes the machine's state to health, log and counters.

mod resync;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as StdInstant};

use bytes::Bytes;
use futures::future::{BoxFuture, pending};
use http_body_util::BodyExt;
use hyper::body::Frame;
use kube::client::Body;
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::connection::Liveness;
use super::decode::{ListItem, Object, WatchFrame};
use super::exchange::{AnswerContent, BodyDecoder, Requester, ServerAnswer};
use super::identity::ClusterIdentity;
use super::machine::cause::Cause;
use super::machine::request::ApiRequest;
use super::machine::target::ObjectTarget;
use super::machine::{Machine, MachineStep};
use super::report::WatchReport;
use crate::freshness::Lapse;

/// Reachability of the API server, shared by the watches of one cluster.
#[derive(Debug)]
pub(crate) struct ClusterReachability {
    state: watch::Sender<ReachabilityState>,
    /// True if the server could not be reached by the last request.
    down: AtomicBool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ReachabilityState {
    /// Number of times that the server has become reachable again.
    returns: u64,
    /// The generation of the client in use; it changes when the configuration is read again.
    client: u64,
}

impl ClusterReachability {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(ReachabilityState::default()), down: AtomicBool::new(false) }
    }

    fn unreachable(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// Reports that the server has responded, to the client of this generation if it is known.
    fn answered(&self, client: Option<u64>) {
        let back = self.down.swap(false, Ordering::Relaxed);
        self.state.send_if_modified(|state| {
            let before = *state;
            state.returns += u64::from(back);
            state.client = client.map_or(state.client, |client| client.max(state.client));
            *state != before
        });
    }
}

/// The driver of one watch.
pub(crate) struct Driver<T: ObjectTarget> {
    machine: Machine<T>,
    requester: Requester,
    session: Arc<ClusterReachability>,
    seen: watch::Receiver<ReachabilityState>,
    /// Identity of the cluster, and the number of this watch in it.
    identity: (ClusterIdentity, usize),
    report: WatchReport,
    /// The generation of the client with which the cluster was identified.
    confirmed: Option<u64>,
}

/// A request under way.
enum OngoingRequest<K> {
    Awaiting(ApiRequest, BoxFuture<'static, Result<ServerAnswer, Cause>>),
    Reading(Box<BodyReader<K>>),
}

struct BodyReader<K> {
    body: Body,
    decoder: BodyDecoder<K>,
    liveness: Option<Liveness>,
    /// Time without data before a probe, if the connection does not send PINGs itself.
    probes: Option<Duration>,
    probe: Option<BoxFuture<'static, Result<(), BoxError>>>,
}

/// An event of a request.
enum RequestEvent {
    Answered(Result<ServerAnswer, Cause>),
    Chunk(Option<Result<Frame<Bytes>, kube::Error>>),
    ProbeDue,
    Probed(Result<(), BoxError>),
}

impl<T> Driver<T>
where
    T: ObjectTarget,
    T::Object: Object,
{
    pub(crate) fn new(
        machine: Machine<T>,
        requester: Requester,
        session: Arc<ClusterReachability>,
        identity: (ClusterIdentity, usize),
        report: WatchReport,
    ) -> Self {
        let seen = session.state.subscribe();
        Self { machine, requester, session, seen, identity, report, confirmed: None }
    }

    /// Keeps the index in sync. Never returns; drop the future to stop.
    pub(crate) async fn run(mut self) {
        let (mut exchange, mut resync) = (None, None);
        self.report.begin();
        loop {
            if let Err(Lapse(span)) = self.report.run() {
                self.machine.stopped(now(), span);
            }
            self.machine.subject().url = self.requester.server().url;
            let step = self.machine.poll(now());
            let relisting = self.machine.is_of_other_cluster();
            self.identity.0.set(self.identity.1, self.machine.cluster(), relisting);
            self.report.publish(&mut self.machine);
            match step {
                MachineStep::Send(request) => {
                    let answer = self.requester.request(request.clone(), self.confirmed);
                    exchange = Some(OngoingRequest::Awaiting(request, answer));
                }
                MachineStep::Wait(at) => {
                    if !self.machine.is_waiting() {
                        exchange = None;
                    }
                    self.begin_resync(&mut resync);
                    let times = [at, self.machine.resync_deadline(), Some(self.report.renewal().into_std())];
                    self.wait(times.into_iter().flatten().min(), &mut exchange, &mut resync).await;
                }
            }
        }
    }

    async fn wait(
        &mut self,
        at: Option<StdInstant>,
        exchange: &mut Option<OngoingRequest<T::Object>>,
        resync: &mut Option<OngoingRequest<T::Object>>,
    ) {
        let progress = select! {
            biased;
            progress = progress(exchange) => progress,
            progress = progress(resync) => return self.resync_progress(progress, resync),
            changed = self.seen.changed() => {
                if changed.is_ok() {
                    self.notified();
                }
                return;
            }
            () = until(at) => return,
        };
        match progress {
            RequestEvent::Answered(answered) => self.answered(answered, exchange),
            RequestEvent::Chunk(chunk) => self.chunk(chunk, exchange),
            RequestEvent::ProbeDue => {
                if let Some(OngoingRequest::Reading(reading)) = exchange {
                    reading.probe = Some(self.requester.probe());
                }
            }
            RequestEvent::Probed(result) => self.probed(result, exchange),
        }
    }

    /// Processes the notification that another watch has reached the server, or uses another client.
    fn notified(&mut self) {
        let ReachabilityState { client, .. } = *self.seen.borrow_and_update();
        self.machine.server_is_up();
        if self.confirmed.is_some_and(|confirmed| confirmed < client) {
            self.confirmed = None;
            self.machine.reconnect(now());
        }
    }

    fn answered(
        &mut self,
        answered: Result<ServerAnswer, Cause>,
        exchange: &mut Option<OngoingRequest<T::Object>>,
    ) {
        let Some(OngoingRequest::Awaiting(request, _)) = exchange.take() else { return };
        let ServerAnswer { answer, client, server, liveness, http2 } = match answered {
            Ok(answered) => answered,
            Err(cause) => {
                self.machine.answers_from(self.requester.server());
                if matches!(cause, Cause::Unreachable(_)) {
                    self.session.unreachable();
                } else if matches!(cause, Cause::Status(_)) {
                    self.session.answered(None);
                }
                return self.machine.failed(now(), &cause, now());
            }
        };
        // The server may have changed, if the configuration was read again for this request.
        self.machine.answers_from(server);
        if !matches!(answer, AnswerContent::OtherClient) {
            self.session.answered(Some(client));
        }
        match answer {
            AnswerContent::Identity(uid, revision) => {
                self.confirmed = Some(client);
                self.machine.accepted(now());
                self.machine.identified(now(), uid.as_deref(), &revision);
            }
            AnswerContent::OtherClient => {
                self.confirmed = None;
                self.machine.reconnect(now());
            }
            AnswerContent::Body(response, format) => {
                self.machine.accepted(now());
                let decoder = BodyDecoder::new(&request, format);
                let body = response.into_body();
                let probes = (!http2).then_some(self.requester.probe_interval);
                *exchange = Some(OngoingRequest::Reading(Box::new(BodyReader {
                    body,
                    decoder,
                    liveness,
                    probes,
                    probe: None,
                })));
            }
        }
    }

    fn chunk(
        &mut self,
        chunk: Option<Result<Frame<Bytes>, kube::Error>>,
        exchange: &mut Option<OngoingRequest<T::Object>>,
    ) {
        let Some(OngoingRequest::Reading(mut reading)) = exchange.take() else { return };
        match chunk {
            Some(Ok(frame)) => {
                self.machine.heard(now());
                if let Ok(data) = frame.into_data() {
                    reading.decoder.push(data);
                    self.decode(&mut reading.decoder);
                }
                if self.machine.is_waiting() {
                    *exchange = Some(OngoingRequest::Reading(reading));
                }
            }
            Some(Err(error)) => {
                let alive = reading.liveness.map_or_else(now, |liveness| liveness.last().into_std());
                let silence = now().saturating_duration_since(alive);
                // The client itself closes a connection whose PING is not answered, with an error that does not contain
                // the reason.
                let cause = if reading.probes.is_none() && silence >= self.requester.probe_interval {
                    let seconds = silence.as_secs_f32();
                    Cause::broken(format!("no answer to a PING: nothing has arrived for {seconds:.1} s"))
                } else {
                    Cause::broken(error)
                };
                self.machine.failed(now(), &cause, alive);
            }
            None => self.end(reading.decoder),
        }
    }

    /// Processes the objects and events that the decoder has completed.
    fn decode(&mut self, decoder: &mut BodyDecoder<T::Object>) {
        let now = now();
        while self.machine.is_waiting() {
            let result = match decoder {
                BodyDecoder::List(list) => list.next().map(|item| item.map(|item| self.item(item))),
                BodyDecoder::Watch(watch) => {
                    watch.next().map(|frame| frame.map(|frame| self.frame(now, frame)))
                }
            };
            match result {
                Ok(Some(())) => {}
                Ok(None) => return,
                Err(error) => self.machine.failed(now, &Cause::garbage(error), now),
            }
        }
    }

    fn item(&mut self, item: ListItem<T::Object>) {
        match item {
            ListItem::Object(object) => self.machine.listed(&object),
            ListItem::Malformed(object) => self.machine.target().malformed(&object),
        }
    }

    fn frame(&mut self, now: StdInstant, frame: WatchFrame<T::Object>) {
        match frame {
            WatchFrame::Event { kind, object } => self.machine.event(now, kind, &object),
            WatchFrame::Bookmark { resource_version, initial_events_end } => {
                self.machine.bookmark(now, &resource_version, initial_events_end);
            }
            WatchFrame::Error(status) => self.machine.failed(now, &Cause::Status(status.into()), now),
            WatchFrame::Malformed { kind, object } => {
                self.machine.target().malformed(&object);
                self.machine.unreadable(now, kind, object.cause);
            }
        }
    }

    /// Finishes decoding after the end of the body.
    fn end(&mut self, decoder: BodyDecoder<T::Object>) {
        let ended = match decoder {
            BodyDecoder::List(list) => list.finish().map(Some),
            BodyDecoder::Watch(watch) => watch.finish().map(|()| None),
        };
        match ended {
            Ok(Some(end)) => self.machine.list_ended(now(), &end.resource_version, end.continue_token),
            Ok(None) => self.machine.ended(now()),
            Err(error) => self.machine.failed(now(), &Cause::broken(error), now()),
        }
    }

    fn probed(&mut self, result: Result<(), BoxError>, exchange: &mut Option<OngoingRequest<T::Object>>) {
        let Some(OngoingRequest::Reading(reading)) = exchange else { return };
        reading.probe = None;
        let Some(liveness) = reading.liveness.clone() else { return };
        match result {
            Ok(()) => liveness.touch(),
            Err(error) => {
                *exchange = None;
                self.machine.failed(now(), &Cause::broken(error), liveness.last().into_std());
            }
        }
    }
}

fn now() -> StdInstant {
    Instant::now().into_std()
}

async fn until(at: Option<StdInstant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}

/// Waits for the next event of a request. Cancel-safe.
async fn progress<K>(exchange: &mut Option<OngoingRequest<K>>) -> RequestEvent {
    match exchange {
        None => pending().await,
        Some(OngoingRequest::Awaiting(_, answer)) => RequestEvent::Answered(answer.await),
        Some(OngoingRequest::Reading(reading)) => reading.progress().await,
    }
}

impl<K> BodyReader<K> {
    async fn progress(&mut self) -> RequestEvent {
        let silent =
            self.liveness.as_ref().zip(self.probes).map(|(liveness, silence)| liveness.last() + silence);
        let probe = async {
            match (&mut self.probe, silent) {
                (Some(probe), _) => RequestEvent::Probed(probe.await),
                (None, Some(at)) => {
                    sleep_until(at).await;
                    RequestEvent::ProbeDue
                }
                (None, None) => pending().await,
            }
        };
        select! {
            biased;
            frame = self.body.frame() => RequestEvent::Chunk(frame),
            probe = probe => probe,
        }
    }
}
