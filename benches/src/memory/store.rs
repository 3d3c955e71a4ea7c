//! Cost of keeping pods in kube's store, for comparison.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, thread};

use futures::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, Config, Resource};

use super::slim::SlimPod;

/// Parts of a pod that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Objects {
    /// The fields that poddns decodes.
    Slim,
    /// k8s-openapi's pod.
    Pods,
}

impl Objects {
    /// Returns its name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Slim => "slim",
            Self::Pods => "pods",
        }
    }
}

#[derive(Debug, Default)]
struct StoreCounts {
    events: AtomicU64,
    lists: AtomicU64,
}

/// Keeps a store of the cluster's pods in sync, on this thread, until that fails.
///
/// Prints `ready` when the first list is complete. Then, for each line that it reads, it prints the numbers of its
/// pods, of changes so far, and of complete lists so far.
pub fn keep_store(objects: Objects, kubeconfig: &Path) -> Result<Infallible, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        match objects {
            Objects::Slim => keep::<SlimPod>(client).await,
            Objects::Pods => keep::<k8s_openapi::api::core::v1::Pod>(client).await,
        }
    })
}

async fn keep<K>(client: Client) -> Result<Infallible, Box<dyn Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    // The same selection as in poddnsd.
    let config = watcher::Config::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let pods = watcher(Api::<K>::all(client), config.streaming_lists()).default_backoff();
    let mut events = Box::pin(reflector(writer, pods));
    let counts = Arc::new(StoreCounts::default());
    let counted = Arc::clone(&counts);
    thread::spawn(move || {
        for _ in io::stdin().lines() {
            let [events, lists] =
                [&counted.events, &counted.lists].map(|count| count.load(Ordering::Relaxed));
            println!("{} {events} {lists}", store.len());
        }
    });
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitDone) => {
                if counts.lists.fetch_add(1, Ordering::Relaxed) == 0 {
                    println!("ready");
                }
            }
            Ok(Event::Apply(_) | Event::Delete(_)) => {
                counts.events.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => eprintln!("kube's store: {error}"),
        }
    }
    Err("the watch has ended".into())
}
