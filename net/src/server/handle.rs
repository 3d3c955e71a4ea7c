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

    /// Waits until the configuration of the cluster, or the file of pods, has been read, which does not mean that a
    /// list is complete: that is [`Server::pending`]. Until then, what depends on the pods is SERVFAIL.
    ///
    /// Fails if it cannot be used; the server then answers as before.
    pub async fn opened(mut self) -> Result<(), StartError> {
        match self.result.take() {
            Some(result) => result,
            // Dropped unanswered only by a panic, or at the end.
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

    /// Returns the first address of the admin endpoints, if they are served: of both wildcards, that of IPv4.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.state.admin.first().copied()
    }

    /// Returns the settings in effect.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.state.current().settings
    }

    /// Returns the reasons why the server is not ready; none if it is ready.
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
    /// New addresses are bound and pods are opened before anything changes: if either fails nothing changes at all. If
    /// other pods must be read than before, the old settings answer until their first list is complete.
    ///
    /// Nothing changes either if the returned future is dropped before it is ready, for instance by a time limit. A
    /// second reload supersedes one that is in progress, which then fails.
    pub async fn reload(&self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let (settings, fixed) = self.keep_fixed(settings);
        let (done, result) = oneshot::channel();
        self.control.send(ControlCommand::Replace { settings: Arc::new(settings), done });
        let replaced = result.await.unwrap_or(Err(StartError::Dead));
        self.state.reloads.count(replaced.is_ok());
        replaced.map(|()| fixed)
    }

    /// Counts a reload that failed before or beside [`reload`](Self::reload), for `/metrics`.
    pub fn reload_failed(&self) {
        self.state.reloads.count(false);
    }

    /// Counts a panic of the program around the server, for `/metrics`.
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

    /// Makes the server unready while it continues to answer, so that load balancers choose others.
    pub fn drain(&self) {
        self.state.drain();
    }

    /// Answers what has arrived, lets TCP clients finish within their idle time-out, ends all threads and waits for
    /// that. A reload in progress is abandoned.
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

    /// Waits until a thread or task of the server panics, which is a bug, and returns its name. Whatever else still
    /// works, the server should then be stopped and started again.
    pub async fn failed(&self) -> String {
        let mut panics = self.panics.clone();
        let first = panics.wait_for(Option::is_some).await;
        // Each thread holds a sender, so it fails only if all are gone.
        first.ok().and_then(|name| name.clone()).unwrap_or_else(|| "all threads".to_owned())
    }

    /// Returns a channel for each thread, on which the thread replies unless it is stuck: for a watchdog.
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
