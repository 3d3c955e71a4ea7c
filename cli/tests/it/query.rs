//! `poddns query` against servers that the tests script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::{Run, poddns, poddns_with_input};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use poddns_core::{Config, Mode, NoPods, Outcome, Request, Transport, Zone, respond};
use poddns_test_support::dns::bind_both;

const NAME: &str = "10-42-2-46.default.pod.cluster.local";

/// Queries `server` with these further arguments.
fn query(server: SocketAddr, args: &[&str]) -> Run {
    let server = server.to_string();
    poddns(["query", "--server", server.as_str()].iter().chain(args))
}

/// Starts a UDP server that sends the packets returned by `answer` for each query; the queries are sent to the
/// channel.
fn udp(answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> (SocketAddr, Receiver<Vec<u8>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    serve_udp(socket, answer)
}

fn serve_udp(
    socket: UdpSocket,
    mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, Receiver<Vec<u8>>) {
    let address = socket.local_addr().expect("it is bound");
    let (sender, received) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, client)) = socket.recv_from(&mut buffer) {
            for packet in answer(&buffer[..len]) {
                let _ = socket.send_to(&packet, client);
            }
            if sender.send(buffer[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    (address, received)
}

/// Serves TCP: passes each connection and its first query to `answer`.
fn serve_tcp(listener: TcpListener, mut answer: impl FnMut(&[u8], TcpStream) + Send + 'static) {
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut len = [0; 2];
            let mut query = Vec::new();
            if stream.read_exact(&mut len).is_ok() {
                query.resize(usize::from(u16::from_be_bytes(len)), 0);
                stream.read_exact(&mut query).expect("the whole query");
            }
            answer(&query, stream);
        }
    });
}

fn tcp(answer: impl FnMut(&[u8], TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    serve_tcp(listener, answer);
    address
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("a small message");
    [&len.to_be_bytes(), message].concat()
}

/// Returns the answer 10.42.2.46 to a query, modified by `change`.
fn reply(query: &[u8], change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let query = Message::from_vec(query).expect("poddns sends well-formed queries");
    let question = query.queries[0].clone();
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.authoritative = true;
    message.add_answer(Record::from_rdata(question.name().clone(), 5, RData::A(A::new(10, 42, 2, 46))));
    message.add_query(question);
    message.edns = query.edns;
    change(&mut message);
    message.to_vec().expect("a small message")
}

/// Returns the answer of poddns-core.
fn poddns_reply(query: &[u8], mode: Mode) -> Vec<u8> {
    let zones = [Zone::new("cluster.local").expect("a domain")];
    let mut config = Config::new(mode, &zones);
    config.block_special = true;
    let request = Request::new(Transport::Udp, [127, 0, 0, 1].into(), 0);
    let mut out = [0; 1232];
    match respond(&config, &NoPods, query, &request, &mut out) {
        Outcome::Reply(reply) => out[..reply.len].to_vec(),
        outcome => panic!("not answered: {outcome:?}"),
    }
}

/// Returns the line that begins with `start`.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no line {start:?} in:\n{text}"))
}

#[test]
fn long_form_has_parts_of_dig() {
    let (server, received) = udp(|query| vec![reply(query, |_| {})]);
    let run = query(server, &[NAME]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let id = Message::from_vec(&received.recv().expect("a query")).expect("well-formed").metadata.id;
    let usec = line(&run.stdout, ";; Query time: ");
    let expected = format!(
        ";; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: {id}
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
;; QUESTION SECTION:
;{NAME}.\t\tIN\tA

;; ANSWER SECTION:
{NAME}.\t5\tIN\tA\t10.42.2.46

{usec}
;; SERVER: 127.0.0.1#{}(127.0.0.1) (UDP)
;; MSG SIZE  rcvd: 81
",
        server.port()
    );
    assert_eq!(run.stdout, expected);
    assert!(usec.ends_with(" usec"), "{usec}");
}

#[test]
fn short_form_has_data_only() {
    let (server, _received) = udp(|query| {
        vec![reply(query, |message| {
            let owner = message.queries[0].name().clone();
            let txt = TXT::from_bytes(vec![b"a b", b"\x1b[31m"]);
            message.add_answer(Record::from_rdata(owner, 5, RData::TXT(txt)));
        })]
    });
    let run = query(server, &[NAME, "--short"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(run.stdout, "10.42.2.46\n\"a b\" \"\\027[31m\"\n");
}

#[test]
fn short_form_explains_missing_answers() {
    let (server, _received) = udp(|query| vec![poddns_reply(query, Mode::Insecure)]);
    let run = query(server, &["127-0-0-1.default.pod.cluster.local", "--short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert!(
        run.stderr.starts_with("poddns: no answer records: NXDOMAIN, EDE 15 (Blocked)"),
        "{}",
        run.stderr
    );
}

#[test]
fn responses_of_poddns_are_decoded() {
    let (server, _received) = udp(|query| vec![poddns_reply(query, Mode::Insecure)]);
    let run = query(server, &["fd00--7.web.pod.cluster.local"]);
    assert_eq!(line(&run.stdout, "fd00--7"), "fd00--7.web.pod.cluster.local.\t5\tIN\tAAAA\tfd00::7");
    let run = query(server, &["pod.cluster.local", "soa", "--short"]);
    let soa = "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5\n";
    assert_eq!(run.stdout, soa);
    let run = query(server, &["169-254-169-254.default.pod.cluster.local"]);
    assert_eq!(run.code, Some(0), "any answer is a success");
    assert!(line(&run.stdout, ";; ->>HEADER<<-").contains("status: NXDOMAIN"), "{}", run.stdout);
    assert!(line(&run.stdout, "; EDE: ").starts_with("; EDE: 15 (Blocked)"), "{}", run.stdout);
    assert!(line(&run.stdout, "pod.cluster.local.").contains("\tSOA\t"), "{}", run.stdout);
    let run = query(server, &["example.org"]);
    assert!(run.stdout.contains("status: REFUSED"), "{}", run.stdout);
}

#[test]
fn options_are_decoded() {
    let (server, _received) = udp(|query| {
        vec![reply(query, |message| {
            let edns = message.edns.as_mut().expect("poddns asks with EDNS");
            let options = edns.options_mut();
            let EdnsOption::Unknown(10, cookie) = options.options[0].1.clone() else {
                panic!("the cookie comes first: {options:?}")
            };
            options.options.clear();
            options.insert(EdnsOption::Unknown(3, b"node-a".to_vec()));
            options.insert(EdnsOption::Unknown(10, [cookie, vec![0xab; 16]].concat()));
            options.insert(EdnsOption::Unknown(15, b"\x00\x16index is \x1bold".to_vec()));
            options.insert(EdnsOption::Unknown(65_001, vec![1, 2]));
        })]
    });
    let run = query(server, &[NAME, "--nsid", "--cookie=0011223344556677"]);
    let server_cookie = "ab".repeat(16);
    for expected in [
        "; NSID: 6e6f64652d61 (\"node-a\")",
        &format!("; COOKIE: 0011223344556677{server_cookie} (good)"),
        "; EDE: 22 (No Reachable Authority): (index is \\027old)",
        "; OPT=65001: 0102",
    ] {
        assert!(run.stdout.lines().any(|line| line == expected), "{expected}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn arguments_reach_the_wire() {
    let (server, received) = udp(|query| vec![reply(query, |_| {})]);
    let sent = |args: &[&str]| {
        let run = query(server, args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        Message::from_vec(&received.recv().expect("a query")).expect("well-formed")
    };
    let plain = sent(&[NAME]);
    assert_eq!(plain.metadata.message_type, MessageType::Query);
    assert!(plain.metadata.recursion_desired && !plain.metadata.checking_disabled);
    assert_eq!(
        (plain.queries[0].query_type(), plain.queries[0].query_class()),
        (RecordType::A, DNSClass::IN)
    );
    assert!(plain.edns.is_some_and(|edns| edns.max_payload() == 1232 && edns.version() == 0));

    for name in ["fd00--7.web.pod.cluster.local", "FD00-0-0-0-0-0-0-7", "0--1"] {
        assert_eq!(sent(&[name]).queries[0].query_type(), RecordType::AAAA, "{name}");
    }
    assert_eq!(sent(&["fd00--7.web", "a"]).queries[0].query_type(), RecordType::A);
    assert_eq!(sent(&[NAME, "type65280"]).queries[0].query_type(), RecordType::Unknown(65_280));
    assert_eq!(sent(&[NAME, "--class", "ch"]).queries[0].query_class(), DNSClass::CH);
    assert!(!sent(&[NAME, "--norecurse"]).metadata.recursion_desired);
    assert_eq!(sent(&[NAME, "--no-edns"]).edns, None);
    let edns =
        sent(&[NAME, "--edns", "1", "--bufsize", "4096", "--option", "65001:00ff"]).edns.expect("an OPT");
    assert_eq!((edns.version(), edns.max_payload()), (1, 4096));
    assert_eq!(edns.options().as_ref()[0].1, EdnsOption::Unknown(65_001, vec![0, 255]));
    let cookie = |message: Message| message.edns.expect("an OPT").options().as_ref()[0].1.clone();
    let (one, two) = (cookie(sent(&[NAME, "--cookie"])), cookie(sent(&[NAME, "--cookie"])));
    assert!(matches!(&one, EdnsOption::Unknown(10, octets) if octets.len() == 8), "{one:?}");
    assert_ne!(one, two, "a client cookie is random");
    let name = sent(&[r"a\.b.\000c"]).queries[0].name().clone();
    assert_eq!(name.iter().collect::<Vec<_>>(), [b"a.b".as_slice(), b"\0c"]);
}

fn truncated(query: &[u8]) -> Vec<Vec<u8>> {
    vec![reply(query, |message| {
        message.metadata.truncation = true;
        message.answers.clear();
    })]
}

#[test]
fn truncated_response_is_repeated_over_tcp() {
    let (socket, listener) = bind_both();
    let (server, received) = serve_udp(socket, truncated);
    serve_tcp(listener, |query, mut stream| {
        // One octet per segment.
        stream.set_nodelay(true).expect("a TCP option");
        for octet in framed(&reply(query, |_| {})) {
            stream.write_all(&[octet]).expect("the client reads");
        }
    });
    let run = query(server, &[NAME]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("ANSWER: 1") && run.stdout.contains("(TCP)"), "{}", run.stdout);
    assert!(run.stderr.contains("truncated; repeating the query over TCP"), "{}", run.stderr);
    received.recv().expect("UDP came first");

    let run = query(server, &[NAME, "--ignore-truncation"]);
    assert!(run.stdout.contains("flags: qr aa tc rd;") && run.stdout.contains("(UDP)"), "{}", run.stdout);
    let run = query(server, &[NAME, "--tcp", "--short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n"));
    received.recv().expect("that of --ignore-truncation");
    assert!(received.try_recv().is_err(), "--tcp sends nothing over UDP");
}

#[test]
fn unrelated_packets_are_skipped() {
    let (server, _received) = udp(|query| {
        let wrong = |message: &mut Message| message.answers.clear();
        vec![
            Vec::new(),
            b"\xff\xff".to_vec(),
            reply(query, |message| {
                message.metadata.id = message.metadata.id.wrapping_add(1);
                wrong(message);
            }),
            reply(query, |message| {
                message.queries[0].query_type = RecordType::TXT;
                wrong(message);
            }),
            query.to_vec(),
            reply(query, |_| {}),
        ]
    });
    let run = query(server, &[NAME, "--short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n"), "{}", run.stderr);
}

#[test]
fn unrelated_packets_alone_are_failure() {
    type Change = fn(&mut Message);
    let cases: [(Change, &str); 2] = [
        (|message| message.metadata.id ^= 1, "because it has ID"),
        (|message| message.queries.clear(), "because it answers another question"),
    ];
    for (change, why) in cases {
        let (server, _received) = udp(move |query| vec![reply(query, change)]);
        let run = query(server, &[NAME, "--timeout", "0.2", "--tries", "1"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
        assert!(run.stderr.contains("packets ignored: 1"), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn malformed_reply_is_reported() {
    let (server, _received) = udp(|query| vec![[&query[..2], [0xff; 60].as_slice()].concat()]);
    let run = query(server, &[NAME, "--timeout", "0.2", "--tries", "1"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("because it does not parse: "), "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn undecodable_record_is_shown_as_octets() {
    // Owner of the question, NAPTR IN, TTL 5, data with the flag `!`, which hickory rejects.
    let naptr = b"\xc0\x0c\x00\x23\x00\x01\x00\x00\x00\x05\x00\x09\x00\x01\x00\x02\x01!\x00\x00\x00";
    let answer = move |query: &[u8]| {
        let mut octets = reply(query, |message| message.edns = None);
        octets[7] += 1;
        octets.extend(naptr);
        vec![octets]
    };
    let (server, _received) = udp(answer);
    let run = query(server, &[NAME, "+short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n\\# 9 000100020121000000\n"));
    let note = format!("poddns: {server}: answer record 2 of 2, {NAME}. NAPTR, does not decode");
    assert!(run.stderr.starts_with(&note), "{}", run.stderr);

    let run = query(server, &[NAME, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(object["answer"][0]["data"], "10.42.2.46");
    assert_eq!(object["answer"][1]["type"], "NAPTR");
    assert_eq!(object["answer"][1]["data"], "\\# 9 000100020121000000");
    assert_eq!(object["faults"].as_array().map(Vec::len), Some(1), "{object}");
}

#[test]
fn cut_response_is_shown_and_fails() {
    let answer = |query: &[u8]| {
        let mut octets = reply(query, |message| message.edns = None);
        octets[7] += 1;
        vec![octets]
    };
    let (server, _received) = udp(answer);
    let run = query(server, &[NAME, "+short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "10.42.2.46\n"));
    assert!(run.stderr.contains("answer record 2 of 2 is cut off or malformed"), "{}", run.stderr);
}

#[test]
fn missing_reply_is_retried_and_reported() {
    let (server, received) = udp(|_| Vec::new());
    let run = query(server, &[NAME, "--timeout", "0.1", "--tries", "3"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let expected = format!("poddns: {server} (UDP): no answer within 0.1 s, tried 3 times\n");
    assert_eq!(run.stderr, expected);
    let queries: Vec<_> = received.try_iter().collect();
    assert_eq!(queries.len(), 3);
    assert!(queries.iter().all(|query| *query == queries[0]), "the same query, ID and all");
}

#[test]
fn response_to_last_attempt_counts() {
    let mut count = 0;
    let (server, _received) = udp(move |query| {
        count += 1;
        if count < 3 { Vec::new() } else { vec![reply(query, |_| {})] }
    });
    let run = query(server, &[NAME, "--timeout", "0.3", "--short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n"), "{}", run.stderr);
}

#[test]
fn refused_port_is_reported_at_once() {
    let (socket, listener) = bind_both();
    let server = socket.local_addr().expect("it is bound");
    drop((socket, listener));
    // The default is three tries of 5 s, so these runs end early only if the error is detected.
    for (args, transport) in [([NAME].as_slice(), "UDP"), (&[NAME, "--tcp"], "TCP")] {
        let run = query(server, args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
        let expected = format!("{server} ({transport}): connection refused");
        assert!(run.stderr.contains(&expected), "{}", run.stderr);
    }
}

#[test]
fn all_addresses_of_host_name_are_tried() {
    let (server, _received) = udp(|query| vec![reply(query, |_| {})]);
    let run = poddns(["query", NAME, "--short", "--server", &format!("localhost:{}", server.port())]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n"), "{}", run.stderr);
}

#[test]
fn closed_tcp_connection_is_reported() {
    let server = tcp(|_, stream| drop(stream));
    let run = query(server, &[NAME, "--tcp"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("closed the connection without an answer"), "{}", run.stderr);
}

#[test]
fn stalled_tcp_server_times_out() {
    let mut held = Vec::new();
    let server = tcp(move |query, mut stream| {
        let reply = framed(&reply(query, |_| {}));
        stream.write_all(&reply[..reply.len() - 1]).expect("the client reads");
        held.push(stream);
    });
    let run = query(server, &[NAME, "--tcp", "--timeout", "0.1", "--tries", "2"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("(TCP): no answer within 0.1 s, tried 2 times"), "{}", run.stderr);
}

#[test]
fn unrelated_tcp_frames_are_skipped() {
    let server = tcp(|query, mut stream| {
        let stranger = reply(query, |message| message.metadata.id ^= 1);
        let frames = [framed(&[]), framed(&stranger), framed(&reply(query, |_| {}))].concat();
        stream.write_all(&frames).expect("the client reads");
    });
    let run = query(server, &[NAME, "--tcp", "--short"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "10.42.2.46\n"), "{}", run.stderr);
}

#[test]
fn errors_without_a_question_are_answers() {
    let (server, _received) = udp(|query| {
        vec![reply(query, |message| {
            message.queries.clear();
            message.answers.clear();
            message.metadata.response_code = ResponseCode::FormErr;
        })]
    });
    let run = query(server, &[NAME]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("status: FORMERR") && run.stdout.contains("QUERY: 0,"), "{}", run.stdout);
}

#[test]
fn trailing_octets_are_reported() {
    let (server, _received) = udp(|query| vec![[reply(query, |_| {}), vec![0; 7]].concat()]);
    let run = query(server, &[NAME]);
    assert_eq!(line(&run.stdout, ";; WARNING"), ";; WARNING: 7 octets behind the end of the message");
}

#[test]
fn bad_usage_is_reported_with_status_64() {
    let cases: [(&[&str], &str); 19] = [
        (&[], "no name to query"),
        (&["A", "@127.0.0.1"], "no name to query"),
        (&["a..b"], "empty label"),
        (&[NAME, "TYPE65536"], "not a record type"),
        (&[NAME, "-t", "B"], "not a record type"),
        (&[NAME, "--class", "X"], "not a class"),
        (&[NAME, "--server", "127.0.0.1:99999"], "not a port"),
        (&[NAME, "@127.0.0.1:0"], "not a port"),
        (&[NAME, "@127.0.0.1", "-s", "::1"], "two servers, 127.0.0.1 and ::1"),
        (&[NAME, "-p", "0"], "not a port"),
        (&["-x", "web"], "not an address"),
        (&[NAME, "+tco"], "+tcp, +short"),
        (&[NAME, "+tcp=1"], "remove '=1'"),
        (&[NAME, "--timeout", "0"], "not a time above 0"),
        (&[NAME, "--tries", "0"], "1..=100"),
        (&[NAME, "--cookie=00"], "8 or 16 to 40 octets"),
        (&[NAME, "--option", "x"], "not an EDNS option"),
        (&[NAME, "--no-edns", "--nsid"], "cannot be used with"),
        (&[NAME, "--short", "--json"], "cannot be used with"),
    ];
    for (args, why) in cases {
        let run = poddns(["query"].iter().chain(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{args:?}");
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn dig_words_reach_the_wire() {
    let (server, received) = udp(|query| vec![reply(query, |_| {})]);
    let (at, port) = (format!("@{server}"), server.port().to_string());
    let sent = |args: &[&str]| {
        let run = poddns(["query"].iter().chain(args));
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        Message::from_vec(&received.recv().expect("a query")).expect("well-formed")
    };
    let asked = |args: &[&str]| {
        let message = sent(args);
        let query = &message.queries[0];
        (query.name().to_string(), query.query_type(), query.query_class())
    };
    let name = format!("{NAME}.");
    let (internet, chaos) = (DNSClass::IN, DNSClass::CH);
    assert_eq!(asked(&[&at, "TXT", NAME]), (name.clone(), RecordType::TXT, internet));
    assert_eq!(asked(&[NAME, "-t", "TXT", &at]), (name.clone(), RecordType::TXT, internet));
    assert_eq!(asked(&["@127.0.0.1", "-p", &port, NAME]), (name.clone(), RecordType::A, internet));
    assert_eq!(asked(&["-p", &port, NAME]), (name.clone(), RecordType::A, internet));
    assert_eq!(asked(&["-4", "-p", &port, NAME]), (name, RecordType::A, internet));
    assert_eq!(asked(&[&at, "version.bind", "ch", "txt"]), ("version.bind.".into(), RecordType::TXT, chaos));
    assert_eq!(asked(&[&at, "-q", "mx"]), ("mx.".into(), RecordType::A, internet));
    let reverse = "46.2.42.10.in-addr.arpa.".to_owned();
    assert_eq!(asked(&[&at, "-x", "10.42.2.46"]), (reverse.clone(), RecordType::PTR, internet));
    assert_eq!(asked(&[&at, "+short", "-x", "10.42.2.46", "ANY"]), (reverse, RecordType::ANY, internet));

    assert!(!sent(&[&at, NAME, "+norecurse"]).metadata.recursion_desired);
    assert_eq!(sent(&[&at, NAME, "+noedns"]).edns, None);
    let edns = sent(&[&at, NAME, "+dnssec", "+bufsize=4096", "+nsid"]).edns.expect("an OPT");
    assert!(edns.flags().dnssec_ok && edns.max_payload() == 4096 && edns.options().as_ref().len() == 1);
}

#[test]
fn parts_of_response_can_be_omitted() {
    let (server, _received) = udp(|query| vec![reply(query, |_| {})]);
    let run = query(server, &[NAME, "+noall", "+answer"]);
    assert_eq!(run.stdout, format!("{NAME}.\t5\tIN\tA\t10.42.2.46\n"));
    let run = query(server, &[NAME, "+nocomments", "+nostats"]);
    assert_eq!(run.stdout, format!(";{NAME}.\t\tIN\tA\n{NAME}.\t5\tIN\tA\t10.42.2.46\n"));
}

#[test]
fn each_name_and_type_is_queried() {
    let (server, received) = udp(|query| vec![reply(query, |_| {})]);
    let run = query(server, &[NAME, "A", "TXT", "fd00--7.web"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(run.stdout.matches(";; Got answer:").count(), 3, "{}", run.stdout);
    let types = [RecordType::A, RecordType::TXT, RecordType::AAAA];
    for expected in types {
        let message = Message::from_vec(&received.recv().expect("a query")).expect("well-formed");
        assert_eq!(message.queries[0].query_type(), expected);
    }
}

#[test]
fn questions_are_read_from_standard_input() {
    let (server, received) = udp(|query| vec![reply(query, |_| {})]);
    let input = format!("# comment\n{NAME} A TXT\n\na..b\nfd00--7.web\r\n");
    let server = format!("@{server}");
    let run = poddns_with_input(["query", &server, "+short", "-"], &input);
    assert_eq!(run.code, Some(64), "a line is wrong");
    assert_eq!(
        run.stderr,
        "poddns: standard input, line 4: 'a..b' is a name that has an empty label: it begins with a dot, or has two in a row\n"
    );
    assert_eq!(run.stdout, "10.42.2.46\n".repeat(3), "what can be asked is");
    for expected in [RecordType::A, RecordType::TXT, RecordType::AAAA] {
        let message = Message::from_vec(&received.recv().expect("a query")).expect("well-formed");
        assert_eq!(message.queries[0].query_type(), expected);
    }
    let run = poddns(["query", &server, "-f", "/does/not/exist"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("cannot read /does/not/exist: "), "{}", run.stderr);
}

#[test]
fn json_is_one_object_a_question() {
    let (server, _received) = udp(|query| vec![poddns_reply(query, Mode::Insecure)]);
    let run = query(server, &["+json", NAME, "127-0-0-1.default.pod.cluster.local"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let objects: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let [answered, blocked] = objects.as_slice() else { panic!("{}", run.stdout) };
    assert_eq!(answered["version"], 1);
    assert_eq!(answered["name"], format!("{NAME}."));
    assert_eq!((&answered["class"], &answered["type"]), (&"IN".into(), &"A".into()));
    assert_eq!(answered["server"], server.to_string());
    assert_eq!((&answered["transport"], &answered["status"]), (&"udp".into(), &"NOERROR".into()));
    assert_eq!(answered["flags"], serde_json::json!(["qr", "aa", "rd"]));
    let answer = serde_json::json!([
        { "name": format!("{NAME}."), "ttl": 5, "class": "IN", "type": "A", "data": "10.42.2.46" }
    ]);
    assert_eq!(answered["answer"], answer);
    assert_eq!(answered["edns"]["udp"], 1232);
    assert_eq!(blocked["status"], "NXDOMAIN");
    assert_eq!(
        (&blocked["extended_errors"][0]["code"], &blocked["extended_errors"][0]["name"]),
        (&15.into(), &"Blocked".into())
    );
    assert_eq!(blocked["authority"][0]["type"], "SOA");
}

#[test]
fn json_reports_missing_answers() {
    // Bound, so that no other process has the port, but never read.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let server = socket.local_addr().expect("it is bound");
    let run = query(server, &[NAME, "--json", "--timeout", "50ms", "--tries", "1"]);
    assert_eq!(run.code, Some(1));
    let object: serde_json::Value = serde_json::from_str(&run.stdout).expect("an object");
    assert!(
        object["error"].as_str().is_some_and(|error| error.contains("no answer within 0.05 s")),
        "{object}"
    );
    assert_eq!(object.get("status"), None);
}

#[test]
fn short_help_is_shorter_than_long_help() {
    let (short, long) = (poddns(["query", "-h"]), poddns(["query", "--help"]));
    assert_eq!((short.code, long.code), (Some(0), Some(0)));
    assert!(short.stdout.lines().count() < 30, "{}", short.stdout);
    assert!(!short.stdout.contains("--bufsize") && long.stdout.contains("--bufsize"));
    assert!(long.stdout.contains("Examples:") && long.stdout.contains("Exit status:"), "{}", long.stdout);
}
