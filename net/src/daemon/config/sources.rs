//! The sources of settings: file, environment, flags.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::draft::Draft;
use super::error::{ConfigError, Problem, SettingOrigin, SettingText};
use super::layer::{Given, Layer};
use super::options::{self, Arity, Opt, Reload};
use super::{DaemonSettings, file, read};
use crate::daemon::systemd::PassedSockets;
use crate::server::state::OptionInForce;

/// Sources of settings: flags, the environment and a file, in descending order of precedence.
///
/// The flags and the environment are read once; the file is read again by every call of [`settings`](Self::settings),
/// so that a reload finds its changes.
#[derive(Clone, Debug)]
pub struct Sources {
    flags: Layer,
    environment: Layer,
    file: Option<PathBuf>,
    passed: Vec<SocketAddr>,
}

impl Sources {
    /// Reads the flags of a command line defined by [`with_flags`](super::with_flags), and the environment. `variable`
    /// looks up one variable: [`std::env::var_os`] outside tests.
    ///
    /// An empty variable counts as unset. Items of a list are separated by commas.
    ///
    /// Fails if a variable is not UTF-8.
    pub fn new(flags: &ArgMatches, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut environment = Layer::default();
        let mut problems = Vec::new();
        let lookup = |name: &str| variable(&options::variable(name)).filter(|value| !value.is_empty());
        for key in options::all() {
            let Some(value) = lookup(key.name) else { continue };
            match value.into_string() {
                Ok(value) => {
                    environment.insert(
                        key.name,
                        Given { values: items(&value, key.arity()), origin: SettingOrigin::Environment },
                    );
                }
                Err(value) => problems.push(Problem::Value {
                    written: SettingText {
                        key: key.name,
                        value: Some(value.to_string_lossy().into_owned()),
                        origin: SettingOrigin::Environment,
                    },
                    source: "is not UTF-8".into(),
                    allowed: key.allowed(),
                }),
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::new(problems));
        }
        let file = match flags.get_one::<String>("config") {
            Some(path) => Some(PathBuf::from(path)),
            None => lookup("config").map(PathBuf::from),
        };
        Ok(Self { flags: layer_of(flags), environment, file, passed: Vec::new() })
    }

    /// Returns these sources with the addresses of passed sockets in place of `listen`, if there are any.
    #[must_use]
    pub fn with_passed(self, passed: &PassedSockets) -> Self {
        Self { passed: passed.addresses(), ..self }
    }

    /// Returns the config file, if one was named.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// Reads the file and returns the settings of all sources, or all their problems.
    pub fn settings(&self) -> Result<DaemonSettings, ConfigError> {
        self.load().map(|loaded| loaded.settings)
    }

    /// Reads the file and returns the settings of all sources, with the options that they were built from.
    pub(crate) fn load(&self) -> Result<LoadedConfig, ConfigError> {
        let (file, mut problems) = self.file.as_deref().map(file::read).unwrap_or_default();
        let all = file.under(&self.environment).under(&self.flags);
        let draft = read::draft(&all, &mut problems);
        let mut settings = read::settings(draft.clone(), &all, &mut problems);
        if settings.watch_config
            && self.file.is_none()
            && let Some(written) = all.written("watch-config")
        {
            let why = "has no effect without a config file; leave it out, or name one with --config";
            problems.push(Problem::Conflict { written, why: why.to_owned() });
        }
        if !self.passed.is_empty() {
            if let Some(written) = all.written("listen") {
                let why = "cannot be combined with the sockets that systemd passes; leave it out, or do without the \
                           .socket unit";
                problems.push(Problem::Conflict { written, why: why.to_owned() });
            }
            settings.server.listen.clone_from(&self.passed);
        }
        let passed = self.passed.clone();
        if problems.is_empty() {
            Ok(LoadedConfig { settings, draft, given: all, passed })
        } else {
            Err(ConfigError::new(problems))
        }
    }
}

/// Settings, and the options that they were built from.
#[derive(Clone, Debug)]
pub(crate) struct LoadedConfig {
    pub(crate) settings: DaemonSettings,
    draft: Draft,
    given: Layer,
    /// Addresses of the sockets that were passed.
    passed: Vec<SocketAddr>,
}

impl LoadedConfig {
    /// Returns the names of changed options that take effect only at a restart.
    pub(crate) fn needs_restart(&self, start: &Self) -> Vec<&'static str> {
        let (mut now, mut then) = (self.draft.clone(), start.draft.clone());
        let kept = options::all().filter(|option| option.reload == Reload::Keeps);
        let changed = kept.filter(|option| option.field.show(&mut now) != option.field.show(&mut then));
        changed.map(|option| option.name).collect()
    }

    /// Returns every option with its value and origin. Options that only a restart changes are taken from `start`.
    pub(crate) fn options(&self, start: &Self) -> Vec<OptionInForce> {
        let of = |option: &'static Opt| match option.reload {
            Reload::Changes => self.option(option),
            Reload::Keeps => start.option(option),
        };
        options::all().map(of).collect()
    }

    fn option(&self, option: &'static Opt) -> OptionInForce {
        let name = option.name;
        if name == "listen" && !self.passed.is_empty() {
            let values = self.passed.iter().map(ToString::to_string).collect();
            return OptionInForce { name, values, note: None, source: "systemd", place: None };
        }
        let given = self.given.get(name);
        let (source, place) = given.map_or(("default", None), |given| given.origin.source(name));
        let values = if given.is_none() && !option.without.is_empty() {
            Vec::new()
        } else {
            option.field.show(&mut self.draft.clone())
        };
        let note = Some(option.without).filter(|text| values.is_empty() && !text.is_empty());
        OptionInForce { name, values, note, source, place }
    }
}

/// Returns the settings of the command line.
fn layer_of(flags: &ArgMatches) -> Layer {
    let mut layer = Layer::default();
    for key in options::all() {
        if flags.value_source(key.name) == Some(ValueSource::CommandLine) {
            let values = flags.get_many::<String>(key.name).unwrap_or_default().cloned().collect();
            layer.insert(key.name, Given { values, origin: SettingOrigin::Flag });
        }
    }
    layer
}

/// Splits a variable at commas if its option is a list: addresses, networks and names contain none.
fn items(value: &str, arity: Arity) -> Vec<String> {
    match arity {
        Arity::Many => value.split(',').map(|item| item.trim().to_owned()).collect(),
        Arity::One | Arity::Switch => vec![value.to_owned()],
    }
}
