//! Addresses that a server listens on: binding, adding and removing them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc::WeakUnboundedSender;

use super::bind::{self, BindError, Sockets};
use super::settings::Settings;
use super::span::listener_span;
use super::state::{DnsListener, ServerState};
use super::{tcp, udp};

/// Command channels of the threads that answer, to add and remove sockets.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    pub(super) state: Arc<ServerState>,
    pub(super) workers: Vec<WeakUnboundedSender<udp::UdpCommand>>,
    pub(super) tcp: WeakUnboundedSender<tcp::TcpCommand>,
}

/// Difference between the addresses of settings and those of listeners, as configured.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListenerChanges {
    pub(super) added: Vec<SocketAddr>,
    pub(super) removed: Vec<SocketAddr>,
}

impl Listening {
    /// Returns the changes after which exactly these addresses have listeners. An address with port 0 may be configured
    /// several times.
    pub(super) fn difference(&self, wanted: &[SocketAddr]) -> ListenerChanges {
        let open = self.state.listeners().open.iter().map(|listener| listener.configured).collect();
        let mut difference = ListenerChanges { added: Vec::new(), removed: open };
        for &address in wanted {
            match difference.removed.iter().position(|&open| open == address) {
                Some(at) => drop(difference.removed.swap_remove(at)),
                None => difference.added.push(address),
            }
        }
        difference
    }

    /// Starts to answer on these sockets. All threads log about them in the same span.
    pub(super) fn add(&self, configured: SocketAddr, sockets: Sockets) {
        let Sockets { address, udp, tcp, kept_by_systemd } = sockets;
        let (receive, send) = udp.first().and_then(|socket| bind::buffers(socket).ok()).unwrap_or_default();
        tracing::info!(%address, receive_buffer = receive, send_buffer = send, "listening over UDP and TCP");
        let handles = udp.iter().filter_map(|socket| socket.try_clone().ok()).collect();
        self.state.listeners().open.push(DnsListener { configured, address, udp: handles });
        let span = listener_span(address);
        for (worker, socket) in self.workers.iter().zip(udp) {
            let span = span.clone();
            send_to(worker, udp::UdpCommand::Listen { address, socket, kept_by_systemd, span });
        }
        send_to(&self.tcp, tcp::TcpCommand::Listen { address, socket: tcp, kept_by_systemd, span });
    }

    /// Stops listening on an address.
    pub(super) fn remove(&self, configured: SocketAddr) {
        let mut listeners = self.state.listeners();
        let Some(listener) = listeners.open.iter().find(|open| open.configured == configured) else { return };
        let address = listener.address;
        listeners.close(|open| open.address == address);
        for worker in &self.workers {
            send_to(worker, udp::UdpCommand::Forget(address));
        }
        send_to(&self.tcp, tcp::TcpCommand::Forget(address));
        tracing::info!(%address, "no longer listening");
    }
}

/// Sends a command, unless the thread is about to end.
fn send_to<C>(thread: &WeakUnboundedSender<C>, command: C) {
    if let Some(thread) = thread.upgrade() {
        // Fails only if the thread has panicked, which is reported elsewhere.
        let _ = thread.send(command);
    }
}

/// Binds all of these addresses, or none. For `*:PORT`, the IPv6 address is omitted on a host without IPv6; for `*:0`,
/// both families have the same port.
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
