//! What any program pays that keeps pods in kube's own store: the yardstick of the memory bench, and nothing else.
//!
//! `kube_reflector pods|slim KUBECONFIG` keeps k8s-openapi's pods, or those that poddns decodes. It prints `ready`
//! when the first list is complete, and then, for each line that it reads, how many pods it has, and how many
//! changes and complete lists there have been.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, io, thread};

use futures::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, Config, Resource};

#[derive(Debug, Default)]
struct Counts {
    events: AtomicU64,
    lists: AtomicU64,
}

/// Keeps the store in step. Never returns but by an error.
async fn keep<K>(client: Client) -> Result<(), Box<dyn Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    // As poddnsd asks for them.
    let config = watcher::Config::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let pods = watcher(Api::<K>::all(client), config.streaming_lists()).default_backoff();
    let mut events = Box::pin(reflector(writer, pods));
    let counts = Arc::new(Counts::default());
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
            Err(error) => eprintln!("kube_reflector: {error}"),
        }
    }
    Err("the watch has ended".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [objects, kubeconfig] = arguments.as_slice() else {
        return Err("usage: kube_reflector pods|slim KUBECONFIG".into());
    };
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    match objects.as_str() {
        "pods" => keep::<k8s_openapi::api::core::v1::Pod>(client).await,
        "slim" => keep::<poddns_watch::Pod>(client).await,
        other => Err(format!("kube_reflector keeps pods or slim, not {other}").into()),
    }
}
