//! DNS over UDP: every query is answered from the address that it was sent to, also among hostile datagrams.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::support::{insecure, start};
use poddns_test_support::dns::{
    Stream, addresses, ask, assert_answers, connect, exchange, id, name, padded, query, rcode, receive,
};
use poddns_test_support::wait::{PATIENCE, until};

/// Number of queries in a burst: several batches. Their responses fit into the client's receive buffer.
const BURST: u16 = 150;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

#[test]
fn answers_over_both_families() {
    let daemon = start(&["--pods=insecure", "--listen=127.0.0.1:0", "--listen=[::1]:0"]);
    assert_eq!(daemon.dns.len(), 2);
    for &server in &daemon.dns {
        assert_answers(server);
    }
}

#[test]
fn reply_leaves_from_queried_address() {
    let daemon = start(&["--pods=insecure", "--listen=*:0", "--threads=2"]);
    let [v4, v6] = daemon.dns[..] else { panic!("two addresses for *") };
    assert_eq!(v4.port(), v6.port());
    // The client is connected, so a reply from another address would not be received.
    for host in [1, 2, 77] {
        let server = SocketAddr::from(([127, 0, 0, host], v4.port()));
        assert_answers(server);
    }
    assert_answers(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())));
}

#[test]
fn every_query_of_a_burst_is_answered() {
    let daemon = insecure(&["--threads=1"]);
    let socket = connect(daemon.address());
    for number in 0..BURST {
        socket.send(&query(number, &name(IP))).unwrap();
    }
    let mut ids: Vec<u16> = (0..BURST).map(|_| id(&receive(&socket))).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..BURST).collect::<Vec<u16>>());
    until("all are counted", || daemon.metric("poddns_queries_total{transport=\"udp\"}") >= u64::from(BURST));
}

#[test]
fn every_worker_answers() {
    let daemon = insecure(&["--threads=4"]);
    // The kernel chooses the worker by a hash that includes the client's port.
    for _ in 0..64 {
        assert_answers(daemon.address());
    }
}

/// Returns whether TC is set, and the number of answer records.
fn cut(response: &[u8]) -> (bool, u16) {
    (response[2] & 2 != 0, u16::from_be_bytes([response[6], response[7]]))
}

#[test]
fn query_with_large_options_is_answered() {
    let daemon = insecure(&[]);
    for padding in [0, 468, 1500, 4096] {
        let response = ask(daemon.address(), &padded(7, &name(IP), padding));
        assert_eq!((id(&response), rcode(&response)), (7, 0), "{padding} bytes of padding");
        assert_eq!(addresses(&response), [IP]);
        assert!(response.len() <= 1232);
    }
    // The end of these queries is lost, so the client has to repeat them over TCP.
    for padding in [4608, 60_000] {
        let response = ask(daemon.address(), &padded(7, &name(IP), padding));
        assert_eq!((id(&response), rcode(&response), cut(&response)), (7, 0, (true, 0)), "{padding}");
        let response = Stream::connect(daemon.address()).exchange(&padded(8, &name(IP), padding));
        assert_eq!((id(&response), addresses(&response)), (8, vec![IP.into()]));
    }
}

/// Number of UDP sockets of a daemon with 16 threads and two addresses.
const SOCKETS: u64 = 2 * 16;

/// Maximum resident memory of a datagram of a batch in bytes, and number of datagrams of a batch.
const SLOT: u64 = 8 * 1024;
const SLOTS: u64 = 64;

#[test]
fn floods_of_large_datagrams_leave_little_memory() {
    let daemon = start(&["--pods=insecure", "--threads=16", "--listen=127.0.0.1:0", "--listen=127.0.0.2:0"]);
    let before = daemon.memory();
    let mut response = vec![0xff; 65_507];
    let mut received = 0;
    // The kernel chooses the thread by a hash that includes the client's port.
    for round in 0..40_u64 {
        for &server in &daemon.dns {
            let sockets: Vec<UdpSocket> = (0..64).map(|_| connect(server)).collect();
            for socket in sockets {
                response[0] = round.to_le_bytes()[0];
                for _ in 0..8 {
                    socket.send(&response).unwrap();
                    received += 1;
                }
            }
            assert_answers(server);
        }
    }
    let drops = "poddns_dropped_queries_total{transport=\"udp\",reason=\"response\"}";
    assert!(daemon.metric(drops) > received / 10, "most were received, of {received}");
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown <= SOCKETS * SLOTS * SLOT, "{grown} bytes");
}

#[test]
fn wildcards_answer_no_broadcasts() {
    let daemon = start(&["--pods=insecure", "--listen=*:0", "--threads=1"]);
    let port = daemon.address().port();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query(1, &name(IP)), ("127.255.255.255", port)).unwrap();
    socket.send_to(&query(2, &name(IP)), ("127.0.0.1", port)).unwrap();
    let mut response = [0; 512];
    let (len, from) = socket.recv_from(&mut response).unwrap();
    assert_eq!((id(&response[..len]), from), (2, ([127, 0, 0, 1], port).into()));
    let drops = "poddns_dropped_queries_total{transport=\"udp\",reason=\"not_unicast\"}";
    assert_eq!(daemon.metric(drops), 1);
    assert_eq!(daemon.metric("poddns_queries_total{transport=\"udp\"}"), 2);
}

#[test]
fn hostile_datagrams_do_no_harm() {
    let daemon = insecure(&["--threads=1"]);
    let socket = connect(daemon.address());
    let mut response = query(1, &name(IP));
    response[2] |= 0x80;
    for datagram in [&[][..], &[0], &[0xff; 11], &response, &[0x80; 12]] {
        socket.send(datagram).unwrap();
    }
    socket.send(&[0; 12]).unwrap();
    socket.send(&vec![0xff; 65_507]).unwrap();
    // Only the header of zeros is answered, as a query without a question.
    let answer = receive(&socket);
    assert_eq!((id(&answer), rcode(&answer)), (0, 1));
    let answer = exchange(&socket, &query(9, &name(IP)));
    assert_eq!((id(&answer), addresses(&answer)), (9, vec![IP.into()]));
    let drops = |reason| {
        daemon.metric(&format!("poddns_dropped_queries_total{{transport=\"udp\",reason=\"{reason}\"}}"))
    };
    assert_eq!(drops("short"), 3);
    assert_eq!(drops("response"), 3, "all ones is a response, too");
}

#[test]
fn gone_clients_do_no_harm() {
    let daemon = insecure(&["--threads=1"]);
    // Each reply is sent to a closed port, which causes an ICMP error.
    for number in 0..200 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&query(number, &name(IP)), daemon.address()).unwrap();
    }
    assert_answers(daemon.address());
}
