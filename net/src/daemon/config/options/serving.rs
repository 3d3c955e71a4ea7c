//! Sockets and process.

use super::{Arity, Opt, ROW, Reload, SWITCH};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "listen",
        arity: Arity::Many,
        value: "ADDR:PORT",
        allowed: "IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, or *:PORT for 0.0.0.0 and [::]",
        help: "Serve DNS here, over UDP and TCP; port 0 takes a free one; an IPv6 address is IPv6 only",
        read: |to, texts| texts.flat(value::listen, &mut to.server.listen),
        show: |from| show::many(&from.server.listen),
        ..ROW
    },
    Opt {
        name: "admin",
        value: "ADDR:PORT",
        allowed: "off, IPv4:PORT, [IPv6]:PORT, or *:PORT for 0.0.0.0 and [::]",
        help: "Serve the status page at /, and /healthz, /readyz, /status, /metrics, /audit, /pods and /explain, here",
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::admin, &mut to.server.admin),
        show: |from| show::one(show::admin(&from.server.admin)),
        ..ROW
    },
    Opt {
        name: "threads",
        value: "N",
        allowed: "1 to 512",
        help: "Threads that answer over UDP",
        without: "one for each core",
        example: &["2"],
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::threads, &mut to.server.threads),
        show: |from| show::one(from.server.threads),
        ..ROW
    },
    Opt {
        name: "tcp-idle-timeout",
        value: "TIME",
        allowed: "a time from 100ms to 1h such as 10s",
        help: "Close a TCP connection without a whole query, or with an unread answer, for this long",
        read: |to, texts| texts.one(value::idle_timeout, &mut to.server.tcp.idle_timeout),
        show: |from| show::one(show::time(from.server.tcp.idle_timeout)),
        ..ROW
    },
    Opt {
        name: "tcp-lifetime",
        value: "TIME",
        allowed: "off, or a time from 1s to 7d such as 30m or 1h",
        help: "Close a TCP connection that is as old as this once it is idle, and after the idle time-out in any case",
        read: |to, texts| texts.one(value::week_or_off, &mut to.server.tcp.lifetime),
        show: |from| show::one(show::or_off(from.server.tcp.lifetime.map(show::time))),
        ..ROW
    },
    Opt {
        name: "tcp-connections",
        value: "N",
        allowed: "1 to 1000000",
        help: "TCP connections in all; a further one closes one that is idle",
        read: |to, texts| texts.one(value::connections, &mut to.server.tcp.connections),
        show: |from| show::one(from.server.tcp.connections),
        ..ROW
    },
    Opt {
        name: "tcp-connections-per-client",
        value: "N",
        allowed: "1 to 1000000",
        help: "TCP connections from one address; a further one closes an idle one of the same client",
        read: |to, texts| texts.one(value::connections, &mut to.server.tcp.per_client),
        show: |from| show::one(from.server.tcp.per_client),
        ..ROW
    },
    Opt {
        name: "lame-duck",
        value: "TIME",
        allowed: "a time from 0s to 1h such as 5s",
        help: "After SIGTERM: be unready, but answer on for this long",
        read: |to, texts| texts.one(value::up_to_an_hour, &mut to.lame_duck),
        show: |from| show::one(show::time(from.lame_duck)),
        ..ROW
    },
    Opt {
        name: "watch-config",
        help: "Read the config file again when it changes, as on SIGHUP",
        more: "For files that nobody sends a signal for, such as those of a ConfigMap. The change is noticed within a few \
               seconds; of a broken version the log says what is wrong, and the old one stays in effect.",
        read: |to, texts| texts.one(value::switch, &mut to.watch_config),
        show: |from| show::one(from.watch_config),
        ..SWITCH
    },
    Opt {
        name: "log-format",
        value: "text|json",
        allowed: "text or json",
        help: "Format of log lines",
        more: "A line of JSON is an object with the members timestamp, level, target, message and those of its subject, \
               such as watch (`pods` or `namespaces`), listener (an address) or connection (the client's address).",
        reload: Reload::Keeps,
        read: |to, texts| texts.one(value::log_format, &mut to.log_format),
        show: |from| show::one(show::log_format(from.log_format)),
        ..ROW
    },
    Opt {
        name: "query-log",
        value: "off|refused|all",
        allowed: "off, refused (those whose response is not NOERROR) or all",
        help: "Log queries, one line of JSON each",
        more: "The lines go to the log, which never delays an answer. docs/query-log.md has their shape.",
        read: |to, texts| texts.one(value::query_log, &mut to.query_log),
        show: |from| show::one(show::query_log(from.query_log)),
        ..ROW
    },
    Opt {
        name: "query-log-sample",
        value: "N",
        allowed: "1 to 1000000",
        help: "Log one of this many of these queries",
        needs: "query-log",
        read: |to, texts| texts.one(value::up_to_a_million, &mut to.query_log_sample),
        show: |from| show::one(from.query_log_sample),
        ..ROW
    },
    Opt {
        name: "query-log-rate",
        value: "N",
        allowed: "1 to 1000000",
        help: "Log at most this many queries a second; further ones are counted",
        needs: "query-log",
        read: |to, texts| texts.one(value::up_to_a_million, &mut to.query_log_rate),
        show: |from| show::one(from.query_log_rate),
        ..ROW
    },
];
