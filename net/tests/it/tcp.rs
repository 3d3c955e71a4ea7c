//! DNS over TCP (RFC 7766): pipelining, framing, and slow or hostile clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::time::Duration;

use crate::support::{command, insecure};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{
    Stream, addresses, assert_answers, connect, exchange, frame, id, name, padded, query, rcode,
};
use poddns_test_support::wait::until;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

fn open_connections(daemon: &Daemon) -> usize {
    daemon.metric("poddns_tcp_connections").try_into().unwrap()
}

#[test]
fn pipelined_queries_are_answered_in_order() {
    let daemon = insecure(&[]);
    let mut stream = Stream::connect(daemon.address());
    let all: Vec<u8> = (0..1000).flat_map(|number| frame(&query(number, &name(IP)))).collect();
    stream.0.write_all(&all).unwrap();
    for number in 0..1000 {
        let response = stream.receive();
        assert_eq!((id(&response), addresses(&response)), (number, vec![IP.into()]));
    }
}

#[test]
fn frames_may_be_split_anywhere() {
    let daemon = insecure(&[]);
    let mut stream = Stream::connect(daemon.address());
    let two = [frame(&query(1, &name(IP))), frame(&query(2, &name(IP)))].concat();
    for octet in &two {
        stream.0.write_all(&[*octet]).unwrap();
    }
    assert_eq!([id(&stream.receive()), id(&stream.receive())], [1, 2]);
    for cut in [1, 2, 3, 30, two.len() / 2, two.len() / 2 + 1, two.len() - 1] {
        let (head, tail) = two.split_at(cut);
        stream.0.write_all(head).unwrap();
        stream.0.write_all(tail).unwrap();
        assert_eq!([id(&stream.receive()), id(&stream.receive())], [1, 2], "cut at {cut}");
    }
}

#[test]
fn invalid_messages_between_queries_are_skipped() {
    let daemon = insecure(&[]);
    let mut stream = Stream::connect(daemon.address());
    let mut response = query(5, &name(IP));
    response[2] |= 0x80;
    for nonsense in [&[][..], &[1], &[0; 11], &response, &[0xff; 40]] {
        stream.send(nonsense);
    }
    let answer = stream.exchange(&query(6, &name(IP)));
    assert_eq!((id(&answer), addresses(&answer)), (6, vec![IP.into()]));
    // Queries after a FORMERR get their own responses.
    let mut malformed = query(7, &name(IP));
    malformed[5] = 2;
    stream.send(&malformed);
    let mut transfer = query(8, "pod.cluster.local");
    let at = transfer.len() - 3;
    transfer[at] = 252;
    stream.send(&transfer);
    stream.send(&query(9, &name(IP)));
    let answers: Vec<_> =
        (0..3).map(|_| stream.receive()).map(|answer| (id(&answer), rcode(&answer))).collect();
    assert_eq!(answers, [(7, 1), (8, 5), (9, 0)], "FORMERR, REFUSED for AXFR, NOERROR");
}

#[test]
fn the_longest_message_is_answered() {
    let daemon = insecure(&[]);
    let mut stream = Stream::connect(daemon.address());
    let overhead = padded(3, &name(IP), 0).len();
    let longest = padded(3, &name(IP), u16::try_from(65_535 - overhead).unwrap());
    assert_eq!(longest.len(), 65_535);
    let answer = stream.exchange(&longest);
    assert_eq!((id(&answer), addresses(&answer)), (3, vec![IP.into()]));
}

#[test]
fn client_that_asks_gets_idle_timeout() {
    let daemon = insecure(&["--tcp-idle-timeout=12s"]);
    let mut question = query(1, &name(IP));
    question[11] = 1;
    // RFC 7828: an empty option 11 requests the time-out, and the response has it in units of 100 ms.
    question.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let answer = Stream::connect(daemon.address()).exchange(&question);
    assert!(answer.ends_with(&[0, 11, 0, 2, 0, 120]), "{answer:?}");
}

#[test]
fn half_closed_client_gets_answers() {
    let daemon = insecure(&[]);
    let mut stream = Stream::connect(daemon.address());
    stream.send(&query(1, &name(IP)));
    stream.send(&query(2, &name(IP)));
    stream.0.write_all(&[0, 50, 1]).unwrap();
    stream.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!([id(&stream.receive()), id(&stream.receive())], [1, 2]);
    stream.assert_closed();
}

#[test]
fn idle_and_dripping_connections_are_closed() {
    let daemon = insecure(&["--tcp-idle-timeout=1s"]);
    let mut silent = Stream::connect(daemon.address());
    let mut used = Stream::connect(daemon.address());
    assert_eq!(id(&used.exchange(&query(1, &name(IP)))), 1);
    let mut dripping = Stream::connect(daemon.address());
    dripping.0.write_all(&[0xff, 0xff]).unwrap();
    dripping.0.set_nonblocking(true).unwrap();
    // Single bytes of a message that never ends.
    until("the server closes the connection", || {
        let read = dripping.0.read(&mut [0]);
        let is_open = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        !is_open || dripping.0.write_all(&[0]).is_err()
    });
    silent.assert_closed();
    used.assert_closed();
    assert_eq!(daemon.metric("poddns_tcp_closed_connections_total{reason=\"idle\"}"), 3);
    until("all are gone", || open_connections(&daemon) == 0);
}

#[test]
fn old_connection_is_closed_despite_use() {
    let daemon = insecure(&["--tcp-lifetime=1s", "--tcp-idle-timeout=1h"]);
    let mut stream = Stream::connect(daemon.address());
    let mut answers = 0_u32;
    // The connection is closed while it is idle, which may be before or after the next query arrives; no answer is
    // truncated.
    until("the connection is closed", || {
        let sent = stream.0.write_all(&frame(&query(1, &name(IP))));
        let mut length = [0; 2];
        if sent.is_err() || stream.0.read_exact(&mut length).is_err() {
            return true;
        }
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.0.read_exact(&mut answer).expect("a whole answer");
        answers += 1;
        false
    });
    assert!(answers > 1);
    let closed =
        |reason| daemon.metric(&format!("poddns_tcp_closed_connections_total{{reason=\"{reason}\"}}"));
    assert_eq!((closed("lifetime"), closed("idle")), (1, 0));
    // The client can connect again.
    assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(2, &name(IP)))), 2);
}

#[test]
fn unread_responses_are_not_buffered() {
    let daemon = insecure(&[]);
    let before = daemon.memory();
    let mut deaf = Stream::connect(daemon.address());
    deaf.0.set_nonblocking(true).unwrap();
    let batch: Vec<u8> = (0..100).flat_map(|number| frame(&query(number, &name(IP)))).collect();
    let mut bytes = 0;
    // Ends once the buffers of both sides are full and the server waits to write a response.
    until("the server takes no more queries", || {
        let before = bytes;
        loop {
            match deaf.0.write(&batch[bytes % batch.len()..]) {
                Ok(len) => bytes += len,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            assert!(bytes < 1 << 30, "no back-pressure");
        }
        bytes == before && daemon.metric("poddns_tcp_busy_connections") == 1
    });
    deaf.0.set_nonblocking(false).unwrap();
    let sent = bytes / (batch.len() / 100);
    assert!(daemon.memory() < before + 4 * 1024 * 1024, "from {before} to {} bytes", daemon.memory());
    // Other clients are served meanwhile, and this one once it reads.
    assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(1, &name(IP)))), 1);
    for number in 0..sent {
        assert_eq!(usize::from(id(&deaf.receive())), number % 100);
    }
}

#[test]
fn aborted_connections_do_no_harm() {
    let daemon = insecure(&[]);
    let all: Vec<u8> = (0..1000).flat_map(|number| frame(&query(number, &name(IP)))).collect();
    for round in 0..300 {
        let mut stream = Stream::connect(daemon.address());
        // Within a frame, with responses in flight, before the first and after the last octet: the server gets
        // ECONNRESET and EPIPE at all its reads and writes.
        stream.0.write_all(&all[..all.len() * round / 299]).unwrap();
        if round > 0 && round % 3 == 0 {
            let _ = stream.0.read(&mut [0; 100]);
        }
        // With this option, closing resets the connection, and discards data in flight.
        socket2::SockRef::from(&stream.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
    until("all are gone", || open_connections(&daemon) == 0);
    assert_eq!(daemon.metric("poddns_tcp_buffered_bytes"), 0);
    assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(7, &name(IP)))), 7);
    assert_answers(daemon.address());
}

#[test]
fn client_beyond_limit_loses_oldest() {
    let daemon = insecure(&["--tcp-connections-per-client=3"]);
    let mut other = Stream::connect_from(Ipv4Addr::new(127, 0, 0, 9), daemon.address());
    other.exchange(&query(1, &name(IP)));
    let mut streams: Vec<Stream> = (0..3).map(|_| Stream::connect(daemon.address())).collect();
    for (number, stream) in (1..).zip(&mut streams) {
        assert_eq!(id(&stream.exchange(&query(number, &name(IP)))), number);
    }
    let mut fourth = Stream::connect(daemon.address());
    assert_eq!(id(&fourth.exchange(&query(4, &name(IP)))), 4);
    streams.remove(0).assert_closed();
    // The remaining ones are within a query. The one with the oldest exchange is closed nevertheless.
    for stream in streams.iter_mut().chain([&mut fourth]) {
        stream.0.write_all(&[0]).unwrap();
    }
    until("the server has read that", || daemon.metric("poddns_tcp_busy_connections") == 3);
    assert!(daemon.metric("poddns_tcp_buffered_bytes") >= 3);
    let mut fifth = Stream::connect(daemon.address());
    assert_eq!(id(&fifth.exchange(&query(5, &name(IP)))), 5);
    streams.remove(0).assert_closed();
    assert_eq!(id(&other.exchange(&query(6, &name(IP)))), 6);
    assert_eq!(daemon.metric("poddns_tcp_closed_connections_total{reason=\"evicted\"}"), 2);
}

#[test]
fn stalled_connections_do_not_lock_client_out() {
    let daemon = insecure(&["--tcp-idle-timeout=1h"]);
    let mut stalled: Vec<Stream> = Vec::new();
    for round in 0..10 {
        // The connections of all rounds exceed the limit per client; all of them are within a message.
        for _ in 0..30 {
            let mut stream = Stream::connect(daemon.address());
            stream.0.write_all(&[0xff, 0xff]).unwrap();
            stalled.push(stream);
        }
        assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(round, &name(IP)))), round);
    }
    assert!(daemon.metric("poddns_tcp_closed_connections_total{reason=\"evicted\"}") > 0);
}

#[test]
fn full_server_closes_greediest_clients_idle_connections() {
    let daemon = insecure(&["--tcp-connections=8"]);
    let mut modest = Stream::connect_from(Ipv4Addr::new(127, 0, 0, 9), daemon.address());
    modest.exchange(&query(1, &name(IP)));
    let mut greedy: Vec<Stream> = (0..7).map(|_| Stream::connect(daemon.address())).collect();
    for stream in &mut greedy {
        stream.exchange(&query(1, &name(IP)));
    }
    // Kept open, since the next connection must find no free slot.
    let mut others = Vec::new();
    for host in 10..13 {
        let mut new = Stream::connect_from(Ipv4Addr::new(127, 0, 0, host), daemon.address());
        assert_eq!(id(&new.exchange(&query(2, &name(IP)))), 2);
        greedy.remove(0).assert_closed();
        others.push(new);
    }
    assert_eq!(id(&modest.exchange(&query(3, &name(IP)))), 3);
    assert!(open_connections(&daemon) <= 8);
}

#[test]
fn thousand_stalled_clients_delay_no_other() {
    let daemon = insecure(&["--threads=1", "--tcp-connections-per-client=2000"]);
    let before = daemon.memory();
    let mut stalled: Vec<Stream> = (0..1000)
        .map(|_| {
            let mut stream = Stream::connect(daemon.address());
            stream.0.write_all(&[0x10, 0, 1, 2, 3]).unwrap();
            stream
        })
        .collect();
    until("all are connected", || open_connections(&daemon) == stalled.len());
    let socket = connect(daemon.address());
    // Each of them sends one more octet meanwhile.
    for (number, stream) in (0..).zip(&mut stalled) {
        stream.0.write_all(&[4]).unwrap();
        assert_eq!(id(&exchange(&socket, &query(number, &name(IP)))), number);
    }
    let mut prompt = Stream::connect(daemon.address());
    for number in 0..1000 {
        assert_eq!(id(&prompt.exchange(&query(number, &name(IP)))), number);
    }
    let per_connection = daemon.memory().saturating_sub(before) / stalled.len() as u64;
    // 10,000 of them may take 64 MiB.
    assert!(per_connection < 6_500, "{per_connection} octets for each stalled connection");
    assert_answers(daemon.address());
}

#[test]
fn failed_connection_is_logged_with_spans() {
    let mut command = command();
    command.env("RUST_LOG", "poddns_net=debug");
    let daemon = Daemon::launch(command, &["--pods=insecure", "--listen=127.0.0.1:0"]);
    let mut stream = Stream::connect(daemon.address());
    stream.exchange(&query(1, &name(IP)));
    let client = format!("\"connection\":\"{}\"", stream.0.local_addr().unwrap());
    // With this option, closing resets the connection.
    socket2::SockRef::from(&stream.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    daemon.wait_for_log(&client);
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains(&client)).unwrap();
    assert!(line.contains(&format!("\"listener\":\"{}\"", daemon.address())), "{line}");
}
