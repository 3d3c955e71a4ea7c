//! Tasks that create versions of the zones and notify secondaries of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_watch::Publication;
use tokio::sync::{Semaphore, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::notify::notify;
use super::{MAX_TRANSFERS, TransferCounters, TransferKeys, TransferService, serial_time, shares};
use crate::server::feed::OpenPods;
use crate::server::pods::SharedPods;
use crate::server::settings::Settings;
use crate::server::supervise::Tasks;

/// Interval between checks whether the first list is complete.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Creates versions from the pods that are served, until it is dropped.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) service: Arc<TransferService>,
    stop: CancellationToken,
}

impl Publisher {
    /// Replaces `before` by a publisher of `pods` with these settings; returns `None` if they have no secondaries.
    /// `is_same` is true if `before` publishes the same pods.
    pub(in crate::server) fn replace(
        before: Option<Self>,
        pods: &OpenPods,
        is_same: bool,
        settings: &Arc<Settings>,
        secrets: &TransferKeys,
        counters: &Arc<TransferCounters>,
        tasks: &Tasks,
    ) -> Option<Self> {
        let recorder = pods.snapshots.as_ref().map(|snapshots| &snapshots.recorder);
        let Some(transfer) = &settings.transfer else {
            if let (Some(_), Some(recorder)) = (before, recorder) {
                recorder.end_transfers();
            }
            counters.set_secondaries(&[]);
            return None;
        };
        let is_kept = |before: &&Self| {
            let old = before.service.settings.transfer.as_ref();
            is_same && old.is_some_and(|old| old.journal == transfer.journal)
        };
        let kept = before.as_ref().filter(is_kept).and_then(|before| before.service.versions.clone());
        let versions = kept.or_else(|| Some(recorder?.transfers(transfer.journal)));
        if versions.is_none() {
            tracing::warn!(
                "zones are not transferred: the program keeps the pods, and no feed makes versions of them"
            );
        }
        counters.set_secondaries(&transfer.secondaries);
        if let (Some(versions), Some(before)) = (&versions, &before) {
            before.hand_over(versions, settings, &pods.pods);
        }
        let slots = before.map_or_else(
            || Arc::new(Semaphore::new(MAX_TRANSFERS)),
            |before| Arc::clone(&before.service.slots),
        );
        let service = Arc::new(TransferService {
            settings: Arc::clone(settings),
            pods: pods.pods.clone(),
            versions,
            keys: secrets.0.clone(),
            counters: Arc::clone(counters),
            slots,
            shares: shares(transfer),
        });
        Some(Self::start(service, &transfer.secondaries, tasks))
    }

    /// Spawns the tasks that create versions and notify secondaries of them, on this thread.
    fn start(service: Arc<TransferService>, secondaries: &[SocketAddr], tasks: &Tasks) -> Self {
        let stop = CancellationToken::new();
        let (sender, serials) = watch::channel(None);
        if let Some(versions) = service.versions.clone() {
            let stopped = stop.clone();
            tasks.spawn("zone versions", async move || {
                stopped.run_until_cancelled(publish(&versions, &sender)).await;
            });
            for &secondary in secondaries {
                let (stopped, mut serials, service) = (stop.clone(), serials.clone(), Arc::clone(&service));
                tasks.spawn("NOTIFY", async move || {
                    stopped.run_until_cancelled(notify(&service, secondary, &mut serials)).await;
                });
            }
        }
        Self { service, stop }
    }

    /// Makes `versions` continue from those of `self`: after its serial if the pods have been replaced, and without
    /// differences if only the settings change their records.
    fn hand_over(&self, versions: &poddns_watch::Transfers, settings: &Settings, pods: &SharedPods) {
        let old = &*self.service;
        let serial = old.versions.as_ref().and_then(|versions| versions.stats().serial);
        if !Arc::ptr_eq(&old.pods.0, &pods.0) {
            if let Some(serial) = serial {
                versions.set_floor(serial);
            }
        } else if !settings.has_same_records(&old.settings) {
            let _ = versions.reset(Instant::now(), serial_time());
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Creates versions and sends their serials; never returns.
async fn publish(versions: &poddns_watch::Transfers, serials: &watch::Sender<Option<u32>>) {
    loop {
        match versions.publish(Instant::now(), serial_time()) {
            Publication::New(serial) => {
                serials.send_replace(Some(serial));
            }
            Publication::Unchanged => {
                // After a reload, the secondaries may not have been notified of the serial.
                let serial = versions.stats().serial;
                serials.send_if_modified(|sent| std::mem::replace(sent, serial) != serial);
                versions.changed().await;
            }
            // Or earlier, when a list that the version waits for is complete.
            Publication::Later(due) => drop(time::timeout_at(due.into(), versions.changed()).await),
            Publication::Unsynced => time::sleep(POLL_INTERVAL).await,
        }
    }
}
