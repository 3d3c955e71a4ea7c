//! Follows one watch for ever: events to the index, errors to the log, the state of both to health.
//!
//! Driven from any stream of watcher events, so it needs no server.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::core::Status;
use kube::runtime::watcher::{Error, Event};
use tokio::select;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::explain::Subject;
use super::link::Signs;
use super::report::Report;

/// Where the objects of a watch go.
pub(crate) trait Target {
    /// What is watched.
    type Object;

    /// A list begins, or begins again: what it does not name by its end is gone.
    fn begin(&mut self);
    /// An object as it is now, listed or changed.
    fn apply(&mut self, object: &Self::Object);
    /// An object is gone, or no longer selected.
    fn delete(&mut self, object: &Self::Object);
    /// The list is complete. Returns how many objects were gone.
    fn end(&mut self) -> usize;
}

/// How to get the first list and every later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// As the beginning of a watch (`sendInitialEvents`).
    Streamed,
    /// In pages of this many objects.
    Paged(u32),
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streamed => f.write_str("streaming list"),
            Self::Paged(size) => write!(f, "list in pages of {size}"),
        }
    }
}

/// A streaming list in which nothing comes for this long is none: the server ignores `sendInitialEvents`, and
/// the end will not be told.
const STREAM_SILENT: Duration = Duration::from_secs(10);
/// So many streaming lists cut off in a row, without an error, mean the same.
const STREAMS_CUT: u32 = 2;
/// A watch taken up again is in step once it has stood for this long without an error. A server that cannot go
/// on from where we are takes the watch first, and says so in its first event.
const SETTLE: Duration = Duration::from_secs(1);
/// So many errors in a row that are the server's answer, not its absence, and a new list is begun.
const ANSWERS_TO_RELIST: u32 = 3;
/// The same error is logged again this often.
const LOG_AGAIN: Duration = Duration::from_mins(5);
/// Pages do not grow beyond this when lists expire halfway.
const LARGEST_PAGE: u32 = 4000;

/// One watch and its state.
pub(crate) struct Driver<T> {
    target: T,
    subject: Subject,
    report: Report,
    signs: Arc<Signs>,
    backoff: Backoff,
    relists: Backoff,
    listing: Listing,
    page_size: u32,
    /// Streaming lists that ended early, one after the other.
    cut: u32,
    /// Errors in a row that came as the server's answer.
    answers: u32,
    logged: Option<(String, Instant)>,
}

/// Where one stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has given nothing yet.
    Begun,
    /// In a list.
    Listing,
    /// Behind a complete list.
    Watching,
}

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// kube goes on by itself: a watch from where it was, a list from its beginning.
    GoOn,
    /// Begin with a list.
    Relist,
    /// Begin with a list in pages, now and always.
    Pages,
    /// Begin with a list, in larger pages.
    LargerPages,
}

impl<T: Target> Driver<T> {
    pub(crate) fn new(
        target: T,
        subject: Subject,
        report: Report,
        signs: Arc<Signs>,
        page_size: u32,
    ) -> Self {
        let (backoff, relists) = (Backoff::new(), Backoff::of_relists());
        let (listing, cut, answers, logged) = (Listing::Streamed, 0, 0, None);
        Self { target, subject, report, signs, backoff, relists, listing, page_size, cut, answers, logged }
    }

    /// Follows streams of `open` one after the other. Never returns; drop it to stop.
    pub(crate) async fn run<S>(mut self, open: impl Fn(Listing) -> S)
    where
        S: Stream<Item = Result<Event<T::Object>, Error>>,
    {
        loop {
            self.follow(open(self.listing)).await;
        }
    }

    /// Follows one stream until it must be replaced, or ends.
    pub(crate) async fn follow(&mut self, stream: impl Stream<Item = Result<Event<T::Object>, Error>>) {
        let mut stream = pin!(stream);
        let mut accepted = self.signs.accepted();
        let mut phase = Phase::Begun;
        loop {
            let streaming = phase == Phase::Listing && self.listing == Listing::Streamed;
            let resumed = phase != Phase::Listing && self.report.is_stale();
            let event = select! {
                biased;
                event = stream.next() => event,
                () = sleep(STREAM_SILENT), if streaming => {
                    return self.use_pages("it stalls without an end; the server seems to ignore sendInitialEvents");
                }
                () = settled(&mut accepted), if resumed => {
                    self.in_step();
                    continue;
                }
            };
            match event {
                None => return,
                Some(Ok(Event::Init)) if streaming && self.cut + 1 >= STREAMS_CUT => {
                    return self.use_pages("it was cut off before its end, again");
                }
                Some(Ok(event)) => {
                    self.cut += u32::from(streaming && matches!(event, Event::Init));
                    phase = self.take(event, phase);
                }
                Some(Err(error)) => {
                    let recovery = self.recovery(&error, phase);
                    if recovery == Recovery::Pages {
                        return self.use_pages(&self.subject.explain(&error));
                    }
                    sleep(self.failed(&error)).await;
                    accepted.mark_unchanged();
                    match recovery {
                        // In a list it begins again anyway.
                        Recovery::GoOn if phase != Phase::Listing => {}
                        Recovery::GoOn | Recovery::Relist | Recovery::Pages => return,
                        Recovery::LargerPages => return self.use_larger_pages(),
                    }
                }
            }
        }
    }

    fn take(&mut self, event: Event<T::Object>, phase: Phase) -> Phase {
        match event {
            Event::Init => {
                self.report.list_begins();
                self.target.begin();
                return Phase::Listing;
            }
            Event::InitApply(object) => self.target.apply(&object),
            Event::InitDone => {
                self.cut = 0;
                let gone = self.target.end();
                self.report.stats().count_list();
                debug!(watch = %self.subject, gone, "complete {}", self.listing);
                self.in_step();
                return Phase::Watching;
            }
            Event::Apply(object) => {
                self.target.apply(&object);
                self.event_came();
            }
            Event::Delete(object) => {
                self.target.delete(&object);
                self.event_came();
            }
        }
        phase
    }

    fn event_came(&mut self) {
        self.answers = 0;
        self.report.stats().count_event();
        if self.report.is_stale() {
            self.in_step();
        }
    }

    fn in_step(&mut self) {
        self.answers = 0;
        if self.logged.take().is_some() {
            info!(watch = %self.subject, "in step again");
        }
        self.report.in_step();
    }

    fn use_pages(&mut self, why: &str) {
        info!(watch = %self.subject, why, "no streaming lists here, using pages");
        self.listing = Listing::Paged(self.page_size);
    }

    fn use_larger_pages(&mut self) {
        if let Listing::Paged(size) = &mut self.listing {
            *size = size.saturating_mul(4).min(LARGEST_PAGE);
            info!(watch = %self.subject, size, "the list expired halfway, using larger pages");
        }
    }

    /// Says so, to the log and to health. Returns how long to wait.
    fn failed(&mut self, error: &Error) -> Duration {
        let text = self.subject.explain(error);
        self.report.failed(self.signs.heard(), &text);
        let asked = self.signs.take_retry_after().or_else(|| retry_after(error));
        let expired = matches!(error, Error::WatchError(status) if status.code == 410);
        let backoff = if expired { &mut self.relists } else { &mut self.backoff };
        let delay = backoff.next(asked);
        let retry_in = format_args!("{:.1} s", delay.as_secs_f32());
        match &self.logged {
            Some((logged, at)) if *logged == text && at.elapsed() < LOG_AGAIN => {
                debug!(watch = %self.subject, %retry_in, "{text}");
            }
            _ => {
                warn!(watch = %self.subject, %retry_in, "{text}");
                self.logged = Some((text, Instant::now()));
            }
        }
        delay
    }

    fn recovery(&mut self, error: &Error, phase: Phase) -> Recovery {
        let streaming = self.listing == Listing::Streamed;
        match error {
            Error::WatchStartFailed(kube::Error::Api(status)) => match status.code {
                400 | 422 if streaming && phase != Phase::Watching => Recovery::Pages,
                400 | 410 | 422 => Recovery::Relist,
                // Refused or overloaded: it is no matter of where we go on from.
                401 | 403 | 429 | 503 | 504 => Recovery::GoOn,
                _ => self.after_answer(),
            },
            Error::InitialListFailed(kube::Error::Api(status)) if status.code == 410 => Recovery::LargerPages,
            // kube begins a new list after 410 by itself.
            Error::WatchError(status) if matches!(status.code, 410 | 429 | 503 | 504) => Recovery::GoOn,
            // What cannot be read may have been the news that a pod is gone, and kube would go on behind it.
            Error::WatchError(_)
            | Error::WatchFailed(
                kube::Error::Api(_)
                | kube::Error::SerdeError(_)
                | kube::Error::LinesCodecMaxLineLengthExceeded,
            ) => Recovery::Relist,
            _ => Recovery::GoOn,
        }
    }

    fn after_answer(&mut self) -> Recovery {
        self.answers += 1;
        if self.answers < ANSWERS_TO_RELIST { Recovery::GoOn } else { Recovery::Relist }
    }
}

/// Returns once a watch has been taken and has stood for a while.
async fn settled(accepted: &mut tokio::sync::watch::Receiver<u64>) {
    if accepted.changed().await.is_err() {
        // No more requests will be made.
        std::future::pending::<()>().await;
    }
    sleep(SETTLE).await;
}

/// The wait that the body of an error asks for, where its header does not.
fn retry_after(error: &Error) -> Option<Duration> {
    let status: &Status = match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => status,
        _ => return None,
    };
    let seconds = status.details.as_ref().map(|details| details.retry_after_seconds);
    seconds.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests;
