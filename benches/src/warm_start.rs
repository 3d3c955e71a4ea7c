//! Time until a restarted server answers from its snapshot, while the API server is down.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::DOMAIN;
use crate::end_to_end::process::free_address;
use crate::memory::{MeasuredProcess, serve};
use poddns_test_support::api_server::GeneratedPod;

/// Time limit, longer than a start with a first list of a million pods takes.
const PATIENCE: Duration = Duration::from_mins(10);
/// Time limit of a response.
const ANSWER: Duration = Duration::from_millis(20);
/// Delay between two queries to a port that is not bound yet.
const PAUSE: Duration = Duration::from_micros(500);

/// Figures of one start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Wall-clock time from the start of the process to its first correct response.
    pub wall: Duration,
    /// CPU time until then.
    pub cpu: Duration,
}

/// Measures starts of a server with `pods` pods in its snapshot. Returns them with the size of the snapshot in bytes.
/// `poddnsd` is the path of the program.
///
/// # Panics
///
/// Panics if the program fails.
#[must_use]
pub fn measure(poddnsd: &Path, pods: u32, starts: u32) -> (Vec<Start>, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let snapshot = folder.path().join("snapshot");
    let kubeconfig = folder.path().join("kubeconfig");
    let mut server = serve(pods);
    fs::copy(server.kubeconfig(), &kubeconfig).expect("a copy");
    let sample = server.sample_pods(100);
    let last = sample.last().expect("pods");

    let start = || {
        let address = free_address().expect("a port");
        let mut command = Command::new(poddnsd);
        command.args(["--pods=verified", "--listen"]).arg(address.to_string());
        command.arg("--kubeconfig").arg(&kubeconfig).arg("--snapshot").arg(&snapshot);
        command.stderr(Stdio::null());
        let mut process = MeasuredProcess::start(&mut command);
        let start = first_answer(&mut process, address, last);
        (process, start)
    };
    let (process, _) = start();
    end(process);
    let octets = fs::metadata(&snapshot).expect("it was written at the end").len();
    // Closes all its connections and its port. The files that the kubeconfig names stay.
    server.stop_spawned();
    let starts = (0..starts).map(|_| {
        let (mut process, figures) = start();
        assert_still_right(&mut process, &snapshot, octets);
        end(process);
        figures
    });
    (starts.collect(), octets)
}

/// Waits for the first response that has the pod.
fn first_answer(process: &mut MeasuredProcess, address: SocketAddr, pod: &GeneratedPod) -> Start {
    let label = pod.address().to_string().replace('.', "-");
    let name = Name::from_ascii(format!("{label}.{}.pod.{DOMAIN}.", pod.namespace())).expect("a name");
    let mut query = Message::query();
    query.add_query(Query::query(name, RecordType::A));
    let query = query.to_vec().expect("a query");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.connect(address).expect("connected");
    socket.set_read_timeout(Some(ANSWER)).expect("a time-out");
    let mut buffer = [0; 1232];
    loop {
        // If the port is not bound yet, this call or the next one fails.
        let answer = socket.send(&query).and_then(|_| socket.recv(&mut buffer));
        if let Some(octets) = answer.ok().and_then(|len| buffer.get(..len)) {
            let response = Message::from_vec(octets).expect("a message");
            if response.metadata.response_code == ResponseCode::NoError {
                return Start { wall: process.age(), cpu: process.cpu() };
            }
        }
        process.assert_running();
        assert!(process.age() < PATIENCE, "no answer within {PATIENCE:?}");
        thread::sleep(PAUSE);
    }
}

/// Panics if the server has ended or written another snapshot, because its start would then not be from the first
/// snapshot alone.
fn assert_still_right(process: &mut MeasuredProcess, snapshot: &Path, octets: u64) {
    process.assert_running();
    assert_eq!(fs::metadata(snapshot).expect("there").len(), octets, "the snapshot is as it was");
}

/// Ends the process with SIGTERM, like systemd, and waits for it.
fn end(mut process: MeasuredProcess) {
    kill(Pid::from_raw(process.child().id().cast_signed()), Signal::SIGTERM).expect("it runs");
    let status = process.child().wait().expect("it is our child");
    assert!(status.success(), "poddnsd ended with {status}");
}
