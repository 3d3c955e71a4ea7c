//! Options of the server's identity.

use super::field::one;
use super::{Opt, ROW};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "nsid",
        help: "Name server identifier (RFC 5001), for clients that ask for it",
        field: &one(&value::NSID, |to| &mut to.server.nsid),
        ..ROW
    },
    Opt {
        name: "chaos-id",
        help: "Answer of id.server and hostname.bind in class CH (RFC 4892)",
        field: &one(&value::CHAOS_ID, |to| &mut to.server.chaos_id),
        ..ROW
    },
    Opt {
        name: "chaos-version",
        help: "Answer of version.server and version.bind in class CH",
        field: &one(&value::CHAOS_VERSION, |to| &mut to.server.chaos_version),
        ..ROW
    },
];
