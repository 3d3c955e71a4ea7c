//! Options of the server's identity.

use super::{Opt, ROW};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "nsid",
        value: "TEXT",
        allowed: "off, hostname, or a text of at most 128 octets",
        help: "Name server identifier (RFC 5001), for clients that ask for it",
        read: |to, texts| texts.one(value::nsid, &mut to.server.nsid),
        show: |from| show::one(show::or_off(from.server.nsid.as_ref())),
        ..ROW
    },
    Opt {
        name: "chaos-id",
        value: "TEXT",
        allowed: "off, hostname, or a text of at most 255 octets",
        help: "Answer of id.server and hostname.bind in class CH (RFC 4892)",
        read: |to, texts| texts.one(value::chaos_id, &mut to.server.chaos_id),
        show: |from| show::one(show::or_off(from.server.chaos_id.as_ref())),
        ..ROW
    },
    Opt {
        name: "chaos-version",
        value: "TEXT",
        allowed: "off, auto (name and version of this program), or a text of at most 255 octets",
        help: "Answer of version.server and version.bind in class CH",
        read: |to, texts| texts.one(value::version, &mut to.server.chaos_version),
        show: |from| show::one(show::or_off(from.server.chaos_version.as_ref())),
        ..ROW
    },
];
