//! Capabilities, all of which are dropped once the sockets are bound.

use std::error::Error;

use caps::{CapSet, Capability};

use super::PrivilegeError;

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> PrivilegeError {
    PrivilegeError::Capabilities(error.into())
}

/// Clears the bounding set, so that a program that is run gains no capabilities. That requires `CAP_SETPCAP`; for
/// processes without it `no_new_privs` suffices.
pub(super) fn clear_bounding_set() -> Result<(), PrivilegeError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(failed)? {
        caps::clear(None, CapSet::Bounding).map_err(failed)?;
    }
    Ok(())
}

/// Returns the first system call needed to change the user for which this thread, of root, lacks the capability.
pub(super) fn missing_to_switch_user() -> Option<&'static str> {
    let needed = [(Capability::CAP_SETGID, "setgid"), (Capability::CAP_SETUID, "setuid")];
    let lacks = |capability| caps::has_cap(None, CapSet::Effective, capability).is_ok_and(|has| !has);
    needed.into_iter().find(|&(capability, _)| lacks(capability)).map(|(_, call)| call)
}

/// Drops all capabilities of the thread permanently.
pub(super) fn clear() -> Result<(), PrivilegeError> {
    if caps::runtime::ambient_set_supported().is_ok() {
        caps::clear(None, CapSet::Ambient).map_err(failed)?;
    }
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    // This clears the effective set, too.
    caps::clear(None, CapSet::Permitted).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        let left = caps::read(None, set).map_err(failed)?;
        if !left.is_empty() {
            return Err(failed(format!("{left:?} are left in {set:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    /// Returns the capability sets of this thread from procfs, independently of the crate `caps`.
    fn shown() -> Vec<(String, u64)> {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let sets = status.lines().filter_map(|line| line.strip_prefix("Cap")?.split_once(":\t"));
        sets.map(|(name, mask)| (name.to_owned(), u64::from_str_radix(mask, 16).unwrap())).collect()
    }

    #[test]
    fn capability_to_switch_user_is_missed() {
        thread::spawn(|| {
            clear().unwrap();
            assert_eq!(missing_to_switch_user(), Some("setgid"));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn nothing_is_left() {
        // Capabilities belong to a thread.
        let (before, after) = thread::spawn(|| {
            let before = shown();
            clear_bounding_set().unwrap();
            clear().unwrap();
            (before, shown())
        })
        .join()
        .unwrap();
        let of = |sets: &[(String, u64)], name| sets.iter().find(|(set, _)| set == name).unwrap().1;
        assert_eq!(after.len(), 5);
        for name in ["Inh", "Prm", "Eff", "Amb"] {
            assert_eq!(of(&after, name), 0, "{name}");
        }
        let can_set = of(&before, "Eff") & Capability::CAP_SETPCAP.bitmask() != 0;
        assert_eq!(of(&after, "Bnd") == 0, can_set || of(&before, "Bnd") == 0);
    }
}
