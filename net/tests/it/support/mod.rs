//! A real `poddnsd`, and clients for it.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part")]

pub mod api;
pub mod dns;
pub mod indexed;

#[cfg(target_os = "linux")]
pub mod namespace;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use serde_json::Value;

/// Long enough for anything that happens at all, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition of the other process.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub dns: Vec<SocketAddr>,
    pub admin: SocketAddr,
}

/// The daemon without a setting from the environment of the test.
pub fn command() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_poddnsd-of-tests")))
}

/// The same for a program that becomes the daemon.
pub fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PODDNS_") {
            command.env_remove(name);
        }
    }
    for name in ["RUST_LOG", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "NOTIFY_SOCKET", "LISTEN_PID"] {
        command.env_remove(name);
    }
    command
}

impl Daemon {
    /// Starts it in mode insecure, on a free port of 127.0.0.1.
    pub fn insecure(arguments: &[&str]) -> Self {
        Self::start(&[&["--pods=insecure", "--listen=127.0.0.1:0"], arguments].concat())
    }

    /// Starts it with free ports for admin and no lame-duck time, and waits until it serves.
    pub fn start(arguments: &[&str]) -> Self {
        Self::launch(command(), arguments)
    }

    /// The same by a command that becomes the daemon.
    pub fn launch(mut command: Command, arguments: &[&str]) -> Self {
        if !arguments.iter().any(|argument| argument.starts_with("--lame-duck")) {
            command.arg("--lame-duck=0s");
        }
        if !arguments.iter().any(|argument| argument.starts_with("--admin")) {
            command.arg("--admin=127.0.0.1:0");
        }
        command.arg("--log-format=json").args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("poddnsd starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let collected = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                collected.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut daemon = Self { child, log, dns: Vec::new(), admin: ([0; 4], 0).into() };
        until("poddnsd serves", || daemon.served());
        daemon
    }

    /// Looks for the addresses in the log.
    fn served(&mut self) -> bool {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("poddnsd has ended: {status}\n{}", self.log());
        }
        let lines: Vec<Value> =
            self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let address = |line: &Value| line["address"].as_str().and_then(|text| text.parse().ok());
        let Some(admin) =
            lines.iter().find(|line| line["message"] == "serving /healthz, /readyz, /status and /metrics")
        else {
            return false;
        };
        self.admin = address(admin).expect("an address");
        let listening = lines.iter().filter(|line| line["message"] == "listening over UDP and TCP");
        self.dns = listening.filter_map(address).collect();
        true
    }

    /// The first address.
    pub fn address(&self) -> SocketAddr {
        self.dns[0]
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        // A test that holds it and fails wants to see it all the same.
        self.log.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// The lines as they are read. While they are locked no more are read, and the pipe fills.
    pub fn lines(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.log)
    }

    pub fn wait_for_log(&self, text: &str) {
        until(&format!("log line with {text:?}"), || self.log().contains(text));
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("poddnsd ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Resident memory in octets.
    pub fn memory(&self) -> u64 {
        self.memory_field("VmRSS:")
    }

    /// The most resident memory there has been, in octets.
    pub fn peak_memory(&self) -> u64 {
        self.memory_field("VmHWM:")
    }

    fn memory_field(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Status and body of an admin endpoint.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (head, body) =
            self.http(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Head and body of the answer to a request.
    pub fn http(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).unwrap()
    }

    /// A metric that is a whole number, by its name and labels as they are written.
    pub fn metric(&self, name: &str) -> u64 {
        self.metric_text(name).parse().unwrap()
    }

    /// The value of a metric as it is written, once it exists.
    pub fn metric_text(&self, name: &str) -> String {
        let mut value = None;
        until(&format!("the metric {name}"), || {
            let text = self.get("/metrics").1;
            value =
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
            value.is_some()
        });
        value.unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("log of poddnsd:\n{}", self.log());
        }
    }
}

/// A query of type A and class IN.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = Vec::from(id.to_be_bytes());
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// The same with an OPT record that has this many octets of padding (RFC 7830).
pub fn padded(id: u16, name: &str, padding: u16) -> Vec<u8> {
    let mut query = query(id, name);
    query[11] = 1;
    query.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0]);
    query.extend((padding + 4).to_be_bytes());
    query.extend([0, 12]);
    query.extend(padding.to_be_bytes());
    query.resize(query.len() + usize::from(padding), 0);
    query
}

/// The name of an address, as it is asked for in these tests.
pub fn name(ip: Ipv4Addr) -> String {
    format!("{}.default.pod.cluster.local", ip.to_string().replace('.', "-"))
}

/// The addresses in a response.
pub fn addresses(response: &[u8]) -> Vec<IpAddr> {
    let message = Message::from_vec(response).expect("a message");
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// The response code, without its extension.
pub fn rcode(response: &[u8]) -> u8 {
    response[3] & 15
}

pub fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

/// A UDP socket that takes datagrams from this address alone.
pub fn connect(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The response to one query over UDP.
pub fn ask(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    exchange(&connect(server), query)
}

pub fn exchange(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    receive(socket)
}

pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut response = vec![0; 65_535];
    let len = socket.recv(&mut response).expect("a response");
    response.truncate(len);
    response
}

/// That the server answers what it should.
pub fn assert_answers(server: SocketAddr) {
    let ip = Ipv4Addr::new(10, 42, 2, 46);
    assert_eq!(addresses(&ask(server, &query(1, &name(ip)))), [ip]);
}

/// A TCP client.
pub struct Stream(pub TcpStream);

impl Stream {
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connects from another address of the loopback network.
    pub fn connect_from(client: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, message: &[u8]) {
        self.0.write_all(&frame(message)).unwrap();
    }

    pub fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).expect("a length");
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        self.0.read_exact(&mut message).expect("a message");
        message
    }

    pub fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message);
        self.receive()
    }

    /// Waits until the server closes; whether by FIN or RST is its own choice.
    pub fn assert_closed(&mut self) {
        let mut octets = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut octets) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        assert!(octets.is_empty(), "{octets:?}");
    }
}

/// A message with its length in front.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from(u16::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}
