//! The handle of a running server.

use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "daemon")]
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::control::ControlCommand;
use super::error::StartError;
use super::settings::Settings;
use super::state::{OptionInForce, ServerState};
use super::thread::{PanicReceiver, Thread};
use super::{tcp, udp};

/// Interval between checks whether the pods are open.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A running server. Dropping it ends it in the background; [`stop`](Self::stop) waits for the end.
#[derive(Debug)]
pub struct Server {
    pub(super) state: Arc<ServerState>,
    pub(super) workers: Vec<Thread<udp::UdpCommand>>,
    pub(super) tcp: Thread<tcp::TcpCommand>,
    pub(super) control: Thread<ControlCommand>,
    pub(super) panics: PanicReceiver,
}

/// Pending result of opening the pods of a server that answers already.
#[derive(Debug)]
#[must_use = "reports why the pods cannot be read"]
pub struct Opening {
    receiver: oneshot::Receiver<Result<(), StartError>>,
    /// The result, if it has been received but not returned.
    result: Option<Result<(), StartError>>,
}

impl Opening {
    pub(super) fn new(receiver: oneshot::Receiver<Result<(), StartError>>) -> Self {
        Self { receiver, result: None }
    }

    /// Blocks until there is a result, for `limit` at most.
    pub(super) fn wait(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.result.is_none() && Instant::now() < end {
            self.result = match self.receiver.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Closed) => Some(Err(StartError::Dead)),
                Err(TryRecvError::Empty) => {
                    thread::sleep(POLL_INTERVAL);
                    None
                }
            };
        }
    }

    /// Waits until the configuration of the cluster, or the pods file, has been read. The first list may be incomplete:
    /// see [`Server::pending`]. Until the pods are known, responses that depend on them are SERVFAIL.
    ///
    /// Fails if the configuration or the file cannot be used; the server then continues to answer as before.
    pub async fn opened(mut self) -> Result<(), StartError> {
        match self.result.take() {
            Some(result) => result,
            // The sender is dropped without a result only by a panic, or when the server ends.
            None => self.receiver.await.unwrap_or(Err(StartError::Dead)),
        }
    }
}

impl Server {
    /// Returns the addresses of DNS over UDP and TCP, in the order of the settings, with the ports that were chosen
    /// where the settings have 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state.listeners().open.iter().map(|listener| listener.address).collect()
    }

    /// Returns the first address of the admin endpoints, if they are served; of both wildcards, the IPv4 one.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.state.admin.first().copied()
    }

    /// Returns the settings in effect.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.state.current().settings
    }

    /// Returns the reasons why the server is not ready; empty if it is ready.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        self.state.pending()
    }

    /// Returns the errors of the watches.
    #[cfg(feature = "daemon")]
    pub(crate) fn feed_errors(&self) -> Vec<String> {
        let watches = self.state.current().pods.0.report().watches;
        watches.into_iter().filter_map(|watch| watch.error).collect()
    }

    /// Replaces the settings without losing a query, and returns the names of those that only a restart can change and
    /// that therefore have not changed.
    ///
    /// New addresses are bound and pods are opened before anything changes: if either fails, nothing changes. If
    /// different pods must be read, the old settings stay in effect until the first list of the new pods is complete.
    ///
    /// Nothing changes if the returned future is dropped before it is ready, for instance by a time-out. A second
    /// reload supersedes one that is in progress, which then fails.
    pub async fn reload(&self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let (settings, fixed) = self.keep_fixed(settings);
        let (done, result) = oneshot::channel();
        self.control.send(ControlCommand::Replace { settings: Arc::new(settings), done });
        let replaced = result.await.unwrap_or(Err(StartError::Dead));
        self.state.reloads.count(replaced.is_ok());
        replaced.map(|()| fixed)
    }

    /// Counts a reload that failed outside of [`reload`](Self::reload), for `/metrics`.
    pub fn reload_failed(&self) {
        self.state.reloads.count(false);
    }

    /// Counts a panic of the embedding program, for `/metrics`.
    #[cfg(feature = "daemon")]
    pub(crate) fn count_panic(&self) {
        self.state.main_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Replaces the options of this program that the admin endpoints show.
    pub fn set_options(&self, options: Vec<OptionInForce>) {
        self.state.set_options(options);
    }

    /// Reverts changes of settings that a running server cannot change, and returns their names.
    fn keep_fixed(&self, mut settings: Settings) -> (Settings, Vec<&'static str>) {
        let before = self.settings();
        let mut fixed = Vec::new();
        if settings.admin != before.admin {
            fixed.push("admin");
        }
        if settings.threads != before.threads {
            fixed.push("threads");
        }
        settings.admin.clone_from(&before.admin);
        settings.threads = before.threads;
        (settings, fixed)
    }

    /// Makes `/readyz` fail while the server continues to answer, so that load balancers choose other servers.
    pub fn drain(&self) {
        self.state.drain();
    }

    /// Answers the queries that have arrived, lets TCP clients finish within the idle time-out, ends all threads and
    /// joins them. A reload in progress is abandoned.
    pub fn stop(self) {
        self.state.drain();
        self.state.listeners().close(|_| true);
        let workers: Vec<_> = self.workers.into_iter().map(Thread::finish).collect();
        let serving = workers.into_iter().chain([self.tcp.finish()]);
        for thread in serving.collect::<Vec<_>>() {
            // A panic has been reported.
            let _ = thread.join();
        }
        let _ = self.control.finish().join();
    }

    /// Waits until a thread or task of the server panics, which is a bug, and returns its name. The server should then
    /// be restarted, even if the rest still works.
    pub async fn failed(&self) -> String {
        let mut panics = self.panics.clone();
        let first = panics.wait_for(Option::is_some).await;
        // Each thread holds a sender, so this fails only after all threads have ended.
        first.ok().and_then(|name| name.clone()).unwrap_or_else(|| "all threads".to_owned())
    }

    /// Pings each thread, for a watchdog, and returns a channel for each reply. A thread that is stuck does not reply.
    #[must_use]
    pub fn ping(&self) -> Vec<oneshot::Receiver<()>> {
        let mut pongs = Vec::with_capacity(self.workers.len() + 2);
        let mut pong = || {
            let (sender, receiver) = oneshot::channel();
            pongs.push(receiver);
            sender
        };
        for worker in &self.workers {
            worker.send(udp::UdpCommand::Ping(pong()));
        }
        self.tcp.send(tcp::TcpCommand::Ping(pong()));
        self.control.send(ControlCommand::Ping(pong()));
        pongs
    }
}
