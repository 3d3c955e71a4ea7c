//! Process of a server: pinned, observed, and ended together with the processes that it started.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::EndToEndError;

/// Time limit for the first response, which includes reading a million records.
const START: Duration = Duration::from_mins(3);

/// Time limit for the end of a server.
const END: Duration = Duration::from_secs(10);

/// Mask of the rcode in the fourth octet of a response (RFC 1035 4.1.1).
const RCODE: u8 = 0xf;
const NOERROR: u8 = 0;

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    /// Name in reports.
    pub name: String,
    /// Address on which it listens.
    pub address: SocketAddr,
    child: Child,
}

/// CPU time and memory of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time of all its processes, in seconds.
    pub cpu: f64,
    /// Resident memory of all its processes, in bytes.
    pub resident: u64,
    /// Number of open files of all its processes.
    pub files: usize,
}

impl ServerProcess {
    /// Starts a server on one processor, with its output in a file in `folder`. Returns once `query` is answered.
    pub fn start(
        name: &str,
        processor: usize,
        mut command: Command,
        address: SocketAddr,
        folder: &Path,
        query: &[u8],
    ) -> Result<Self, EndToEndError> {
        let log = folder.join(format!("{}.log", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
        let output = fs::File::create(&log)?;
        // The process group identifies the server's processes.
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut server = Self { name: name.to_owned(), address, child };
        server.wait_for_answer(query).map_err(|error| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!("{name} does not answer: {error}; it said:\n{said}")
        })?;
        server.pin(processor)?;
        Ok(server)
    }

    /// Pins all threads again, because Knot selects a processor for each of them.
    fn pin(&self, processor: usize) -> Result<(), EndToEndError> {
        let (processor, pid) = (processor.to_string(), self.child.id().to_string());
        let output = Command::new("taskset").args(["-a", "-c", "-p", &processor, &pid]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("cannot pin {}: {}", self.name, String::from_utf8_lossy(&output.stderr)).into())
    }

    fn wait_for_answer(&mut self, query: &[u8]) -> Result<(), EndToEndError> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let deadline = Instant::now() + START;
        let mut answer = [0; 512];
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            // A refused port is an error of the next call; both errors mean that the server is not ready yet.
            let _ = socket.send(query);
            match socket.recv(&mut answer) {
                // NOERROR with an answer: the server has its records.
                Ok(len) if len >= 12 && answer[3] & RCODE == NOERROR && answer[7] == 1 => return Ok(()),
                Ok(_) => thread::sleep(Duration::from_millis(100)),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
            if Instant::now() > deadline {
                return Err("in time".into());
            }
        }
    }

    /// Returns CPU time, memory and open files at present.
    pub fn usage(&self) -> Result<Usage, EndToEndError> {
        let mut usage = Usage { cpu: 0.0, resident: 0, files: 0 };
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            // Processes may end meanwhile, and most entries of /proc are not processes.
            let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
            let Some(stat) = Stat::parse(&stat) else { continue };
            if stat.group == self.child.id() {
                usage.cpu += stat.cpu;
                usage.resident += stat.resident;
                usage.files += fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
            }
        }
        if usage.resident == 0 {
            return Err(format!("{} is gone", self.name).into());
        }
        Ok(usage)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // SIGTERM first, so that servers with several processes end all of them.
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Figures of a process in `/proc/PID/stat` (proc(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    cpu: f64,
    resident: u64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Self> {
        // The command name is in parentheses and may contain anything; the fields after it begin with the third.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = u32::try_from(number(14)? + number(15)?).ok()?;
        let ticks_per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
        Some(Self {
            group: number(5)?.try_into().ok()?,
            cpu: f64::from(ticks) / f64::from(ticks_per_second),
            resident: number(24)? * rustix::param::page_size() as u64,
        })
    }
}

/// Returns a loopback address with a port that is currently free over UDP and TCP.
pub fn free_address() -> io::Result<SocketAddr> {
    loop {
        let address = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?;
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns a command that runs on one processor only.
#[must_use]
pub fn pinned(processor: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(processor.to_string()).arg(program);
    command
}

/// Returns the path of a program in `PATH` or in the folder where Debian installs servers.
#[must_use]
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_tells() {
        let own = Stat::parse(&fs::read_to_string("/proc/self/stat").expect("there")).expect("readable");
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert_eq!(i64::from(own.group), i64::from(group));
        assert!(own.resident > 100_000, "{own:?}");
    }

    #[test]
    fn names_may_hold_anything() {
        let fields = "S 1 77 1 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 1 1000 3 18446744073709551615";
        let stat = Stat::parse(&format!("5 (a) b (c) {fields}")).expect("readable");
        assert_eq!((stat.group, stat.resident), (77, 3 * rustix::param::page_size() as u64));
        assert!(stat.cpu > 0.0);
    }
}
