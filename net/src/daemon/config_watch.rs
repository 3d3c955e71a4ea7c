//! Detection of changes of the config file, for a reload without SIGHUP.
//!
//! The file's metadata is polled, as that of the pods file is, and not watched by inotify: a poll also notices a file
//! that is replaced by `rename`, a re-pointed link of a `ConfigMap` volume, and a change on a network file system.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time;

use crate::server::supervise::Panicked;

/// Interval between two checks of the file. A change is reported once the file has not changed for this long, so that a
/// file that is still being written is not read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of consecutive checks for which a report is postponed because the file keeps changing.
const MAX_POSTPONED: u32 = 10;

/// Device, inode, size and times (mtime, ctime) of a file, which identify its version; `None` if they cannot be read.
pub(super) type ConfigVersion = Option<(u64, u64, u64, [i64; 4])>;

/// Returns the version of the file at `path`; follows links. May block if the file system hangs.
pub(super) fn version(path: &Path) -> ConfigVersion {
    let of = |file: Metadata| {
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        (file.dev(), file.ino(), file.size(), times)
    };
    path.metadata().ok().map(of)
}

/// Watch of the config file, which can be on or off.
#[derive(Debug)]
pub(super) struct ConfigWatch {
    file: Option<PathBuf>,
    /// Version of the file before it was read at the start.
    started: ConfigVersion,
    changed: Arc<Notify>,
    /// Task that polls the file; `None` unless the watch is on.
    task: Option<JoinHandle<()>>,
}

impl ConfigWatch {
    /// Returns a watch that is off. `started` is the version of the file before it was read.
    pub(super) fn new(file: Option<PathBuf>, started: ConfigVersion) -> Self {
        Self { file, started, changed: Arc::default(), task: None }
    }

    /// Turns the watch on or off. Must be called in a runtime.
    pub(super) fn set(&mut self, on: bool) {
        match (&self.file, &self.task) {
            (Some(file), None) if on => {
                let (file, seen, changed) = (file.clone(), self.started, Arc::clone(&self.changed));
                self.task = Some(tokio::spawn(poll(file, seen, changed)));
            }
            (_, Some(_)) if !on => self.stop(),
            _ => {}
        }
    }

    /// Waits until the file has changed. Cancel safe.
    ///
    /// Fails if the task panicked; it has then been started again.
    pub(super) async fn changed(&mut self) -> Result<(), Panicked> {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        tokio::select! {
            () = self.changed.notified() => Ok(()),
            // The task never returns, so it has panicked.
            _ = task => {
                self.task = None;
                self.set(true);
                Err(Panicked)
            }
        }
    }

    fn stop(&mut self) {
        self.task.take().iter().for_each(JoinHandle::abort);
    }
}

impl Drop for ConfigWatch {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn poll(file: PathBuf, mut reported: ConfigVersion, changed: Arc<Notify>) {
    let (mut seen, mut postponed) = (reported, 0);
    loop {
        time::sleep(POLL_INTERVAL).await;
        let path = file.clone();
        // Fails only if the call panics. Ending this task reports that to `changed`.
        let Ok(now) = spawn_blocking(move || version(&path)).await else { return };
        if now != seen && postponed < MAX_POSTPONED {
            (seen, postponed) = (now, postponed + 1);
            continue;
        }
        (seen, postponed) = (now, 0);
        if now != reported {
            reported = now;
            changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Time-out of events that must happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn assert_changes(watch: &mut ConfigWatch, what: &str) {
        assert_eq!(time::timeout(PATIENCE, watch.changed()).await.expect(what), Ok(()));
    }

    #[tokio::test]
    async fn written_replaced_and_removed_files_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poddnsd.toml");
        fs::write(&path, "ttl = 1\n").unwrap();
        let mut watch = ConfigWatch::new(Some(path.clone()), version(&path));
        watch.set(true);
        fs::write(&path, "ttl = 20\n").unwrap();
        assert_changes(&mut watch, "written").await;
        fs::write(folder.path().join("new"), "ttl = 30\n").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_changes(&mut watch, "replaced").await;
        fs::remove_file(&path).unwrap();
        assert_changes(&mut watch, "removed").await;
        fs::write(&path, "ttl = 40\n").unwrap();
        assert_changes(&mut watch, "there again").await;
    }

    #[tokio::test]
    async fn swapped_config_map_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let link = |name: &str, to: &str| symlink(to, folder.path().join(name)).unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("poddnsd.toml"), "ttl = 1\n").unwrap();
        }
        link("..data", "..1");
        link("poddnsd.toml", "..data/poddnsd.toml");
        let path = folder.path().join("poddnsd.toml");
        let mut watch = ConfigWatch::new(Some(path.clone()), version(&path));
        watch.set(true);
        link("..data_tmp", "..2");
        fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
        assert_changes(&mut watch, "swapped").await;
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_file_is_not_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poddnsd.toml");
        fs::write(&path, "ttl = 1\n").unwrap();
        let mut watch = ConfigWatch::new(Some(path.clone()), version(&path));
        assert!(time::timeout(PATIENCE, watch.changed()).await.is_err(), "off");
        watch.set(true);
        assert!(time::timeout(PATIENCE, watch.changed()).await.is_err(), "unchanged");
        watch.set(false);
        fs::remove_file(&path).unwrap();
        assert!(time::timeout(PATIENCE, watch.changed()).await.is_err(), "off again");
        // A watch compares with the version of the start, so it misses no change while it is off.
        watch.set(true);
        assert_changes(&mut watch, "removed meanwhile").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panicked_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poddnsd.toml");
        let mut watch = ConfigWatch::new(Some(path.clone()), version(&path));
        watch.task = Some(tokio::spawn(async { panic!("injected") }));
        assert_eq!(watch.changed().await, Err(Panicked));
        fs::write(&path, "ttl = 1\n").unwrap();
        assert_changes(&mut watch, "watched again").await;
    }
}
