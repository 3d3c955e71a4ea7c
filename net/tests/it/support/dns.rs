//! Questions to the daemon.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use poddns_core::podip::PodIpLabel;

use crate::support::{Daemon, addresses, ask, query, rcode, until};

/// Response codes.
pub const NOERROR: u8 = 0;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;

/// The option of extended errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// The response to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub rcode: u8,
    pub addresses: Vec<IpAddr>,
    pub extended_error: Option<u16>,
}

/// Asks for an address under a namespace, with EDNS(0).
pub fn lookup(daemon: &Daemon, namespace: &str, address: IpAddr) -> Answer {
    let name = format!("{}.{namespace}.pod.cluster.local", PodIpLabel::from(address));
    question(daemon, &name, if address.is_ipv4() { 1 } else { 28 })
}

/// Asks for a namespace's own name, which has no records.
pub fn lookup_namespace(daemon: &Daemon, namespace: &str) -> Answer {
    question(daemon, &format!("{namespace}.pod.cluster.local"), 1)
}

fn question(daemon: &Daemon, name: &str, kind: u8) -> Answer {
    let mut query = query(7, name);
    let end = query.len();
    query[end - 3] = kind;
    query[11] = 1;
    query.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    let response = ask(daemon.address(), &query);
    let edns = Message::from_vec(&response).expect("a message").edns.expect("an OPT record");
    let mut options = edns.options().as_ref().iter();
    let error = options.find(|(code, _)| u16::from(*code) == EXTENDED_ERROR).map(|(_, option)| {
        let octets = Vec::try_from(option).expect("it came in a message");
        u16::from_be_bytes([octets[0], octets[1]])
    });
    Answer { rcode: rcode(&response), addresses: addresses(&response), extended_error: error }
}

/// Returns whether an address is answered, and in step with the cluster.
pub fn is_answered(daemon: &Daemon, namespace: &str, address: IpAddr) -> bool {
    lookup(daemon, namespace, address) == answered(address, None)
}

/// Returns whether an address is denied, and in step with the cluster.
pub fn is_denied(daemon: &Daemon, namespace: &str, address: IpAddr) -> bool {
    lookup(daemon, namespace, address) == denied(None)
}

/// The answer for an address that a pod has.
pub fn answered(address: IpAddr, extended_error: Option<u16>) -> Answer {
    Answer { rcode: NOERROR, addresses: vec![address], extended_error }
}

/// The answer for an address that no pod has.
pub fn denied(extended_error: Option<u16>) -> Answer {
    Answer { rcode: NXDOMAIN, addresses: Vec::new(), extended_error }
}

/// The answer for a namespace that exists.
pub fn no_data() -> Answer {
    Answer { rcode: NOERROR, addresses: Vec::new(), extended_error: None }
}

/// Waits until what has just been written to the API server is answered: for a second at most.
pub fn within_a_second(what: &str, mut condition: impl FnMut() -> bool) {
    const LIMIT: Duration = Duration::from_secs(1);
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{what}: after {:?}", begin.elapsed());
}

/// Starts the daemon on this cluster and waits until it is ready.
pub fn daemon(kubeconfig: &std::path::Path, arguments: &[&str]) -> Daemon {
    let daemon = unready_daemon(kubeconfig, arguments);
    until("ready", || daemon.get("/readyz").0 == 200);
    daemon
}

/// Starts the daemon on this cluster.
pub fn unready_daemon(kubeconfig: &std::path::Path, arguments: &[&str]) -> Daemon {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    Daemon::start(&[&["--listen=127.0.0.1:0", &kubeconfig], arguments].concat())
}
