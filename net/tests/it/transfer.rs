//! Zone transfers to a secondary.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{self, POD, command, follow, one_pod};
use domain::base::iana::{Opcode, Rtype, TsigRcode};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::{Message as DomainMessage, MessageBuilder, Name};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{Algorithm, ClientSequence, ClientTransaction, Key, KeyName};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, ask, query, rcode};
use poddns_test_support::wait::{PATIENCE, until};
use tempfile::TempDir;

const APEX: &str = "pod.cluster.local";
const A: u16 = 1;
const SOA: u16 = 6;
const IXFR: u16 = 251;
const AXFR: u16 = 252;

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;
const NOTAUTH: u8 = 9;

const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMsIHJlYWxseSE=";

/// Returns a query of this type for the apex.
fn asking(qtype: u16) -> Vec<u8> {
    let mut query = query(7, APEX);
    let end = query.len();
    query[end - 4..end - 2].copy_from_slice(&qtype.to_be_bytes());
    query
}

/// Returns an IXFR query for the changes since a version.
fn asking_since(serial: u32) -> Vec<u8> {
    let mut query = asking(IXFR);
    query[9] = 1;
    // An SOA record of the apex, by a pointer to the question.
    query.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    query.extend(serial.to_be_bytes());
    query.extend([0; 16]);
    query
}

/// Record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Soa(u32),
    Ns,
    Address(String, IpAddr),
}

fn items(message: &[u8]) -> Vec<Item> {
    let message = Message::from_vec(message).expect("a message");
    let item = |record: &hickory_proto::rr::Record| match &record.data {
        RData::SOA(soa) => Item::Soa(soa.serial),
        RData::NS(_) => Item::Ns,
        data => Item::Address(record.name.to_ascii(), data.ip_addr().expect("an address")),
    };
    message.answers.iter().map(item).collect()
}

/// Sends a query over TCP and reads messages to the end of the answer, which the number of occurrences of its first SOA
/// record shows: one alone, two around a whole zone, three with differences.
fn transfer(server: SocketAddr, query: &[u8]) -> Vec<Item> {
    transfer_over(Stream::connect(server), query)
}

/// Does the same as [`transfer`] over an open connection.
fn transfer_over(mut stream: Stream, query: &[u8]) -> Vec<Item> {
    stream.send(query);
    let mut all = Vec::new();
    loop {
        let message = stream.receive();
        assert_eq!(rcode(&message), NOERROR);
        all.extend(items(&message));
        let expected = match all.as_slice() {
            [_] => 1,
            [_, Item::Soa(_), ..] => 3,
            _ => 2,
        };
        if all.iter().filter(|&item| *item == all[0]).count() == expected {
            return all;
        }
    }
}

fn serial(items: &[Item]) -> u32 {
    let Some(Item::Soa(serial)) = items.first() else { panic!("{items:?}") };
    *serial
}

/// Returns the addresses of a whole zone.
fn addresses(items: &[Item]) -> BTreeSet<(String, IpAddr)> {
    assert!(matches!(items, [Item::Soa(first), Item::Ns, .., Item::Soa(last)] if first == last), "{items:?}");
    let mut all = BTreeSet::new();
    for item in items {
        if let Item::Address(name, address) = item {
            assert!(all.insert((name.clone(), *address)), "{name} comes twice");
        }
    }
    all
}

/// A pods file that can be changed.
struct Pods {
    folder: TempDir,
    path: PathBuf,
}

impl Pods {
    fn new(numbers: impl IntoIterator<Item = u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pods.json");
        let pods = Self { folder, path };
        pods.set(numbers);
        pods
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    fn set(&self, numbers: impl IntoIterator<Item = u32>) {
        let pod = |number: u32| {
            serde_json::json!({
                "kind": "Pod", "apiVersion": "v1",
                "metadata": { "name": format!("web-{number}"), "namespace": "default", "uid": number.to_string() },
                "status": { "phase": "Running", "podIP": Self::address(number) },
            })
        };
        let items: Vec<_> = numbers.into_iter().map(pod).collect();
        let list = serde_json::json!({ "kind": "List", "apiVersion": "v1", "items": items });
        let new = self.folder.path().join("new");
        std::fs::write(&new, list.to_string()).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }

    /// Returns the zone of these pods, without pod names.
    fn zone(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<(String, IpAddr)> {
        let record = |number| {
            let address = Self::address(number);
            let label = address.to_string().replace('.', "-");
            (format!("{label}.default.{APEX}."), address)
        };
        numbers.into_iter().map(record).collect()
    }
}

/// Returns the socket of a secondary that only receives NOTIFY, and the option that names it.
fn secondary() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let option = format!("--transfer-to={}", socket.local_addr().unwrap());
    (socket, option)
}

fn start(pods: &Pods, arguments: &[&str]) -> Daemon {
    let file = format!("--pods-file={}", pods.path.display());
    let daemon = support::start(&[&["--listen=127.0.0.1:0", &file], arguments].concat());
    until("a version", || daemon.get("/metrics").1.contains("\npoddns_transfer_serial "));
    daemon
}

/// Returns the serial of the last published version.
fn published(daemon: &Daemon) -> u32 {
    daemon.metric("poddns_transfer_serial").try_into().unwrap()
}

#[test]
fn secondary_transfers_all_pods() {
    let pods = Pods::new(0..5_000);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to, "--pod-names"]);
    let all = addresses(&transfer(daemon.address(), &asking(AXFR)));
    let names: BTreeSet<_> =
        (0..5_000).map(|number| (format!("web-{number}.default.{APEX}."), Pods::address(number))).collect();
    assert_eq!(all, &Pods::zone(0..5_000) | &names);
    until("it is counted", || daemon.metric("poddns_transfer_completed_total{kind=\"axfr\"}") == 1);
    let known = daemon.metric(&format!("poddns_transfer_secondary_serial{{secondary=\"{}\"}}", &to[14..]));
    assert_eq!(u64::from(published(&daemon)), known);
    assert_eq!(daemon.status()["transfers"]["serial"], published(&daemon));
}

#[test]
fn differences_lead_to_the_current_version() {
    let pods = Pods::new(0..1_000);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let mut zone = Pods::zone(0..1_000);
    let first = published(&daemon);
    for end in [1_010_u32, 1_005] {
        let known = published(&daemon);
        pods.set(end - 1_000..end);
        until("a new version", || published(&daemon) != known);
    }
    let items = transfer(daemon.address(), &asking_since(first));
    let (mut is_addition, mut at, last) = (true, first, serial(&items));
    for item in &items[1..items.len() - 1] {
        match item {
            Item::Soa(serial) => {
                is_addition = !is_addition;
                assert!(is_addition || at == *serial, "differences follow each other");
                at = *serial;
            }
            Item::Ns => panic!("no NS record has changed"),
            Item::Address(name, address) => {
                let record = (name.clone(), *address);
                assert!(if is_addition { zone.insert(record) } else { zone.remove(&record) }, "{name}");
            }
        }
    }
    assert_eq!((at, zone), (last, Pods::zone(5..1_005)));
    assert_eq!(daemon.metric("poddns_transfer_completed_total{kind=\"ixfr\"}"), 1);
    // A version that has never existed.
    let all = addresses(&transfer(daemon.address(), &asking_since(first - 5)));
    assert_eq!(all, Pods::zone(5..1_005));
}

#[test]
fn current_version_gets_one_soa() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let serial = published(&daemon);
    for known in [serial, serial + 1] {
        assert_eq!(transfer(daemon.address(), &asking_since(known)), [Item::Soa(serial)]);
    }
    // Over UDP the answer is the same for any version.
    for known in [serial, 1] {
        assert_eq!(items(&ask(daemon.address(), &asking_since(known))), [Item::Soa(serial)]);
    }
}

#[test]
fn others_are_refused_but_keep_connection() {
    let pods = Pods::new(0..3);
    let daemon = start(&pods, &["--transfer-to=192.0.2.1", "--transfer-to=[2001:db8::1]:5353"]);
    let mut stream = Stream::connect(daemon.address());
    for query in [asking(AXFR), asking_since(1)] {
        assert_eq!(rcode(&stream.exchange(&query)), REFUSED);
    }
    assert_eq!(items(&stream.exchange(&asking(SOA))).len(), 1);
    assert_eq!(rcode(&ask(daemon.address(), &asking_since(1))), REFUSED);
    assert_eq!(daemon.metric("poddns_transfer_refused_total{reason=\"address\"}"), 3);
}

#[test]
fn query_log_has_transfers_and_refusals() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to, "--query-log=all"]);
    assert_eq!(rcode(&ask(daemon.address(), &asking(AXFR))), REFUSED);
    assert_eq!(addresses(&transfer(daemon.address(), &asking(AXFR))), Pods::zone(0..3));
    until("both are logged", || daemon.log().matches("\"type\":\"AXFR\"").count() == 2);
    let lines: Vec<_> =
        daemon.log().lines().filter(|line| line.contains("AXFR")).map(str::to_owned).collect();
    for (line, [transport, rcode]) in lines.iter().zip([["udp", "REFUSED"], ["tcp", "NOERROR"]]) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["transport"], &line["rcode"]), (&transport.into(), &rcode.into()), "{line}");
        assert_eq!(line["reason"], "transfer", "{line}");
    }
}

#[test]
fn axfr_over_udp_is_refused() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    assert_eq!(rcode(&ask(daemon.address(), &asking(AXFR))), REFUSED);
    assert_eq!(daemon.metric("poddns_transfer_refused_total{reason=\"transport\"}"), 1);
}

#[test]
fn transfer_before_the_first_list_is_servfail() {
    let (_socket, to) = secondary();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    // No API server listens there.
    std::fs::write(
        &kubeconfig,
        poddns_test_support::api_server::kubeconfig("http://127.0.0.1:1", &serde_json::json!({})),
    )
    .unwrap();
    let daemon = follow(&kubeconfig, &[&to]);
    let mut stream = Stream::connect(daemon.address());
    for query in [asking(AXFR), asking_since(1)] {
        assert_eq!(rcode(&stream.exchange(&query)), SERVFAIL);
    }
}

#[test]
fn queries_behind_transfer_are_answered_later() {
    let pods = Pods::new(0..2_000);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let mut stream = Stream::connect(daemon.address());
    let mut after = asking(SOA);
    after[1] = 9;
    for query in [&asking(SOA), &asking(AXFR), &after] {
        stream.send(query);
    }
    assert_eq!(items(&stream.receive()).len(), 1);
    let mut soas = 0;
    while soas < 2 {
        soas += items(&stream.receive()).iter().filter(|item| matches!(item, Item::Soa(_))).count();
    }
    let last = stream.receive();
    assert_eq!((last[1], items(&last).len()), (9, 1));
}

/// Opens a connection with a small receive buffer that requests AXFR and does not read.
fn stalled(server: SocketAddr) -> Stream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.into()).unwrap();
    let mut stream = Stream(socket.into());
    stream.send(&asking(AXFR));
    stream
}

#[test]
fn slow_secondary_leaves_room_for_others() {
    let pods = Pods::new(0..60_000);
    let daemon =
        start(&pods, &["--transfer-to=127.0.0.1:9", "--transfer-to=127.0.0.2:9", "--tcp-idle-timeout=1h"]);
    let stalled: Vec<Stream> = (0..12).map(|_| stalled(daemon.address())).collect();
    let others: Vec<_> = (0..4)
        .map(|_| {
            let server = daemon.address();
            std::thread::spawn(move || {
                let stream = Stream::connect_from(Ipv4Addr::new(127, 0, 0, 2), server);
                addresses(&transfer_over(stream, &asking(AXFR))).len()
            })
        })
        .collect();
    for other in others {
        assert_eq!(other.join().unwrap(), 60_000);
    }
    assert_eq!(daemon.metric("poddns_transfer_completed_total{kind=\"axfr\"}"), 4);
    drop(stalled);
}

#[test]
fn transfer_under_changes_is_one_version() {
    let pods = Pods::new(0..60_000);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let mut stream = stalled(daemon.address());
    let mut all = items(&stream.receive());
    let mut last = published(&daemon);
    assert_eq!(serial(&all), last);
    // Some of the changes are before the current position of the transfer, and some after it.
    for gone in [1_000, 2_000] {
        pods.set((gone..30_000).chain(30_000 + gone..60_000 + gone));
        until("a new version", || published(&daemon) != last);
        last = published(&daemon);
    }
    assert_eq!(daemon.metric("poddns_transfer_completed_total{kind=\"axfr\"}"), 0, "it is under way");
    while all.last() != all.first() {
        all.extend(items(&stream.receive()));
    }
    assert_eq!(addresses(&all), Pods::zone(0..60_000));
    let now = (2_000..30_000).chain(32_000..62_000);
    assert_eq!(addresses(&transfer(daemon.address(), &asking(AXFR))), Pods::zone(now));
}

#[test]
fn secondary_that_does_not_read_is_dropped() {
    let pods = Pods::new(0..60_000);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to, "--tcp-idle-timeout=500ms"]);
    // More transfers than the maximum in progress, none of which is read; small buffers keep them from completing.
    let stalled: Vec<Stream> = (0..12).map(|_| stalled(daemon.address())).collect();
    // Queries are answered meanwhile, over both transports.
    assert_eq!(items(&ask(daemon.address(), &asking(SOA))).len(), 1);
    assert_eq!(items(&Stream::connect(daemon.address()).exchange(&asking(SOA))).len(), 1);
    until("they are dropped", || daemon.metric("poddns_tcp_closed_connections_total{reason=\"idle\"}") >= 12);
    let all = addresses(&transfer(daemon.address(), &asking(AXFR)));
    assert_eq!(all.len(), 60_000);
    drop(stalled);
}

/// Receives a NOTIFY and returns the message and its sender.
fn notified(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut message = vec![0; 512];
    let (len, from) = socket.recv_from(&mut message).expect("a NOTIFY");
    message.truncate(len);
    (message, from)
}

/// Answers a NOTIFY.
fn acknowledge(socket: &UdpSocket, message: &[u8], from: SocketAddr) {
    let mut answer = message.to_vec();
    answer[2] |= 0x80;
    socket.send_to(&answer, from).unwrap();
}

#[test]
fn notify_is_repeated_until_answered() {
    let pods = Pods::new(0..3);
    let (socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let (message, _) = notified(&socket);
    let notify = Message::from_vec(&message).unwrap();
    assert_eq!(notify.queries[0].name().to_ascii(), format!("{APEX}."));
    assert_eq!(message[2] >> 3 & 15, Opcode::NOTIFY.to_int());
    // The first NOTIFY gets no answer, as if it were lost.
    let (message, from) = notified(&socket);
    acknowledge(&socket, &message, from);
    let answered = format!("poddns_transfer_notify_answered_total{{secondary=\"{}\"}}", &to[14..]);
    until("the answer arrives", || daemon.metric(&answered) == 1);
    daemon.wait_for_log("answers NOTIFY again");
    pods.set(0..4);
    let (message, from) = notified(&socket);
    acknowledge(&socket, &message, from);
    until("the answer arrives", || daemon.metric(&answered) == 2);
}

#[test]
fn changed_settings_make_version_without_difference() {
    let pods = Pods::new(0..20);
    let (_socket, to) = secondary();
    let config = pods.folder.path().join("poddnsd.toml");
    std::fs::write(&config, "ttl = 5\n").unwrap();
    let daemon = start(&pods, &[&to, &format!("--config={}", config.display())]);
    let known = published(&daemon);
    std::fs::write(&config, "ttl = 5\npod-cidr = [\"10.0.0.0/29\"]\n").unwrap();
    daemon.signal("HUP");
    until("a new version", || published(&daemon) != known);
    assert_eq!(addresses(&transfer(daemon.address(), &asking_since(known))), Pods::zone(0..8));
}

#[test]
fn serial_continues_after_restart_with_snapshot() {
    let (_socket, to) = secondary();
    let (api, folder) = (one_pod(), tempfile::tempdir().unwrap());
    let snapshot = format!("--snapshot={}", folder.path().join("snapshot").display());
    let mut last = 0;
    for _ in 0..3 {
        let mut daemon = follow(&api.kubeconfig(), &[&to, &snapshot]);
        until("a version", || daemon.get("/metrics").1.contains("\npoddns_transfer_serial "));
        let serial = published(&daemon);
        assert!(serial > last, "{serial} after {last}");
        last = serial;
        let all = addresses(&transfer(daemon.address(), &asking(AXFR)));
        assert_eq!(all.into_iter().map(|(_, address)| address).collect::<Vec<_>>(), [IpAddr::from(POD)]);
        daemon.signal("TERM");
        assert!(daemon.wait().success());
    }
}

/// Writes a key file.
fn key_file(folder: &Path, name: &str, secret: &str) -> String {
    let path = folder.join("key");
    let text = format!("key \"{name}\" {{\n\talgorithm hmac-sha512;\n\tsecret \"{secret}\";\n}};\n");
    std::fs::write(&path, text).unwrap();
    format!("--transfer-key={}", path.display())
}

fn key(name: &str, algorithm: Algorithm, secret: &[u8]) -> Key {
    Key::new(algorithm, secret, name.parse::<KeyName>().unwrap(), None, None).unwrap()
}

/// Returns the key of the file.
fn good_key() -> Key {
    key("poddns", Algorithm::Sha512, b"secret of thirty-two bytes, really!")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn request(qtype: u16) -> AdditionalBuilder<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(7);
    let mut question = builder.question();
    question.push((Name::<Vec<u8>>::vec_from_str(APEX).unwrap(), Rtype::from_int(qtype))).unwrap();
    question.additional()
}

#[test]
fn signed_transfer_is_signed_in_every_message() {
    let pods = Pods::new(0..3_000);
    let (_socket, to) = secondary();
    let file = key_file(pods.folder.path(), "poddns", SECRET);
    let daemon = start(&pods, &[&to, &file]);
    let mut message = request(AXFR);
    let mut sequence = ClientSequence::request(good_key(), &mut message, Time48::from_u64(now())).unwrap();
    let mut stream = Stream::connect(daemon.address());
    stream.send(&message.finish());
    let (mut all, mut messages) = (Vec::new(), 0);
    while all.len() < 2 || all.last() != all.first() {
        let octets = stream.receive();
        assert!(octets.len() < 16_384, "{}", octets.len());
        let mut answer = DomainMessage::from_octets(octets).unwrap();
        sequence.answer(&mut answer, Time48::from_u64(now())).expect("a right signature");
        all.extend(items(answer.as_slice()));
        messages += 1;
    }
    sequence.done().unwrap();
    assert_eq!(addresses(&all), Pods::zone(0..3_000));
    assert!(messages > 3, "{messages}");
}

#[test]
fn signed_queries_over_udp_are_answered_signed() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to, &key_file(pods.folder.path(), "poddns", SECRET)]);
    let mut message = request(SOA);
    let transaction = ClientTransaction::request(good_key(), &mut message, Time48::from_u64(now())).unwrap();
    let mut answer = DomainMessage::from_octets(ask(daemon.address(), &message.finish())).unwrap();
    transaction.answer(&mut answer, Time48::from_u64(now())).expect("a right signature");
    assert_eq!(items(answer.as_slice()), [Item::Soa(published(&daemon))]);
    // An unsigned query has an unsigned answer, but an unsigned transfer is refused.
    assert_eq!(items(&ask(daemon.address(), &asking(SOA))).len(), 1);
    assert_eq!(rcode(&Stream::connect(daemon.address()).exchange(&asking(AXFR))), REFUSED);
    assert_eq!(daemon.metric("poddns_transfer_refused_total{reason=\"unsigned\"}"), 1);
}

#[test]
fn wrong_signatures_get_their_errors() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to, &key_file(pods.folder.path(), "poddns", SECRET)]);
    let good = b"secret of thirty-two bytes, really!";
    let cases = [
        (key("other", Algorithm::Sha512, good), 0, TsigRcode::BADKEY),
        (key("poddns", Algorithm::Sha256, good), 0, TsigRcode::BADKEY),
        (key("poddns", Algorithm::Sha512, b"another secret of this key"), 0, TsigRcode::BADSIG),
        (good_key(), 3_600, TsigRcode::BADTIME),
    ];
    let mut counts = BTreeMap::new();
    for (key, ahead, expected) in cases {
        for qtype in [SOA, AXFR, A] {
            let mut message = request(qtype);
            ClientTransaction::request(key.clone(), &mut message, Time48::from_u64(now() + ahead)).unwrap();
            let octets = Stream::connect(daemon.address()).exchange(&message.finish());
            assert_eq!(rcode(&octets), NOTAUTH);
            let answer = DomainMessage::from_octets(octets).unwrap();
            let record = answer.additional().unwrap().next().expect("a TSIG").unwrap();
            let record = record.into_record::<Tsig<_, _>>().unwrap().expect("a TSIG");
            assert_eq!(record.data().error(), expected);
            *counts.entry(expected.to_int()).or_insert(0) += 1;
        }
    }
    assert_eq!(daemon.metric("poddns_transfer_refused_total{reason=\"signature\"}"), 12);
    assert_eq!(counts.len(), 3);
}

#[test]
fn notify_is_signed_with_a_key() {
    let pods = Pods::new(0..3);
    let (socket, to) = secondary();
    let daemon = start(&pods, &[&to, &key_file(pods.folder.path(), "poddns", SECRET)]);
    let (message, from) = notified(&socket);
    let mut request = DomainMessage::from_octets(message).unwrap();
    let checked =
        domain::tsig::ServerTransaction::request(&good_key(), &mut request, Time48::from_u64(now()));
    let transaction = checked.expect("a right signature").expect("a signature");
    // An answer without a signature does not count.
    acknowledge(&socket, request.as_slice(), from);
    let builder = MessageBuilder::new_vec();
    let mut answer = builder.start_answer(&request, domain::base::iana::Rcode::NOERROR).unwrap().additional();
    transaction.answer(&mut answer, Time48::from_u64(now())).unwrap();
    daemon.wait_for_log("the signature of its answer is wrong, or missing");
    let (message, from) = notified(&socket);
    let mut request = DomainMessage::from_octets(message).unwrap();
    let checked =
        domain::tsig::ServerTransaction::request(&good_key(), &mut request, Time48::from_u64(now()));
    let builder = MessageBuilder::new_vec();
    let mut answer = builder.start_answer(&request, domain::base::iana::Rcode::NOERROR).unwrap().additional();
    checked.unwrap().unwrap().answer(&mut answer, Time48::from_u64(now())).unwrap();
    socket.send_to(&answer.finish(), from).unwrap();
    let answered = format!("poddns_transfer_notify_answered_total{{secondary=\"{}\"}}", &to[14..]);
    until("the answer arrives", || daemon.metric(&answered) == 1);
}

#[test]
fn unusable_key_file_is_named() {
    let pods = Pods::new(0..3);
    let file = key_file(pods.folder.path(), "poddns", "short");
    let pods_file = format!("--pods-file={}", pods.path.display());
    let output = command()
        .args(["--listen=127.0.0.1:0", "--admin=off", "--transfer-to=127.0.0.1", &file, &pods_file])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("transfer-key ") && log.contains("line 3"), "{log}");
}

#[test]
fn loopback_is_not_a_wildcard() {
    let pods = Pods::new(0..3);
    let (_socket, to) = secondary();
    let daemon = start(&pods, &[&to]);
    let mut stream = Stream::connect_from(Ipv4Addr::new(127, 0, 0, 2), daemon.address());
    assert_eq!(rcode(&stream.exchange(&asking(AXFR))), REFUSED);
}
