//! A file that is there as a whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

/// What the names of unfinished files end in.
const SUFFIX: &str = ".tmp";

/// An unfinished file older than this is of a process that was killed: none takes as long to write one.
const LEFT_OVER: Duration = Duration::from_hours(1);

/// Replaces a file by what `write` writes, and returns the new one's size in octets.
///
/// The new file is written beside the old one and takes its place once it is on the disk. If anything fails, the
/// old one stays and the new one goes. Its owner alone can read it.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<u64> {
    let mut new = beside(path)?;
    write(new.as_file_mut())?;
    new.as_file().sync_all()?;
    let size = new.as_file().metadata()?.len();
    new.persist(path).map_err(|failed| failed.error)?;
    // Only now the name is on the disk, too.
    File::open(folder(path))?.sync_all()?;
    Ok(size)
}

/// Whether [`replace`] could make a file here; also clears away what killed processes have left.
pub(super) fn try_out(path: &Path) -> io::Result<()> {
    remove_left_over(path);
    beside(path).map(drop)
}

/// A new file beside this one, which is removed when it is dropped.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    Builder::new().prefix(&prefix(path)).suffix(SUFFIX).tempfile_in(folder(path))
}

/// The folder that the file is in.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What the names of unfinished files begin with: each file has its own, and they are hidden.
fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or(OsStr::new("snapshot")));
    prefix.push(".");
    prefix
}

/// What cannot be removed stays: it harms nobody.
fn remove_left_over(path: &Path) {
    let prefix = prefix(path);
    let is_left_over = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes())
            && name.ends_with(SUFFIX.as_bytes())
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > LEFT_OVER))
    };
    let entries = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    for entry in entries.filter(is_left_over) {
        let _ = fs::remove_file(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_new_file_is_whole_and_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "old, and longer").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let seen = path.clone();
        let size = replace(&path, |file| {
            file.write_all(b"new")?;
            assert_eq!(fs::read(&seen)?, b"old, and longer", "until it is complete");
            Ok(())
        });
        assert_eq!(size.unwrap(), 3);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["state"]);
        assert!(replace(&folder.path().join("nowhere/state"), |_| Ok(())).is_err());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let old = SystemTime::now() - 2 * LEFT_OVER;
        for name in [".state.old.tmp", ".state.new.tmp", ".other.old.tmp", "state.old.tmp"] {
            let file = File::create(folder.path().join(name)).unwrap();
            if name.contains("old") {
                file.set_modified(old).unwrap();
            }
        }
        try_out(&path).unwrap();
        assert_eq!(names(folder.path()), [".other.old.tmp", ".state.new.tmp", "state.old.tmp"]);
    }
}
