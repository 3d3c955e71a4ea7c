//! Parsed values of all options, from which the settings are built.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use poddns_core::{IpCidr, Label, Name};
use poddns_watch::{ClusterOptions, Source};

use super::{DaemonSettings, LogFormat};
use crate::daemon::privileges::Privileges;
use crate::server::cookies::CookieSource;
use crate::server::query_log::{LoggedQueries, QueryLog};
use crate::server::rate_limit::{self, RateLimit};
use crate::server::settings::{Settings, SnapshotFile, TransferSettings};

/// One value of `rate-limit-exempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExemptValue {
    /// No network.
    None,
    /// Private networks.
    Private,
    /// One network.
    Network(IpCidr),
}

impl fmt::Display for ExemptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Private => f.write_str("private"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl ExemptValue {
    fn networks(&self) -> Vec<IpCidr> {
        match self {
            Self::None => Vec::new(),
            Self::Private => rate_limit::private(),
            Self::Network(network) => vec![*network],
        }
    }
}

/// Parsed values of all options: one field for each, except for options that set a field of `server`, `privileges` or
/// `rate_limit`.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Settings with fields that options set directly.
    pub(super) server: Settings,
    pub(super) privileges: Privileges,
    pub(super) lame_duck: Duration,
    pub(super) log_format: LogFormat,
    pub(super) watch_config: bool,
    pub(super) query_log: Option<LoggedQueries>,
    pub(super) query_log_sample: NonZeroU32,
    pub(super) query_log_rate: NonZeroU32,
    /// Addresses of each value of `listen`.
    pub(super) listen: Vec<Vec<SocketAddr>>,
    pub(super) ns_name: Option<Name>,
    pub(super) namespaces: Vec<Label>,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) context: Option<String>,
    pub(super) resync_interval: Option<Duration>,
    pub(super) pods_file: Option<PathBuf>,
    pub(super) snapshot: Option<PathBuf>,
    pub(super) snapshot_interval: Duration,
    pub(super) secondaries: Vec<SocketAddr>,
    pub(super) transfer_key: Option<PathBuf>,
    pub(super) transfer_journal: usize,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) nxdomain_limit: Option<NonZeroU32>,
    pub(super) rate_limit: RateLimit,
    /// If empty, private networks and those of `pod-cidr` are exempt.
    pub(super) exempt: Vec<ExemptValue>,
    pub(super) cookies: bool,
    pub(super) cookie_secret_file: Option<PathBuf>,
}

impl Default for Draft {
    /// Returns the defaults of [`DaemonSettings`]: options have no other defaults.
    fn default() -> Self {
        let DaemonSettings { server, privileges, lame_duck, log_format, watch_config } =
            DaemonSettings::default();
        let rate_limit = RateLimit::default();
        let query_log = QueryLog::new(LoggedQueries::All);
        Self {
            rate: server.rate_limit.as_ref().map(|limit| limit.responses_per_second),
            nxdomain_limit: None,
            cookies: server.cookies != CookieSource::Off,
            resync_interval: ClusterOptions::default().resync_interval,
            snapshot_interval: SnapshotFile::INTERVAL,
            secondaries: Vec::new(),
            transfer_key: None,
            transfer_journal: TransferSettings::JOURNAL,
            listen: server.listen.iter().map(|address| vec![*address]).collect(),
            server,
            privileges,
            lame_duck,
            log_format,
            watch_config,
            rate_limit,
            query_log: None,
            query_log_sample: query_log.sample,
            query_log_rate: query_log.rate,
            ns_name: None,
            namespaces: Vec::new(),
            kubeconfig: None,
            context: None,
            pods_file: None,
            snapshot: None,
            cookie_secret_file: None,
            exempt: Vec::new(),
        }
    }
}

impl Draft {
    /// Builds the settings.
    pub(super) fn finish(self) -> DaemonSettings {
        let Self { mut server, privileges, lame_duck, log_format, watch_config, .. } = self;
        if let Some(name) = self.ns_name {
            server.zones = server.zones.into_iter().map(|zone| zone.with_ns(name)).collect();
        }
        server.listen = self.listen.concat();
        server.set_namespaces(self.namespaces);
        let Self { kubeconfig, context, resync_interval, .. } = self;
        server.source = match self.pods_file {
            Some(file) => Source::File(file),
            None => Source::Cluster(ClusterOptions {
                kubeconfig,
                context,
                resync_interval,
                ..ClusterOptions::default()
            }),
        };
        let interval = self.snapshot_interval;
        server.snapshot = self.snapshot.map(|path| SnapshotFile { path, interval });
        let (secondaries, key_file, journal) = (self.secondaries, self.transfer_key, self.transfer_journal);
        server.transfer =
            (!secondaries.is_empty()).then_some(TransferSettings { secondaries, key_file, journal });
        if self.exempt.is_empty() {
            // Pods may have public addresses, and a resolver in a pod sends many queries.
            server.exempt.extend_from_slice(&server.pod_cidrs);
        } else {
            server.exempt = self.exempt.iter().flat_map(ExemptValue::networks).collect();
        }
        let limit = |rate| RateLimit { responses_per_second: rate, ..self.rate_limit.clone() };
        server.rate_limit = self.rate.map(limit);
        server.nxdomain_limit = self.nxdomain_limit.map(limit);
        let (sample, rate) = (self.query_log_sample, self.query_log_rate);
        server.query_log = self.query_log.map(|queries| QueryLog { queries, sample, rate });
        server.cookies = match (self.cookies, self.cookie_secret_file) {
            (false, _) => CookieSource::Off,
            (true, None) => CookieSource::Random,
            (true, Some(file)) => CookieSource::File(file),
        };
        DaemonSettings { server, privileges, lame_duck, log_format, watch_config }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draft_without_options_is_the_default() {
        assert_eq!(Draft::default().finish(), DaemonSettings::default());
    }
}
