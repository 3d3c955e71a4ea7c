//! DNS over UDP: every query is answered, from the address it came to, whatever else arrives.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::support::{
    Daemon, addresses, ask, assert_answers, connect, exchange, id, name, padded, query, rcode, receive, until,
};

/// Queries of one burst: several batches, but no more than the client's own buffer holds.
const BURST: u16 = 150;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

#[test]
fn answers_over_both_families() {
    let daemon = Daemon::start(&["--pods=insecure", "--listen=127.0.0.1:0", "--listen=[::1]:0"]);
    assert_eq!(daemon.dns.len(), 2);
    for &server in &daemon.dns {
        assert_answers(server);
    }
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    let daemon = Daemon::start(&["--pods=insecure", "--listen=*:0", "--threads=2"]);
    let [v4, v6] = daemon.dns[..] else { panic!("two addresses for *") };
    // The client is connected, so a reply from any other address would not reach it.
    for host in [1, 2, 77] {
        let server = SocketAddr::from(([127, 0, 0, host], v4.port()));
        assert_answers(server);
    }
    assert_answers(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())));
}

#[test]
fn a_burst_is_answered_to_the_last() {
    let daemon = Daemon::insecure(&["--threads=1"]);
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
    let daemon = Daemon::insecure(&["--threads=4"]);
    // The kernel chooses the worker by the client's port.
    for _ in 0..64 {
        assert_answers(daemon.address());
    }
}

#[test]
fn large_queries_are_read_whole() {
    let daemon = Daemon::insecure(&[]);
    for padding in [0, 468, 1500, 4096, 60_000] {
        let response = ask(daemon.address(), &padded(7, &name(IP), padding));
        assert_eq!((id(&response), rcode(&response)), (7, 0), "{padding} octets of padding");
        assert_eq!(addresses(&response), [IP]);
        assert!(response.len() <= 1232);
    }
}

#[test]
fn hostile_datagrams_do_no_harm() {
    let daemon = Daemon::insecure(&["--threads=1"]);
    let socket = connect(daemon.address());
    let mut response = query(1, &name(IP));
    response[2] |= 0x80;
    for datagram in [&[][..], &[0], &[0xff; 11], &response, &[0x80; 12]] {
        socket.send(datagram).unwrap();
    }
    socket.send(&[0; 12]).unwrap();
    socket.send(&vec![0xff; 65_507]).unwrap();
    // Silence for all but the header of zeros, which is a query without a question.
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
fn clients_that_are_gone_do_no_harm() {
    let daemon = Daemon::insecure(&["--threads=1"]);
    // Each reply meets a closed port, and an ICMP error comes back.
    for number in 0..200 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&query(number, &name(IP)), daemon.address()).unwrap();
    }
    assert_answers(daemon.address());
}
