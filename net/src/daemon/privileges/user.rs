//! Change of the process's user and group.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, geteuid, setgid, setuid};

use super::PrivilegeError;

/// A user to become, and a group, each by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    user: String,
    /// `None` for the primary group of the user.
    group: Option<String>,
}

/// Numeric ids of a user and a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserIds {
    uid: Uid,
    gid: Gid,
}

impl FromStr for RunAs {
    type Err = &'static str;

    /// Parses `NAME` or `NAME:GROUP`, with names or numbers.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let named = |name: &str| !name.is_empty() && !name.contains([':', '\n', '\0']);
        if !named(user) {
            return Err("names no user");
        }
        if group.is_some_and(|group| !named(group)) {
            return Err("names no group after the colon");
        }
        Ok(Self { user: user.to_owned(), group: group.map(str::to_owned) })
    }
}

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        self.group.iter().try_for_each(|group| write!(f, ":{group}"))
    }
}

impl RunAs {
    /// Returns the user and group to become; `None` if the process runs as them already. Fails if it cannot become
    /// them. May block, since the system may query a directory service.
    pub(super) fn check(&self) -> Result<Option<UserIds>, PrivilegeError> {
        let (uid, gid) = self.resolve()?;
        let now = geteuid();
        if now.is_root() {
            #[cfg(target_os = "linux")]
            if let Some(missing) = super::capabilities::missing_to_switch_user() {
                return Err(PrivilegeError::Become(self.to_string(), missing, Errno::EPERM));
            }
            return Ok(Some(UserIds { uid, gid }));
        }
        if now == uid && nix::unistd::getegid() == gid {
            return Ok(None);
        }
        Err(PrivilegeError::NotRoot(self.to_string(), now.as_raw()))
    }

    /// Becomes the user that [`check`](Self::check) has found, with its group and without supplementary groups.
    pub(super) fn switch(&self, UserIds { uid, gid }: UserIds) -> Result<(), PrivilegeError> {
        let to = |what| move |error| PrivilegeError::Become(self.to_string(), what, error);
        clear_groups().map_err(to("setgroups"))?;
        setgid(gid).map_err(to("setgid"))?;
        setuid(uid).map_err(to("setuid"))?;
        // setuid(2) as root sets the saved user id, too, so returning to root must fail.
        if !uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::Become(self.to_string(), "can still return to root", Errno::EPERM));
        }
        Ok(())
    }

    fn resolve(&self) -> Result<(Uid, Gid), PrivilegeError> {
        let look_up = |what| move |error| PrivilegeError::LookUp(self.to_string(), what, error);
        let user = match self.user.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(&self.user),
        };
        let user = user.map_err(look_up("user"))?;
        let uid = match (&user, self.user.parse()) {
            (Some(user), _) => user.uid,
            // A number needs no entry: images may have no /etc/passwd.
            (None, Ok(number)) => Uid::from_raw(number),
            (None, Err(_)) => return Err(PrivilegeError::Unknown(self.to_string(), "user")),
        };
        let gid = match (&self.group, user) {
            (Some(group), _) => self.group(group)?,
            (None, Some(user)) => user.gid,
            (None, None) => Gid::from_raw(uid.as_raw()),
        };
        Ok((uid, gid))
    }

    fn group(&self, name: &str) -> Result<Gid, PrivilegeError> {
        if let Ok(number) = name.parse() {
            return Ok(Gid::from_raw(number));
        }
        let group = Group::from_name(name);
        let group = group.map_err(|error| PrivilegeError::LookUp(self.to_string(), "group", error))?;
        group.map(|group| group.gid).ok_or_else(|| PrivilegeError::Unknown(self.to_string(), "group"))
    }
}

/// Drops the supplementary groups, which may give access to more files than the user has.
#[cfg(not(target_vendor = "apple"))]
fn clear_groups() -> nix::Result<()> {
    nix::unistd::setgroups(&[])
}

/// Does nothing: Apple's systems keep supplementary groups elsewhere.
#[cfg(target_vendor = "apple")]
fn clear_groups() -> nix::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        for text in ["nobody", "nobody:nogroup", "65532", "65532:65532", "poddns:0"] {
            assert_eq!(text.parse::<RunAs>().unwrap().to_string(), text);
        }
        for text in ["", ":", ":nogroup", "nobody:", "a:b:c", "a\nb"] {
            assert!(text.parse::<RunAs>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_need_no_entry_and_names_do() {
        let resolve = |text: &str| text.parse::<RunAs>().unwrap().resolve();
        let (uid, gid) = resolve("root").unwrap();
        assert_eq!((uid.as_raw(), gid.as_raw()), (0, 0));
        let (uid, gid) = resolve("4000000001").unwrap();
        assert_eq!((uid.as_raw(), gid.as_raw()), (4_000_000_001, 4_000_000_001));
        let (uid, gid) = resolve("4000000001:7").unwrap();
        assert_eq!((uid.as_raw(), gid.as_raw()), (4_000_000_001, 7));
        let error = resolve("no-such-user-here").unwrap_err();
        assert!(error.is_configuration());
        assert_eq!(error.to_string(), "--user \"no-such-user-here\": no such user on this system");
        let error = resolve("root:no-such-group-here").unwrap_err();
        assert_eq!(error.to_string(), "--user \"root:no-such-group-here\": no such group on this system");
    }
}
