//! A server embedded in another program, which implements the lookup of pods.
//!
//! ```sh
//! cargo run --example embed
//! dig @127.0.0.1 -p 1053 10-42-2-46.default.pod.cluster.local
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use poddns_core::{Label, PodLookup, Unknown};
use poddns_net::{PodsReport, ServedPods, Server, Settings};
use poddns_watch::IndexStats;

/// A single pod in a single namespace.
struct OnePod {
    namespace: Label,
    address: IpAddr,
}

impl PodLookup for OnePod {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(*namespace == self.namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        Ok(*namespace == self.namespace && address == self.address)
    }
}

impl ServedPods for OnePod {
    fn report(&self) -> PodsReport {
        let index = IndexStats { pods: 1, addresses: 1, namespaces: 1, bytes: size_of::<Self>() };
        PodsReport { index: Some(index), ..PodsReport::default() }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = Ipv4Addr::new(10, 42, 2, 46).into();
    let pods = OnePod { namespace: "default".parse()?, address };
    // Mode verified on 127.0.0.1:1053, admin endpoints on 127.0.0.1:8053.
    let server = Server::with_pods(Settings::default(), Arc::new(pods))?;
    println!("serving on {:?}; press Enter to end", server.addresses());
    std::io::stdin().read_line(&mut String::new())?;
    server.stop();
    Ok(())
}
