//! Pod records in the catalog of a hickory-server, beside its other zones.
//!
//! [`PodZone`] is a zone handler that calls poddns-core and passes the records of the answer to hickory-server.
//!
//! ```text
//! cargo run -p poddns-in-hickory &
//! dig @127.0.0.1 -p 1053 10-42-2-46.default.pod.cluster.local +short
//! ```
//!
//! Effects of the catalog: the message around the records is hickory-server's, so extended DNS errors and cookies are
//! lost; and SOA answers get the NS records in their authority section.

mod pod_zone;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::zone_handler::Catalog;
use poddns_core::{Mode, NoPods};
use tokio::net::{TcpListener, UdpSocket};

use pod_zone::PodZone;

/// Idle time-out of TCP connections.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of messages queued for a slow TCP client.
const TCP_BACKLOG: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut catalog = Catalog::new();
    let zone = PodZone::new("cluster.local", Mode::Insecure, NoPods)?;
    catalog.upsert(zone.origin_name(), vec![Arc::new(zone)]);
    // Other zones are added here.
    let mut server = Server::new(catalog);
    server.register_socket(UdpSocket::bind("127.0.0.1:1053").await?);
    server.register_listener(TcpListener::bind("127.0.0.1:1053").await?, TCP_TIMEOUT, TCP_BACKLOG);
    server.block_until_done().await?;
    Ok(())
}
