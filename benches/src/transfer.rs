//! Cost of zone transfers for the primary, and the time from a change until a secondary answers it.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use crate::DOMAIN;
use crate::end_to_end::process::free_address;
use crate::memory::{MeasuredProcess, serve};
use poddns_test_support::api_server::ApiServer;

/// Time limit, longer than a list of a million pods takes.
const PATIENCE: Duration = Duration::from_mins(10);
/// Interval between two checks.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause between two queries whose time is measured.
const QUERY_PAUSE: Duration = Duration::from_micros(500);

/// Figures of one AXFR.
#[derive(Clone, Copy, Debug, Default)]
pub struct Axfr {
    /// Time from the query to the last message.
    pub wall: Duration,
    /// CPU time of the server.
    pub cpu: Duration,
    /// Length of all messages, in bytes.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
    /// Resident memory before the transfer, in KiB.
    pub steady: u64,
    /// Peak of resident memory during the transfer, in KiB.
    pub peak: u64,
    /// 99th percentile of the response time of queries over UDP, before and during the transfer.
    pub p99: [Duration; 2],
}

/// A poddnsd that follows an API server.
struct Primary {
    process: MeasuredProcess,
    address: SocketAddr,
}

impl Primary {
    fn start(poddnsd: &Path, server: &ApiServer, secondary: Option<SocketAddr>) -> Self {
        let address = free_address().expect("a port");
        let mut command = Command::new(poddnsd);
        command.args(["--pods=verified", "--admin=off", "--threads=1", "--listen"]).arg(address.to_string());
        command.arg("--kubeconfig").arg(server.kubeconfig()).stderr(Stdio::null());
        if let Some(secondary) = secondary {
            command.arg("--transfer-to").arg(secondary.to_string());
        }
        Self { process: MeasuredProcess::start(&mut command), address }
    }

    /// Waits until this address of a namespace is answered.
    fn wait_for(&mut self, namespace: &str, address: Ipv4Addr) {
        until(&mut self.process, || is_answered(self.address, namespace, address));
    }
}

fn until(process: &mut MeasuredProcess, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        process.assert_running();
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        thread::sleep(PAUSE);
    }
}

fn query(name: &str, rtype: RecordType) -> Vec<u8> {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    query.to_vec().expect("a query")
}

fn pod_query(namespace: &str, address: Ipv4Addr) -> Vec<u8> {
    let label = address.to_string().replace('.', "-");
    query(&format!("{label}.{namespace}.pod.{DOMAIN}."), RecordType::A)
}

fn is_answered(server: SocketAddr, namespace: &str, address: Ipv4Addr) -> bool {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time-out");
    let mut buffer = [0; 1232];
    let sent = socket.send(&pod_query(namespace, address)).and_then(|_| socket.recv(&mut buffer));
    let response = sent.ok().and_then(|len| Message::from_vec(buffer.get(..len)?).ok());
    response.is_some_and(|response| {
        response.metadata.response_code == ResponseCode::NoError && !response.answers.is_empty()
    })
}

/// Returns the 99th percentile of the response time of queries, which are sent until `stop` is set.
fn p99(server: SocketAddr, namespace: &str, address: Ipv4Addr, stop: &AtomicBool) -> Duration {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let (query, mut buffer, mut times) = (pod_query(namespace, address), [0; 1232], Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        socket.send(&query).and_then(|_| socket.recv(&mut buffer)).expect("an answer");
        times.push(begin.elapsed());
        thread::sleep(QUERY_PAUSE);
    }
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

/// Transfers the zone; returns length and number of the messages. The last message ends with the numbers of the first
/// SOA.
fn axfr(server: SocketAddr) -> (u64, u64) {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let query = query(&format!("pod.{DOMAIN}."), RecordType::AXFR);
    let len = u16::try_from(query.len()).expect("short").to_be_bytes();
    stream.write_all(&[&len, query.as_slice()].concat()).expect("sent");
    let (mut bytes, mut messages, mut end) = (0, 0, None);
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len).expect("a length");
        let mut message = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut message).expect("a message");
        bytes += message.len() as u64;
        messages += 1;
        let end = end.get_or_insert_with(|| soa_numbers(&message));
        if message.ends_with(end) {
            return (bytes, messages);
        }
    }
}

/// Returns the five numbers at the end of the first SOA of a message.
fn soa_numbers(message: &[u8]) -> Vec<u8> {
    let message = Message::from_vec(message).expect("a message");
    let hickory_proto::rr::RData::SOA(soa) = &message.answers.first().expect("a SOA").data else {
        panic!("the answer begins with another record")
    };
    let numbers = [
        soa.serial,
        soa.refresh.cast_unsigned(),
        soa.retry.cast_unsigned(),
        soa.expire.cast_unsigned(),
        soa.minimum,
    ];
    numbers.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Measures `runs` AXFRs of `pods` pods from poddnsd. `poddnsd` is the path of the program.
///
/// # Panics
///
/// Panics if the program fails.
#[must_use]
pub fn measure_axfr(poddnsd: &Path, pods: u32, runs: u32) -> Vec<Axfr> {
    let server = serve(pods);
    let sample = server.sample_pods(100);
    let last = sample.last().expect("pods");
    // Nothing listens on port 9, so NOTIFY is not answered, which costs a packet per minute.
    let mut primary = Primary::start(poddnsd, &server, Some(([127, 0, 0, 1], 9).into()));
    let address = primary.address;
    primary.wait_for(&last.namespace(), last.address());
    // Memory that the lists used is released a second later.
    thread::sleep(Duration::from_secs(3));
    measure(&mut primary.process, address, &last.namespace(), last.address(), runs)
}

/// Measures AXFR of the same zone from Knot DNS, which first transfers it from poddnsd. Returns `None` if `knotd` is
/// not installed.
///
/// # Panics
///
/// Panics if a program fails.
#[must_use]
pub fn measure_axfr_of_knot(poddnsd: &Path, pods: u32, runs: u32) -> Option<Vec<Axfr>> {
    let knotd = crate::end_to_end::process::find("knotd")?;
    let server = serve(pods);
    let sample = server.sample_pods(100);
    let last = sample.last().expect("pods");
    let address = free_address().expect("a port");
    let mut primary = Primary::start(poddnsd, &server, Some(address));
    primary.wait_for(&last.namespace(), last.address());
    let folder = tempfile::tempdir().expect("a folder");
    let mut knot = MeasuredProcess::start(&mut knot(&knotd, folder.path(), address, primary.address));
    until(&mut knot, || is_answered(address, &last.namespace(), last.address()));
    // Meanwhile Knot writes its journal and zone file.
    thread::sleep(Duration::from_secs(3));
    Some(measure(&mut knot, address, &last.namespace(), last.address(), runs))
}

/// Measures AXFR from a server that answers `address` in `namespace`.
fn measure(
    process: &mut MeasuredProcess,
    server: SocketAddr,
    namespace: &str,
    address: Ipv4Addr,
    runs: u32,
) -> Vec<Axfr> {
    let timed = |during: &mut dyn FnMut()| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let queries = scope.spawn(|| p99(server, namespace, address, &stop));
            during();
            stop.store(true, Ordering::Relaxed);
            queries.join().expect("it measures")
        })
    };
    let run = |_| {
        let quiet = timed(&mut || thread::sleep(Duration::from_secs(2)));
        process.reset_peak();
        let (steady, cpu, begin) = (process.resident(), process.cpu(), Instant::now());
        let (bytes, messages) = axfr(server);
        let (wall, cpu) = (begin.elapsed(), process.cpu().saturating_sub(cpu));
        let peak = process.peak();
        let busy = timed(&mut || {
            let _ = axfr(server);
        });
        Axfr { wall, cpu, bytes, messages, steady, peak, p99: [quiet, busy] }
    };
    (0..runs).map(run).collect()
}

/// Measures the CPU time of poddnsd per change of a pod, without a secondary and with one that does not respond.
///
/// # Panics
///
/// Panics if the program fails.
#[must_use]
pub fn measure_changes(poddnsd: &Path, pods: u32, changes: u32, rate: u32) -> [Duration; 2] {
    [None, Some(([127, 0, 0, 1], 9).into())].map(|secondary| {
        let server = serve(pods);
        let sample = server.sample_pods(100);
        let last = sample.last().expect("pods");
        let mut primary = Primary::start(poddnsd, &server, secondary);
        primary.wait_for(&last.namespace(), last.address());
        thread::sleep(Duration::from_secs(2));
        let before = primary.process.cpu();
        server.change_pods(changes, rate);
        // The last changes arrive, and the last version is published.
        thread::sleep(Duration::from_secs(2));
        primary.process.cpu().saturating_sub(before) / changes
    })
}

/// Returns the command of a Knot DNS that is a secondary of `primary` and allows transfers to this machine.
fn knot(knotd: &Path, home: &Path, address: SocketAddr, primary: SocketAddr) -> Command {
    let folder = home.display();
    let config = format!(
        "server:\n    rundir: \"{folder}\"\n    listen: {}@{}\ndatabase:\n    storage: \"{folder}\"\nremote:\n  - id: primary\n    \
         address: {}@{}\nacl:\n  - id: local\n    address: 127.0.0.1\n    action: [notify, transfer]\nzone:\n  - domain: \
         pod.{DOMAIN}\n    storage: \"{folder}\"\n    master: primary\n    acl: local\n",
        address.ip(),
        address.port(),
        primary.ip(),
        primary.port(),
    );
    let file = home.join("knot.conf");
    fs::write(&file, config).expect("a file");
    let mut command = Command::new(knotd);
    command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Measures the time from a change of a pod until Knot DNS answers it as a secondary. Returns `None` if `knotd` is not
/// installed.
///
/// # Panics
///
/// Panics if a program fails.
#[must_use]
pub fn measure_delay(poddnsd: &Path, pods: u32, changes: u32) -> Option<Vec<Duration>> {
    let knotd = crate::end_to_end::process::find("knotd")?;
    let server = serve(pods);
    let secondary = free_address().expect("a port");
    let mut primary = Primary::start(poddnsd, &server, Some(secondary));
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = knot(&knotd, folder.path(), secondary, primary.address);
    let all = server.sample_pods(pods as usize);
    let last = all.last().expect("pods");
    primary.wait_for(&last.namespace(), last.address());
    let mut knot = MeasuredProcess::start(&mut command);
    until(&mut knot, || is_answered(secondary, &last.namespace(), last.address()));
    let mut delays = Vec::new();
    let mut before: HashSet<_> = all.iter().map(|pod| (pod.namespace(), pod.address())).collect();
    for number in 0..changes {
        // Two of four changes add an address. The pause varies, so that changes occur at any time within the second
        // between two versions.
        thread::sleep(Duration::from_millis(1_500 + u64::from(number) * 37 % 1_000));
        server.change_pods(4, u32::MAX);
        let begin = Instant::now();
        let now: HashSet<_> =
            server.sample_pods(pods as usize).iter().map(|pod| (pod.namespace(), pod.address())).collect();
        let (namespace, address) = now.difference(&before).next().expect("a new address").clone();
        until(&mut knot, || is_answered(secondary, &namespace, address));
        delays.push(begin.elapsed());
        before = now;
    }
    Some(delays)
}
