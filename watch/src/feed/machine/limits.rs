//! Time limits of the exchange under way.

use std::time::{Duration, Instant};

use super::cause::Cause;
use super::request::ApiRequest;
use super::target::ObjectTarget;
use super::{Exchange, Machine, SETTLE};

/// Time limit for the response to [`ApiRequest::Identify`], which is small.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for the headers of a list. The API server's own limit is one minute.
const LIST_TIMEOUT: Duration = Duration::from_secs(65);
/// Time limit for the headers of a watch, which the server sends before the first event.
const WATCH_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for the next bytes of a list.
pub(super) const LIST_SILENCE: Duration = Duration::from_secs(30);
/// Time limit for the next bytes of a streaming list before its end. A server that ignores `sendInitialEvents` never
/// sends the final bookmark.
pub(super) const STREAM_SILENCE: Duration = Duration::from_secs(10);
/// Time limit for the next event of a watch, if the server sends bookmarks: it sends one about once a minute.
const BOOKMARK_SILENCE: Duration = Duration::from_mins(3);
/// Time for which a server may keep a watch open beyond the requested timeout.
const OVERDUE: Duration = Duration::from_secs(30);

/// Consequence of an exceeded time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    NoAnswer,
    Silence,
    Overdue,
    Settle,
}

impl<T: ObjectTarget> Machine<T> {
    /// Applies the time limits.
    pub(super) fn tick(&mut self, now: Instant) {
        self.tracker.tick(now);
        let Some(exchange) = &self.exchange else { return };
        let quiet = !exchange.settled && exchange.opened.is_some() && now >= exchange.event + SETTLE;
        if quiet && matches!(exchange.request, ApiRequest::Watch { .. }) {
            self.settle();
        }
        let Some(exchange) = &self.exchange else { return };
        let (limit, expiry) = self.expiry(exchange);
        if now < limit {
            return;
        }
        match expiry {
            Expiry::Settle => {}
            Expiry::Overdue => self.ended(now),
            Expiry::NoAnswer => {
                let waited = now.saturating_duration_since(exchange.sent);
                let text = format!("no answer within {} s", waited.as_secs());
                self.failed(now, &Cause::unreachable(text), now);
            }
            Expiry::Silence => {
                let (event, heard) = (exchange.event, exchange.heard);
                let silent = now.saturating_duration_since(event.max(heard));
                self.failed(now, &Cause::Silence(silent), now);
            }
        }
    }

    /// Returns the time at which the next time limit of the exchange ends, or at which the watch counts as established.
    pub(super) fn limit(&self, exchange: &Exchange) -> Instant {
        self.expiry(exchange).0
    }

    fn expiry(&self, exchange: &Exchange) -> (Instant, Expiry) {
        let Some(opened) = exchange.opened else {
            let timeout = match exchange.request {
                ApiRequest::Identify => IDENTIFY_TIMEOUT,
                ApiRequest::List { .. } => LIST_TIMEOUT,
                ApiRequest::StreamingList { .. } | ApiRequest::Watch { .. } => WATCH_TIMEOUT,
            };
            return (exchange.sent + timeout, Expiry::NoAnswer);
        };
        match &exchange.request {
            ApiRequest::Identify | ApiRequest::List { .. } => {
                (exchange.heard + LIST_SILENCE, Expiry::Silence)
            }
            ApiRequest::StreamingList { .. } => (exchange.heard + STREAM_SILENCE, Expiry::Silence),
            ApiRequest::Watch { .. } if !exchange.settled => (exchange.event + SETTLE, Expiry::Settle),
            ApiRequest::Watch { timeout, .. } => {
                let overdue = opened + Duration::from_secs((*timeout).into()) + OVERDUE;
                let silent = exchange.event + BOOKMARK_SILENCE;
                if self.bookmarks && silent < overdue {
                    (silent, Expiry::Silence)
                } else {
                    (overdue, Expiry::Overdue)
                }
            }
        }
    }
}
