//! The daemon's settings. Flags override `PODDNS_*` variables, which override the TOML file.
//!
//! All settings are validated before a socket is bound. An error contains the place of the setting and the allowed
//! values.
//!
//! ```
//! use poddns_net::config::{Sources, with_flags};
//!
//! let command = with_flags(clap::Command::new("poddnsd"));
//! let flags = command.try_get_matches_from(["poddnsd", "--pods", "insecure", "--ttl", "30"])?;
//! let settings = Sources::new(&flags, |name| std::env::var_os(name))?.settings()?;
//! assert_eq!(settings.server.ttl.as_secs(), 30);
//!
//! let command = with_flags(clap::Command::new("poddnsd"));
//! let flags = command.try_get_matches_from(["poddnsd", "--ttl", "9999"])?;
//! let wrong = Sources::new(&flags, |_| None)?.settings().unwrap_err();
//! assert_eq!(wrong.to_string(), r#"--ttl "9999": is out of range; allowed: 0 to 3600 (seconds)"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conflicts;
mod document;
mod draft;
mod environment;
mod error;
mod file;
mod layer;
mod options;
mod read;
mod sources;
mod value;

use std::time::Duration;

pub use crate::daemon::privileges::{Landlock, Privileges, RunAs};
use crate::server::settings::Settings;
pub use document::{reference, sample};
pub use environment::{UnknownVariable, unknown_variables};
pub use error::{ConfigError, Problem, SettingOrigin, SettingText};
pub use options::with_flags;
pub(crate) use sources::LoadedConfig;
pub use sources::Sources;

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// Lines for programs: one JSON object each.
    Json,
}

/// Settings of the server and of its process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaemonSettings {
    /// Settings of the server.
    pub server: Settings,
    /// Privileges that are dropped once the sockets are bound.
    pub privileges: Privileges,
    /// Time between SIGTERM and the end of the process, during which the server is unready but answers.
    pub lame_duck: Duration,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// True to reload the config file when it changes, without SIGHUP.
    pub watch_config: bool,
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self {
            server: Settings::default(),
            privileges: Privileges::default(),
            lame_duck: Duration::from_secs(5),
            log_format: LogFormat::default(),
            watch_config: false,
        }
    }
}
