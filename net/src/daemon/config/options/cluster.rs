//! Options of the source of pods.

use super::field::{one, optional};
use super::{Opt, ROW};
use crate::daemon::config::value;

pub(super) static OPTIONS: &[Opt] = &[
    Opt {
        name: "kubeconfig",
        help: "Cluster credentials",
        without: "in-cluster, else the usual kubeconfig",
        example: &["/etc/poddns/kubeconfig"],
        field: &optional(&value::KUBECONFIG, |to| &mut to.kubeconfig),
        ..ROW
    },
    Opt {
        name: "context",
        help: "Context of the kubeconfig",
        without: "its current one",
        example: &["production"],
        field: &optional(&value::CONTEXT, |to| &mut to.context),
        ..ROW
    },
    Opt {
        name: "resync-interval",
        help: "Compare the index with the API server's watch cache this often, with jitter; differences are counted, \
               logged and mended",
        field: &one(&value::MINUTE_TO_WEEK_OR_OFF, |to| &mut to.resync_interval),
        ..ROW
    },
    Opt {
        name: "pods-file",
        help: "Read pods from this file instead of from a cluster",
        more: "It is read again when it changes. A pipe such as /dev/stdin is read once, at the start.",
        example: &["demo/pods.json"],
        field: &optional(&value::PODS_FILE, |to| &mut to.pods_file),
        ..ROW
    },
    Opt {
        name: "snapshot",
        help: "Keep what is known of the cluster in this file, and answer from it after a restart, marked stale, until \
               the cluster has been listed",
        more: "The file is replaced as a whole, so its directory must be writable. Not for pods-file.",
        example: &["/var/lib/poddns/snapshot"],
        field: &optional(&value::FILE_TO_WRITE, |to| &mut to.snapshot),
        ..ROW
    },
    Opt {
        name: "snapshot-interval",
        help: "Time between two snapshots; there is one more at the end",
        needs: "snapshot",
        field: &one(&value::SECOND_TO_DAY, |to| &mut to.snapshot_interval),
        ..ROW
    },
];
