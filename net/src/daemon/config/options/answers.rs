//! Options of the responses.

use super::field::{many, one, optional, switch};
use super::{Opt, ROW};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "pods",
        help: "Check that a pod's address must pass before it is answered",
        more: "`disabled`: no pod records at all. `insecure`: the address in the name is the answer, whether a pod has \
               it or not. `verified`: the address is the answer if a pod of that namespace has it.",
        field: &one(&value::MODE, |to| &mut to.server.mode),
        ..ROW
    },
    Opt {
        name: "domain",
        help: "Cluster domain; the zone served is pod.<DOMAIN>",
        field: &many(&value::DOMAIN, |to| &mut to.server.zones),
        ..ROW
    },
    Opt {
        name: "ns-name",
        help: "Name server in the NS and SOA records of every zone",
        more: "It should be a name that resolves to this server, or to the forwarder in front of it.",
        without: "ns.dns.<DOMAIN>, as CoreDNS has it",
        example: &["dns.example.com"],
        field: &optional(&value::NS_NAME, |to| &mut to.ns_name),
        ..ROW
    },
    Opt {
        name: "ttl",
        help: "Time to live of addresses; that of negative answers is this or 300, whichever is less",
        field: &one(&value::TTL, |to| &mut to.server.ttl),
        ..ROW
    },
    Opt {
        name: "pod-cidr",
        help: "Answer only addresses inside these networks",
        more: "It holds in any mode.",
        example: &["10.42.0.0/16", "fd00:10:42::/48"],
        field: &many(&value::NETWORK, |to| &mut to.server.pod_cidrs),
        ..ROW
    },
    Opt {
        name: "namespace",
        help: "Serve (and watch) only these namespaces",
        example: &["default", "web"],
        field: &many(&value::NAMESPACE, |to| &mut to.namespaces),
        ..ROW
    },
    Opt {
        name: "block-special",
        help: "Never answer loopback, link-local, multicast and other special addresses",
        field: &switch(|to| &mut to.server.block_special),
        ..ROW
    },
    Opt {
        name: "check-namespaces",
        help: "In mode insecure: answer only for namespaces that the cluster has",
        field: &switch(|to| &mut to.server.check_namespaces),
        ..ROW
    },
    Opt {
        name: "audit",
        help: "In mode insecure: count what mode verified would refuse, by name and client",
        more: "Answers stay those of insecure. It reads pods as verified does; if that fails, queries are still answered. \
               `poddns audit` and /audit show what was found.",
        field: &switch(|to| &mut to.server.audit),
        ..ROW
    },
    Opt {
        name: "audit-file",
        help: "Keep the audit in this file, and continue it after a restart",
        more: "It is replaced as a whole every minute and at the end, so its directory must be writable. A file that is \
               damaged, or of other domains, is left as it is.",
        example: &["/var/lib/poddns/audit"],
        needs: "audit",
        field: &optional(&value::FILE_TO_WRITE, |to| &mut to.server.audit_file),
        ..ROW
    },
    Opt {
        name: "visibility",
        help: "In mode verified: the clients that see a namespace and its pods",
        more: "`namespace`: only clients at the address of a pod of that namespace; to all others, namespace and pods do not \
               exist. A cache in front of the server serves the answers of one client to others: read the chapter on \
               visibility first.",
        field: &one(&value::VISIBILITY, |to| &mut to.server.visibility),
        ..ROW
    },
    Opt {
        name: "visible-to",
        help: "With visibility namespace: clients in these networks see everything",
        example: &["10.0.7.0/24"],
        needs: "visibility",
        field: &many(&value::CLIENTS, |to| &mut to.server.visible_to),
        ..ROW
    },
    Opt {
        name: "trust-ecs",
        help: "Forwarders that name their client in EDNS Client Subnet, for visibility and audit",
        more: "Their client is the address of the option, if it is whole (/32 or /128), and otherwise unknown: it sees \
               nothing, and the audit counts it as unknown. The option of all others is ignored. A forwarder must replace \
               the option of its own clients, or they choose their address.",
        example: &["10.42.0.2/32"],
        field: &many(&value::FORWARDERS, |to| &mut to.server.trust_ecs),
        ..ROW
    },
    Opt {
        name: "pod-names",
        help: "In mode verified: answer <pod-name>.<namespace> too",
        more: "The answer is all addresses of that pod.",
        field: &switch(|to| &mut to.server.pod_names),
        ..ROW
    },
    Opt {
        name: "reverse-zone",
        help: "In mode verified: answer PTR for the addresses of these networks",
        more: "The zones are cut at octets (IPv4) or nibbles (IPv6): 10.244.0.0/14 is the four zones 244 to \
               247.10.in-addr.arpa. At most 256 zones in all.",
        example: &["10.42.0.0/16", "fd00:10:42::/48"],
        field: &many(&value::NETWORK, |to| &mut to.server.reverse_zones),
        ..ROW
    },
    Opt {
        name: "host-network",
        help: "In mode verified: whether pods with hostNetwork count, under their node's address",
        field: &one(&value::HOST_NETWORK, |to| &mut to.server.host_network),
        ..ROW
    },
    Opt {
        name: "max-staleness",
        help: "Answer SERVFAIL once the watch has been down for this long",
        more: "`off` serves what was last known, however old.",
        field: &one(&value::SECOND_TO_WEEK_OR_OFF, |to| &mut to.server.max_staleness),
        ..ROW
    },
];
