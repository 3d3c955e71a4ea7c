//! Options of the sockets and the process.

use super::field::{many, one, switch};
use super::{Opt, ROW, Reload};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "listen",
        help: "Serve DNS here, over UDP and TCP; port 0 takes a free one; an IPv6 address is IPv6 only",
        field: &many(&value::LISTEN, |to| &mut to.listen),
        ..ROW
    },
    Opt {
        name: "admin",
        help: "Serve the status page at /, and /healthz, /readyz, /status, /metrics, /audit, /pods and /explain, here",
        reload: Reload::Keeps,
        field: &one(&value::ADMIN, |to| &mut to.server.admin),
        ..ROW
    },
    Opt {
        name: "threads",
        help: "Threads that answer over UDP",
        without: "one for each core",
        example: &["2"],
        reload: Reload::Keeps,
        field: &one(&value::THREADS, |to| &mut to.server.threads),
        ..ROW
    },
    Opt {
        name: "tcp-idle-timeout",
        help: "Close a TCP connection without a whole query, or with an unread answer, for this long",
        field: &one(&value::IDLE_TIMEOUT, |to| &mut to.server.tcp.idle_timeout),
        ..ROW
    },
    Opt {
        name: "tcp-lifetime",
        help: "Close a TCP connection that is as old as this once it is idle, and after the idle time-out in any case",
        field: &one(&value::SECOND_TO_WEEK_OR_OFF, |to| &mut to.server.tcp.lifetime),
        ..ROW
    },
    Opt {
        name: "tcp-connections",
        help: "TCP connections in all; a further one closes one that is idle",
        field: &one(&value::CONNECTIONS, |to| &mut to.server.tcp.connections),
        ..ROW
    },
    Opt {
        name: "tcp-connections-per-client",
        help: "TCP connections from one address; a further one closes an idle one of the same client",
        field: &one(&value::CONNECTIONS, |to| &mut to.server.tcp.per_client),
        ..ROW
    },
    Opt {
        name: "lame-duck",
        help: "After SIGTERM: be unready, but keep answering for this long",
        field: &one(&value::LAME_DUCK, |to| &mut to.lame_duck),
        ..ROW
    },
    Opt {
        name: "watch-config",
        help: "Read the config file again when it changes, as on SIGHUP",
        more: "For files that change without a signal, such as those of a ConfigMap. A change is noticed within a few \
               seconds; if the new version is wrong, the log has the errors, and the old one stays in effect.",
        field: &switch(|to| &mut to.watch_config),
        ..ROW
    },
    Opt {
        name: "log-format",
        help: "Format of log lines",
        more: "A line of JSON is an object with the members timestamp, level, target, message and those of its subject, \
               such as watch (`pods` or `namespaces`), listener (an address) or connection (the client's address).",
        reload: Reload::Keeps,
        field: &one(&value::LOG_FORMAT, |to| &mut to.log_format),
        ..ROW
    },
    Opt {
        name: "query-log",
        help: "Log queries, one line of JSON each",
        more: "The lines go to the log, which never delays an answer. docs/query-log.md describes them.",
        field: &one(&value::LOGGED_QUERIES, |to| &mut to.query_log),
        ..ROW
    },
    Opt {
        name: "query-log-sample",
        help: "Log one of this many of these queries",
        needs: "query-log",
        field: &one(&value::UP_TO_A_MILLION, |to| &mut to.query_log_sample),
        ..ROW
    },
    Opt {
        name: "query-log-rate",
        help: "Log at most this many queries a second; further ones are counted",
        needs: "query-log",
        field: &one(&value::UP_TO_A_MILLION, |to| &mut to.query_log_rate),
        ..ROW
    },
];
