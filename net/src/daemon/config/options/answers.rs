//! Options of the responses.

use super::{Arity, Opt, ROW, SWITCH};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "pods",
        value: "disabled|insecure|verified",
        allowed: "disabled, insecure or verified",
        help: "Check that a pod's address must pass before it is answered",
        more: "`disabled`: no pod records at all. `insecure`: the address in the name is the answer, whether a pod has \
               it or not. `verified`: the address is the answer if a pod of that namespace has it.",
        read: |to, texts| texts.one(value::mode, &mut to.server.mode),
        show: |from| show::one(from.server.mode.as_str()),
        ..ROW
    },
    Opt {
        name: "domain",
        arity: Arity::Many,
        value: "DOMAIN",
        allowed: "domain names such as cluster.local",
        help: "Cluster domain; the zone served is pod.<DOMAIN>",
        read: |to, texts| texts.many(value::zone, &mut to.server.zones),
        show: |from| show::many(from.server.zones.iter().map(|zone| show::domain(zone.domain()))),
        ..ROW
    },
    Opt {
        name: "ns-name",
        value: "NAME",
        allowed: "the domain name of a name server",
        help: "Name server in the NS and SOA records of every zone",
        more: "It should be a name that resolves to this server, or to the forwarder in front of it.",
        without: "ns.dns.<DOMAIN>, as CoreDNS has it",
        example: &["dns.example.com"],
        read: |to, texts| texts.one(value::some(value::name), &mut to.ns_name),
        ..ROW
    },
    Opt {
        name: "ttl",
        value: "SECONDS",
        allowed: "0 to 3600 (seconds)",
        help: "Time to live of addresses; that of negative answers is this or 300, whichever is less",
        read: |to, texts| texts.one(value::ttl, &mut to.server.ttl),
        show: |from| show::one(from.server.ttl.as_secs()),
        ..ROW
    },
    Opt {
        name: "pod-cidr",
        arity: Arity::Many,
        value: "CIDR",
        allowed: "networks such as 10.244.0.0/16 or fd00:10:244::/56",
        help: "Answer only addresses inside these networks",
        more: "It holds in any mode.",
        example: &["10.42.0.0/16", "fd00:10:42::/48"],
        read: |to, texts| texts.many(value::network, &mut to.server.pod_cidrs),
        show: |from| show::many(&from.server.pod_cidrs),
        ..ROW
    },
    Opt {
        name: "namespace",
        arity: Arity::Many,
        value: "NAME",
        allowed: "namespace names: 1 to 63 of a-z, 0-9 and '-'",
        help: "Serve (and watch) only these namespaces",
        example: &["default", "web"],
        read: |to, texts| texts.many(value::label, &mut to.namespaces),
        show: |from| show::many(&from.namespaces),
        ..ROW
    },
    Opt {
        name: "block-special",
        help: "Never answer loopback, link-local, multicast and other special addresses",
        read: |to, texts| texts.one(value::switch, &mut to.server.block_special),
        show: |from| show::one(from.server.block_special),
        ..SWITCH
    },
    Opt {
        name: "check-namespaces",
        help: "In mode insecure: answer only for namespaces that the cluster has",
        read: |to, texts| texts.one(value::switch, &mut to.server.check_namespaces),
        show: |from| show::one(from.server.check_namespaces),
        ..SWITCH
    },
    Opt {
        name: "audit",
        help: "In mode insecure: count what mode verified would refuse, and who asks for it",
        more: "Answers stay those of insecure. It reads pods as verified does; if that fails, answers go on. `poddns audit` and \
               /audit show what was found.",
        read: |to, texts| texts.one(value::switch, &mut to.server.audit),
        show: |from| show::one(from.server.audit),
        ..SWITCH
    },
    Opt {
        name: "audit-file",
        value: "FILE",
        allowed: "the path of a file in a folder that can be written, other than /",
        help: "Keep the audit in this file, and go on from it after a restart",
        more: "It is replaced as a whole every minute and at the end, so its directory must be writable. A file that is \
               damaged, or of other domains, is left as it is.",
        example: &["/var/lib/poddns/audit"],
        needs: "audit",
        read: |to, texts| texts.one(value::some(value::file_to_write), &mut to.server.audit_file),
        ..ROW
    },
    Opt {
        name: "visibility",
        value: "all|namespace",
        allowed: "all or namespace",
        help: "In mode verified: the clients that see a namespace and its pods",
        more: "`namespace`: only clients at the address of a pod of that namespace; to all others, namespace and pods do not \
               exist. A cache in front of the server gives the answers of one client to another: read the chapter on \
               visibility first.",
        read: |to, texts| texts.one(value::visibility, &mut to.server.visibility),
        show: |from| show::one(from.server.visibility.as_str()),
        ..ROW
    },
    Opt {
        name: "visible-to",
        arity: Arity::Many,
        value: "CIDR",
        allowed: "networks such as 10.0.0.0/24 or fd00:1::/64",
        help: "With visibility namespace: clients in these networks see everything",
        example: &["10.0.7.0/24"],
        needs: "visibility",
        read: |to, texts| texts.many(value::network, &mut to.server.visible_to),
        show: |from| show::many(&from.server.visible_to),
        ..ROW
    },
    Opt {
        name: "trust-ecs",
        arity: Arity::Many,
        value: "CIDR",
        allowed: "networks such as 10.96.0.10/32 or fd00:10:96::a/128",
        help: "Forwarders that name their client in EDNS Client Subnet, for visibility and audit",
        more: "Their client is the address of the option, if it is whole (/32 or /128), and otherwise not known: it sees \
               nothing, and the audit counts it as a client of nobody's. The option of all others is ignored. A forwarder \
               must replace the option of its own clients, or they choose who they are.",
        example: &["10.42.0.2/32"],
        read: |to, texts| texts.many(value::network, &mut to.server.trust_ecs),
        show: |from| show::many(&from.server.trust_ecs),
        ..ROW
    },
    Opt {
        name: "pod-names",
        help: "In mode verified: answer <pod-name>.<namespace> too",
        more: "The answer is all addresses of that pod.",
        read: |to, texts| texts.one(value::switch, &mut to.server.pod_names),
        show: |from| show::one(from.server.pod_names),
        ..SWITCH
    },
    Opt {
        name: "reverse-zone",
        arity: Arity::Many,
        value: "CIDR",
        allowed: "networks such as 10.244.0.0/16 or fd00:10:244::/56",
        help: "In mode verified: answer PTR for the addresses of these networks",
        more: "The zones are cut at octets (IPv4) or nibbles (IPv6): 10.244.0.0/14 is the four zones 244 to \
               247.10.in-addr.arpa. At most 256 zones in all.",
        example: &["10.42.0.0/16", "fd00:10:42::/48"],
        read: |to, texts| texts.many(value::network, &mut to.server.reverse_zones),
        show: |from| show::many(&from.server.reverse_zones),
        ..ROW
    },
    Opt {
        name: "host-network",
        value: "include|exclude",
        allowed: "include or exclude",
        help: "In mode verified: whether pods with hostNetwork count, under their node's address",
        read: |to, texts| texts.one(value::host_network, &mut to.server.host_network),
        show: |from| show::one(show::host_network(from.server.host_network)),
        ..ROW
    },
    Opt {
        name: "max-staleness",
        value: "TIME",
        allowed: "off, or a time from 1s to 7d such as 90s, 5m or 1h",
        help: "Answer SERVFAIL once the watch has been down for this long",
        more: "`off` serves what was last known, however old.",
        read: |to, texts| texts.one(value::week_or_off, &mut to.server.max_staleness),
        show: |from| show::one(show::or_off(from.server.max_staleness.map(show::time))),
        ..ROW
    },
];
