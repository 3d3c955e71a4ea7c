//! `poddnsd` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use crate::wait::{PATIENCE, until};

/// Lines that the daemon has logged.
#[derive(Default)]
struct Captured {
    lines: Vec<String>,
    /// True while lines are not read, so that the pipe fills up.
    paused: bool,
    /// True once the daemon has closed its standard error.
    ended: bool,
}

/// The captured lines, with notification of changes.
#[derive(Default)]
struct Log {
    lines: Mutex<Captured>,
    changed: Condvar,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Captured> {
        // A failed test prints the log even if its mutex is poisoned.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let unless_paused = self.changed.wait_while(self.lock(), |lines| lines.paused);
            unless_paused.unwrap_or_else(PoisonError::into_inner).lines.push(line);
            self.changed.notify_all();
        }
        self.change(|lines| lines.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Captured)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until the lines meet a condition; returns false after [`PATIENCE`].
    fn wait(&self, mut condition: impl FnMut(&Captured) -> bool) -> bool {
        let waiting = self.changed.wait_timeout_while(self.lock(), PATIENCE, |lines| !condition(lines));
        !waiting.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Pauses the reading of the log until dropped.
pub struct Unread(Arc<Log>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.change(|lines| lines.paused = false);
    }
}

/// A running daemon, which is killed when dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
    /// The addresses on which it serves DNS.
    pub dns: Vec<SocketAddr>,
    /// The address of the admin endpoints.
    pub admin: SocketAddr,
}

/// Removes the daemon's settings from the environment of a command that starts the daemon, directly or by exec.
#[must_use]
pub fn without_settings(mut command: Command) -> Command {
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
    /// Runs a command that is or becomes the daemon, and waits until the daemon serves queries.
    pub fn launch(command: Command, arguments: &[&str]) -> Self {
        let mut daemon = Self::spawn(command, arguments);
        daemon.wait_until_serving();
        daemon
    }

    /// Runs a command that is or becomes the daemon. Unless the arguments state otherwise, the admin port is a free one
    /// and the lame-duck time is zero.
    pub fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        if !arguments.iter().any(|argument| argument.starts_with("--lame-duck")) {
            command.arg("--lame-duck=0s");
        }
        if !arguments.iter().any(|argument| argument.starts_with("--admin")) {
            command.arg("--admin=127.0.0.1:0");
        }
        command.arg("--log-format=json").args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("poddnsd starts");
        let (log, stderr) = (Arc::<Log>::default(), child.stderr.take().expect("piped"));
        let reader = Arc::clone(&log);
        thread::spawn(move || reader.read(stderr));
        Self { child, log, dns: Vec::new(), admin: ([0; 4], 0).into() }
    }

    /// Waits until the daemon serves queries, and reads its addresses from the log.
    pub fn wait_until_serving(&mut self) {
        let mut addresses = None;
        self.log.wait(|log| {
            addresses = addresses_served(&log.lines);
            addresses.is_some() || log.ended
        });
        let Some((dns, admin)) = addresses else { panic!("poddnsd does not serve:\n{}", self.log()) };
        (self.dns, self.admin) = (dns, admin);
    }

    /// Returns the first DNS address.
    pub fn address(&self) -> SocketAddr {
        self.dns[0]
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns all lines logged so far.
    pub fn log(&self) -> String {
        self.log.lock().lines.join("\n")
    }

    /// Stops reading the log until the result is dropped.
    pub fn leave_log_unread(&self) -> Unread {
        self.log.change(|lines| lines.paused = true);
        Unread(Arc::clone(&self.log))
    }

    /// Waits until a line with this text is logged.
    pub fn wait_for_log(&self, text: &str) {
        let mut looked_at = 0;
        let found = self.log.wait(|log| {
            let found = log.lines[looked_at..].iter().any(|line| line.contains(text));
            looked_at = log.lines.len();
            found
        });
        assert!(found, "never logged: {text:?}");
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits until the process ends.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("poddnsd ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Returns the resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.memory_field("VmRSS:")
    }

    /// Returns the peak of the resident memory in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.memory_field("VmHWM:")
    }

    fn memory_field(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Returns the status and body of a response of an admin endpoint.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (head, body) =
            self.http(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Returns the head and body of the response to an HTTP request.
    pub fn http(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    /// Returns the document of `/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).unwrap()
    }

    /// Returns the integer value of a metric, which is selected by its name and labels in text form.
    pub fn metric(&self, name: &str) -> u64 {
        self.metric_text(name).parse().unwrap()
    }

    /// Waits until a metric exists, and returns its value in text form.
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
        // Both fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("log of poddnsd:\n{}", self.log());
        }
    }
}

/// Returns the addresses of DNS and of the admin endpoints once all of them are logged.
fn addresses_served(log: &[String]) -> Option<(Vec<SocketAddr>, SocketAddr)> {
    let lines: Vec<Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let address = |line: &Value| line["address"].as_str().and_then(|text| text.parse().ok());
    let admin =
        lines.iter().find(|line| line["message"] == "serving /healthz, /readyz, /status and /metrics")?;
    let listening = lines.iter().filter(|line| line["message"] == "listening over UDP and TCP");
    Some((listening.filter_map(address).collect(), address(admin).expect("an address")))
}
