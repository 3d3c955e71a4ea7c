//! The servers, each configured to serve the same pods on one thread.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EndToEndError;
use super::names::{ZONE, name, write_local_data, write_pods_file, write_zone};
use super::process::{ServerProcess, find, free_address, pinned};

/// Environment of the servers.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// The processor of the servers.
    pub processor: usize,
    /// Folder for their files.
    pub folder: PathBuf,
    /// Number of pods.
    pub pods: u32,
    /// Folder of the programs of poddns, built in release mode.
    pub programs: PathBuf,
}

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// The sockets of poddnsd with one constant response.
    Null,
    /// `poddnsd` in mode insecure.
    Insecure,
    /// `poddnsd` in mode verified.
    Verified,
    /// Knot DNS with a static zone.
    Knot,
    /// NSD with a static zone.
    Nsd,
    /// unbound with local data.
    Unbound,
    /// `CoreDNS` with a static zone, which costs less than its kubernetes plugin.
    CoreDns,
}

impl ServerKind {
    /// All servers.
    pub const ALL: [Self; 7] =
        [Self::Null, Self::Insecure, Self::Verified, Self::Knot, Self::Nsd, Self::Unbound, Self::CoreDns];

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null responder",
            Self::Insecure => "poddnsd insecure",
            Self::Verified => "poddnsd verified",
            Self::Knot => "Knot",
            Self::Nsd => "NSD",
            Self::Unbound => "unbound",
            Self::CoreDns => "CoreDNS, static zone",
        }
    }

    /// Returns the name of its program in `PATH`; `None` for the programs of poddns.
    #[must_use]
    pub const fn peer(self) -> Option<&'static str> {
        match self {
            Self::Null | Self::Insecure | Self::Verified => None,
            Self::Knot => Some("knotd"),
            Self::Nsd => Some("nsd"),
            Self::Unbound => Some("unbound"),
            Self::CoreDns => Some("coredns"),
        }
    }

    /// Starts the server. Returns `Ok(None)` if its program is not installed.
    pub fn start(self, setting: &ServerSetup) -> Result<Option<ServerProcess>, EndToEndError> {
        let address = free_address()?;
        let folder = setting.folder.join(format!("{self:?}-{}", setting.pods).to_lowercase());
        fs::create_dir_all(&folder)?;
        let program = match self.peer() {
            Some(peer) => match find(peer) {
                Some(program) => program,
                None => return Ok(None),
            },
            None => {
                setting.programs.join(if self == Self::Null { "examples/null_responder" } else { "poddnsd" })
            }
        };
        let mut command = pinned(setting.processor, &program);
        self.configure(&mut command, address, setting, &folder)?;
        ServerProcess::start(self.name(), setting.processor, command, address, &folder, &query(&name(0)))
            .map(Some)
    }

    fn configure(
        self,
        command: &mut Command,
        address: SocketAddr,
        setting: &ServerSetup,
        folder: &Path,
    ) -> Result<(), EndToEndError> {
        let listen = address.to_string();
        match self {
            Self::Null => drop(command.arg(listen)),
            Self::Insecure => {
                command.args(["--pods", "insecure", "--threads", "1", "--admin", "off", "--listen", &listen]);
            }
            Self::Verified => {
                let pods = folder.join("pods.json");
                write_pods_file(&pods, setting.pods)?;
                command.args(["--pods", "verified", "--threads", "1", "--admin", "off", "--listen", &listen]);
                command.arg("--pods-file").arg(pods);
            }
            Self::Knot => drop(command.arg("-c").arg(knot(address, setting, folder)?)),
            Self::Nsd => drop(command.arg("-d").arg("-c").arg(nsd(address, setting, folder)?)),
            Self::Unbound => drop(command.arg("-d").arg("-c").arg(unbound(address, setting, folder)?)),
            Self::CoreDns => {
                write_zone(&folder.join("zone"), setting.pods)?;
                let corefile = folder.join("Corefile");
                let (port, zone) = (address.port(), folder.join("zone"));
                let text = format!("{ZONE}:{port} {{\n  bind 127.0.0.1\n  file {}\n}}\n", zone.display());
                fs::write(&corefile, text)?;
                command.env("GOMAXPROCS", "1").arg("-conf").arg(corefile);
            }
        }
        Ok(())
    }
}

fn knot(address: SocketAddr, setting: &ServerSetup, folder: &Path) -> Result<PathBuf, EndToEndError> {
    write_zone(&folder.join("zone"), setting.pods)?;
    let (ip, port, here) = (address.ip(), address.port(), folder.display());
    let text = format!(
        "server:\n  listen: {ip}@{port}\n  rundir: {here}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\ndatabase:\n  storage: {here}\nlog:\n  - target: stderr\n    any: warning\n\
         zone:\n  - domain: {ZONE}\n    storage: {here}\n    file: zone\n"
    );
    configuration(folder, &text)
}

fn nsd(address: SocketAddr, setting: &ServerSetup, folder: &Path) -> Result<PathBuf, EndToEndError> {
    write_zone(&folder.join("zone"), setting.pods)?;
    let (ip, port, here) = (address.ip(), address.port(), folder.display());
    // By default, NSD in Debian limits the rate of responses to a client network.
    let text = format!(
        "server:\n  ip-address: {ip}@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: {here}\n  database: \"\"\n  pidfile: {here}/pid\n  xfrdfile: {here}/xfrd\n  xfrdir: {here}\n  \
         zonelistfile: {here}/zonelist\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\nremote-control:\n  \
         control-enable: no\nzone:\n  name: {ZONE}\n  zonefile: zone\n"
    );
    configuration(folder, &text)
}

fn unbound(address: SocketAddr, setting: &ServerSetup, folder: &Path) -> Result<PathBuf, EndToEndError> {
    let path = folder.join("conf");
    let mut out = BufWriter::new(File::create(&path)?);
    let (ip, port, here) = (address.ip(), address.port(), folder.display());
    writeln!(
        out,
        "server:\n  interface: {ip}@{port}\n  num-threads: 1\n  username: \"\"\n  chroot: \"\"\n  \
         directory: {here}\n  pidfile: {here}/pid\n  use-syslog: no\n  do-daemonize: no\n  verbosity: 0\n  \
         module-config: \"iterator\""
    )?;
    write_local_data(&mut out, setting.pods)?;
    writeln!(out, "remote-control:\n  control-enable: no")?;
    out.flush()?;
    Ok(path)
}

fn configuration(folder: &Path, text: &str) -> Result<PathBuf, EndToEndError> {
    let path = folder.join("conf");
    fs::write(&path, text)?;
    Ok(path)
}

/// Returns a query for the IPv4 address of a name.
fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.extend(u8::try_from(label.len()));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}
