//! Options of zone transfers.

use super::field::{many, one, optional};
use super::{Opt, ROW};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "transfer-to",
        help: "In mode verified: send NOTIFY to this secondary, on port 53 by default, and let its address transfer the zones",
        more: "AXFR and IXFR over TCP, from any port; everybody else is refused. The SOA's refresh is then 60 seconds.",
        example: &["192.0.2.53", "[2001:db8::53]:5353"],
        field: &many(&value::SECONDARY, |to| &mut to.secondaries),
        ..ROW
    },
    Opt {
        name: "transfer-key",
        help: "Require transfers to be signed with a key of this file (TSIG), and sign NOTIFY with the first one",
        more: "Read at the start and on a reload.",
        example: &["/etc/poddns/transfer.key"],
        needs: "transfer-to",
        field: &optional(&value::KEY_FILE, |to| &mut to.transfer_key),
        ..ROW
    },
    Opt {
        name: "transfer-journal",
        help: "Memory for differences between versions; a secondary that is further behind transfers the whole zone",
        needs: "transfer-to",
        field: &one(&value::MEBIBYTES, |to| &mut to.transfer_journal),
        ..ROW
    },
];
