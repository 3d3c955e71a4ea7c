//! The tasks that make versions and tell secondaries of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_watch::transfer::Published;
use tokio::sync::{Semaphore, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::notify::notify;
use super::{Secrets, Service, TRANSFERS, TransferCounters, serial_time};
use crate::server::pods::SharedPods;
use crate::server::settings::Settings;
use crate::server::supervise::Tasks;

/// Interval between checks whether the first list is complete.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Makes versions of the pods that are answered from, until it is dropped.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) service: Arc<Service>,
    stop: CancellationToken,
}

impl Publisher {
    /// Begins to make versions, as tasks of this thread. `before` is what did so until now, for the same pods or others.
    pub(crate) fn start(
        settings: Arc<Settings>,
        secrets: Secrets,
        pods: SharedPods,
        versions: Option<poddns_watch::Transfers>,
        before: Option<&Self>,
        counters: Arc<TransferCounters>,
        tasks: &Tasks,
    ) -> Self {
        let slots = before
            .map_or_else(|| Arc::new(Semaphore::new(TRANSFERS)), |before| Arc::clone(&before.service.slots));
        let keys = secrets.0;
        let secondaries = settings.transfer.as_ref().map(|transfer| transfer.secondaries.clone());
        let secondaries = secondaries.unwrap_or_default();
        counters.set_secondaries(&secondaries);
        if let (Some(versions), Some(before)) = (&versions, before) {
            before.hand_over(versions, &settings, &pods);
        }
        let service = Arc::new(Service { settings, pods, versions, keys, counters, slots });
        let stop = CancellationToken::new();
        let (sender, serials) = watch::channel(None);
        if let Some(versions) = service.versions.clone() {
            let stopped = stop.clone();
            tasks.spawn("zone versions", async move || {
                stopped.run_until_cancelled(publish(&versions, &sender)).await;
            });
            for secondary in secondaries {
                let (stopped, mut serials, service) = (stop.clone(), serials.clone(), Arc::clone(&service));
                tasks.spawn("NOTIFY", async move || {
                    stopped.run_until_cancelled(notify(&service, secondary, &mut serials)).await;
                });
            }
        }
        Self { service, stop }
    }

    /// Lets versions go on from those of this: after its serial, and without a difference if records differ.
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

/// Makes versions, and sends their serials.
async fn publish(versions: &poddns_watch::Transfers, serials: &watch::Sender<Option<u32>>) {
    loop {
        match versions.publish(Instant::now(), serial_time()) {
            Published::New(serial) => {
                serials.send_replace(Some(serial));
            }
            Published::Unchanged => {
                // After a reload, the serial may be one that nobody has been told of.
                let serial = versions.stats().serial;
                serials.send_if_modified(|sent| std::mem::replace(sent, serial) != serial);
                versions.changed().await;
            }
            // Earlier, if a list ends that it waits for.
            Published::Later(due) => drop(time::timeout_at(due.into(), versions.changed()).await),
            Published::Unsynced => time::sleep(POLL_INTERVAL).await,
        }
    }
}
