//! The server before it serves: with its sockets, and as yet without a thread.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::unbounded_channel;

use super::bind::{self, BindError, Sockets};
use super::error::StartError;
use super::feed::OpenFeed;
use super::state::{LogLosses, State};
use super::thread::Thread;
use super::{Server, control, open, tcp_thread, workers};
use crate::server::answer::Current;
use crate::server::cookies::{CookieError, Keeper, random};
use crate::server::pods::Pods;
use crate::server::settings::Settings;

/// Bound sockets, and what is to be served on them.
///
/// Here is the place to drop the privileges that only binding takes: there is no thread yet that would keep
/// them. Nothing has been read but the settings: a kubeconfig, pods and secrets are read by [`serve`](Self::serve).
#[derive(Debug)]
#[must_use = "clients wait for answers on these sockets"]
pub struct Bound {
    settings: Arc<Settings>,
    sockets: Vec<(SocketAddr, Sockets)>,
    http: Option<TcpListener>,
    log_losses: fn() -> LogLosses,
}

impl Bound {
    /// Binds all addresses of the settings, or none.
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        Self::with_passed(settings, Vec::new())
    }

    /// The same with sockets that are bound already.
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
        let http = settings.admin.map(bind::http).transpose()?;
        Ok(Self { settings: Arc::new(settings), sockets, http, log_losses: LogLosses::default })
    }

    /// Adds the log lines that this program lost to the admin endpoints.
    pub fn with_log_losses(self, log_losses: fn() -> LogLosses) -> Self {
        Self { log_losses, ..self }
    }

    /// Starts reading the cluster if the mode needs that, and answers. See [`Server::start`].
    pub fn serve(self) -> Result<Server, StartError> {
        self.start(None)
    }

    /// Answers with pods that the caller keeps in step, whatever [`Settings::source`] says.
    pub fn serve_pods(self, pods: Arc<dyn Pods>) -> Result<Server, StartError> {
        self.start(Some(pods))
    }

    fn start(self, pods: Option<Arc<dyn Pods>>) -> Result<Server, StartError> {
        let Self { settings, sockets, http, log_losses } = self;
        let cookies = Keeper::open(settings.cookies.clone(), Instant::now())?;
        let key = random().map_err(CookieError::Random)?;
        let (tell, deaths) = unbounded_channel();
        let control = Thread::spawn("poddns-control".to_owned(), &tell, control::work);
        let control = control.map_err(StartError::Thread)?;
        let (feed, own) = match pods {
            Some(pods) => (OpenFeed::of(pods), true),
            None => (open(&control, &settings)?, false),
        };
        let admin = http.as_ref().and_then(|listener| listener.local_addr().ok());
        let secrets = cookies.secrets().cloned();
        let current = Current { settings, pods: feed.pods.clone(), cookies: secrets };
        let state = Arc::new(State::new(current, admin, log_losses));
        let server = Server {
            workers: workers(&state, key, &tell).map_err(StartError::Thread)?,
            tcp: tcp_thread(&state, &tell).map_err(StartError::Thread)?,
            control,
            deaths,
            state,
        };
        for (configured, sockets) in sockets {
            server.listen(configured, sockets);
        }
        let (feed, state) = (Box::new(feed), Arc::clone(&server.state));
        server.control.order(control::Order::Adopt { feed, own, cookies, state });
        if let (Some(http), Some(address)) = (http, admin) {
            tracing::info!(%address, "serving /healthz, /readyz, /status and /metrics");
            server.control.order(control::Order::Admin(http, Arc::clone(&server.state)));
        }
        Ok(server)
    }
}

/// Binds these addresses, or none. Of `*:PORT` the IPv6 half may be missing; `*:0` takes one port for both.
pub(super) fn bind_all(
    addresses: &[SocketAddr],
    settings: &Settings,
) -> Result<Vec<(SocketAddr, Sockets)>, BindError> {
    let wildcards = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let [v4, v6]: [SocketAddr; 2] = wildcards.map(|ip: IpAddr| (ip, 0).into());
    let one_port = addresses.contains(&v4) && addresses.contains(&v6);
    let mut all = Vec::with_capacity(addresses.len());
    for &address in addresses {
        if one_port && address == v4 {
            let (first, second) = bind::bind_wildcards(settings.threads)?;
            all.push((v4, first));
            match second {
                Ok(second) => all.push((v6, second)),
                Err(error) if bind::no_such_family(&error) => tracing::warn!("{error}; serving IPv4 only"),
                Err(error) => return Err(error),
            }
            continue;
        }
        if one_port && address == v6 {
            continue;
        }
        match bind::bind(address, settings.threads) {
            Ok(sockets) => all.push((address, sockets)),
            Err(error) if bind::no_such_family(&error) && has_other_wildcard(address, settings) => {
                tracing::warn!("{error}; serving IPv4 only");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn has_other_wildcard(address: SocketAddr, settings: &Settings) -> bool {
    let same =
        |other: &SocketAddr| other.is_ipv4() && other.ip().is_unspecified() && other.port() == address.port();
    address.is_ipv6() && address.ip().is_unspecified() && settings.listen.iter().any(same)
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
    fn each_passed_socket_is_served_by_a_thread_and_none_is_left_over() {
        let passed = sockets(3);
        let kept: Vec<UdpSocket> = passed.udp.iter().map(|socket| socket.try_clone().unwrap()).collect();
        let mut settings = Settings::default();
        (settings.admin, settings.listen) = (None, vec![passed.address]);
        settings.threads = NonZeroUsize::new(4).unwrap();
        let server = Bound::with_passed(settings, vec![passed]).unwrap().serve_pods(Arc::new(NoPods));
        let server = server.unwrap();
        let address = server.addresses()[0];
        let refused = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        // The kernel chooses by the client's port, so these come to all of them.
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
        // The next process gets them as they were: open to every client.
        for socket in kept {
            assert!(socket.peer_addr().is_err(), "not connected to anybody");
        }
    }

    #[test]
    fn nothing_is_read_before_it_serves() {
        let mut settings = Settings::default();
        settings.listen = vec![([127, 0, 0, 1], 0).into()];
        settings.admin = None;
        settings.cookies = crate::server::cookies::CookieSource::File("/nonexistent/secret".into());
        let bound = Bound::new(settings).unwrap();
        let error = bound.serve_pods(Arc::new(NoPods)).unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().starts_with("cookie-secret-file /nonexistent/secret"), "{error}");
    }
}
