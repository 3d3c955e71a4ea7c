//! NOTIFY (RFC 1996): notifies a secondary of a new version, until it answers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::Name;
use domain::base::iana::{Opcode, Rcode, Rtype};
use domain::base::message::Message;
use domain::base::message_builder::MessageBuilder;
use poddns_core::Zone;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time;

use super::{TransferService, signed, unix_time};
use crate::server::cookies::random;

/// Maximum time to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum time between two attempts: the refresh interval, after which a secondary queries the SOA by itself.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// Maximum length of an answer in bytes.
const MAX_ANSWER: usize = 4096;

/// Notifies a secondary of each version; of versions that are published while it does not answer, only of the newest.
pub(super) async fn notify(
    service: &TransferService,
    secondary: SocketAddr,
    serials: &mut watch::Receiver<Option<u32>>,
) {
    let mut failing = false;
    while serials.changed().await.is_ok() {
        let mut delay = TIMEOUT;
        loop {
            if serials.borrow_and_update().is_none() {
                break;
            }
            match notify_all(service, secondary).await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(%secondary, "the secondary answers NOTIFY again");
                    }
                    break;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%secondary, %error, "the secondary does not accept NOTIFY; it is sent again");
                    }
                }
            }
            time::sleep(delay).await;
            delay = (delay * 2).min(MAX_DELAY);
        }
    }
}

/// Sends a NOTIFY for each zone, and waits for the answers.
async fn notify_all(service: &TransferService, secondary: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match secondary {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(secondary).await?;
    for zone in &service.settings.zones {
        service.counters.change(secondary, |secondary| secondary.notified += 1);
        let answered = time::timeout(TIMEOUT, notify_of(service, &socket, zone)).await;
        answered.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within a second"))??;
        service.counters.change(secondary, |secondary| secondary.acknowledged += 1);
    }
    Ok(())
}

/// Sends a NOTIFY for a zone and waits for the answer to it.
async fn notify_of(service: &TransferService, socket: &UdpSocket, zone: &Zone) -> io::Result<()> {
    let [id0, id1, ..] = random()?;
    let id = u16::from_be_bytes([id0, id1]);
    let apex = Name::from_octets(zone.apex().as_wire().to_vec()).map_err(io::Error::other)?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_opcode(Opcode::NOTIFY);
    builder.header_mut().set_aa(true);
    let mut question = builder.question();
    question.push((apex, Rtype::SOA)).map_err(io::Error::other)?;
    let mut message = question.additional();
    let transaction = match &service.keys {
        None => None,
        Some(keys) => {
            let signed = signed::sign_request(&keys.first, &mut message, unix_time());
            Some(signed.ok_or_else(|| io::Error::other("a signature does not fit"))?)
        }
    };
    socket.send(&message.finish()).await?;
    let mut answer = vec![0; MAX_ANSWER];
    loop {
        let len = socket.recv(&mut answer).await?;
        let octets = answer.get(..len).unwrap_or_default().to_vec();
        let Ok(mut answer) = Message::from_octets(octets) else { continue };
        let header = answer.header();
        if header.id() != id || !header.qr() || header.opcode() != Opcode::NOTIFY {
            continue;
        }
        if transaction.as_ref().is_some_and(|sent| !signed::is_valid(sent, &mut answer, unix_time())) {
            return Err(io::Error::other("the signature of its answer is wrong, or missing"));
        }
        return match header.rcode() {
            Rcode::NOERROR => Ok(()),
            rcode => Err(io::Error::other(format!("its answer is {rcode}"))),
        };
    }
}
