//! Answers over TCP: messages, made on a thread of their own, so that neither queries nor connections wait for them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_core::transfer::{MAX_TRANSFER_MESSAGE, Transfer, TransferMessage, TransferQuery};
use poddns_watch::transfer::Since;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use super::counters::Kind;
use super::signed::Signer;
use super::source::Source;
use super::{Service, unix_time};

/// Messages that are made before the client has taken those before them.
const AHEAD: usize = 2;

/// Longest time of one transfer.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(10);

/// A query for a transfer over TCP whose client may have it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) service: Arc<Service>,
    pub(super) client: IpAddr,
    /// Without its signature.
    pub(super) query: Vec<u8>,
    pub(super) transfer: Transfer,
    pub(super) signer: Option<Signer>,
}

/// Messages with their lengths in front; an error if the answer cannot come to its end.
pub(crate) type Messages = mpsc::Receiver<io::Result<Vec<u8>>>;

impl Job {
    /// Begins to make the messages once no more than the allowed number of transfers is under way. Returns them, and the
    /// call that makes them, which may panic. Dropping the receiver ends it.
    pub(crate) async fn start(self) -> io::Result<(Messages, JoinHandle<()>)> {
        let slots = Arc::clone(&self.service.slots);
        let permit = slots.acquire_owned().await.map_err(io::Error::other)?;
        let (sender, messages) = mpsc::channel(AHEAD);
        let call = spawn_blocking(move || self.run(&sender, permit));
        Ok((messages, call))
    }

    fn run(mut self, to: &mpsc::Sender<io::Result<Vec<u8>>>, permit: OwnedSemaphorePermit) {
        let Some((kind, serial, mut source)) = self.service.source(self.transfer) else {
            let _ = to.blocking_send(Err(io::Error::other("there is no version of the zone to transfer")));
            return;
        };
        let begun = Instant::now();
        let result = self.send(&mut source, begun, to);
        drop(permit);
        let counters = &self.service.counters;
        let (client, took_ms) = (self.client, begun.elapsed().as_millis());
        match result {
            Ok(bytes) => {
                counters.completed(kind).add(1);
                counters.seen(client, serial);
                let kind = kind.name();
                if self.service.is_stale() {
                    counters.stale.add(1);
                    tracing::warn!(%client, kind, serial, bytes, took_ms, "transferred a zone that is out of sync with the cluster");
                } else {
                    tracing::debug!(%client, kind, serial, bytes, took_ms, "transferred a zone");
                }
            }
            Err(error) => {
                counters.failed(kind).add(1);
                tracing::warn!(%client, kind = kind.name(), serial, took_ms, %error, "a zone transfer was cut off");
                // Closes the connection; nobody listens if it is closed already.
                let _ = to.blocking_send(Err(error));
            }
        }
    }

    /// Sends all messages and returns their length.
    fn send(
        &mut self,
        source: &mut Source,
        begun: Instant,
        to: &mpsc::Sender<io::Result<Vec<u8>>>,
    ) -> io::Result<u64> {
        let config = self.service.settings.answers();
        let query = TransferQuery::new(&self.query).ok_or(io::ErrorKind::InvalidInput)?;
        let room = MAX_TRANSFER_MESSAGE - self.signer.as_ref().map_or(0, Signer::len);
        let (mut out, mut bytes, mut more) = (vec![0; room], 0, true);
        while more {
            let mut message = TransferMessage::begin(&config, &query, self.transfer, &mut out)
                .ok_or_else(|| io::Error::other("the zone is no longer served"))?;
            more = source.write(&mut message).map_err(io::Error::other)?;
            let len = message.finish();
            let mut message = out.get(..len).unwrap_or_default().to_vec();
            if let Some(signer) = &mut self.signer {
                let signed = signer.sign(message, unix_time());
                message = signed.ok_or_else(|| io::Error::other("a signature does not fit"))?;
            }
            bytes += message.len() as u64;
            self.service.counters.bytes.add(message.len() as u64);
            if begun.elapsed() > TRANSFER_TIMEOUT {
                return Err(io::Error::other("the secondary reads too slowly"));
            }
            let gone =
                |_| io::Error::other("the secondary has closed the connection, or did not read for too long");
            to.blocking_send(Ok(framed(&message))).map_err(gone)?;
        }
        Ok(bytes)
    }
}

/// A message with its length in front (RFC 1035 4.2.2).
fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), message].concat()
}

impl Service {
    /// Returns the kind of the answer to a query for a transfer, the serial that it leads to, and its records. `None` if
    /// there is no version.
    fn source(&self, transfer: Transfer) -> Option<(Kind, u32, Source)> {
        let versions = self.versions.as_ref()?;
        if let Some(known) = transfer.known {
            match versions.since(known)? {
                (serial, Since::Current) => return Some((Kind::Soa, serial, Source::soa(serial))),
                (serial, Since::Versions(list)) if !self.is_large(&list) => {
                    return Some((Kind::Ixfr, serial, Source::differences(list, serial)));
                }
                (_, Since::Versions(_) | Since::Unknown) => {}
            }
        }
        let walk = versions.walk().ok()?;
        Some((Kind::Axfr, walk.serial(), Source::all(walk)))
    }
}
