//! A server with bound sockets, before its threads are started.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_watch::Source;
use tokio::sync::oneshot;

use super::answer::{Answerer, ResponseInputs};
use super::audit::Audit;
use super::bind::{self, Sockets};
use super::control::{self, ControlCommand, ControlParts};
use super::cookies::{CookieError, SecretStore, random};
use super::error::StartError;
use super::feed::{OpenPods, PodOrigin, UnopenedPods};
use super::handle::{Opening, Server};
use super::listen::{Listening, bind_all};
use super::pods::ServedPods;
use super::query_log::{QueryLogger, QuerySink};
use super::settings::{Needs, Settings};
use super::state::{LogLosses, OptionInForce, ServerState};
use super::supervise::Tasks;
use super::thread::{PanicNotifier, Thread};
use super::{tcp, udp};

/// Maximum time that queries wait for a local file to be read.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Bound sockets, and the settings to serve them with.
///
/// Between binding and serving, a program can drop the privileges that only binding requires: no thread that would keep
/// them exists yet. No file has been read: [`serve`](Self::serve) reads the kubeconfig, pods and secrets.
#[derive(Debug)]
#[must_use = "clients wait for answers on these sockets"]
pub struct Bound {
    settings: Arc<Settings>,
    sockets: Vec<(SocketAddr, Sockets)>,
    http: Vec<TcpListener>,
    log_losses: fn() -> LogLosses,
    options: Vec<OptionInForce>,
    query_log: Option<QuerySink>,
}

impl Bound {
    /// Binds all addresses of the settings, or none.
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        Self::with_passed(settings, Vec::new())
    }

    /// Like [`new`](Self::new), with sockets that are already bound.
    pub(crate) fn with_passed(settings: Settings, passed: Vec<Sockets>) -> Result<Self, StartError> {
        if settings.zones.is_empty() || settings.listen.is_empty() {
            return Err(StartError::NothingToServe);
        }
        let is_passed = |address: &SocketAddr| passed.iter().any(|sockets| sockets.address == *address);
        let others: Vec<SocketAddr> =
            settings.listen.iter().copied().filter(|address| !is_passed(address)).collect();
        for address in others.iter().filter(|&&address| bind::is_taken(address)) {
            tracing::warn!(
                %address,
                "another process is bound to this address, or to its wildcard: until one of the two ends, queries go to \
                 either of them"
            );
        }
        let mut sockets = bind_all(&others, &settings)?;
        sockets.extend(passed.into_iter().map(|sockets| (sockets.address, sockets)));
        let http = bind::bind_http(&settings.admin)?;
        Ok(Self {
            settings: Arc::new(settings),
            sockets,
            http,
            log_losses: LogLosses::default,
            options: Vec::new(),
            query_log: None,
        })
    }

    /// Sets the function that returns the numbers of log lines that the program lost, for the admin endpoints.
    pub fn with_log_losses(self, log_losses: fn() -> LogLosses) -> Self {
        Self { log_losses, ..self }
    }

    /// Sets the options of the program that the admin endpoints show.
    pub fn with_options(self, options: Vec<OptionInForce>) -> Self {
        Self { options, ..self }
    }

    /// Sets the receiver of the query log; without one there is no log, whatever [`Settings::query_log`] is.
    pub fn with_query_log(self, sink: QuerySink) -> Self {
        Self { query_log: Some(sink), ..self }
    }

    /// Starts the threads, which answer immediately, and opens the pods that the mode needs in the background. Until
    /// they are open, responses that depend on them are SERVFAIL. If the first responses depend on a local file (a pods
    /// file or a snapshot), queries wait for it in the sockets for up to one second.
    ///
    /// Reads the secrets of cookies first, which may block on a file system that hangs.
    pub fn serve(self) -> Result<(Server, Opening), StartError> {
        let needed = self.settings.needs() != Needs::Nothing;
        let unopened = needed.then(Arc::<UnopenedPods>::default);
        let pods = unopened.clone().map(|pods| OpenPods::without_feed(PodOrigin::Unopened, pods));
        self.start(pods.unwrap_or_else(OpenPods::nothing), unopened)
    }

    /// Like [`serve`](Self::serve), with pods that the program keeps up to date; [`Settings::source`] is ignored.
    pub fn serve_pods(self, pods: Arc<dyn ServedPods>) -> Result<Server, StartError> {
        // Without a feed, nothing that could fail is opened.
        self.start(OpenPods::without_feed(PodOrigin::Program, pods), None).map(|(server, _)| server)
    }

    fn start(
        self,
        pods: OpenPods,
        unopened: Option<Arc<UnopenedPods>>,
    ) -> Result<(Server, Opening), StartError> {
        let Self { settings, sockets, http, log_losses, options, query_log } = self;
        let cookies = SecretStore::open(settings.cookies.clone(), Instant::now())?;
        let key = random().map_err(CookieError::Random)?;
        let admin: Vec<SocketAddr> = http.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let current = ResponseInputs {
            settings: Arc::clone(&settings),
            pods: pods.pods.clone(),
            cookies: cookies.secrets().cloned(),
            audit: Audit::of(&settings, key),
            transfers: None,
        };
        let mut state = ServerState::new(current, admin.clone(), log_losses);
        state.query_log = Arc::new(QueryLogger::new(query_log));
        state.set_options(options);
        let state = Arc::new(state);
        let (panics, panicked) = PanicNotifier::new();
        let workers = workers(&state, key, &panics).map_err(StartError::Thread)?;
        let tcp = tcp_thread(&state, key, &panics).map_err(StartError::Thread)?;
        let senders = workers.iter().map(Thread::sender).collect();
        let listening = Listening { state: Arc::clone(&state), workers: senders, tcp: tcp.sender() };
        let tasks = Tasks::new(Arc::clone(&state), panics.clone());
        let parts = ControlParts { listening: listening.clone(), cookies, pods, unopened, key, tasks };
        let work = |commands| control::work(commands, parts);
        let control =
            Thread::spawn("poddns-control".to_owned(), &panics, work).map_err(StartError::Thread)?;
        if !http.is_empty() {
            control.send(ControlCommand::Admin(http));
        }
        let (done, opened) = oneshot::channel();
        let (mut opening, is_local) = (Opening::new(opened), is_local(&settings));
        control.send(ControlCommand::Replace { settings, done });
        if is_local {
            opening.wait(LOCAL_TIMEOUT);
        }
        for (configured, sockets) in sockets {
            listening.add(configured, sockets);
        }
        for address in admin {
            tracing::info!(%address, "serving /healthz, /readyz, /status and /metrics");
        }
        Ok((Server { state, workers, tcp, control, panics: panicked }, opening))
    }
}

/// Returns true if the first responses depend on a local file.
fn is_local(settings: &Settings) -> bool {
    let has_file =
        matches!(settings.source, Source::File(_) | Source::FileOrPipe(_)) || settings.snapshot.is_some();
    has_file && settings.answers_need() != Needs::Nothing
}

/// Starts the threads that answer over UDP. `key` is the hash key of the limiters' tables.
fn workers(
    state: &ServerState,
    key: [u8; 16],
    panics: &PanicNotifier,
) -> io::Result<Vec<Thread<udp::UdpCommand>>> {
    let worker = |(number, counters): (usize, &Arc<_>)| {
        let sources = udp::WorkerInputs {
            updates: state.current.subscribe(),
            counters: Arc::clone(counters),
            query_log: Arc::clone(&state.query_log),
            key,
            number,
        };
        let name = format!("poddns-udp-{number}");
        Thread::spawn(name, panics, move |commands| udp::work(sources, commands))
    };
    state.udp.iter().enumerate().map(worker).collect()
}

fn tcp_thread(
    state: &ServerState,
    key: [u8; 16],
    panics: &PanicNotifier,
) -> io::Result<Thread<tcp::TcpCommand>> {
    let (updates, counters, threads) = (state.current.subscribe(), Arc::clone(&state.tcp), state.udp.len());
    let (connections, query_log) = (Arc::clone(&state.connections), Arc::clone(&state.query_log));
    Thread::spawn("poddns-tcp".to_owned(), panics, move |commands| {
        let answerer = Answerer::tcp(updates, counters, key, threads).with_query_log(query_log);
        tcp::serve(answerer, connections, commands)
    })
}

impl Server {
    /// Binds all addresses, starts to answer, and opens the pods that the mode needs in the background; see [`Bound`]
    /// for a start in two steps.
    ///
    /// The server has its own threads, so no async runtime is required.
    pub fn start(settings: Settings) -> Result<(Self, Opening), StartError> {
        Bound::new(settings)?.serve()
    }

    /// Like [`start`](Self::start), with pods that the program keeps up to date; [`Settings::source`] is ignored.
    pub fn with_pods(settings: Settings, pods: Arc<dyn ServedPods>) -> Result<Self, StartError> {
        Bound::new(settings)?.serve_pods(pods)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use poddns_core::NoPods;
    use socket2::{Domain, SockRef, Socket, Type};

    use super::*;
    use crate::server::bind::prepare_udp;

    /// Sockets as systemd binds them, on a port that is free for both transports.
    fn sockets(count: usize) -> Sockets {
        loop {
            let mut udp: Vec<UdpSocket> = Vec::new();
            let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
            for _ in 0..count {
                let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&address.into()).unwrap();
                prepare_udp(&SockRef::from(&socket), address).unwrap();
                udp.push(socket.into());
                address = udp[0].local_addr().unwrap();
            }
            if let Ok(tcp) = TcpListener::bind(address) {
                tcp.set_nonblocking(true).unwrap();
                return Sockets { address, udp, tcp, kept_by_systemd: true };
            }
        }
    }

    #[test]
    fn every_passed_socket_is_served() {
        let passed = sockets(3);
        let kept: Vec<UdpSocket> = passed.udp.iter().map(|socket| socket.try_clone().unwrap()).collect();
        let mut settings = Settings::default();
        (settings.admin, settings.listen) = (Vec::new(), vec![passed.address]);
        settings.threads = NonZeroUsize::new(4).unwrap();
        let server = Bound::with_passed(settings, vec![passed]).unwrap().serve_pods(Arc::new(NoPods));
        let server = server.unwrap();
        let address = server.addresses()[0];
        let refused = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        // The kernel chooses a socket by the client's port, so each socket receives some queries.
        for _ in 0..64 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            client.send_to(&refused, address).unwrap();
            let mut response = [0; 64];
            let len = client.recv(&mut response).unwrap();
            assert_eq!((len, response[1], response[3]), (17, 7, 5));
        }
        let counts: Vec<u64> = server.state.udp.iter().map(|counters| counters.queries.get()).collect();
        assert_eq!(counts.iter().sum::<u64>(), 64);
        assert_eq!(counts.iter().filter(|&&count| count > 0).count(), 3, "{counts:?}");
        server.stop();
        // The next process receives the sockets unchanged: not connected to a peer.
        for socket in kept {
            assert!(socket.peer_addr().is_err(), "not connected");
        }
    }

    #[test]
    fn nothing_is_read_before_it_serves() {
        let mut settings = Settings::default();
        settings.listen = vec![([127, 0, 0, 1], 0).into()];
        settings.admin = Vec::new();
        settings.cookies = crate::server::cookies::CookieSource::File("/nonexistent/secret".into());
        let bound = Bound::new(settings).unwrap();
        let error = bound.serve_pods(Arc::new(NoPods)).unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().starts_with("cookie-secret-file /nonexistent/secret"), "{error}");
    }
}
