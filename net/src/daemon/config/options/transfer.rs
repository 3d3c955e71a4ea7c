//! Zone transfers.

use super::{Arity, Opt, ROW};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "transfer-to",
        arity: Arity::Many,
        value: "ADDR[:PORT]",
        allowed: "IPv4, IPv4:PORT, IPv6 or [IPv6]:PORT",
        help: "In mode verified: send NOTIFY to this secondary, on port 53 by default, and let its address transfer the zones",
        more: "AXFR and IXFR over TCP, from any port; everybody else is refused. The SOA's refresh is then 60 seconds.",
        example: &["192.0.2.53", "[2001:db8::53]:5353"],
        read: |to, texts| texts.many(value::secondary, &mut to.secondaries),
        show: |from| show::many(&from.secondaries),
        ..ROW
    },
    Opt {
        name: "transfer-key",
        value: "FILE",
        allowed: "the path of a key file as tsig-keygen writes it, with hmac-sha256, hmac-sha384 or hmac-sha512",
        help: "Require transfers to be signed with a key of this file (TSIG), and sign NOTIFY with the first one",
        more: "Read at the start and on a reload.",
        example: &["/etc/poddns/transfer.key"],
        needs: "transfer-to",
        read: |to, texts| texts.one(value::some(value::path), &mut to.transfer_key),
        ..ROW
    },
    Opt {
        name: "transfer-journal",
        value: "MIB",
        allowed: "1 to 1024 (MiB)",
        help: "Memory for differences between versions; a secondary that is further behind transfers the whole zone",
        needs: "transfer-to",
        read: |to, texts| texts.one(value::mebibytes, &mut to.transfer_journal),
        show: |from| show::one(from.transfer_journal >> 20),
        ..ROW
    },
];
