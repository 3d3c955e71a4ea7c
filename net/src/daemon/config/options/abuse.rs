//! Forged and hostile clients.

use super::{Arity, Opt, ROW, SWITCH};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "rate-limit",
        value: "N",
        allowed: "off, or 1 to 1000000 (responses a second)",
        help: "Responses over UDP to one client network, on each thread; valid cookies and TCP have no limit",
        read: |to, texts| texts.one(value::rate, &mut to.rate),
        show: |from| show::one(show::or_off(from.rate)),
        ..ROW
    },
    Opt {
        name: "rate-limit-slip",
        value: "N",
        allowed: "0 to 255",
        help: "Send every Nth response beyond the limit truncated, so that real clients come back over TCP; 0 drops all",
        read: |to, texts| texts.one(value::slip, &mut to.rate_limit.slip),
        show: |from| show::one(from.rate_limit.slip),
        ..ROW
    },
    Opt {
        name: "rate-limit-exempt",
        arity: Arity::Many,
        value: "CIDR",
        allowed: "none, private (RFC 1918, 100.64.0.0/10, fc00::/7, link-local, loopback) or networks in CIDR notation",
        help: "Networks without a limit of either kind, and without cookies",
        without: "private, and the pod-cidrs",
        example: &["private", "203.0.113.0/24"],
        read: |to, texts| texts.some(value::exempt, &mut to.exempt),
        show: |from| show::many(from.exempt.iter().flatten()),
        ..ROW
    },
    Opt {
        name: "rate-limit-ipv4-prefix",
        value: "BITS",
        allowed: "0 to 32",
        help: "Prefix length of an IPv4 client network",
        read: |to, texts| texts.one(value::ipv4_prefix, &mut to.rate_limit.ipv4_prefix),
        show: |from| show::one(from.rate_limit.ipv4_prefix),
        ..ROW
    },
    Opt {
        name: "rate-limit-ipv6-prefix",
        value: "BITS",
        allowed: "0 to 128",
        help: "Prefix length of an IPv6 client network",
        read: |to, texts| texts.one(value::ipv6_prefix, &mut to.rate_limit.ipv6_prefix),
        show: |from| show::one(from.rate_limit.ipv6_prefix),
        ..ROW
    },
    Opt {
        name: "rate-limit-table",
        value: "N",
        allowed: "1024 to 16777216 (client networks)",
        help: "Client networks that each thread remembers at a time, 16 octets each",
        read: |to, texts| texts.one(value::rate_limit_table, &mut to.rate_limit.table),
        show: |from| show::one(from.rate_limit.table),
        ..ROW
    },
    Opt {
        name: "nxdomain-limit",
        value: "N",
        allowed: "off, or 1 to 1000000 (negative answers a second)",
        help: "NXDOMAIN to one client network, on each thread, over UDP and TCP; beyond it everything is REFUSED (EDE 18)",
        more: "Against scans for names that exist. Client networks, their number and the exempt ones are those of \
               rate-limit; by default clients with private addresses are exempt.",
        read: |to, texts| texts.one(value::rate, &mut to.nxdomain_limit),
        show: |from| show::one(show::or_off(from.nxdomain_limit)),
        ..ROW
    },
    Opt {
        name: "cookies",
        help: "Answer DNS cookies (RFC 7873)",
        more: "A client with a valid one has no limit.",
        read: |to, texts| texts.one(value::switch, &mut to.cookies),
        show: |from| show::one(from.cookies),
        ..SWITCH
    },
    Opt {
        name: "cookie-secret-file",
        value: "FILE",
        allowed: "the path of a file with one or two lines of 32 hexadecimal digits",
        help: "Secrets of DNS cookies, shared by replicas: the current one, then the previous one",
        without: "random, a new one every hour",
        example: &["/etc/poddns/cookie-secret"],
        read: |to, texts| texts.one(value::some(value::path), &mut to.cookie_secret_file),
        ..ROW
    },
];
