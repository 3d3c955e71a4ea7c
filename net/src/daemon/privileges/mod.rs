//! Privileges that the process drops once its sockets are bound, to limit what an attacker gains by taking it over.
//!
//! Only one thread exists by then. All threads that it starts later, that of the log included, inherit its
//! restrictions. The files that the settings name, a kubeconfig included, are read after step 3 of these:
//!
//! 1. root's user and groups are replaced by those of [`Privileges::user`];
//! 2. all capabilities are dropped, those of the bounding set included;
//! 3. `no_new_privs` is set, so the set-uid bit of programs has no effect;
//! 4. Landlock permits opening only the files that the process needs;
//! 5. seccomp permits only the system calls that it needs, if [`Privileges::seccomp`] is set.

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod landlock;
mod paths;
#[cfg(target_os = "linux")]
mod seccomp;
mod user;

use std::error::Error;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

pub(crate) use self::paths::{Paths, directory};
pub use self::user::RunAs;
pub(crate) use self::user::UserIds;

/// The use of Landlock to restrict the files that the process can open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Landlock {
    /// Landlock is not used.
    Off,
    /// It is used if the kernel has it; otherwise a warning is logged.
    #[default]
    On,
    /// It is used; the process does not start if the kernel does not have it.
    Require,
}

/// Configuration of the privileges that the daemon drops once its sockets are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// User to become, if started as root.
    pub user: Option<RunAs>,
    /// Use of Landlock.
    pub landlock: Landlock,
    /// True to restrict the system calls that can be made.
    pub seccomp: bool,
}

/// Reason why privileges could not be dropped as configured. The process must then not continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// There is no such user or group.
    #[error("--user {0:?}: no such {1} on this system")]
    Unknown(String, &'static str),
    /// The lookup of a user or group failed.
    #[error("--user {0:?}: cannot look up the {1}: {2}")]
    LookUp(String, &'static str, #[source] Errno),
    /// The lookup of the user timed out.
    #[error("cannot look up the user: {0}")]
    LookUpTime(#[source] io::Error),
    /// Only root can become another user.
    #[error(
        "--user {0:?}: only root can become another user, and this process is started as user {1}; leave it out"
    )]
    NotRoot(String, u32),
    /// The system refused the change.
    #[error(
        "cannot become {0:?} ({1}): {2}; that takes root with the capabilities CAP_SETUID and CAP_SETGID, so keep \
         those or start poddnsd as that user and leave --user out"
    )]
    Become(String, &'static str, #[source] Errno),
    /// The capabilities could not be dropped.
    #[error("cannot drop capabilities: {0}")]
    Capabilities(#[source] Box<dyn Error + Send + Sync>),
    /// `no_new_privs` could not be set.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivileges(#[source] Errno),
    /// The files that must stay accessible cannot be determined.
    #[error("cannot read the files that the settings name, to restrict the process to them: {0}")]
    Paths(#[source] io::Error),
    /// Landlock is required and the kernel does not have it.
    #[error(
        "--landlock require: this kernel does not offer Landlock (Linux 5.13 or later, with `landlock` among its \
         lsm=); use --landlock on to do without where it is missing"
    )]
    NoLandlock,
    /// Landlock refused the rules.
    #[error("cannot restrict files by Landlock: {0}; --landlock off does without")]
    Landlock(#[source] Box<dyn Error + Send + Sync>),
    /// The filter of system calls could not be installed.
    #[error("cannot restrict system calls: {0}; --seccomp off does without")]
    Seccomp(#[source] Box<dyn Error + Send + Sync>),
    /// The system does not have this restriction.
    #[error("{0} is for Linux only; leave it out")]
    Unsupported(&'static str),
    /// The kubeconfig runs a program, which the restrictions forbid.
    #[error(
        "--{0} forbids to run programs, but the kubeconfig runs {1:?} for its credentials; leave it out, or use a \
         kubeconfig with a token or a certificate"
    )]
    Program(&'static str, String),
}

impl PrivilegeError {
    /// Returns true if the operator's configuration is at fault, rather than the state of the machine.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::Unknown(..) | Self::NotRoot(..) | Self::Unsupported(_) | Self::Program(..))
    }
}

/// Places that the process can still access. To be kept for as long as it runs.
#[derive(Debug)]
#[must_use]
pub(crate) struct DroppedPrivileges {
    /// Directories and files that can be read, for the log and for messages. Empty if unrestricted.
    pub(crate) readable: Vec<PathBuf>,
    /// Directories in which files can be written.
    pub(crate) writable: Vec<PathBuf>,
    /// The process's directory in procfs, held open: otherwise the kernel could evict its inode, with the rule that
    /// allows it.
    #[cfg(target_os = "linux")]
    pub(crate) own_process: Option<::landlock::PathFd>,
}

/// Returns the user to become; `None` if none is configured or the process runs as that user already. May block.
pub(crate) fn find_user(privileges: &Privileges) -> Result<Option<UserIds>, PrivilegeError> {
    privileges.user.as_ref().map_or(Ok(None), RunAs::check)
}

/// Becomes the user that [`find_user`] has found, drops all capabilities and sets `no_new_privs`, for this thread and
/// its future children. Must be called once the sockets are bound, and before any thread is started that stays.
#[cfg(target_os = "linux")]
pub(crate) fn drop_privileges(privileges: &Privileges, ids: Option<UserIds>) -> Result<(), PrivilegeError> {
    // This needs a capability that the next steps drop.
    capabilities::clear_bounding_set()?;
    if let (Some(user), Some(ids)) = (&privileges.user, ids) {
        user.switch(ids)?;
    } else if privileges.user.is_none() && nix::unistd::geteuid().is_root() {
        tracing::warn!("running as root, without its capabilities; set --user to one that owns fewer files");
    }
    capabilities::clear()?;
    nix::sys::prctl::set_no_new_privs().map_err(PrivilegeError::NoNewPrivileges)
}

/// Restricts this thread and its future children to these files and to the system calls that they need. Must be called
/// after [`drop_privileges`], and before any thread is started that stays.
#[cfg(target_os = "linux")]
pub(crate) fn restrict(privileges: &Privileges, paths: &Paths) -> Result<DroppedPrivileges, PrivilegeError> {
    let landlock = landlock_with(privileges, paths)?;
    if let (Landlock::Off, Landlock::On, Some(program)) = (landlock, privileges.landlock, paths.program()) {
        tracing::warn!(
            program,
            "the kubeconfig runs a program for its credentials, which could open nothing, so Landlock stays off; a \
             kubeconfig with a token or a certificate lets it be on"
        );
    }
    let dropped = landlock::restrict(landlock, paths)?;
    if privileges.seccomp {
        seccomp::restrict()?;
    }
    Ok(dropped)
}

/// Changes the user. Systems other than Linux have no other privileges to drop.
#[cfg(not(target_os = "linux"))]
pub(crate) fn drop_privileges(privileges: &Privileges, ids: Option<UserIds>) -> Result<(), PrivilegeError> {
    privileges.user.as_ref().zip(ids).map_or(Ok(()), |(user, ids)| user.switch(ids))
}

/// Fails if a restriction is required, which systems other than Linux do not have.
#[cfg(not(target_os = "linux"))]
pub(crate) fn restrict(privileges: &Privileges, _paths: &Paths) -> Result<DroppedPrivileges, PrivilegeError> {
    check_support(privileges)?;
    Ok(DroppedPrivileges { readable: Vec::new(), writable: Vec::new() })
}

/// Fails if the system does not have a required restriction.
#[cfg(not(target_os = "linux"))]
fn check_support(privileges: &Privileges) -> Result<(), PrivilegeError> {
    if privileges.landlock == Landlock::Require {
        return Err(PrivilegeError::Unsupported("--landlock require"));
    }
    if privileges.seccomp {
        return Err(PrivilegeError::Unsupported("--seccomp on"));
    }
    Ok(())
}

/// Returns the reasons why dropping privileges would fail, as far as they show without dropping any and without reading
/// the files that the settings name.
pub(crate) fn check(privileges: &Privileges) -> Vec<PrivilegeError> {
    let user = find_user(privileges).map(drop);
    #[cfg(not(target_os = "linux"))]
    let system = [check_support(privileges)];
    #[cfg(target_os = "linux")]
    let system =
        [landlock::check(privileges.landlock), if privileges.seccomp { seccomp::check() } else { Ok(()) }];
    [user].into_iter().chain(system).filter_map(Result::err).collect()
}

/// Fails if the kubeconfig runs a program and the restrictions forbid that.
pub(crate) fn check_program(privileges: &Privileges, paths: &Paths) -> Result<(), PrivilegeError> {
    #[cfg(target_os = "linux")]
    {
        landlock_with(privileges, paths).map(drop)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (privileges, paths);
        Ok(())
    }
}

/// Returns the use of Landlock, which is off if the kubeconfig runs a program for its credentials: under Landlock the
/// program would fail, and not at the start, but when the credentials expire.
#[cfg(target_os = "linux")]
fn landlock_with(privileges: &Privileges, paths: &Paths) -> Result<Landlock, PrivilegeError> {
    let Some(program) = paths.program() else { return Ok(privileges.landlock) };
    let refuse = |setting| Err(PrivilegeError::Program(setting, program.to_owned()));
    match privileges.landlock {
        _ if privileges.seccomp => refuse("seccomp on"),
        Landlock::Require => refuse("landlock require"),
        Landlock::Off | Landlock::On => Ok(Landlock::Off),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_restrictions_exclude_each_other() {
        let mut paths = Paths::default();
        let with = |landlock, seccomp, paths: &Paths| {
            landlock_with(&Privileges { landlock, seccomp, ..Privileges::default() }, paths)
        };
        for landlock in [Landlock::Off, Landlock::On, Landlock::Require] {
            assert_eq!(with(landlock, true, &paths).unwrap(), landlock);
        }
        paths.run("aws".to_owned());
        assert_eq!(with(Landlock::Off, false, &paths).unwrap(), Landlock::Off);
        assert_eq!(with(Landlock::On, false, &paths).unwrap(), Landlock::Off);
        let error = with(Landlock::Require, false, &paths).unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().starts_with("--landlock require forbids to run programs, but"), "{error}");
        assert!(
            with(Landlock::Off, true, &paths).unwrap_err().to_string().starts_with("--seccomp on forbids")
        );
    }
}
