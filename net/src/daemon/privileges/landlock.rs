//! Landlock: restricts the files that the process can open.

use std::error::Error;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::{DroppedPrivileges, Landlock, Paths, PrivilegeError};

/// Version of Landlock's ABI (Linux 6.12). Older kernels enforce the part that they support.
const KNOWN: ABI = ABI::V6;

/// Directory in procfs from which `/metrics` reads the process's resource use. It is held open: otherwise the kernel
/// could evict its inode, with the rule attached to it, and create another one without the rule.
const OWN_PROCESS: &str = "/proc/self";

/// Restricts this thread and its future children to these paths.
pub(super) fn restrict(landlock: Landlock, paths: &Paths) -> Result<DroppedPrivileges, PrivilegeError> {
    let nothing = || DroppedPrivileges { readable: Vec::new(), writable: Vec::new(), own_process: None };
    if landlock == Landlock::Off {
        return Ok(nothing());
    }
    let failed = |error: RulesetError| PrivilegeError::Landlock(error.into());
    let mut rules = ruleset().map_err(failed)?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(KNOWN) & !(AccessFs::Execute | AccessFs::IoctlDev);
    let mut dropped = nothing();
    for path in paths.readable() {
        if allow(&mut rules, path, read).map_err(failed)?.is_some() {
            dropped.readable.push(path.to_owned());
        }
    }
    for path in paths.writable() {
        if allow(&mut rules, path, write).map_err(failed)?.is_some() {
            dropped.writable.push(path.to_owned());
        }
    }
    dropped.own_process = allow(&mut rules, Path::new(OWN_PROCESS), read).map_err(failed)?;
    match rules.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
            tracing::info!(read = ?dropped.readable, write = ?dropped.writable, "Landlock: no other files can be opened");
            Ok(dropped)
        }
        RulesetStatus::NotEnforced if landlock == Landlock::Require => Err(PrivilegeError::NoLandlock),
        RulesetStatus::NotEnforced => {
            tracing::warn!("this kernel does not offer Landlock; the process can open what its user can");
            Ok(nothing())
        }
    }
}

/// Fails if Landlock is required and the kernel does not have it.
pub(super) fn check(landlock: Landlock) -> Result<(), PrivilegeError> {
    if landlock != Landlock::Require {
        return Ok(());
    }
    let required = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let handled = required.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    handled.map(drop).map_err(|_| PrivilegeError::NoLandlock)
}

/// Returns a ruleset that forbids all operations on files, and signals and connections over abstract sockets to
/// processes outside.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.scope(Scope::from_all(KNOWN))?.create()
}

/// Adds a rule; returns `None` if the path does not exist or cannot be opened.
fn allow(
    rules: &mut RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<Option<PathFd>, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(None) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    match rules.add_rule(PathBeneath::new(&opened, access)) {
        Ok(_) => Ok(Some(opened)),
        // An anonymous pipe, as /dev/stdin may be. Rules do not apply to it; it can be opened without one.
        Err(error) if is_without_path(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if a rule was refused because its file is in a kernel-internal file system: `EBADFD` of
/// `landlock_add_rule(2)`.
fn is_without_path(error: &RulesetError) -> bool {
    let mut source: Option<&dyn Error> = Some(error);
    while let Some(error) = source {
        let system = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if system == Some(libc::EBADFD) {
            return true;
        }
        source = error.source();
    }
    false
}

// These tests need a kernel with Landlock.
#[cfg(all(test, feature = "system-tests"))]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::{env, thread};

    use super::*;

    /// Runs `then` on a new thread that is restricted to `paths`.
    fn restricted<T: Send + 'static>(paths: Paths, then: impl FnOnce() -> T + Send + 'static) -> T {
        let run = move || {
            nix::sys::prctl::set_no_new_privs().unwrap();
            // Required, since a kernel without Landlock would test nothing.
            let dropped = restrict(Landlock::Require, &paths).unwrap();
            let result = then();
            drop(dropped);
            result
        };
        thread::spawn(run).join().unwrap()
    }

    fn denied<T>(result: io::Result<T>) -> bool {
        result.err().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    #[test]
    fn only_named_paths_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        for name in ["config", "state", "other"] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), name).unwrap();
        }
        let mut paths = Paths::default();
        paths.read_file(&root.join("config/file"));
        paths.replace_file(&root.join("state/file"));
        restricted(paths, move || {
            assert_eq!(fs::read_to_string(root.join("config/file")).unwrap(), "config");
            assert!(denied(fs::write(root.join("config/file"), "")));
            assert!(denied(File::create(root.join("config/new"))));
            assert!(denied(fs::remove_file(root.join("config/file"))));
            assert!(denied(fs::read(root.join("other/file"))));
            assert!(denied(fs::read(root.join("config/../other/file"))));
            assert!(denied(fs::read_dir(&root)));
            // A snapshot is written like this.
            fs::write(root.join("state/new"), "snapshot").unwrap();
            fs::rename(root.join("state/new"), root.join("state/file")).unwrap();
            assert_eq!(fs::read_to_string(root.join("state/file")).unwrap(), "snapshot");
            assert!(denied(fs::rename(root.join("state/file"), root.join("other/stolen"))));
            assert!(denied(fs::read("/etc/passwd")));
            assert!(denied(std::process::Command::new(env::current_exe().unwrap()).spawn()));
            fs::read("/proc/self/status").unwrap();
            assert!(denied(fs::read("/proc/1/status")));
            assert!(denied(fs::read("/proc/self/root/etc/passwd")));
        });
    }

    #[test]
    fn replaced_file_stays_readable() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        // The volume of a service account with the links that the kubelet creates.
        fs::create_dir_all(root.join("volume/..1")).unwrap();
        fs::write(root.join("volume/..1/token"), "old").unwrap();
        symlink("..1", root.join("volume/..data")).unwrap();
        symlink("..data/token", root.join("volume/token")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/poddns.toml"), "old").unwrap();
        let mut paths = Paths::default();
        paths.read_file(&root.join("volume/token"));
        paths.read_file(&root.join("etc/poddns.toml"));
        let (read, seen) = mpsc::channel();
        let (go_on, changed) = mpsc::channel();
        let within = root.clone();
        let reader = thread::spawn(move || {
            restricted(paths, move || {
                for _ in 0..2 {
                    let texts =
                        ["volume/token", "etc/poddns.toml"].map(|file| fs::read_to_string(within.join(file)));
                    read.send(texts.map(Result::unwrap)).unwrap();
                    changed.recv().unwrap();
                }
            });
        });
        assert_eq!(seen.recv().unwrap(), ["old", "old"]);
        fs::create_dir(root.join("volume/..2")).unwrap();
        fs::write(root.join("volume/..2/token"), "new").unwrap();
        symlink("..2", root.join("volume/..data_tmp")).unwrap();
        fs::rename(root.join("volume/..data_tmp"), root.join("volume/..data")).unwrap();
        fs::remove_dir_all(root.join("volume/..1")).unwrap();
        fs::write(root.join("etc/tmp"), "new").unwrap();
        fs::rename(root.join("etc/tmp"), root.join("etc/poddns.toml")).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), ["new", "new"]);
        go_on.send(()).unwrap();
        reader.join().unwrap();
    }

    #[test]
    fn off_restricts_nothing() {
        let dropped = restrict(Landlock::Off, &Paths::default()).unwrap();
        assert!(dropped.readable.is_empty());
        fs::read("/etc/passwd").unwrap();
    }
}
