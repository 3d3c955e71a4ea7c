//! Options against forged and hostile clients.

use super::field::{many, one, optional, switch};
use super::{Opt, ROW};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "rate-limit",
        help: "Responses over UDP to one client network, on each thread; valid cookies and TCP have no limit",
        field: &one(&value::RATE, |to| &mut to.rate),
        ..ROW
    },
    Opt {
        name: "rate-limit-slip",
        help: "Send every Nth response beyond the limit truncated, so that real clients retry over TCP; 0 drops all",
        field: &one(&value::SLIP, |to| &mut to.rate_limit.slip),
        ..ROW
    },
    Opt {
        name: "rate-limit-exempt",
        help: "Networks without a limit of either kind, and without cookies",
        without: "private, and the pod-cidrs",
        example: &["private", "203.0.113.0/24"],
        field: &many(&value::EXEMPT, |to| &mut to.exempt),
        ..ROW
    },
    Opt {
        name: "rate-limit-ipv4-prefix",
        help: "Prefix length of an IPv4 client network",
        field: &one(&value::IPV4_PREFIX, |to| &mut to.rate_limit.ipv4_prefix),
        ..ROW
    },
    Opt {
        name: "rate-limit-ipv6-prefix",
        help: "Prefix length of an IPv6 client network",
        field: &one(&value::IPV6_PREFIX, |to| &mut to.rate_limit.ipv6_prefix),
        ..ROW
    },
    Opt {
        name: "rate-limit-table",
        help: "Client networks that each thread remembers at a time, 16 bytes each",
        field: &one(&value::RATE_LIMIT_TABLE, |to| &mut to.rate_limit.table),
        ..ROW
    },
    Opt {
        name: "nxdomain-limit",
        help: "NXDOMAIN to one client network, on each thread, over UDP and TCP; beyond it everything is REFUSED (EDE 18)",
        more: "Against scans for names that exist. Client networks, their number and the exempt ones are those of \
               rate-limit; by default clients with private addresses are exempt.",
        field: &one(&value::NEGATIVE_RATE, |to| &mut to.nxdomain_limit),
        ..ROW
    },
    Opt {
        name: "cookies",
        help: "Answer DNS cookies (RFC 7873)",
        more: "A client with a valid one has no limit.",
        field: &switch(|to| &mut to.cookies),
        ..ROW
    },
    Opt {
        name: "cookie-secret-file",
        help: "Secrets of DNS cookies, shared by replicas: the current one, then the previous one",
        without: "random, a new one every hour",
        example: &["/etc/poddns/cookie-secret"],
        field: &optional(&value::COOKIE_SECRET_FILE, |to| &mut to.cookie_secret_file),
        ..ROW
    },
];
