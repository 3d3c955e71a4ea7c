//! poddnsd as a measured program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde_json::Value;

use super::follower::{Follower, FollowerProgress, PATIENCE};
use super::process::MeasuredProcess;
use crate::DOMAIN;
use poddns_test_support::api_server::{ApiServer, GeneratedPod};

/// Time limit of a response, longer than any takes.
const ANSWER: Duration = Duration::from_secs(30);
/// Maximum number of pods that are queried.
const SAMPLE: usize = 200;

/// A running poddnsd in mode verified, on free ports of 127.0.0.1.
pub(super) struct Poddnsd {
    process: MeasuredProcess,
    /// The entries of its log, in JSON.
    log: Receiver<Value>,
    dns: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Poddnsd {
    pub(super) fn start(program: &Path, server: &ApiServer) -> Self {
        let mut command = Command::new(program);
        command.args(["--pods=verified", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--log-format=json"]);
        command.arg("--kubeconfig").arg(server.kubeconfig()).stderr(Stdio::piped());
        let mut process = MeasuredProcess::start(&mut command);
        let lines = BufReader::new(process.child().stderr.take().expect("piped")).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                match serde_json::from_str::<Value>(&line) {
                    Ok(entry) if entry["level"] == "INFO" => drop(sender.send(entry)),
                    _ => eprintln!("poddnsd: {line}"),
                }
            }
        });
        Self { process, log, dns: None, admin: None }
    }

    /// Reads the log until both addresses are in it.
    fn find_addresses(&mut self) {
        while self.dns.is_none() || self.admin.is_none() {
            let entry = self.log.recv_timeout(ANSWER).expect("poddnsd tells where it listens");
            let address = entry["address"].as_str().and_then(|text| text.parse().ok());
            match entry["message"].as_str() {
                Some("listening over UDP and TCP") => self.dns = address,
                Some("serving /healthz, /readyz, /status and /metrics") => self.admin = address,
                _ => {}
            }
        }
    }

    /// Returns the status and body of a response of an admin endpoint.
    fn get(&self, path: &str) -> (u16, String) {
        let admin = self.admin.expect("it is ready");
        let exchange = || {
            let mut stream = TcpStream::connect(admin)?;
            stream.set_read_timeout(Some(ANSWER))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = exchange().unwrap_or_else(|error| panic!("{path} of poddnsd: {error}"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    fn lookup(&self, socket: &UdpSocket, namespace: &str, address: Ipv4Addr) -> LookupResult {
        let label = address.to_string().replace('.', "-");
        let name = Name::from_ascii(format!("{label}.{namespace}.pod.{DOMAIN}.")).expect("a name");
        let mut query = Message::query();
        query.add_query(Query::query(name, RecordType::A));
        let octets = query.to_vec().expect("a query");
        socket.send_to(&octets, self.dns.expect("it is ready")).expect("a query is sent");
        let mut buffer = [0; 1232];
        let len = socket.recv(&mut buffer).expect("an answer over UDP");
        let response = Message::from_vec(&buffer[..len]).expect("a message");
        assert_eq!(response.metadata.id, query.metadata.id, "one question, one answer");
        let addresses = response.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
        (response.metadata.response_code, addresses)
    }
}

type LookupResult = (ResponseCode, Vec<IpAddr>);

impl Follower for Poddnsd {
    fn wait_until_ready(&mut self) {
        self.find_addresses();
        while self.get("/readyz").0 != 200 {
            // So often that the time is exact to a few per cent, and so rarely that polling costs almost nothing.
            thread::sleep((self.process.age() / 50).max(Duration::from_millis(1)));
            self.process.assert_running();
            assert!(self.process.age() < PATIENCE, "not ready within {PATIENCE:?}");
        }
    }

    fn progress(&mut self) -> FollowerProgress {
        let status: Value = serde_json::from_str(&self.get("/status").1).expect("JSON");
        let feeds = status["feeds"].as_array().expect("feeds");
        let pods = feeds.iter().find(|feed| feed["resource"] == "pods").expect("the feed of pods");
        let number = |value: &Value| value.as_u64().expect("a number");
        FollowerProgress {
            pods: number(&status["index"]["pods"]),
            events: number(&pods["events"]),
            lists: number(&pods["lists"]),
        }
    }

    fn assert_right(&mut self, server: &ApiServer) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(ANSWER)).expect("a time-out");
        for pod in server.sample_pods(SAMPLE) {
            let GeneratedPod { number, .. } = pod;
            let found = self.lookup(&socket, &pod.namespace(), pod.address());
            assert_eq!(found, (ResponseCode::NoError, vec![pod.address().into()]), "pod {number}");
            let missing = self.lookup(&socket, &pod.namespace(), pod.other_address());
            assert_eq!(missing, (ResponseCode::NXDomain, Vec::new()), "pod {number} is not there");
        }
    }

    fn process(&mut self) -> &mut MeasuredProcess {
        &mut self.process
    }
}
