//! Privileges, dropped once the sockets are bound.

use super::{Opt, ROW, Reload};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "user",
        value: "NAME[:GROUP]",
        allowed: "a user and, after a colon, a group: names or numbers",
        help: "Become this user, for a process that is started as root",
        without: "stay who it is",
        example: &["nobody:nogroup"],
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::some(value::user), &mut to.privileges.user),
        show: |from| show::many(&from.privileges.user),
        ..ROW
    },
    Opt {
        name: "landlock",
        value: "off|on|require",
        allowed: "off, on (where the kernel has it) or require",
        help: "Let the process open no files but those it needs",
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::landlock, &mut to.privileges.landlock),
        show: |from| show::one(show::landlock(from.privileges.landlock)),
        ..ROW
    },
    Opt {
        name: "seccomp",
        value: "off|on",
        allowed: "off or on",
        help: "Let the process make no system calls but those it needs",
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::on, &mut to.privileges.seccomp),
        show: |from| show::one(if from.privileges.seccomp { "on" } else { "off" }),
        ..ROW
    },
];
