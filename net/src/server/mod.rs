//! The server: sockets, threads and what ties them together.

mod admin;
pub(crate) mod answer;
pub(crate) mod bind;
pub(crate) mod bound;
mod connections;
mod control;
pub(crate) mod cookies;
pub(crate) mod counters;
pub(crate) mod error;
pub(crate) mod feed;
mod limited;
pub(crate) mod open_files;
pub(crate) mod pods;
pub(crate) mod rate_limit;
mod secrets;
pub(crate) mod settings;
mod snapshots;
pub(crate) mod state;
mod supervise;
mod tcp;
mod thread;
pub(crate) mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use self::bind::Sockets;
use self::bound::{Bound, bind_all};
use self::feed::OpenFeed;
use self::state::Listener;
use self::state::State;
use self::thread::Thread;
use crate::server::answer::Answerer;
use crate::server::error::StartError;
use crate::server::pods::Pods;
use crate::server::settings::Settings;

/// A running server. Dropping it lets it end by itself; [`stop`](Self::stop) waits for that.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    workers: Vec<Thread<udp::Order>>,
    tcp: Thread<tcp::Order>,
    control: Thread<control::Order>,
    deaths: UnboundedReceiver<String>,
}

impl Server {
    /// Binds everything, starts reading the cluster if the mode needs that, and answers. Before the first list
    /// is complete, what depends on it is SERVFAIL, and `/readyz` says what is missing.
    ///
    /// It runs on threads of its own, so this needs no runtime, but takes the time of binding sockets and
    /// reading a kubeconfig or a file of pods. [`Bound`] does it in two steps.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        Bound::new(settings)?.serve()
    }

    /// The same with pods that the caller keeps in step, whatever [`Settings::source`] says.
    pub fn with_pods(settings: Settings, pods: Arc<dyn Pods>) -> Result<Self, StartError> {
        Bound::new(settings)?.serve_pods(pods)
    }

    /// The addresses that DNS is served on, over UDP and TCP, in the order of the settings, with the ports
    /// that were taken where the settings say 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state.listeners().open.iter().map(|listener| listener.address).collect()
    }

    /// The address of the admin endpoints, if they are served.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.state.admin
    }

    /// The settings that are answered by at the moment.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.state.current().settings
    }

    /// Why the server is not ready: one reason each, none if it is ready.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        self.state.pending()
    }

    /// Replaces the settings without losing a query, and returns the names of those that only a restart can
    /// change, and that have therefore not changed.
    ///
    /// New addresses are bound before old ones are given up, and if one cannot be bound, or a new kubeconfig
    /// not be read, nothing changes at all. If other pods must be read than before, the old settings answer
    /// until that is done.
    pub fn reload(&mut self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let done = self.try_reload(settings);
        let reloads = &self.state.reloads;
        let counter = if done.is_ok() { &reloads.succeeded } else { &reloads.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        done
    }

    /// Counts a configuration that could not even be read, for `/metrics`.
    pub fn reload_failed(&self) {
        self.state.reloads.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn try_reload(&mut self, mut settings: Settings) -> Result<Vec<&'static str>, StartError> {
        if settings.zones.is_empty() || settings.listen.is_empty() {
            return Err(StartError::NothingToServe);
        }
        let fixed = keep_fixed(&mut settings, &self.state.current().settings);
        let mut kept: Vec<SocketAddr> =
            self.state.listeners().open.iter().map(|open| open.configured).collect();
        let mut new = Vec::new();
        for &address in &settings.listen {
            match kept.iter().position(|&open| open == address) {
                Some(at) => drop(kept.swap_remove(at)),
                None => new.push(address),
            }
        }
        let sockets = bind_all(&new, &settings)?;
        let (done, result) = mpsc::channel();
        self.control.order(control::Order::Replace(Arc::new(settings), done));
        result.recv().map_err(|_| StartError::Dead)??;
        for (configured, sockets) in sockets {
            self.listen(configured, sockets);
        }
        // What is left of them is not wanted any more.
        for configured in kept {
            self.forget(configured);
        }
        Ok(fixed)
    }

    /// Makes the server unready, while it answers on: for load balancers to look elsewhere.
    pub fn drain(&self) {
        self.state.drain();
    }

    /// Answers what has come, lets TCP clients finish within their idle time-out, ends all threads and waits
    /// for that.
    pub fn stop(self) {
        self.state.drain();
        self.state.listeners().close(|_| true);
        let workers: Vec<_> = self.workers.into_iter().map(Thread::finish).collect();
        let serving = workers.into_iter().chain([self.tcp.finish()]);
        for thread in serving.collect::<Vec<_>>() {
            // One that panicked has told of it.
            let _ = thread.join();
        }
        let _ = self.control.finish().join();
    }

    /// Waits until a thread of the server dies, which is a bug, and returns its name. Whatever else still
    /// works, the server should then be stopped and started again.
    pub async fn failed(&mut self) -> String {
        // Each thread holds a sender, so `None` means that all are gone.
        self.deaths.recv().await.unwrap_or_else(|| "all threads".to_owned())
    }

    /// Asks each thread for a sign of life, for a watchdog: returns a channel for each thread, on which it answers
    /// unless it is stuck.
    #[must_use]
    pub fn ping(&self) -> Vec<oneshot::Receiver<()>> {
        let mut pongs = Vec::with_capacity(self.workers.len() + 2);
        let mut pong = || {
            let (sender, receiver) = oneshot::channel();
            pongs.push(receiver);
            sender
        };
        for worker in &self.workers {
            worker.order(udp::Order::Ping(pong()));
        }
        self.tcp.order(tcp::Order::Ping(pong()));
        self.control.order(control::Order::Ping(pong()));
        pongs
    }

    fn listen(&self, configured: SocketAddr, sockets: Sockets) {
        let Sockets { address, udp, tcp, kept_by_systemd } = sockets;
        let (receive, send) = udp.first().and_then(|socket| bind::buffers(socket).ok()).unwrap_or_default();
        tracing::info!(%address, receive_buffer = receive, send_buffer = send, "listening over UDP and TCP");
        let handles = udp.iter().filter_map(|socket| socket.try_clone().ok()).collect();
        self.state.listeners().open.push(Listener { configured, address, udp: handles });
        for (worker, socket) in self.workers.iter().zip(udp) {
            worker.order(udp::Order::Listen { address, socket, kept_by_systemd });
        }
        self.tcp.order(tcp::Order::Listen { address, socket: tcp, kept_by_systemd });
    }

    fn forget(&self, configured: SocketAddr) {
        let mut listeners = self.state.listeners();
        let Some(address) = listeners.open.iter().find(|open| open.configured == configured) else { return };
        let address = address.address;
        listeners.close(|open| open.address == address);
        for worker in &self.workers {
            worker.order(udp::Order::Forget(address));
        }
        self.tcp.order(tcp::Order::Forget(address));
        tracing::info!(%address, "no longer listening");
    }
}

fn open(control: &Thread<control::Order>, settings: &Arc<Settings>) -> Result<OpenFeed, StartError> {
    let (done, result) = mpsc::channel();
    control.order(control::Order::Open(Arc::clone(settings), done));
    Ok(result.recv().map_err(|_| StartError::Dead)??)
}

/// `key` is for the tables of the rate limiters.
fn workers(
    state: &State,
    key: [u8; 16],
    deaths: &UnboundedSender<String>,
) -> io::Result<Vec<Thread<udp::Order>>> {
    let worker = |(number, counters): (usize, &Arc<_>)| {
        let (updates, counters) = (state.current.subscribe(), Arc::clone(counters));
        let name = format!("poddns-udp-{number}");
        Thread::spawn(name, deaths, move |orders| udp::work(updates, counters, key, orders))
    };
    state.udp.iter().enumerate().map(worker).collect()
}

fn tcp_thread(state: &State, deaths: &UnboundedSender<String>) -> io::Result<Thread<tcp::Order>> {
    let (updates, counters) = (state.current.subscribe(), Arc::clone(&state.tcp));
    let connections = Arc::clone(&state.connections);
    Thread::spawn("poddns-tcp".to_owned(), deaths, move |orders| {
        tcp::serve(Answerer::tcp(updates, counters), connections, orders)
    })
}

/// Takes back changes of what cannot change, and names them.
fn keep_fixed(settings: &mut Settings, before: &Settings) -> Vec<&'static str> {
    let mut fixed = Vec::new();
    let mut keep = |name, changed| {
        if changed {
            fixed.push(name);
        }
    };
    keep("admin", settings.admin != before.admin);
    keep("threads", settings.threads != before.threads);
    settings.admin = before.admin;
    settings.threads = before.threads;
    fixed
}
