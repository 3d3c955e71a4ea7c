//! A server over UDP, complete: cluster domain `cluster.local`, mode insecure, on 127.0.0.1:1053.
//!
//! ```text
//! cargo run -p poddns-core --example udp &
//! dig @127.0.0.1 -p 1053 10-42-2-46.default.pod.cluster.local +short
//! ```

use std::error::Error;
use std::net::UdpSocket;
use std::time::UNIX_EPOCH;

use poddns_core::{Config, MAX_UDP_REPLY, Mode, NoPods, Outcome, Request, Transport, Zone, respond};

fn main() -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:1053")?;
    println!("listening on {}", socket.local_addr()?);
    serve(&socket)
}

/// Answers until the clock or the configuration is wrong.
pub(crate) fn serve(socket: &UdpSocket) -> Result<(), Box<dyn Error>> {
    let zones = [Zone::new("cluster.local")?];
    let config = Config::new(Mode::Insecure, &zones);
    let (mut query, mut reply) = (vec![0; 65_535], [0; MAX_UDP_REPLY]);
    loop {
        // An error here is about the last client that was answered (ICMP), not about the socket.
        let Ok((len, client)) = socket.recv_from(&mut query) else { continue };
        // Seconds modulo 2^32, of which only cookies take notice.
        let now = u32::try_from(UNIX_EPOCH.elapsed()?.as_secs() & u64::from(u32::MAX))?;
        let request = Request::new(Transport::Udp, client.ip(), now);
        if let Outcome::Reply(sent) = respond(&config, &NoPods, &query[..len], &request, &mut reply) {
            // Who sends nonsense may be out of reach; the next client is not.
            let _ = socket.send_to(&reply[..sent.len], client);
        }
    }
}
