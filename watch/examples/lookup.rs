//! Fills an index from a pods file and looks up an address in it.
//!
//! ```console
//! $ kubectl get pods -A -o json > pods.json
//! $ cargo run -p poddns-watch --example lookup -- pods.json default 10.42.2.46
//! ```

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use poddns_core::{Label, PodLookup};
use poddns_watch::{Feed, Scope, Source};

const USAGE: &str = "usage: lookup FILE NAMESPACE ADDRESS";

fn main() -> ExitCode {
    let Some((file, namespace, address)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match look_up(file, &namespace, address) {
        Ok(true) => println!("{address} is a pod's of {namespace}"),
        Ok(false) => println!("no pod of {namespace} has {address}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn arguments() -> Option<(PathBuf, Label, IpAddr)> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next()?.into();
    let namespace = arguments.next()?.parse().ok()?;
    let address = arguments.next()?.parse().ok()?;
    Some((file, namespace, address))
}

fn look_up(file: PathBuf, namespace: &Label, address: IpAddr) -> Result<bool, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("threads can be started");
    let feed = runtime.block_on(Feed::open(Source::File(file), Scope::default()))?;
    Ok(feed.index().contains(namespace, address)?)
}
