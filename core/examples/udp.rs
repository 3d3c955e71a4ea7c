//! A complete server over UDP: cluster domain `cluster.local`, mode verified, pods from a map, on 127.0.0.1:1053.
//!
//! ```text
//! cargo run -p poddns-core --example udp &
//! dig @127.0.0.1 -p 1053 10-42-2-46.default.pod.cluster.local +short
//! ```

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::net::{IpAddr, UdpSocket};
use std::time::UNIX_EPOCH;

use poddns_core::{
    Config, Label, MAX_UDP_REPLY, Mode, Outcome, PodLookup, Request, Transport, Unknown, Zone, respond,
};

/// The addresses of the pods of each namespace.
pub(crate) struct Pods(HashMap<Label, HashSet<IpAddr>>);

impl Pods {
    /// A cluster of one namespace, `default`, and two pods.
    pub(crate) fn example() -> Self {
        let addresses = [[10, 42, 2, 46], [10, 42, 2, 47]].map(IpAddr::from);
        Self(Label::try_from("default").into_iter().map(|label| (label, HashSet::from(addresses))).collect())
    }
}

impl PodLookup for Pods {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(self.0.contains_key(namespace))
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        Ok(self.0.get(namespace).is_some_and(|addresses| addresses.contains(&address)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:1053")?;
    println!("listening on {}", socket.local_addr()?);
    serve(&socket, &Pods::example())
}

/// Answers queries until the clock or the configuration is invalid.
pub(crate) fn serve(socket: &UdpSocket, pods: &Pods) -> Result<(), Box<dyn Error>> {
    let zones = [Zone::new("cluster.local")?];
    let config = Config::new(Mode::Verified, &zones);
    let (mut query, mut reply) = (vec![0; 65_535], [0; MAX_UDP_REPLY]);
    loop {
        // Errors here concern the client that was answered before (ICMP), not the socket.
        let Ok((len, client)) = socket.recv_from(&mut query) else { continue };
        // Seconds modulo 2^32; used by cookies only.
        let now = u32::try_from(UNIX_EPOCH.elapsed()?.as_secs() & u64::from(u32::MAX))?;
        let request = Request::new(Transport::Udp, client.ip(), now);
        if let Outcome::Reply(sent) = respond(&config, pods, &query[..len], &request, &mut reply) {
            // The client may be unreachable; the server continues with the next one.
            let _ = socket.send_to(&reply[..sent.len], client);
        }
    }
}
