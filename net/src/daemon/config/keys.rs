//! The table of settings: one line each, from which the flags, the variables and the file's keys are made.

use clap::builder::{OsStr, Str};
use clap::{Arg, ArgAction, Command};

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// One.
    One,
    /// Any number: the flag is repeated, the variable has commas, the file an array.
    Many,
    /// `true` or `false`; the bare flag means true.
    Switch,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// The flag without its dashes and the key in the file.
    pub(super) name: &'static str,
    pub(super) arity: Arity,
    /// What stands for the value in the help.
    value: &'static str,
    /// What values there are: told to whoever gave another one.
    pub(super) allowed: &'static str,
    /// The default as the operator would write it; empty if there is none.
    default: &'static str,
    help: &'static str,
    /// The section of the help it stands in.
    heading: &'static str,
}

const ANSWERS: &str = "What is answered";
const CLUSTER: &str = "Where the pods come from";
const SERVING: &str = "Sockets and process";
const ABUSE: &str = "Forged and hostile clients";
const IDENTITY: &str = "What clients are told of the server";
const PRIVILEGES: &str = "Privileges, dropped once the sockets are bound";

/// A row of the table; the order is that of the columns.
const fn key(
    heading: &'static str,
    (name, arity, value): (&'static str, Arity, &'static str),
    default: &'static str,
    allowed: &'static str,
    help: &'static str,
) -> Key {
    Key { name, arity, value, allowed, default, help, heading }
}

/// Every setting but `config`, which says where the file is.
pub(super) const KEYS: &[Key] = &[
    key(
        ANSWERS,
        ("pods", Arity::One, "MODE"),
        "verified",
        "disabled, insecure or verified",
        "What is checked before a pod's address is given",
    ),
    key(
        ANSWERS,
        ("domain", Arity::Many, "DOMAIN"),
        "cluster.local",
        "domain names such as cluster.local",
        "Cluster domain; the zone served is pod.<DOMAIN>",
    ),
    key(
        ANSWERS,
        ("ttl", Arity::One, "SECONDS"),
        "5",
        "0 to 3600 (seconds)",
        "Time to live of addresses; that of negative answers is this or 300, whichever is less",
    ),
    key(
        ANSWERS,
        ("pod-cidr", Arity::Many, "CIDR"),
        "",
        "networks such as 10.244.0.0/16 or fd00:10:244::/56",
        "Answer only addresses inside these networks",
    ),
    key(
        ANSWERS,
        ("namespace", Arity::Many, "NAME"),
        "",
        "namespace names: 1 to 63 of a-z, 0-9 and '-'",
        "Serve (and watch) only these namespaces",
    ),
    key(
        ANSWERS,
        ("block-special", Arity::Switch, ""),
        "false",
        "true or false",
        "Never answer loopback, link-local, multicast and other special addresses",
    ),
    key(
        ANSWERS,
        ("check-namespaces", Arity::Switch, ""),
        "false",
        "true or false",
        "In mode insecure: answer only for namespaces that the cluster has",
    ),
    key(
        ANSWERS,
        ("pod-names", Arity::Switch, ""),
        "false",
        "true or false",
        "In mode verified: answer <pod-name>.<namespace> too",
    ),
    key(
        ANSWERS,
        ("host-network", Arity::One, "WHETHER"),
        "include",
        "include or exclude",
        "In mode verified: whether pods with hostNetwork count, under their node's address",
    ),
    key(
        ANSWERS,
        ("max-staleness", Arity::One, "TIME"),
        "off",
        "off, or a time from 1s to 7d such as 90s, 5m or 1h",
        "Answer SERVFAIL once the watch has been down for this long",
    ),
    key(
        CLUSTER,
        ("kubeconfig", Arity::One, "FILE"),
        "",
        "the path of a kubeconfig file",
        "Cluster credentials [default: in-cluster, else the usual kubeconfig]",
    ),
    key(
        CLUSTER,
        ("context", Arity::One, "NAME"),
        "",
        "the name of a context in the kubeconfig",
        "Context of the kubeconfig [default: its current one]",
    ),
    key(
        CLUSTER,
        ("pods-file", Arity::One, "FILE"),
        "",
        "the path of `kubectl get pods -A -o json` (or yaml) output",
        "Read pods from this file instead of from a cluster",
    ),
    key(
        CLUSTER,
        ("snapshot", Arity::One, "FILE"),
        "",
        "the path of a file in a folder that can be written, other than /",
        "Keep what is known of the cluster in this file, and answer from it after a restart, marked stale, until the \
         cluster has been listed",
    ),
    key(
        CLUSTER,
        ("snapshot-interval", Arity::One, "TIME"),
        "1m",
        "a time from 1s to 1d such as 30s or 5m",
        "Time between two snapshots; there is one more at the end",
    ),
    key(
        SERVING,
        ("listen", Arity::Many, "ADDR:PORT"),
        "127.0.0.1:1053",
        "IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, or *:PORT for 0.0.0.0 and [::]",
        "Serve DNS here, over UDP and TCP; port 0 takes a free one; an IPv6 address is IPv6 only",
    ),
    key(
        SERVING,
        ("admin", Arity::One, "ADDR:PORT"),
        "127.0.0.1:8053",
        "off, IPv4:PORT or [IPv6]:PORT",
        "Serve /healthz, /readyz, /status and /metrics here",
    ),
    key(
        SERVING,
        ("threads", Arity::One, "N"),
        "",
        "1 to 512",
        "Threads that answer over UDP [default: one for each core]",
    ),
    key(
        SERVING,
        ("tcp-idle-timeout", Arity::One, "TIME"),
        "10s",
        "a time from 100ms to 1h such as 10s",
        "Close a TCP connection without a whole query, or with an unread answer, for this long",
    ),
    key(
        SERVING,
        ("tcp-lifetime", Arity::One, "TIME"),
        "1h",
        "off, or a time from 1s to 7d such as 30m or 1h",
        "Close a TCP connection that is as old as this once it is idle, and after the idle time-out in any case",
    ),
    key(
        SERVING,
        ("tcp-connections", Arity::One, "N"),
        "10000",
        "1 to 1000000",
        "TCP connections in all; a further one closes one that is idle",
    ),
    key(
        SERVING,
        ("tcp-connections-per-client", Arity::One, "N"),
        "256",
        "1 to 1000000",
        "TCP connections from one address; a further one closes an idle one of the same client",
    ),
    key(
        SERVING,
        ("lame-duck", Arity::One, "TIME"),
        "5s",
        "a time from 0s to 1h such as 5s",
        "After SIGTERM: be unready, but answer on for this long",
    ),
    key(
        ABUSE,
        ("rate-limit", Arity::One, "N"),
        "200",
        "off, or 1 to 1000000 (responses a second)",
        "Responses over UDP to one client network, on each thread; valid cookies and TCP have no limit",
    ),
    key(
        ABUSE,
        ("rate-limit-slip", Arity::One, "N"),
        "2",
        "0 to 255",
        "Send every Nth response beyond the limit truncated, so that real clients come back over TCP; 0 drops all",
    ),
    key(
        ABUSE,
        ("rate-limit-exempt", Arity::Many, "CIDR"),
        "private",
        "none, private (RFC 1918, 100.64.0.0/10, fc00::/7, link-local, loopback) or networks in CIDR notation",
        "Networks without a limit, and without cookies; by default the pod-cidrs too",
    ),
    key(
        ABUSE,
        ("rate-limit-ipv4-prefix", Arity::One, "BITS"),
        "24",
        "0 to 32",
        "Prefix length of an IPv4 client network",
    ),
    key(
        ABUSE,
        ("rate-limit-ipv6-prefix", Arity::One, "BITS"),
        "56",
        "0 to 128",
        "Prefix length of an IPv6 client network",
    ),
    key(
        ABUSE,
        ("rate-limit-table", Arity::One, "N"),
        "65536",
        "1024 to 16777216 (client networks)",
        "Client networks that each thread remembers at a time, 16 octets each",
    ),
    key(ABUSE, ("cookies", Arity::Switch, ""), "true", "true or false", "Answer DNS cookies (RFC 7873)"),
    key(
        ABUSE,
        ("cookie-secret-file", Arity::One, "FILE"),
        "",
        "the path of a file with one or two lines of 32 hexadecimal digits",
        "Secrets of DNS cookies, shared by replicas: the current one, then the previous one \
         [default: random, a new one every hour]",
    ),
    key(
        IDENTITY,
        ("nsid", Arity::One, "TEXT"),
        "off",
        "off, hostname, or a text of at most 128 octets",
        "Name server identifier (RFC 5001), for clients that ask for it",
    ),
    key(
        IDENTITY,
        ("chaos-id", Arity::One, "TEXT"),
        "off",
        "off, hostname, or a text of at most 255 octets",
        "Answer of id.server and hostname.bind in class CH (RFC 4892)",
    ),
    key(
        IDENTITY,
        ("chaos-version", Arity::One, "TEXT"),
        "off",
        "off, auto (name and version of this program), or a text of at most 255 octets",
        "Answer of version.server and version.bind in class CH",
    ),
    key(
        PRIVILEGES,
        ("user", Arity::One, "NAME[:GROUP]"),
        "",
        "a user and, after a colon, a group: names or numbers",
        "Become this user, for a process that is started as root [default: stay who it is]",
    ),
    key(
        PRIVILEGES,
        ("landlock", Arity::One, "WHETHER"),
        "on",
        "off, on (where the kernel has it) or require",
        "Let the process open no files but those it needs",
    ),
    key(
        PRIVILEGES,
        ("seccomp", Arity::One, "WHETHER"),
        "off",
        "off or on",
        "Let the process make no system calls but those it needs",
    ),
    key(SERVING, ("log-format", Arity::One, "FORMAT"), "text", "text or json", "How log lines are written"),
];

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The name that was probably meant: the one with most letters in common, if that is nearly all of them.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-");
    KEYS.iter()
        .map(|key| (edits(&name, key.name), key.name))
        .min()
        .filter(|&(distance, key)| distance <= 1 + key.len() / 4)
        .map(|(_, key)| key)
}

/// How many letters must be added, left out or changed to get from one word to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

/// The environment variable of a setting: `PODDNS_POD_CIDR` for `pod-cidr`.
pub(super) fn variable(name: &str) -> String {
    format!("PODDNS_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Adds a flag for every setting, and `--config`, to a command line.
///
/// The values are taken as text: [`Sources`](super::Sources) checks them, whichever way they came, so that
/// all three ways say the same about a wrong one.
#[must_use]
pub fn with_flags(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .action(ArgAction::Set)
        .help("Read settings from this TOML file; flags and PODDNS_* variables beat it");
    command.args(KEYS.iter().map(flag)).arg(config.help_heading(SERVING))
}

fn flag(key: &'static Key) -> Arg {
    let arg = Arg::new(Str::from(key.name)).long(key.name).help_heading(key.heading).help(help(key));
    match key.arity {
        Arity::One => arg.value_name(key.value).action(ArgAction::Set),
        Arity::Many => arg.value_name(key.value).action(ArgAction::Append),
        Arity::Switch => arg
            .value_name("BOOL")
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(OsStr::from("true")),
    }
}

fn help(key: &Key) -> String {
    let repeat = if key.arity == Arity::Many { "; repeatable" } else { "" };
    match (key.arity, key.default) {
        (Arity::Switch, "false") | (_, "") => format!("{}{repeat}", key.help),
        (_, default) => format!("{}{repeat} [default: {default}]", key.help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_likely_meaning() {
        assert_eq!(nearest("pod-cidrs"), Some("pod-cidr"));
        assert_eq!(nearest("block_special"), Some("block-special"));
        assert_eq!(nearest("lisen"), Some("listen"));
        assert_eq!(nearest("forward"), None);
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn the_flags_are_consistent() {
        with_flags(Command::new("test")).debug_assert();
    }
}
