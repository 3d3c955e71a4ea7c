//! Reloads: the configuration is read again, and applied as a whole or not at all.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time;

use super::config::{ConfigError, LoadedConfig, Sources};
use super::detached::detached;
use super::reach::written_directories;
use super::warnings::warn;
use crate::server::error::StartError;
use crate::server::handle::Server;

/// Maximum time of a reload, longer than the time-out of a credential plugin.
pub(super) const RELOAD_TIMEOUT: Duration = Duration::from_mins(1);

/// Reason why a reload failed. The old configuration stays in effect.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Server(#[from] StartError),
    #[error("cannot read the configuration: {0}")]
    Thread(#[source] io::Error),
    #[error("not complete within {} s: a file or a program for credentials hangs", .0.as_secs())]
    TimedOut(Duration),
}

/// Result of a reload.
pub(super) struct Reloaded {
    /// The configuration as read.
    pub(super) loaded: LoadedConfig,
    /// Canonical paths of the directories of files to write.
    pub(super) written: Vec<PathBuf>,
}

/// Reads the configuration again and replaces the settings of the server, within [`RELOAD_TIMEOUT`].
pub(super) async fn reload(server: &Server, sources: &Sources) -> Result<Reloaded, ReloadError> {
    let mut counted = false;
    let replaced = async {
        let sources = sources.clone();
        let read = move || {
            let loaded = sources.load()?;
            let written = written_directories(&loaded.settings.server);
            Ok::<_, ConfigError>(Reloaded { loaded, written })
        };
        let reloaded = detached("poddns-config", read).await.map_err(ReloadError::Thread)??;
        let loaded = &reloaded.loaded;
        warn(&loaded.settings.server);
        let replaced = server.reload(loaded.settings.server.clone()).await;
        counted = true;
        replaced?;
        Ok(reloaded)
    };
    let result = time::timeout(RELOAD_TIMEOUT, replaced).await;
    let result = result.unwrap_or(Err(ReloadError::TimedOut(RELOAD_TIMEOUT)));
    if result.is_err() && !counted {
        server.reload_failed();
    }
    result
}
