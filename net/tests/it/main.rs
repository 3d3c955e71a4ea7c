//! Tests of the server and the daemon over real sockets and in real processes.
#![allow(unreachable_pub, missing_docs)]

mod admin;
mod amplification;
mod audit;
mod churn;
mod config;
#[cfg(unix)]
mod credentials;
mod identity;
mod lifecycle;
mod nxdomain_limit;
mod panics;
mod pods_file;
mod query_log;
mod rate_limit;
mod snapshot;
mod support;
mod tcp;
mod transfer;
mod udp;
mod visibility;

#[cfg(target_os = "linux")]
mod dual_stack;
#[cfg(target_os = "linux")]
mod hanging;
#[cfg(unix)]
mod log;
#[cfg(target_os = "linux")]
mod mutated;
#[cfg(target_os = "linux")]
mod systemd;
#[cfg(unix)]
mod watch_config;

// These require root, Landlock, seccomp, network namespaces, iproute2 and util-linux.
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod confined_cluster;
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod exhaustion;
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod lossy;
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod netns;
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod privileges;
#[cfg(all(target_os = "linux", feature = "system-tests"))]
mod ten_thousand;

// These require the API server that `.ci/kube-apiserver` builds.
#[cfg(feature = "kube-apiserver")]
mod kube_apiserver;
