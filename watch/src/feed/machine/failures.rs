//! Failures and their consequences.

use std::time::{Duration, Instant};

use super::cause::{Cause, Refusal};
use super::listing::ListMethod;
use super::request::{ApiRequest, ListConsistency};
use super::target::ObjectTarget;
use super::{Exchange, Goal, LONGEST_SPREAD, Machine, Notice, SHORT_WATCH};

/// Number of consecutive failures of a watch, reported by the server, that cause a relist.
const REFUSALS_TO_RELIST: u32 = 3;
/// Upper limit for a server's `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(2);
/// Time for which a restarted server may still be loading its RBAC rules and refuse requests that it allowed before.
const RULES_LOADING_TIME: Duration = Duration::from_secs(10);

/// Consequence of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// The same request, after the delay for a server that cannot be reached.
    Reconnect,
    /// The same request, after the delay for a server that responds with errors.
    Retry,
    /// The same request, after the delay for a watch that broke soon after it began.
    Resume,
    /// A new attempt at once, if necessary with another consistency.
    AtOnce,
    /// Another list method, at once. Not a failure; already reported by a notice.
    OtherMethod,
    /// A list, delayed at random if many replicas may relist now.
    Spread,
}

impl<T: ObjectTarget> Machine<T> {
    /// Reports that the exchange failed. The connection was last known to be alive at `alive`.
    pub(crate) fn failed(&mut self, now: Instant, cause: &Cause, alive: Instant) {
        let Some(exchange) = self.exchange.take() else { return };
        if matches!(cause, Cause::Status(_)) {
            self.contact = Some(now);
        }
        if self.is_no_identity(&exchange.request, cause) {
            self.confirmed = true;
            return self.compare_servers(now);
        }
        // A server that has refused to be identified may accept at the next attempt.
        self.confirmed &= self.cluster.is_some();
        let loading = self.is_loading_rules(now, cause);
        let text = self.subject.explain(&exchange.request, cause, loading);
        if matches!(exchange.request, ApiRequest::Watch { .. }) {
            self.tracker.down(alive, now);
        }
        let recovery = match (&exchange.request, cause) {
            (_, Cause::Stopped(_)) => {
                self.list = None;
                Recovery::AtOnce
            }
            (_, Cause::Credentials(_) | Cause::Unreachable(_)) => self.disconnected(),
            (ApiRequest::Identify, _) => Recovery::Retry,
            (ApiRequest::List { .. } | ApiRequest::StreamingList { .. }, _) => {
                self.list_failed(&exchange, cause, &text)
            }
            (ApiRequest::Watch { .. }, _) => self.watch_failed(now, &exchange, cause),
        };
        let asked = match cause {
            Cause::Status(refusal) => refusal.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER),
            _ => Duration::ZERO,
        };
        let retry_in = asked + self.delay(now, recovery);
        self.not_before = Some(now + retry_in);
        self.tracker.listing(false);
        if recovery != Recovery::OtherMethod {
            self.tracker.note(text.clone());
            self.notices.push(Notice::Failed { text, retry_in });
        }
    }

    /// Reports that nothing ran for this long: the process was stopped, or the machine suspended. Bytes that have
    /// arrived meanwhile are not read, and the connection may be broken without notice, so the exchange under way is
    /// restarted.
    pub(crate) fn stopped(&mut self, now: Instant, span: Duration) {
        let in_sync = now.checked_sub(span).unwrap_or(now);
        self.contact = None;
        self.confirmed = false;
        self.interrupted = true;
        self.failed(now, &Cause::Stopped(span), in_sync);
        self.tracker.down(in_sync, now);
        self.tracker.lose(now);
    }

    fn delay(&mut self, now: Instant, recovery: Recovery) -> Duration {
        match recovery {
            Recovery::Reconnect => {
                self.unreachable = true;
                self.connections.next(&mut self.random)
            }
            Recovery::Retry => self.answers.next(&mut self.random),
            Recovery::Resume => self.short.next(&mut self.random),
            Recovery::Spread if self.expiries > 1 => self.short.next(&mut self.random),
            // After an outage, all replicas list at once. The delay is short compared with the outage.
            Recovery::Spread if self.interrupted => {
                let longest = (self.tracker.lost_for(now) / 8).min(LONGEST_SPREAD);
                longest.mul_f64(self.random.f64())
            }
            Recovery::Spread | Recovery::AtOnce | Recovery::OtherMethod => Duration::ZERO,
        }
    }

    /// Requires that the server is identified before the next list or watch.
    fn disconnected(&mut self) -> Recovery {
        self.confirmed = false;
        self.interrupted = true;
        self.list = None;
        Recovery::Reconnect
    }

    /// Returns whether the server refuses, permanently, to be identified, and was never identified: it is watched
    /// without an identity.
    fn is_no_identity(&self, request: &ApiRequest, cause: &Cause) -> bool {
        let Cause::Status(refusal) = cause else { return false };
        *request == ApiRequest::Identify
            && self.cluster.is_none()
            && matches!(refusal.code, 400 | 403..=406 | 415 | 422 | 501)
    }

    /// Returns whether a 403 may be due to a server that has not loaded its RBAC rules yet.
    fn is_loading_rules(&mut self, now: Instant, cause: &Cause) -> bool {
        let Cause::Status(refusal) = cause else { return false };
        if refusal.code != 403 {
            return false;
        }
        let since = *self.forbidden.get_or_insert(now);
        let had_rights = self.tracker.has_list() && self.interrupted;
        refusal.lacks_rules() || (had_rights && now.saturating_duration_since(since) < RULES_LOADING_TIME)
    }

    fn list_failed(&mut self, exchange: &Exchange, cause: &Cause, text: &str) -> Recovery {
        let method = self.list.take().map_or(ListMethod::Paged, |list| list.method);
        match cause {
            Cause::Status(refusal) => self.list_refused(method, &exchange.request, refusal, text),
            Cause::Silence(_) if method == ListMethod::Streaming => {
                let why = "it stalls without an end; the server seems to ignore sendInitialEvents";
                self.give_up(method, why)
            }
            Cause::Broken(_) | Cause::Silence(_) => {
                self.confirmed = false;
                self.interrupted = true;
                self.method_failed(method, text)
            }
            _ => self.method_failed(method, text),
        }
    }

    fn list_refused(
        &mut self,
        method: ListMethod,
        request: &ApiRequest,
        refusal: &Refusal,
        text: &str,
    ) -> Recovery {
        let next_page = matches!(request, ApiRequest::List { continue_token: Some(_), .. });
        match refusal.code {
            // A continue token in this response would continue at another version, and the changes in between would be
            // lost.
            410 if next_page => {
                self.listing.enlarge_pages();
                self.expiries += 1;
                Recovery::Spread
            }
            410 | 504
                if self.goal != Goal::List(ListConsistency::Consistent)
                    && (refusal.code == 410 || refusal.is_behind()) =>
            {
                self.goal = Goal::List(ListConsistency::Consistent);
                Recovery::AtOnce
            }
            401 | 403 | 404 | 410 | 429 | 503 => Recovery::Retry,
            400..=499 if refusal.code != 408 => self.give_up(method, text),
            500 if method == ListMethod::Streaming => self.give_up(method, text),
            _ => self.method_failed(method, text),
        }
    }

    fn give_up(&mut self, method: ListMethod, why: &str) -> Recovery {
        if !self.listing.give_up(method) {
            return Recovery::Retry;
        }
        self.notices.push(Notice::GaveUp { method, why: why.to_owned() });
        Recovery::OtherMethod
    }

    fn method_failed(&mut self, method: ListMethod, why: &str) -> Recovery {
        if self.listing.failed(method) {
            self.notices.push(Notice::GaveUp { method, why: why.to_owned() });
        }
        Recovery::Retry
    }

    fn watch_failed(&mut self, now: Instant, exchange: &Exchange, cause: &Cause) -> Recovery {
        let lived = exchange.opened.map(|opened| now.saturating_duration_since(opened));
        match cause {
            Cause::Status(refusal) => self.watch_refused(now, refusal),
            // The change may have been a deletion.
            Cause::Garbage(_) | Cause::Unreadable(_) => {
                let read = self.not_older();
                self.relist(now, read);
                Recovery::Retry
            }
            _ => {
                self.confirmed = false;
                self.interrupted = true;
                if lived.is_some_and(|lived| lived < SHORT_WATCH) {
                    return Recovery::Resume;
                }
                self.short.reset();
                self.connections.reset();
                Recovery::Reconnect
            }
        }
    }

    fn watch_refused(&mut self, now: Instant, refusal: &Refusal) -> Recovery {
        match refusal.code {
            410 => {
                self.expiries += 1;
                let read = self.not_older();
                self.relist(now, read);
                Recovery::Spread
            }
            // The server refuses or is overloaded: the version is not the cause.
            401 | 403 | 404 | 429 | 503 | 504 => Recovery::Retry,
            400..=499 => {
                let read = self.not_older();
                self.relist(now, read);
                Recovery::Retry
            }
            _ => {
                self.refusals += 1;
                if self.refusals >= REFUSALS_TO_RELIST {
                    self.refusals = 0;
                    let read = self.not_older();
                    self.relist(now, read);
                }
                Recovery::Retry
            }
        }
    }
}
