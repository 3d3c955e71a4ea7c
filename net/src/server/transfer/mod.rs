//! Zone transfers (RFC 5936, RFC 1995), NOTIFY (RFC 1996) and transaction signatures (RFC 8945): the interface to
//! secondaries.
//!
//! | module | task |
//! |---|---|
//! | `keys` | reads the key file |
//! | `signed` | checks and creates signatures |
//! | `answer` | decides on queries, and answers those whose response is one message |
//! | `records`, `send` | the messages of a transfer, on a thread that exists while there is one |
//! | `publish` | creates versions, and notifies secondaries of them |
//!
//! Without secondaries in the settings, none of it is active.

mod answer;
mod counters;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod garbled;
mod keys;
mod notify;
mod publish;
mod records;
mod send;
mod signed;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use poddns_core::Freshness;
use poddns_watch::ZoneVersion;
use tokio::sync::Semaphore;

pub(crate) use answer::{DeferredQuery, TransferOutcome};
pub(crate) use counters::{Secondary, TransferCounters, TransferKind, TransferRefusal};
pub use keys::{KeyError, KeyFault};
pub(crate) use publish::Publisher;
pub(crate) use send::TransferJob;

use super::pods::SharedPods;
use super::settings::{Settings, TransferSettings};
use keys::TsigKeys;

/// Maximum number of transfers in progress.
const MAX_TRANSFERS: usize = 8;

/// Maximum number of transfers in progress for one secondary, so that a slow one leaves slots for the others.
const MAX_TRANSFERS_PER_SECONDARY: usize = 2;

/// Responder to queries for transfers, with the settings and pods that they are answered from.
#[derive(Debug)]
pub(crate) struct TransferService {
    pub(crate) settings: Arc<Settings>,
    pods: SharedPods,
    /// `None` until the pods are open.
    pub(crate) versions: Option<poddns_watch::Transfers>,
    keys: Option<TsigKeys>,
    pub(crate) counters: Arc<TransferCounters>,
    slots: Arc<Semaphore>,
    /// Slots of each secondary, by its address.
    shares: BTreeMap<IpAddr, Arc<Semaphore>>,
}

/// Keys of the settings; `None` without a key file.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransferKeys(Option<TsigKeys>);

impl TransferKeys {
    /// Reads the key file of the settings, if they have one.
    pub(crate) fn read(settings: &Settings) -> Result<Self, KeyError> {
        let file = settings.transfer.as_ref().and_then(|transfer| transfer.key_file.as_ref());
        Ok(Self(file.map(|file| TsigKeys::read(file)).transpose()?))
    }
}

impl TransferService {
    /// Returns true if a secondary has this address, which must be canonical.
    fn is_secondary(&self, client: IpAddr) -> bool {
        self.shares.contains_key(&client)
    }

    fn is_stale(&self) -> bool {
        self.pods.0.freshness() != Freshness::Fresh
    }

    /// Returns true if the differences have more records than the zone, so that a full transfer is shorter.
    fn is_large(&self, versions: &[Arc<ZoneVersion>]) -> bool {
        let records =
            |version: &Arc<ZoneVersion>| version.removed.iter().count() + version.added.iter().count();
        let size = self.pods.0.report().index.unwrap_or_default();
        let names = if self.settings.pod_names { 2 } else { 1 };
        versions.iter().map(records).sum::<usize>() > size.addresses.max(1) * names
    }
}

/// Returns the slots of each secondary, by its address.
fn shares(transfer: &TransferSettings) -> BTreeMap<IpAddr, Arc<Semaphore>> {
    let addresses = transfer.secondaries.iter().map(|secondary| secondary.ip().to_canonical());
    addresses.map(|address| (address, Arc::new(Semaphore::new(MAX_TRANSFERS_PER_SECONDARY)))).collect()
}

#[cfg(test)]
impl TransferService {
    /// Returns a service with one secondary, for tests; if `complete`, with a version that the secondary has.
    pub(crate) fn sample(pods: SharedPods, counters: &Arc<TransferCounters>, complete: bool) -> Arc<Self> {
        let mut settings = Settings::default();
        let secondaries = vec![([192, 0, 2, 53], 53).into()];
        let journal = TransferSettings::JOURNAL;
        let transfer = TransferSettings { secondaries: secondaries.clone(), key_file: None, journal };
        let shares = shares(&transfer);
        settings.transfer = Some(transfer);
        counters.set_secondaries(&secondaries);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, r#"{"kind": "List", "apiVersion": "v1", "items": []}"#).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let source = poddns_watch::Source::File(file.path().to_owned());
        let feed = runtime.block_on(poddns_watch::Feed::open(source, settings.scope())).unwrap();
        let versions = feed.recorder().transfers(journal);
        if complete {
            let _ = versions.publish(std::time::Instant::now(), 1_700_000_000);
            counters.seen(secondaries[0].ip(), versions.stats().serial.unwrap());
        }
        Arc::new(Self {
            settings: Arc::new(settings),
            pods,
            versions: Some(versions),
            keys: None,
            counters: Arc::clone(counters),
            slots: Arc::new(Semaphore::new(MAX_TRANSFERS)),
            shares,
        })
    }

    /// Returns a service as [`sample`](Self::sample) does, complete and with the keys of a file with this text.
    pub(crate) fn with_keys(pods: SharedPods, keys: &str) -> Arc<Self> {
        let service = Arc::into_inner(Self::sample(pods, &Arc::default(), true)).unwrap();
        Arc::new(Self { keys: Some(TsigKeys::parse(keys).unwrap()), ..service })
    }
}

/// Returns the current time in Unix seconds; 0 if the clock is before 1970.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the current time in Unix seconds modulo 2^32, as in serials.
fn serial_time() -> u32 {
    u32::try_from(unix_time() & u64::from(u32::MAX)).unwrap_or_default()
}
