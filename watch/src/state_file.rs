//! Files with state for the next start: replaced atomically, and read only if no other user can have written them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tempfile::{Builder, NamedTempFile};
use thiserror::Error;

/// Suffix of the names of unfinished files.
const SUFFIX: &str = ".tmp";

/// Age above which an unfinished file is from a process that was killed: writing never takes that long.
const MAX_UNFINISHED_AGE: Duration = Duration::from_hours(1);

/// Reason why a file that another user may have written is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UntrustedFile {
    /// It belongs to another user.
    #[error("it belongs to user {owner}, and this process runs as user {user}")]
    OtherOwner {
        /// The user id of its owner.
        owner: u32,
        /// The user id of the process.
        user: u32,
    },
    /// Other users can write to it.
    #[error("others than its owner can write to it (mode {mode:03o}); `chmod go-w` it if you trust it")]
    WritableByOthers {
        /// The permission bits.
        mode: u32,
    },
}

/// Reason why a file is not read. The text is a predicate with the file as subject.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// It is a directory or a device.
    #[error("it is not a file")]
    NotAFile,
    /// The system refuses to read it.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Another user may have written it.
    #[error(transparent)]
    Untrusted(#[from] UntrustedFile),
    /// It is larger than this number of bytes.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
}

/// The system calls of an atomic replacement.
trait Disk {
    /// Flushes a file or a directory to the disk.
    fn sync(&mut self, file: &File) -> io::Result<()>;

    /// Renames an unfinished file to `path`, which replaces the file there.
    fn rename(&mut self, new: NamedTempFile, path: &Path) -> io::Result<()>;
}

/// The calls of the operating system.
struct System;

impl Disk for System {
    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, new: NamedTempFile, path: &Path) -> io::Result<()> {
        new.persist(path).map(drop).map_err(|failed| failed.error)
    }
}

/// Replaces a file by one with the contents that `write` writes. Returns the size of the new file in bytes.
///
/// The new file is created beside the old one and replaces it once it is on the disk. If anything fails before that,
/// the old file stays and the new one is removed. Only its owner can read it.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<u64> {
    replace_on(&mut System, path, write)
}

fn replace_on(
    disk: &mut impl Disk,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<u64> {
    let mut new = beside(path)?;
    write(new.as_file_mut())?;
    disk.sync(new.as_file())?;
    let size = new.as_file().metadata()?.len();
    disk.rename(new, path)?;
    // The rename is on the disk only after this.
    disk.sync(&File::open(folder(path))?)?;
    Ok(size)
}

/// Reads a file of at most `limit` bytes that no other user can write to. Returns `None` if there is no file.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StateFileError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(StateFileError::NotAFile),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(StateFileError::NotAFile);
    }
    // Checked on the open file: the one at `path` may be another one by now.
    check_owner(&metadata)?;
    let mut octets = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    if octets.len() as u64 > limit {
        return Err(StateFileError::TooLarge(limit));
    }
    Ok(Some(octets))
}

/// Opens a file for reading. Does not block if the path has become a FIFO without a writer.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Checks that only this user can have written a file: it belongs to the effective user of the process, and no other
/// user can write to it.
pub fn check_owner(metadata: &Metadata) -> Result<(), UntrustedFile> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner != user {
        return Err(UntrustedFile::OtherOwner { owner, user });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(UntrustedFile::WritableByOthers { mode });
    }
    Ok(())
}

/// Checks that [`replace`] can create a file here, and removes unfinished files of killed processes.
pub fn check_writable(path: &Path) -> io::Result<()> {
    remove_unfinished(path);
    beside(path).map(drop)
}

/// Creates a file beside `path` that is removed when dropped.
///
/// The error is the system's, without the random name of the file: the same fault then has the same text each time, and
/// is logged once.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let create =
        |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    Builder::new().prefix(&prefix(path)).suffix(SUFFIX).make_in(folder(path), create)
}

/// Returns the folder of a file.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Returns the prefix of the names of unfinished files: hidden, and different for each file.
fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or(OsStr::new("snapshot")));
    prefix.push(".");
    prefix
}

/// Removes unfinished files of killed processes. Files that cannot be removed are ignored.
fn remove_unfinished(path: &Path) {
    let prefix = prefix(path);
    let is_abandoned = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes())
            && name.ends_with(SUFFIX.as_bytes())
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > MAX_UNFINISHED_AGE))
    };
    let entries = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    for entry in entries.filter(is_abandoned) {
        let _ = fs::remove_file(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
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
    fn new_file_is_complete_and_private() {
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
    fn failure_leaves_only_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn same_failure_has_same_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/state");
        let text = replace(&path, |_| Ok(())).unwrap_err().to_string();
        assert_eq!(text, check_writable(&path).unwrap_err().to_string());
        assert!(!text.contains(SUFFIX), "{text}");
    }

    /// Records the calls, and makes one of them fail.
    struct Recorded {
        calls: Vec<&'static str>,
        fails: Option<usize>,
    }

    impl Recorded {
        fn record(&mut self, call: &'static str) -> io::Result<()> {
            self.calls.push(call);
            if self.fails == Some(self.calls.len()) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Disk for Recorded {
        fn sync(&mut self, file: &File) -> io::Result<()> {
            let metadata = file.metadata()?;
            assert!(metadata.is_dir() || metadata.len() == 3, "it is written before");
            self.record(if metadata.is_dir() { "sync directory" } else { "sync file" })?;
            System.sync(file)
        }

        fn rename(&mut self, new: NamedTempFile, path: &Path) -> io::Result<()> {
            self.record("rename")?;
            System.rename(new, path)
        }
    }

    #[test]
    fn file_is_synced_before_rename() {
        let calls = ["sync file", "rename", "sync directory"];
        for fails in [None, Some(1), Some(2), Some(3)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state");
            fs::write(&path, "old").unwrap();
            let mut disk = Recorded { calls: Vec::new(), fails };
            let result = replace_on(&mut disk, &path, |file| file.write_all(b"new"));
            assert_eq!(disk.calls, calls[..fails.unwrap_or(3)]);
            assert_eq!(result.is_ok(), fails.is_none());
            // After the rename, the new file is complete, although the directory is not synced.
            let expected = if matches!(fails, Some(1 | 2)) { "old" } else { "new" };
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
            assert_eq!(names(folder.path()), ["state"]);
        }
    }

    #[test]
    fn sync_is_a_call_of_the_system() {
        let (reader, _writer) = io::pipe().unwrap();
        // fsync(2): EINVAL for a file that cannot be synchronised.
        let error = System.sync(&File::from(OwnedFd::from(reader))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn only_own_files_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "state").unwrap();
        for (mode, trusted) in
            [(0o600, true), (0o644, true), (0o755, true), (0o620, false), (0o602, false), (0o666, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let result = check_owner(&fs::metadata(&path).unwrap());
            assert_eq!(result.is_ok(), trusted, "{mode:o}: {result:?}");
        }
        // As root, a file with another owner; as any other user, a directory of root.
        let others = if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            path
        } else {
            "/".into()
        };
        let error = check_owner(&fs::metadata(others).unwrap()).unwrap_err();
        assert!(matches!(error, UntrustedFile::OtherOwner { .. }), "{error}");
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path, 4).unwrap(), None);
        fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), Some(b"1234".to_vec()));
        let text = |path, limit| read(path, limit).unwrap_err().to_string();
        assert_eq!(text(&path, 3), "it has more than 3 bytes");
        assert_eq!(text(folder.path(), 4), "it is not a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(text(&path, 4).starts_with("others than its owner"));
    }

    #[test]
    fn only_leftovers_of_killed_processes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let old = SystemTime::now() - 2 * MAX_UNFINISHED_AGE;
        for name in [".state.old.tmp", ".state.new.tmp", ".other.old.tmp", "state.old.tmp"] {
            let file = File::create(folder.path().join(name)).unwrap();
            if name.contains("old") {
                file.set_modified(old).unwrap();
            }
        }
        check_writable(&path).unwrap();
        assert_eq!(names(folder.path()), [".other.old.tmp", ".state.new.tmp", "state.old.tmp"]);
    }
}
