//! Options of the privileges that are dropped once the sockets are bound.

use super::field::{one, optional};
use super::{Opt, ROW, Reload};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "user",
        help: "Become this user, for a process that is started as root",
        without: "unchanged",
        example: &["nobody:nogroup"],
        reload: Reload::Keeps,
        field: &optional(&value::USER, |to| &mut to.privileges.user),
        ..ROW
    },
    Opt {
        name: "landlock",
        help: "Let the process open no files but those it needs",
        reload: Reload::Keeps,
        field: &one(&value::LANDLOCK, |to| &mut to.privileges.landlock),
        ..ROW
    },
    Opt {
        name: "seccomp",
        help: "Let the process make no system calls but those it needs",
        reload: Reload::Keeps,
        field: &one(&value::ON_OFF, |to| &mut to.privileges.seccomp),
        ..ROW
    },
];
