//! Messages of a transfer over TCP, created on a separate thread, so that neither queries nor connections wait for
//! them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_core::transfer::{MAX_TRANSFER_MESSAGE, Transfer, TransferMessage, TransferQuery};
use poddns_watch::ZoneChanges;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use super::counters::TransferKind;
use super::records::TransferRecords;
use super::signed::Signer;
use super::{TransferService, unix_time};

/// Number of messages that are created in advance of those that the client has read.
const MESSAGES_AHEAD: usize = 2;

/// Maximum duration of one transfer.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(10);

/// A permitted query for a transfer over TCP.
#[derive(Debug)]
pub(crate) struct TransferJob {
    pub(super) service: Arc<TransferService>,
    pub(super) client: IpAddr,
    /// The query, without its signature.
    pub(super) query: Vec<u8>,
    pub(super) transfer: Transfer,
    pub(super) signer: Option<Signer>,
}

/// Messages with a length prefix; an error if the transfer cannot be completed.
pub(crate) type TransferMessages = mpsc::Receiver<io::Result<Vec<u8>>>;

impl TransferJob {
    /// Waits for a free slot of the secondary and of the server, then starts to create the messages. Returns their
    /// receiver, and the blocking call that creates them, which may panic. Dropping the receiver ends the call.
    pub(crate) async fn start(self) -> io::Result<(TransferMessages, JoinHandle<()>)> {
        let share = self.service.shares.get(&self.client).ok_or(io::ErrorKind::PermissionDenied)?;
        let share = Arc::clone(share).acquire_owned().await.map_err(io::Error::other)?;
        let slot = Arc::clone(&self.service.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (sender, messages) = mpsc::channel(MESSAGES_AHEAD);
        let call = spawn_blocking(move || self.run(&sender, [share, slot]));
        Ok((messages, call))
    }

    fn run(mut self, to: &mpsc::Sender<io::Result<Vec<u8>>>, permits: [OwnedSemaphorePermit; 2]) {
        let Some((kind, serial, mut records)) = self.service.records(self.transfer) else {
            let _ = to.blocking_send(Err(io::Error::other("there is no version of the zone to transfer")));
            return;
        };
        let begun = Instant::now();
        let result = self.send(&mut records, begun, to);
        drop(permits);
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
                // The error closes the connection. Sending fails if the connection is already closed.
                let _ = to.blocking_send(Err(error));
            }
        }
    }

    /// Sends all messages and returns their total length.
    fn send(
        &mut self,
        records: &mut TransferRecords,
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
            more = records.write(&mut message).map_err(io::Error::other)?;
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

/// Returns a message with a length prefix (RFC 1035 4.2.2).
fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), message].concat()
}

impl TransferService {
    /// Returns the kind of the answer to a query for a transfer, the serial of the version that the client then has,
    /// and the records. `None` if there is no version.
    fn records(&self, transfer: Transfer) -> Option<(TransferKind, u32, TransferRecords)> {
        let versions = self.versions.as_ref()?;
        if let Some(known) = transfer.known {
            match versions.since(known)? {
                (serial, ZoneChanges::Current) => {
                    return Some((TransferKind::Soa, serial, TransferRecords::soa(serial)));
                }
                (serial, ZoneChanges::Versions(list)) if !self.is_large(&list) => {
                    return Some((TransferKind::Ixfr, serial, TransferRecords::differences(list, serial)));
                }
                (_, ZoneChanges::Versions(_) | ZoneChanges::Unknown) => {}
            }
        }
        let walk = versions.walk().ok()?;
        Some((TransferKind::Axfr, walk.serial(), TransferRecords::all(walk)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use poddns_core::{Freshness, Label, NoPods, Outcome, PodLookup, Request, Transport, Unknown, respond};

    use super::*;
    use crate::server::pods::{PodsReport, ServedPods, SharedPods};

    /// Pods that panic when their freshness is read.
    struct Panicking;

    impl PodLookup for Panicking {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Ok(false)
        }

        fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
            Ok(false)
        }

        fn freshness(&self) -> Freshness {
            panic!("injected")
        }
    }

    impl ServedPods for Panicking {
        fn report(&self) -> PodsReport {
            PodsReport::default()
        }
    }

    fn job(pods: Arc<dyn ServedPods>) -> TransferJob {
        let service = TransferService::sample(SharedPods(pods), &Arc::default(), true);
        let query = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x03pod\x07cluster\x05local\0\0\xfc\0\x01".to_vec();
        let client = [192, 0, 2, 53].into();
        let request = Request::new(Transport::Tcp, client, 0);
        let outcome = respond(&service.settings.answers(), &NoPods, &query, &request, &mut [0; 512]);
        let Outcome::Transfer(transfer) = outcome else { panic!("{outcome:?}") };
        TransferJob { service, client, query, transfer, signer: None }
    }

    /// Returns the number of messages, and true if the call that creates them panicked.
    fn run(pods: Arc<dyn ServedPods>) -> (usize, bool) {
        let job = job(pods);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut messages, call) = job.start().await.unwrap();
            let mut number = 0;
            while let Some(message) = messages.recv().await {
                message.unwrap();
                number += 1;
            }
            (number, call.await.is_err())
        })
    }

    #[test]
    fn panic_is_the_result_of_the_call() {
        assert_eq!(run(Arc::new(NoPods)), (1, false));
        assert_eq!(run(Arc::new(Panicking)), (1, true));
    }
}
