//! The daemon's settings: flags beat `PODDNS_*` variables, which beat the TOML file.
//!
//! Whatever can be wrong with a setting is found here, before a socket is bound, and told with the place
//! where it was written and with what could stand there instead.
//!
//! ```
//! use poddns_net::config::{Sources, with_flags};
//!
//! let command = with_flags(clap::Command::new("poddnsd"));
//! let flags = command.try_get_matches_from(["poddnsd", "--pods", "insecure", "--ttl", "30"])?;
//! let settings = Sources::new(&flags, |name| std::env::var_os(name))?.settings()?;
//! assert_eq!(settings.ttl.as_secs(), 30);
//!
//! let command = with_flags(clap::Command::new("poddnsd"));
//! let flags = command.try_get_matches_from(["poddnsd", "--ttl", "9999"])?;
//! let wrong = Sources::new(&flags, |_| None)?.settings().unwrap_err();
//! assert_eq!(wrong.to_string(), r#"--ttl "9999": is out of range; allowed: 0 to 3600 (seconds)"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file;
mod keys;
mod read;
mod sources;
mod value;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use poddns_core::{Config, IpCidr, Label, Mode, Ttl, Zone};

pub use crate::daemon::privileges::{Landlock, Privileges, RunAs};
pub use crate::server::cookies::CookieSource;
pub use crate::server::rate_limit::RateLimit;
pub use error::{ConfigError, Origin, Problem, Written};
pub use keys::with_flags;
pub use poddns_watch::HostNetwork;
pub use sources::Sources;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Where pods and namespaces are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodSource {
    /// A cluster's API server: by default the cluster that this runs in, else the usual kubeconfig.
    Cluster {
        /// The kubeconfig, if not the usual one.
        kubeconfig: Option<PathBuf>,
        /// Its context, if not the current one.
        context: Option<String>,
    },
    /// A file of `kubectl get pods -A -o json` or `-o yaml`, read again when it changes.
    File(PathBuf),
}

/// Where the index is kept for the next start, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The file. It is replaced by renaming another one onto it, so its folder must be writable.
    pub path: PathBuf,
    /// The time between two: how far the file is behind at most, and how often the disk is written to. A second
    /// to a day.
    pub interval: Duration,
}

impl SnapshotFile {
    /// The interval if none is set.
    pub const INTERVAL: Duration = Duration::from_mins(1);
}

/// What must be known of the cluster to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: every answer follows from the question.
    Nothing,
    /// Which namespaces there are.
    Namespaces,
    /// Which namespaces there are, and the addresses of their pods.
    Pods,
}

/// Limits of the TCP side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// A connection without a whole query, or with an unread answer, for this long is closed.
    pub idle_timeout: Duration,
    /// A connection that is as old as this is closed, however much it is used: as soon as nothing is under way, and
    /// after the idle time-out in any case. `None` is never.
    pub lifetime: Option<Duration>,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one client address.
    pub per_client: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(10),
            // Long enough that one reconnection costs nothing.
            lifetime: Some(Duration::from_hours(1)),
            connections: 10_000,
            per_client: 256,
        }
    }
}

/// Everything that the daemon can be told, checked.
///
/// [`Settings::default`] is what runs when nothing is set; an embedder changes its fields and gives it to
/// [`Server::start`](crate::Server::start).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What is checked before an address is given.
    pub mode: Mode,
    /// The zones, one for each cluster domain; not empty.
    pub zones: Vec<Zone>,
    /// Time to live of addresses.
    pub ttl: Ttl,
    /// If not empty, only addresses inside these are answered.
    pub pod_cidrs: Vec<IpCidr>,
    /// If not empty, only these namespaces exist. Sorted, for [`Config::namespaces`].
    namespaces: Vec<Label>,
    /// Never answer special addresses.
    pub block_special: bool,
    /// In mode insecure: only namespaces that the cluster has exist.
    pub check_namespaces: bool,
    /// In mode verified: pod names are answered too.
    pub pod_names: bool,
    /// In mode verified: whether pods with `hostNetwork: true` count.
    pub host_network: HostNetwork,
    /// The age up to which a stale index is served; `None` is for ever.
    pub max_staleness: Option<Duration>,
    /// Where pods and namespaces are read from, if [`needs`](Self::needs) says that they are.
    pub source: PodSource,
    /// Where the index is kept for the next start; nowhere if `None`. Only for pods of a cluster.
    pub snapshot: Option<SnapshotFile>,
    /// Where DNS is served, over UDP and TCP; port 0 takes a free one, the same for both. An IPv6 address
    /// takes IPv6 only, also `[::]`.
    pub listen: Vec<SocketAddr>,
    /// Where the admin endpoints are served, if at all.
    pub admin: Option<SocketAddr>,
    /// Threads that answer over UDP.
    pub threads: NonZeroUsize,
    /// Limits of the TCP side.
    pub tcp: TcpLimits,
    /// Limits of the responses over UDP to one client network; `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Where the secrets of DNS cookies come from.
    pub cookies: CookieSource,
    /// Who answered, for clients that ask (RFC 5001): at most [`Config::MAX_NSID`] octets.
    pub nsid: Option<String>,
    /// The text of `version.bind` and `version.server` in class CH, at most 255 octets.
    pub chaos_version: Option<String>,
    /// The text of `id.server` and `hostname.bind` in class CH (RFC 4892), at most 255 octets.
    pub chaos_id: Option<String>,
    /// What the daemon keeps and gives up once its sockets are bound. A [`Server`](crate::Server) by itself gives
    /// up nothing: that is for the program to do that it is part of.
    pub privileges: Privileges,
    /// How long queries are answered on after the server became unready.
    pub lame_duck: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// Cores that this process may use. Asked for once: it takes files that may be out of reach later, and a server
/// does not start threads after the first ones.
static CORES: LazyLock<NonZeroUsize> =
    LazyLock::new(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            zones: Zone::new("cluster.local").into_iter().collect(),
            ttl: Ttl::default(),
            pod_cidrs: Vec::new(),
            namespaces: Vec::new(),
            block_special: false,
            check_namespaces: false,
            pod_names: false,
            host_network: HostNetwork::default(),
            max_staleness: None,
            source: PodSource::Cluster { kubeconfig: None, context: None },
            snapshot: None,
            listen: vec![(Ipv4Addr::LOCALHOST, 1053).into()],
            admin: Some((Ipv4Addr::LOCALHOST, 8053).into()),
            threads: *CORES,
            tcp: TcpLimits::default(),
            rate_limit: Some(RateLimit::default()),
            cookies: CookieSource::default(),
            nsid: None,
            chaos_version: None,
            chaos_id: None,
            privileges: Privileges::default(),
            lame_duck: Duration::from_secs(5),
            log_format: LogFormat::default(),
        }
    }
}

impl Settings {
    /// The namespaces that exist, sorted; none means all.
    #[must_use]
    pub fn namespaces(&self) -> &[Label] {
        &self.namespaces
    }

    /// Lets only these namespaces exist, or all if there are none.
    pub fn set_namespaces(&mut self, namespaces: impl IntoIterator<Item = Label>) {
        self.namespaces = namespaces.into_iter().collect();
        self.namespaces.sort_unstable();
        self.namespaces.dedup();
    }

    /// What the responder needs of these settings, but for the secrets of cookies, which change by themselves.
    /// It only borrows: cheap enough for every batch.
    #[must_use]
    pub fn answers(&self) -> Config<'_> {
        let mut config = Config::new(self.mode, &self.zones);
        config.ttl = self.ttl;
        config.pod_cidrs = &self.pod_cidrs;
        config.block_special = self.block_special;
        config.namespaces = &self.namespaces;
        config.check_namespaces = self.check_namespaces;
        config.pod_names = self.pod_names;
        config.max_staleness = self.max_staleness;
        config.nsid = self.nsid.as_ref().map(String::as_bytes);
        config.chaos_version = self.chaos_version.as_deref();
        config.chaos_id = self.chaos_id.as_deref();
        // RFC 7828 3.1: in units of 100 milliseconds. An hour, the most there is, fits.
        let timeout = self.tcp.idle_timeout;
        config.tcp_keepalive =
            u16::try_from(timeout.as_secs() * 10 + u64::from(timeout.subsec_millis() / 100)).ok();
        config
    }

    /// What must be known of the cluster.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self.mode {
            Mode::Insecure if self.check_namespaces => Needs::Namespaces,
            Mode::Disabled | Mode::Insecure => Needs::Nothing,
            Mode::Verified => Needs::Pods,
        }
    }

    /// Whether anybody can have any address answered: mode insecure without a single guard.
    #[must_use]
    pub fn unguarded(&self) -> bool {
        self.mode == Mode::Insecure
            && !self.check_namespaces
            && !self.block_special
            && self.pod_cidrs.is_empty()
            && self.namespaces.is_empty()
    }
}
