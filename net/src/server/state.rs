//! State that the threads of a server share and the admin endpoints show.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use poddns_watch::{Resource, WatchStatus};
use tokio::sync::watch;

use super::answer::ResponseInputs;
use super::counters::{Counter, Counters};
use super::pods::PodsReport;
use super::query_log::QueryLogger;
use super::settings::Needs;
use super::tcp::TcpCounters;
use super::transfer::TransferCounters;

/// Listener of DNS: the sockets of one address.
#[derive(Debug)]
pub(crate) struct DnsListener {
    /// As configured, perhaps with port 0.
    pub(crate) configured: SocketAddr,
    /// As bound.
    pub(crate) address: SocketAddr,
    /// Duplicated handles of the workers' sockets, for the kernel's counters.
    pub(crate) udp: Vec<UdpSocket>,
}

impl DnsListener {
    /// Returns the number of datagrams that the kernel dropped because a receive buffer was full.
    #[cfg(target_os = "linux")]
    fn dropped_by_kernel(&self) -> u64 {
        use std::os::fd::AsFd;
        let drops = |socket: &UdpSocket| crate::sys::dropped_by_kernel(socket.as_fd()).unwrap_or_default();
        self.udp.iter().map(|socket| u64::from(drops(socket))).sum()
    }

    /// Returns 0: the number is known on Linux only.
    #[cfg(not(target_os = "linux"))]
    fn dropped_by_kernel(&self) -> u64 {
        0
    }
}

/// The listeners of DNS, and the drops of those that are closed.
#[derive(Debug, Default)]
pub(crate) struct DnsListeners {
    pub(crate) open: Vec<DnsListener>,
    /// Drops of closed listeners, included because a counter must not decrease.
    dropped_before: u64,
}

impl DnsListeners {
    /// Removes the listeners for which `which` returns true, and returns them.
    pub(crate) fn close(&mut self, which: impl Fn(&DnsListener) -> bool) -> Vec<DnsListener> {
        let closed: Vec<DnsListener> = self.open.extract_if(.., |listener| which(listener)).collect();
        self.dropped_before += closed.iter().map(DnsListener::dropped_by_kernel).sum::<u64>();
        closed
    }

    pub(crate) fn dropped_by_kernel(&self) -> u64 {
        self.dropped_before + self.open.iter().map(DnsListener::dropped_by_kernel).sum::<u64>()
    }
}

/// Numbers of reloads.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// True if the last one failed.
    last_failed: AtomicBool,
}

impl Reloads {
    /// Counts a reload.
    pub(crate) fn count(&self, succeeded: bool) {
        let counter = if succeeded { &self.succeeded } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.last_failed.store(!succeeded, Ordering::Relaxed);
    }

    /// Returns true unless the last reload failed.
    pub(crate) fn last_succeeded(&self) -> bool {
        !self.last_failed.load(Ordering::Relaxed)
    }
}

/// Numbers of log lines that a program lost, for the admin endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLosses {
    /// Lines dropped because earlier ones had not been written yet.
    pub queue_full: u64,
    /// Lines that could not be written.
    pub write_failed: u64,
    /// Panics of the thread that writes. It continues after each.
    pub panics: u64,
}

/// An option of the embedding program, for the admin endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionInForce {
    /// Its name.
    pub name: &'static str,
    /// Its values, as an operator would write them.
    pub values: Vec<String>,
    /// Meaning of an empty list of values, if it has one.
    pub note: Option<&'static str>,
    /// Kind of source, such as `flag` or `default`.
    pub source: &'static str,
    /// The place where it is set, if there is one.
    pub place: Option<String>,
}

/// State that all threads of a server share.
#[derive(Debug)]
pub(crate) struct ServerState {
    /// Inputs of the responses of all threads.
    pub(crate) current: watch::Sender<ResponseInputs>,
    /// One for each worker.
    pub(crate) udp: Vec<Arc<Counters>>,
    pub(crate) tcp: Arc<Counters>,
    pub(crate) connections: Arc<TcpCounters>,
    /// Addresses of the admin endpoints, as bound.
    pub(crate) admin: Vec<SocketAddr>,
    pub(crate) reloads: Reloads,
    /// Panics of the admin endpoints, counted by the thread that serves them.
    pub(crate) admin_panics: Counter,
    /// Panics of the other tasks of the same thread, also counted by it.
    pub(crate) control_panics: Counter,
    /// Panics of the embedding program.
    pub(crate) main_panics: AtomicU64,
    pub(crate) started: Instant,
    pub(crate) log_losses: fn() -> LogLosses,
    pub(crate) query_log: Arc<QueryLogger>,
    /// Counters of zone transfers, which any thread may increment.
    pub(crate) transfers: Arc<TransferCounters>,
    listeners: Mutex<DnsListeners>,
    options: Mutex<Arc<[OptionInForce]>>,
    /// An address of a pod that the rate limit applies to.
    rate_limited_pod: Mutex<Option<IpAddr>>,
    draining: AtomicBool,
}

impl ServerState {
    pub(crate) fn new(
        current: ResponseInputs,
        admin: Vec<SocketAddr>,
        log_losses: fn() -> LogLosses,
    ) -> Self {
        let workers = current.settings.threads.get();
        Self {
            current: watch::Sender::new(current),
            udp: (0..workers).map(|_| Arc::default()).collect(),
            tcp: Arc::default(),
            connections: Arc::default(),
            admin,
            reloads: Reloads::default(),
            admin_panics: Counter::default(),
            control_panics: Counter::default(),
            main_panics: AtomicU64::new(0),
            started: Instant::now(),
            log_losses,
            query_log: Arc::default(),
            transfers: Arc::default(),
            listeners: Mutex::default(),
            options: Mutex::new(Arc::new([])),
            rate_limited_pod: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// Returns the inputs of responses, after a check of their freshness.
    pub(crate) fn current(&self) -> ResponseInputs {
        let current = self.current.borrow().clone();
        current.pods.0.check_freshness();
        current
    }

    pub(crate) fn listeners(&self) -> MutexGuard<'_, DnsListeners> {
        // Each change is a single call that leaves the listeners consistent.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the options of the program.
    pub(crate) fn options(&self) -> Arc<[OptionInForce]> {
        Arc::clone(&self.options.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the options of the program.
    pub(crate) fn set_options(&self, options: Vec<OptionInForce>) {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = options.into();
    }

    /// Returns an address of a pod that the rate limit applies to, if the last check found one.
    pub(crate) fn rate_limited_pod(&self) -> Option<IpAddr> {
        *self.rate_limited_pod.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the result of a check and returns the previous result.
    pub(crate) fn set_rate_limited_pod(&self, address: Option<IpAddr>) -> Option<IpAddr> {
        std::mem::replace(&mut self.rate_limited_pod.lock().unwrap_or_else(PoisonError::into_inner), address)
    }

    /// Marks the server as not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns the reasons why the server is not ready; empty if it is ready.
    pub(crate) fn pending(&self) -> Vec<String> {
        let mut pending = Vec::new();
        if self.draining() {
            pending.push("draining: the server is about to end".to_owned());
        }
        let ResponseInputs { settings, pods, .. } = self.current();
        // Pods that only the audit needs do not delay readiness.
        let needs = settings.answers_need();
        pending.extend(awaited(&pods.0.report(), needs).map(ToString::to_string));
        let freshness = if needs == Needs::Pods { pods.0.freshness() } else { pods.0.namespace_freshness() };
        // Beyond max-staleness, answers are SERVFAIL, as if the pods were unsynced.
        if needs != Needs::Nothing
            && let (Some(most), Some(age)) = (settings.max_staleness, freshness.age())
            && age > most
        {
            let (age, most) = (age.as_secs(), most.as_secs());
            pending.push(format!("stale: the pods are {age} s old, more than max-staleness of {most} s"));
        }
        pending
    }
}

/// Returns the unsynced watches that answers need, without those that only the audit needs.
fn awaited(report: &PodsReport, needs: Needs) -> impl Iterator<Item = &WatchStatus> {
    let has_namespaces = report.watches.iter().any(|watch| watch.resource == Resource::Namespaces);
    report.pending().filter(move |watch| match needs {
        Needs::Nothing => false,
        Needs::Namespaces => !has_namespaces || watch.resource == Resource::Namespaces,
        Needs::Pods => true,
    })
}

#[cfg(test)]
mod tests {
    use poddns_core::Freshness;

    use super::*;

    #[test]
    fn only_what_answers_need_is_awaited() {
        let watch = |resource, freshness| WatchStatus { resource, namespace: None, freshness, error: None };
        let report = |watches| PodsReport { watches, ..PodsReport::default() };
        let (unsynced, fresh) = (Freshness::Unsynced, Freshness::Fresh);
        let count = |report: &PodsReport, needs| awaited(report, needs).count();
        let pods_pending = report(vec![watch(Resource::Pods, unsynced), watch(Resource::Namespaces, fresh)]);
        assert_eq!(count(&pods_pending, Needs::Pods), 1);
        assert_eq!(count(&pods_pending, Needs::Namespaces), 0);
        assert_eq!(count(&pods_pending, Needs::Nothing), 0);
        let both_pending =
            report(vec![watch(Resource::Pods, unsynced), watch(Resource::Namespaces, unsynced)]);
        assert_eq!(count(&both_pending, Needs::Namespaces), 1);
        let unopened = report(vec![watch(Resource::Pods, unsynced)]);
        assert_eq!(count(&unopened, Needs::Namespaces), 1, "one watch stands for all");
    }
}
