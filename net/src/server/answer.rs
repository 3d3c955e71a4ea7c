//! Responses of one thread, with its settings, pods and counters.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use poddns_core::wire::Rcode;
use poddns_core::{
    AskedPod, Config, CookieSecrets, CookieStatus, DropReason, Outcome, Reason, Reply, Request, Transport,
    asked_pod, client_of, prefetch, refuse, respond,
};
use tokio::sync::watch;

use crate::server::audit::table::AuditedQuery;
use crate::server::audit::{Audit, AuditShard};
use crate::server::counters::{Counters, DropCause};
use crate::server::pods::SharedPods;
use crate::server::query_log::{Logging, QueryLogger};
use crate::server::rate_limit::{LimitAction, ThreadLimiter};
use crate::server::settings::Settings;
use crate::server::transfer::{DeferredQuery, TransferJob, TransferOutcome, TransferService};
use crate::sys::Datagram;

/// Reply that represents the messages of a transfer in the counters and the query log.
const TRANSFER_BEGUN: Reply = Reply::by_driver(0, Rcode::NOERROR, None);

/// Inputs of the responses of all threads; replaced as a whole by a reload.
#[derive(Clone, Debug)]
pub(crate) struct ResponseInputs {
    pub(crate) settings: Arc<Settings>,
    pub(crate) pods: SharedPods,
    /// Secrets of DNS cookies; with `None`, cookies of clients are ignored.
    pub(crate) cookies: Option<CookieSecrets>,
    /// The audit, if enabled.
    pub(crate) audit: Option<Arc<Audit>>,
    /// The responder to queries for transfers, if they are configured and can be answered.
    pub(crate) transfers: Option<Arc<TransferService>>,
}

/// Answers queries of one thread.
#[derive(Debug)]
pub(crate) struct Answerer {
    updates: watch::Receiver<ResponseInputs>,
    current: ResponseInputs,
    counters: Arc<Counters>,
    /// Limiter of responses; UDP only.
    response_limiter: Option<Rc<ThreadLimiter>>,
    negative_limiter: Rc<ThreadLimiter>,
    query_log: Arc<QueryLogger>,
    /// Number of queries selected for the query log since the last sample.
    skipped: Cell<u32>,
    /// Number of the thread, from 0.
    thread: usize,
    /// The thread's shard of the audit, if enabled.
    shard: Option<Arc<AuditShard>>,
}

impl Answerer {
    /// Returns an answerer for UDP, with the limiters of the thread of this number.
    pub(crate) fn udp(
        updates: watch::Receiver<ResponseInputs>,
        counters: Arc<Counters>,
        response_limiter: Rc<ThreadLimiter>,
        negative_limiter: Rc<ThreadLimiter>,
        thread: usize,
    ) -> Self {
        Self::new(updates, counters, Some(response_limiter), negative_limiter, thread)
    }

    /// Returns an answerer for TCP, which proves a client's address, so responses have no limit. `key` is the hash key
    /// of the negative limiter's table.
    pub(crate) fn tcp(
        updates: watch::Receiver<ResponseInputs>,
        counters: Arc<Counters>,
        key: [u8; 16],
        thread: usize,
    ) -> Self {
        Self::new(updates, counters, None, Rc::new(ThreadLimiter::new(key)), thread)
    }

    fn new(
        mut updates: watch::Receiver<ResponseInputs>,
        counters: Arc<Counters>,
        response_limiter: Option<Rc<ThreadLimiter>>,
        negative_limiter: Rc<ThreadLimiter>,
        thread: usize,
    ) -> Self {
        let current = updates.borrow_and_update().clone();
        let (query_log, skipped) = (Arc::default(), Cell::new(0));
        let mut answerer = Self {
            updates,
            current,
            counters,
            response_limiter,
            negative_limiter,
            query_log,
            skipped,
            thread,
            shard: None,
        };
        answerer.follow();
        answerer
    }

    /// Sets the query log.
    pub(crate) fn with_query_log(self, query_log: Arc<QueryLogger>) -> Self {
        Self { query_log, ..self }
    }

    /// Applies the current settings to the limiters and the audit of the thread.
    fn follow(&mut self) {
        self.shard = self.current.audit.as_ref().and_then(|audit| audit.shard(self.thread));
        let (settings, now) = (&self.current.settings, Instant::now());
        if let Some(response_limiter) = &self.response_limiter {
            response_limiter.set(settings.rate_limit.as_ref(), &settings.exempt, now);
        }
        self.negative_limiter.set(settings.nxdomain_limit.as_ref(), &settings.exempt, now);
    }

    /// Returns the settings, after a check for new ones.
    pub(crate) fn refresh(&mut self) -> &Settings {
        // `has_changed` is one atomic load; `borrow_and_update` takes a lock, but only after a reload.
        if self.updates.has_changed().unwrap_or(false) {
            self.current = self.updates.borrow_and_update().clone();
            self.follow();
        }
        &self.current.settings
    }

    /// Returns the inputs for a batch of queries: one configuration and one reading of each clock. Must be called after
    /// the batch has been received.
    pub(crate) fn batch(&mut self) -> BatchAnswerer<'_> {
        self.refresh();
        self.current.pods.0.check_freshness();
        let mut config = self.current.settings.answers();
        config.cookies = self.current.cookies.as_ref();
        BatchAnswerer {
            config,
            pods: &self.current.pods,
            counters: &self.counters,
            transport: if self.response_limiter.is_some() { Transport::Udp } else { Transport::Tcp },
            now: unix_seconds(),
            audit: self.shard.as_deref(),
            response_limiter: self
                .response_limiter
                .as_deref()
                .filter(|response_limiter| response_limiter.is_on()),
            negative_limiter: Some(&*self.negative_limiter)
                .filter(|negative_limiter| negative_limiter.is_on()),
            clock: OnceCell::new(),
            log: Logging::new(self.current.settings.query_log, &self.query_log),
            skipped: &self.skipped,
            transfers: self.current.transfers.as_ref(),
            transfer: RefCell::default(),
        }
    }
}

impl Answerer {
    /// Returns the counters, which only this thread may increment.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

/// Answers the queries of one batch.
#[derive(Debug)]
pub(crate) struct BatchAnswerer<'a> {
    config: Config<'a>,
    pods: &'a SharedPods,
    counters: &'a Counters,
    transport: Transport,
    /// Unix seconds.
    now: u64,
    /// The thread's shard of the audit, if enabled.
    audit: Option<&'a AuditShard>,
    /// The limiter of responses, if there is a limit.
    response_limiter: Option<&'a ThreadLimiter>,
    /// The limiter of negative answers, if there is a limit.
    negative_limiter: Option<&'a ThreadLimiter>,
    /// The time of the limiters' clock, once it has been read.
    clock: OnceCell<Instant>,
    /// The query log, if it is on.
    log: Option<Logging<'a>>,
    skipped: &'a Cell<u32>,
    /// The responder to queries for transfers, if they are configured and can be answered.
    transfers: Option<&'a Arc<TransferService>>,
    /// The transfer that the last query requested, until it is taken.
    transfer: RefCell<Option<Box<TransferJob>>>,
}

impl BatchAnswerer<'_> {
    /// Makes the index prefetch the addresses of these queries.
    pub(crate) fn prefetch<'q>(&self, queries: impl Iterator<Item = &'q [u8]>) {
        prefetch(&self.config, &*self.pods.0, queries);
    }

    /// Counts queries that were sent to a broadcast or multicast address.
    pub(crate) fn not_unicast(&self, number: usize) {
        for _ in 0..number {
            self.counters.queries.increment();
            self.counters.dropped(DropCause::NotUnicast);
        }
    }

    /// Returns true if queries are logged, by [`answer_and_log`](Self::answer_and_log).
    pub(crate) fn is_logged(&self) -> bool {
        self.log.is_some()
    }

    /// Writes the response to `query` into `out` and returns its length; `None` if there must be none.
    #[inline]
    pub(crate) fn answer(&self, query: Datagram<'_>, out: &mut [u8]) -> Option<usize> {
        self.reply(query, out).map(|reply| reply.len)
    }

    /// Like [`answer`](Self::answer), and logs the query. A separate function, so that the hot path contains no
    /// logging.
    #[cold]
    pub(crate) fn answer_and_log(&self, query: Datagram<'_>, out: &mut [u8]) -> Option<usize> {
        let Datagram { octets, peer, cut } = query;
        let reply = self.reply(Datagram { octets, peer, cut }, out);
        let begun = self.transfer.borrow().is_some().then_some(TRANSFER_BEGUN);
        if let (Some(log), Some(reply)) = (&self.log, reply.or(begun)) {
            log.log(self.skipped, modulo(self.now), (peer, self.transport), octets, &reply);
        }
        reply.map(|reply| reply.len)
    }

    #[inline]
    fn reply(&self, query: Datagram<'_>, out: &mut [u8]) -> Option<Reply> {
        let Datagram { octets: query, peer, cut } = query;
        self.counters.queries.increment();
        if peer.port() == 0 {
            self.counters.dropped(DropCause::SourcePortZero);
            return None;
        }
        let mut request = Request::new(self.transport, peer.ip(), modulo(self.now));
        request.cut = cut;
        let outcome = self.respond(query, &request, out);
        let refused = !self.admits(peer.ip(), &outcome);
        let outcome = if refused { self.refuse(query, &request, out) } else { outcome };
        let outcome = match self.limit_action(peer.ip(), &outcome) {
            LimitAction::Send => outcome,
            LimitAction::Truncate => {
                request.truncate = true;
                self.counters.slipped.increment();
                if refused {
                    refuse(&self.config, query, &request, out)
                } else {
                    self.respond(query, &request, out)
                }
            }
            LimitAction::Drop => {
                self.counters.dropped(DropCause::RateLimited);
                return None;
            }
        };
        match outcome {
            Outcome::Reply(reply) => {
                self.counters.reply(&reply);
                if let Some(shard) = self.audit {
                    self.audit(shard, &reply, query, peer.ip());
                }
                Some(reply)
            }
            Outcome::Drop(reason) => {
                self.counters.dropped(DropCause::By(reason));
                None
            }
            outcome => self.serve_secondary(outcome, query, &request, out),
        }
    }

    /// Answers a query for a transfer, or a signed query. Returns `None` if there is no response, or if the response is
    /// [several messages](Self::take_transfer).
    #[cold]
    fn serve_secondary(
        &self,
        outcome: Outcome,
        query: &[u8],
        request: &Request,
        out: &mut [u8],
    ) -> Option<Reply> {
        let limited = self.response_limiter.is_some_and(|response_limiter| {
            let limit_action =
                response_limiter.check(request.source, || *self.clock.get_or_init(Instant::now));
            !matches!(limit_action, LimitAction::Send)
        });
        if limited {
            self.counters.dropped(DropCause::RateLimited);
            return None;
        }
        let asked = DeferredQuery { config: &self.config, query, request };
        let answered = match self.transfers {
            Some(service) => service.answer(outcome, asked, out),
            None => TransferOutcome::not_ready(query, out),
        };
        match answered {
            TransferOutcome::Reply(reply) => {
                self.counters.reply(&reply);
                Some(reply)
            }
            TransferOutcome::Transfer(job) => {
                self.counters.reply(&TRANSFER_BEGUN);
                self.transfer.replace(Some(job));
                None
            }
            TransferOutcome::Nothing => {
                self.counters.dropped(DropCause::By(DropReason::NoRoom));
                None
            }
        }
    }

    /// Returns the transfer that the last query requested, if any.
    pub(crate) fn take_transfer(&self) -> Option<Box<TransferJob>> {
        self.transfer.take()
    }

    fn respond(&self, query: &[u8], request: &Request, out: &mut [u8]) -> Outcome {
        respond(&self.config, &*self.pods.0, query, request, out)
    }

    #[cold]
    fn refuse(&self, query: &[u8], request: &Request, out: &mut [u8]) -> Outcome {
        self.counters.nxdomain_limited.increment();
        refuse(&self.config, query, request, out)
    }

    /// Returns true if the limit of negative answers admits a response. Only NOERROR and NXDOMAIN are limited: other
    /// responses reveal nothing about names.
    fn admits(&self, client: IpAddr, outcome: &Outcome) -> bool {
        match (self.negative_limiter, outcome) {
            (Some(negative_limiter), Outcome::Reply(reply))
                if matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) =>
            {
                let negative = reply.rcode == Rcode::NXDOMAIN;
                negative_limiter.admits(client, negative, || *self.clock.get_or_init(Instant::now))
            }
            _ => true,
        }
    }

    /// Counts an answered query for an address in the audit, with the finding of mode verified. A truncated response is
    /// not counted: the client repeats the query over TCP.
    fn audit(&self, shard: &AuditShard, reply: &Reply, query: &[u8], source: IpAddr) {
        let answered = matches!(reply.reason, Reason::AddressUnchecked | Reason::AddressOfNamespace);
        if !answered || reply.truncated {
            return;
        }
        let client = client_of(&self.config, query, source);
        shard.count(client.is_some(), reply.audit, self.now, || {
            let AskedPod { namespace, address } = asked_pod(&self.config, query)?;
            Some(AuditedQuery { namespace, address, client })
        });
    }

    /// Applies the rate limit to a response. A valid cookie proves the client's address.
    fn limit_action(&self, client: IpAddr, outcome: &Outcome) -> LimitAction {
        match (self.response_limiter, outcome) {
            (Some(response_limiter), Outcome::Reply(reply)) if reply.cookie != CookieStatus::Valid => {
                response_limiter.check(client, || *self.clock.get_or_init(Instant::now))
            }
            _ => LimitAction::Send,
        }
    }
}

/// Returns the current time in Unix seconds; 0 if the clock is before 1970.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns seconds modulo 2^32.
fn modulo(seconds: u64) -> u32 {
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use poddns_core::{Freshness, Label, NoPods, PodLookup, Unknown};

    use super::*;
    use crate::server::pods::{PodsReport, ServedPods};

    /// Pods that become stale at the first check of freshness.
    #[derive(Default)]
    struct Lapsed(AtomicBool);

    impl PodLookup for Lapsed {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Ok(true)
        }

        fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
            Ok(true)
        }

        fn freshness(&self) -> Freshness {
            if self.0.load(Ordering::Relaxed) {
                Freshness::Stale { age: Duration::from_mins(1) }
            } else {
                Freshness::Fresh
            }
        }
    }

    impl ServedPods for Lapsed {
        fn check_freshness(&self) {
            self.0.store(true, Ordering::Relaxed);
        }

        fn report(&self) -> PodsReport {
            PodsReport::default()
        }
    }

    #[test]
    fn freshness_is_checked_for_each_batch() {
        let pods = SharedPods(Arc::new(Lapsed::default()));
        let current = watch::Sender::new(ResponseInputs {
            settings: Arc::default(),
            pods: pods.clone(),
            cookies: None,
            audit: None,
            transfers: None,
        });
        let mut answerer = Answerer::tcp(current.subscribe(), Arc::default(), [0; 16], 0);
        assert_eq!(pods.0.freshness(), Freshness::Fresh);
        let batch = answerer.batch();
        assert_ne!(batch.pods.0.freshness(), Freshness::Fresh);
    }

    #[test]
    fn nothing_is_sent_to_port_zero() {
        let pods = SharedPods(Arc::new(NoPods));
        let current = watch::Sender::new(ResponseInputs {
            settings: Arc::default(),
            pods,
            cookies: None,
            audit: None,
            transfers: None,
        });
        let counters = Arc::new(Counters::default());
        let (response_limiter, negative_limiter) = (ThreadLimiter::new([0; 16]), ThreadLimiter::new([0; 16]));
        let mut answerer = Answerer::udp(
            current.subscribe(),
            Arc::clone(&counters),
            Rc::new(response_limiter),
            Rc::new(negative_limiter),
            0,
        );
        let query = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        let mut out = [0; 512];
        let batch = answerer.batch();
        let from = |port| Datagram { octets: &query, peer: ([127, 0, 0, 1], port).into(), cut: false };
        assert_eq!(batch.answer(from(0), &mut out), None);
        assert!(batch.answer(from(1), &mut out).is_some());
        assert_eq!(counters.drops(DropCause::SourcePortZero), 1);
        assert_eq!(counters.queries.get(), 2);
    }
}
