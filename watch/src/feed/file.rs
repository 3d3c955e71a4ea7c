//! The file feed: a file that `kubectl get pods` wrote, read again when it changes.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use poddns_core::Label;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::drive::Target;
use super::faults::FaultLog;
use super::manifest::{self, Item, ListKind, ManifestError};
use super::report::Report;
use super::stats::FeedStats;
use super::target::{NamespaceTarget, PodTarget, SharedWriter};
use super::{FeedError, Scope};
use crate::Health;
use crate::freshness::Watch;
use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::pod::lenient::Faults;

/// How often the file is looked at. A change is read once the file has stayed the same from one look to the
/// next, so that one being written is not read halfway.
///
/// Looking is chosen over inotify: it sees a file swapped by `rename`, a `ConfigMap`'s chain of symlinks
/// re-pointed, and a change on a network file system alike.
const LOOK: Duration = Duration::from_millis(500);
/// A file that changes at every look is read nevertheless after so many.
const IMPATIENT: u32 = 10;

/// A file, and the index it goes to.
pub(crate) struct FileFeed {
    path: PathBuf,
    reader: Arc<Mutex<Reader>>,
    report: Report,
    /// What was read last, or could not be.
    read: Option<Stamp>,
}

/// Which file this is and which contents it has, as far as its metadata can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl FileFeed {
    /// Reads the file for the first time.
    pub(crate) async fn open(
        path: PathBuf,
        scope: &Scope,
        writer: SharedWriter,
        health: &Health,
        stats: Arc<FeedStats>,
    ) -> Result<Self, FeedError> {
        let watch = if scope.pods { Watch::Pods } else { Watch::Namespaces };
        let report = Report::new(health, watch, None, Arc::clone(&stats));
        let reader = Arc::new(Mutex::new(Reader::new(scope, &writer, &stats)));
        let mut feed = Self { path, reader, report, read: None };
        let read = feed.look().await;
        feed.read = read.as_ref().ok().copied();
        let result = match read {
            Ok(_) => feed.load().await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(()) => Ok(feed),
            Err(error) => Err(FeedError::PodsFile { path: feed.path, cause: error.to_string() }),
        }
    }

    /// Reads the file again whenever it changes. Never returns.
    pub(crate) async fn run(mut self) {
        let mut seen = Ok(self.read);
        let mut changes = 0;
        loop {
            sleep(LOOK).await;
            let now = self.look().await.map(Some).map_err(|error| error.to_string());
            if now != seen && changes < IMPATIENT {
                // It is being changed, or replaced.
                (seen, changes) = (now, changes + 1);
                continue;
            }
            changes = 0;
            match &now {
                Ok(stamp) if *stamp == self.read => {}
                Ok(stamp) => {
                    self.read = *stamp;
                    match self.load().await {
                        Ok(()) => {}
                        Err(error) => self.broken(&error.to_string()),
                    }
                }
                // Said once, until the file is there again.
                Err(error) if self.read.is_some() => {
                    self.read = None;
                    self.broken(error);
                }
                Err(_) => {}
            }
            seen = now;
        }
    }

    async fn look(&self) -> io::Result<Stamp> {
        tokio::fs::metadata(&self.path).await.map(Stamp::from)
    }

    fn broken(&mut self, error: &str) {
        let text = format!("{}: {error}; keeping what was read before", self.path.display());
        warn!("{text}");
        self.report.failed(Instant::now(), &text);
    }

    async fn load(&mut self) -> Result<(), ManifestError> {
        let (path, reader) = (self.path.clone(), Arc::clone(&self.reader));
        let loaded = spawn_blocking(move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.read(&File::open(path)?)
        })
        .await;
        let pods = loaded.map_err(|error| ManifestError::from(io::Error::other(error)))??;
        self.report.stats().count_list();
        self.report.in_step();
        info!(file = %self.path.display(), pods, "read");
        Ok(())
    }
}

/// Turns the items of a file into index operations.
struct Reader {
    scope: Scope,
    pods: PodTarget,
    namespaces: NamespaceTarget,
    faults: FaultLog,
}

impl Reader {
    fn new(scope: &Scope, writer: &SharedWriter, stats: &Arc<FeedStats>) -> Self {
        let faults = || FaultLog::new(Arc::clone(stats));
        Self {
            scope: scope.clone(),
            pods: PodTarget::new(writer.clone(), None, scope.host_network, faults()),
            namespaces: NamespaceTarget::new(writer.clone(), scope.namespaces.clone(), faults()),
            faults: faults(),
        }
    }

    /// Reads the file twice: first to its end to see that it is whole, then into the index. Keeping the items
    /// of the first time instead would cost memory in proportion to the file. Returns how many pods it names.
    fn read(&mut self, file: &File) -> Result<usize, ManifestError> {
        let before = Stamp::from(file.metadata()?);
        let kind = manifest::read(file, drop)?;
        if Stamp::from(file.metadata()?) != before {
            return Err(io::Error::other("the file changed while it was read").into());
        }
        let (mut pods, mut named) = (0, BTreeSet::new());
        self.pods.begin();
        self.namespaces.begin();
        manifest::read(file, |item| pods += usize::from(self.take(item, kind, &mut named)))?;
        self.namespaces.end();
        self.pods.end();
        Ok(pods)
    }

    /// Takes one item; whether it is a pod. `named` are the namespaces told so far.
    fn take(&mut self, item: Item, list: ListKind, named: &mut BTreeSet<Label>) -> bool {
        let mut faults = Faults::default();
        let mut raw = item.take("the item", &mut faults).unwrap_or_default().0;
        let kind = std::mem::take(&mut raw.kind).take("kind", &mut faults);
        match (kind.as_deref(), list) {
            (Some("Pod"), _) | (None, ListKind::PodList) => {
                self.take_pod(&Pod::from_raw(raw, faults), named);
                true
            }
            (Some("Namespace"), _) => {
                self.namespaces.apply(&Namespace::from_raw(raw, faults));
                false
            }
            (other, _) => {
                let object = Namespace::from_raw(raw, Faults::default());
                self.faults.log_other(other, &object);
                false
            }
        }
    }

    fn take_pod(&mut self, pod: &Pod, named: &mut BTreeSet<Label>) {
        let namespace = pod.namespace().unwrap_or_default().parse::<Label>().ok();
        let only = &self.scope.namespaces;
        if namespace.is_some_and(|namespace| !only.is_empty() && !only.contains(&namespace)) {
            return;
        }
        // A pod proves that its namespace exists, also one that has ended.
        if let Some(namespace) = namespace
            && named.insert(namespace)
        {
            self.namespaces.apply_label(namespace);
        }
        if self.scope.pods {
            self.pods.apply(pod);
        }
    }
}
