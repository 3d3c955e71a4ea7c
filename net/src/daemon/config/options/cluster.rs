//! Options of the source of pods.

use super::{Opt, ROW};
use crate::daemon::config::{show, value};

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "kubeconfig",
        value: "FILE",
        allowed: "the path of a kubeconfig file",
        help: "Cluster credentials",
        without: "in-cluster, else the usual kubeconfig",
        example: &["/etc/poddns/kubeconfig"],
        read: |to, texts| texts.one(value::some(value::path), &mut to.kubeconfig),
        ..ROW
    },
    Opt {
        name: "context",
        value: "NAME",
        allowed: "the name of a context in the kubeconfig",
        help: "Context of the kubeconfig",
        without: "its current one",
        example: &["production"],
        read: |to, texts| texts.one(value::some(value::not_empty), &mut to.context),
        ..ROW
    },
    Opt {
        name: "resync-interval",
        value: "TIME",
        allowed: "off, or a time from 1m to 7d such as 1h",
        help: "Compare the index with the API server's watch cache this often, with jitter; differences are counted, \
               logged and mended",
        read: |to, texts| texts.one(value::minute_to_week_or_off, &mut to.resync_interval),
        show: |from| show::one(show::or_off(from.resync_interval.map(show::time))),
        ..ROW
    },
    Opt {
        name: "pods-file",
        value: "FILE",
        allowed: "the path of `kubectl get pods -A -o json` (or yaml) output",
        help: "Read pods from this file instead of from a cluster",
        more: "It is read again when it changes. A pipe such as /dev/stdin is read once, at the start.",
        example: &["demo/pods.json"],
        read: |to, texts| texts.one(value::some(value::path), &mut to.pods_file),
        ..ROW
    },
    Opt {
        name: "snapshot",
        value: "FILE",
        allowed: "the path of a file in a folder that can be written, other than /",
        help: "Keep what is known of the cluster in this file, and answer from it after a restart, marked stale, until \
               the cluster has been listed",
        more: "The file is replaced as a whole, so its directory must be writable. Not for pods-file.",
        example: &["/var/lib/poddns/snapshot"],
        read: |to, texts| texts.one(value::some(value::file_to_write), &mut to.snapshot),
        ..ROW
    },
    Opt {
        name: "snapshot-interval",
        value: "TIME",
        allowed: "a time from 1s to 1d such as 30s or 5m",
        help: "Time between two snapshots; there is one more at the end",
        needs: "snapshot",
        read: |to, texts| texts.one(value::second_to_day, &mut to.snapshot_interval),
        show: |from| show::one(show::time(from.snapshot_interval)),
        ..ROW
    },
];
