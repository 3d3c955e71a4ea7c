//! From texts to [`Settings`], collecting everything that is wrong on the way.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use poddns_core::{Config, Mode};

use super::error::{Problem, Written};
use super::keys;
use super::layer::Layer;
use super::value::{self, Wrong};
use super::{DaemonSettings, Privileges};
use crate::server::cookies::CookieSource;
use crate::server::rate_limit::RateLimit;
use crate::server::settings::{Needs, PodSource, Settings, SnapshotFile};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);
const MAX_THREADS: u64 = 512;
const MAX_CONNECTIONS: u64 = 1_000_000;
const MIN_TABLE: u64 = 1024;
const MAX_TABLE: u64 = 16 * 1024 * 1024;

/// Settings as given, defaults for the rest; what is wrong is added to `problems`.
pub(super) fn settings(given: &Layer, problems: &mut Vec<Problem>) -> DaemonSettings {
    let before = problems.len();
    let mut read = Reader { given, problems };
    let settings = read.all(DaemonSettings::default());
    // Conflicts between values that could not be read would only confuse.
    if read.problems.len() == before {
        Conflicts { given, settings: &settings.server, problems }.find();
    }
    settings
}

struct Reader<'a> {
    given: &'a Layer,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn all(&mut self, default: DaemonSettings) -> DaemonSettings {
        DaemonSettings {
            server: self.server(default.server),
            privileges: self.privileges(),
            lame_duck: self
                .one("lame-duck", |text| value::time(text, Duration::ZERO..=HOUR))
                .unwrap_or(default.lame_duck),
            log_format: self.one("log-format", value::log_format).unwrap_or_default(),
        }
    }

    fn server(&mut self, default: Settings) -> Settings {
        let mut settings = default;
        if let Some(mode) = self.one("pods", value::mode) {
            settings.mode = mode;
        }
        if let Some(zones) = self.many("domain", value::zone) {
            settings.zones = zones;
        }
        if let Some(ttl) = self.one("ttl", value::ttl) {
            settings.ttl = ttl;
        }
        settings.pod_cidrs = self.many("pod-cidr", value::network).unwrap_or_default();
        settings.block_special = self.one("block-special", value::switch).unwrap_or_default();
        settings.check_namespaces = self.one("check-namespaces", value::switch).unwrap_or_default();
        settings.pod_names = self.one("pod-names", value::switch).unwrap_or_default();
        settings.host_network = self.one("host-network", value::host_network).unwrap_or_default();
        settings.max_staleness = self.one("max-staleness", week_or_off).flatten();
        let namespaces = self.many("namespace", value::label).unwrap_or_default();
        settings.set_namespaces(namespaces);
        settings.source = self.source();
        settings.snapshot = self.snapshot();
        self.serving(&mut settings);
        settings.rate_limit = self.rate_limit();
        match self.many("rate-limit-exempt", value::exempt) {
            Some(exempt) => settings.exempt = exempt.into_iter().flatten().collect(),
            // Whatever addresses pods have, their resolvers are clients with many queries.
            None => settings.exempt.extend_from_slice(&settings.pod_cidrs),
        }
        settings.cookies = self.cookies();
        settings.nsid = self.one("nsid", |text| value::identity(text, Config::MAX_NSID)).flatten();
        settings.chaos_id = self.one("chaos-id", |text| value::identity(text, value::MAX_TXT)).flatten();
        settings.chaos_version = self.one("chaos-version", value::version).flatten();
        settings
    }

    fn rate_limit(&mut self) -> Option<RateLimit> {
        let mut limit = RateLimit::default();
        let rate = self.one("rate-limit", value::rate);
        if let Some(Some(rate)) = rate {
            limit.responses_per_second = rate;
        }
        if let Some(slip) = self.one("rate-limit-slip", |text| value::small(text, u8::MAX)) {
            limit.slip = slip;
        }
        if let Some(prefix) = self.one("rate-limit-ipv4-prefix", |text| value::small(text, 32)) {
            limit.ipv4_prefix = prefix;
        }
        if let Some(prefix) = self.one("rate-limit-ipv6-prefix", |text| value::small(text, 128)) {
            limit.ipv6_prefix = prefix;
        }
        if let Some(table) = self.one("rate-limit-table", |text| value::number(text, MIN_TABLE..=MAX_TABLE)) {
            limit.table = usize::try_from(table).unwrap_or(limit.table);
        }
        // `off` is `Some(None)`.
        rate.is_none_or(|rate| rate.is_some()).then_some(limit)
    }

    fn cookies(&mut self) -> CookieSource {
        let path = |text: &str| value::not_empty(text).map(PathBuf::from);
        let file = self.one("cookie-secret-file", path);
        match self.one("cookies", value::switch) {
            Some(false) => CookieSource::Off,
            _ => file.map_or(CookieSource::Random, CookieSource::File),
        }
    }

    fn privileges(&mut self) -> Privileges {
        Privileges {
            user: self.one("user", |text| text.parse().map_err(str::to_owned)),
            landlock: self.one("landlock", value::landlock).unwrap_or_default(),
            seccomp: self.one("seccomp", value::on).unwrap_or_default(),
        }
    }

    fn source(&mut self) -> PodSource {
        let path = |text: &str| value::not_empty(text).map(PathBuf::from);
        let kubeconfig = self.one("kubeconfig", path);
        let context = self.one("context", value::not_empty);
        match self.one("pods-file", path) {
            Some(file) => PodSource::File(file),
            None => PodSource::Cluster { kubeconfig, context },
        }
    }

    fn snapshot(&mut self) -> Option<SnapshotFile> {
        let path = self.one("snapshot", value::file_to_write);
        let interval = self.one("snapshot-interval", |text| value::time(text, SECOND..=DAY));
        path.map(|path| SnapshotFile { path, interval: interval.unwrap_or(SnapshotFile::INTERVAL) })
    }

    fn serving(&mut self, settings: &mut Settings) {
        if let Some(listen) = self.many("listen", value::listen) {
            settings.listen = listen.into_iter().flatten().collect();
        }
        if let Some(admin) = self.one("admin", value::admin) {
            settings.admin = admin;
        }
        if let Some(threads) = self.one("threads", |text| count(text, MAX_THREADS)) {
            settings.threads = threads;
        }
        if let Some(time) = self.one("tcp-idle-timeout", |text| value::time(text, SECOND / 10..=HOUR)) {
            settings.tcp.idle_timeout = time;
        }
        if let Some(time) = self.one("tcp-lifetime", week_or_off) {
            settings.tcp.lifetime = time;
        }
        if let Some(limit) = self.one("tcp-connections", |text| count(text, MAX_CONNECTIONS)) {
            settings.tcp.connections = limit.get();
        }
        if let Some(limit) = self.one("tcp-connections-per-client", |text| count(text, MAX_CONNECTIONS)) {
            settings.tcp.per_client = limit.get();
        }
    }

    /// The one value of a setting; `None` if it is not given or wrong.
    fn one<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        self.many(key, parse)?.pop()
    }

    /// All values of a setting; `None` if it is not given or one of them is wrong.
    fn many<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let given = self.given.get(key)?;
        let mut values = Vec::with_capacity(given.values.len());
        for text in &given.values {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(why) => {
                    let written = Written { key, value: Some(text.clone()), origin: given.origin.clone() };
                    let allowed = keys::find(key).map_or("", |key| key.allowed);
                    self.problems.push(Problem::Value { written, why, allowed });
                }
            }
        }
        (values.len() == given.values.len() && !values.is_empty()).then_some(values)
    }
}

/// A time of up to a week, or `off`.
fn week_or_off(text: &str) -> Result<Option<Duration>, Wrong> {
    if text == "off" { Ok(None) } else { value::time(text, SECOND..=WEEK).map(Some) }
}

fn count(text: &str, most: u64) -> Result<NonZeroUsize, Wrong> {
    let number = value::number(text, 1..=most)?;
    usize::try_from(number).ok().and_then(NonZeroUsize::new).ok_or_else(|| "is out of range".to_owned())
}

/// Settings that are right by themselves, but not beside each other.
struct Conflicts<'a> {
    given: &'a Layer,
    settings: &'a Settings,
    problems: &'a mut Vec<Problem>,
}

impl Conflicts<'_> {
    fn find(&mut self) {
        self.sources();
        self.modes();
        self.doubles();
        self.abuse();
    }

    /// Reports the setting if it was given.
    fn refuse(&mut self, key: &'static str, why: impl Into<String>) {
        if let Some(written) = self.given.written(key) {
            self.problems.push(Problem::Conflict { written, why: why.into() });
        }
    }

    fn sources(&mut self) {
        if let Some(file) = self.given.written("pods-file") {
            let why = format!("cannot be combined with {file}: pods come from a cluster or from a file");
            self.refuse("kubeconfig", why.clone());
            self.refuse("context", why);
            let why = format!("has no effect with {file}, which is there at every start; leave it out");
            self.refuse("snapshot", why);
        }
        if self.settings.snapshot.is_none() {
            self.refuse("snapshot-interval", "has no effect without snapshot; leave it out, or name a file");
        }
        if self.settings.needs() == Needs::Nothing {
            let why = "has no effect, because nothing is read from a cluster in this mode; leave it out, or use \
                       --pods verified, or --pods insecure with --check-namespaces";
            for key in ["kubeconfig", "context", "pods-file", "snapshot", "max-staleness"] {
                self.refuse(key, why);
            }
        }
    }

    fn modes(&mut self) {
        if self.settings.mode != Mode::Insecure && self.settings.check_namespaces {
            self.refuse(
                "check-namespaces",
                "is for --pods insecure; verified checks namespaces anyway, disabled has none",
            );
        }
        if self.settings.mode != Mode::Verified {
            if self.settings.pod_names {
                self.refuse("pod-names", "needs --pods verified: no other mode knows the pods");
            }
            self.refuse("host-network", "needs --pods verified: no other mode knows the pods");
        }
    }

    fn abuse(&mut self) {
        if self.settings.cookies == CookieSource::Off {
            self.refuse("cookie-secret-file", "has no effect without cookies; leave it out, or cookies on");
        }
        let exempt =
            self.given.get("rate-limit-exempt").map(|given| given.values.as_slice()).unwrap_or_default();
        if exempt.len() > 1 && exempt.iter().any(|network| network == "none") {
            self.refuse("rate-limit-exempt", "gives none and others; none stands alone");
        }
    }

    fn doubles(&mut self) {
        if let Some(domain) = double(self.settings.zones.iter().map(|zone| zone.domain().to_string())) {
            self.refuse("domain", format!("gives {domain} twice"));
        }
        let fixed = self.settings.listen.iter().filter(|address| address.port() != 0);
        if let Some(address) = double(fixed.clone().map(ToString::to_string)) {
            self.refuse("listen", format!("gives {address} twice"));
        }
        let admin = self.settings.admin;
        if let Some(address) = fixed.copied().find(|&address| Some(address) == admin) {
            let key = if self.given.get("admin").is_some() { "admin" } else { "listen" };
            self.refuse(key, format!("{address} cannot be both for --admin and for --listen over TCP"));
        }
    }
}

/// The first item, in lower case, that comes twice.
fn double(items: impl Iterator<Item = String>) -> Option<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    items.map(|item| item.to_ascii_lowercase()).find(|item| !seen.insert(item.clone()))
}
