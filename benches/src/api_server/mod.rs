//! An API server that serves a cluster of up to millions of pods without holding them: each is made up when it
//! is sent. It lists in pages and in streams, watches, and changes the cluster on demand.
//!
//! What it sends is shaped as a kube-apiserver 1.36 sends it: see `data/pod.json`. Differences: all pods match
//! every selector; lists are ordered by number, not by name; there is no history, so a watch that would need
//! one gets 410.

mod answer;
pub mod body;
mod format;
mod objects;
mod template;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc::UnboundedSender;

pub use format::Format;
pub use objects::{MAX_PODS, Pod};

use format::Object;
use objects::{Change, Cluster};

/// The capabilities of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its answer to a request for a streaming list.
    pub listing: Listing,
    /// True if it speaks protobuf, to those who ask for it.
    pub protobuf: bool,
}

impl Offer {
    /// Streaming lists and both formats, as servers of today have them.
    pub const ALL: Self = Self { listing: Listing::Streamed, protobuf: true };
}

/// The server's answer to `sendInitialEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Sends the list as the beginning of the watch.
    Streamed,
    /// Refuses it with 422, as servers do whose feature `WatchList` is off: the client must list in pages.
    Paged,
}

/// A change, or the end of the watch.
enum News {
    Change(Change),
    /// The version from which the watch continues is gone: 410.
    Expired,
}

struct Shared {
    cluster: Mutex<Cluster>,
    /// Channel of the changes of pods.
    watches: Mutex<Vec<UnboundedSender<News>>>,
    offer: Offer,
}

impl Shared {
    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().expect("nothing panics with it")
    }

    fn tell(&self, news: impl Fn() -> News) {
        let mut watches = self.watches.lock().expect("nothing panics with it");
        watches.retain(|watch| watch.send(news()).is_ok());
    }
}

/// A running server; gone when dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    folder: TempDir,
    /// Runs the server. Dropping it closes all connections.
    _runtime: Runtime,
}

/// Changes are sent in bursts of this length.
const BURST: Duration = Duration::from_millis(10);

impl ApiServer {
    /// Serves a cluster of so many pods, on a free port of 127.0.0.1, by a thread of its own.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PODS`].
    pub fn start(pods: u32, offer: Offer) -> io::Result<Self> {
        let watches = Mutex::default();
        let shared = Arc::new(Shared { cluster: Mutex::new(Cluster::new(pods)), watches, offer });
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(KUBECONFIG), kubeconfig(listener.local_addr()?))?;
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, folder, _runtime: runtime })
    }

    /// A kubeconfig of this server.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        Path::join(self.folder.path(), KUBECONFIG)
    }

    /// Makes so many changes at this rate a second, and sends them to the watches of pods.
    ///
    /// They are of four kinds, in turn: a new status, a new address, a pod deleted, another one added in its
    /// place. So after a multiple of four there are as many pods as before. Without pods nothing happens.
    pub fn change(&self, changes: u32, rate: u32) {
        let begin = Instant::now();
        let mut made = 0;
        while made < changes {
            let due = u32::try_from(begin.elapsed().as_micros() * u128::from(rate) / 1_000_000);
            let due = due.unwrap_or(u32::MAX).clamp(made + 1, changes);
            for _ in made..due {
                let mut cluster = self.shared.cluster();
                if let Some(change) = cluster.change() {
                    // Before the cluster is let go, or a watch that begins now might miss it.
                    self.shared.tell(|| News::Change(change));
                }
            }
            made = due;
            std::thread::sleep(BURST);
        }
    }

    /// Ends all watches of pods with 410, so that clients list again.
    pub fn expire(&self) {
        self.shared.cluster().forget();
        self.shared.tell(|| News::Expired);
        self.shared.watches.lock().expect("nothing panics with it").clear();
    }

    /// The open watches of pods.
    #[must_use]
    pub fn watches(&self) -> usize {
        let mut watches = self.shared.watches.lock().expect("nothing panics with it");
        watches.retain(|watch| !watch.is_closed());
        watches.len()
    }

    /// Some of the pods as they are now, at most so many, spread evenly.
    #[must_use]
    pub fn sample(&self, at_most: usize) -> Vec<Pod> {
        let cluster = self.shared.cluster();
        let pods = cluster.pods();
        let count = at_most.min(pods.len());
        (0..count).map(|number| pods[number * pods.len() / count]).collect()
    }

    /// The size of a pod on the wire, as an item of a list, in bytes: the mean of some.
    #[must_use]
    pub fn pod_size(&self, format: Format) -> usize {
        let sample = self.sample(100);
        let sizes = sample.iter().map(|pod| format.size(&Object::Pod(*pod)));
        sizes.sum::<usize>().checked_div(sample.len()).unwrap_or_default()
    }
}

const KUBECONFIG: &str = "kubeconfig";

fn kubeconfig(address: SocketAddr) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "bench", "user": {}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    })
    .to_string()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let response = answer::answer(&shared, &request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        // A client that breaks off is none of our business.
        tokio::spawn(async move { drop(connection.await) });
    }
}
