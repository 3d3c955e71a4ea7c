//! Functions that start the daemon for tests.

pub mod indexed;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use poddns_test_support::api_server::{ApiServer, namespace, pod};
use poddns_test_support::daemon::{Daemon, without_settings};

/// Address of the pod of [`one_pod`].
pub const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);

/// Starts an API server with one pod, in namespace `default`.
pub fn one_pod() -> ApiServer {
    let server = ApiServer::spawn();
    server.put(namespace("default"));
    server.put(pod("default", "web", &[&POD.to_string()]));
    server
}

/// Returns the command of the daemon, without settings from the environment of the test.
pub fn command() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_poddnsd-of-tests")))
}

/// Starts the daemon, and waits until it serves.
pub fn start(arguments: &[&str]) -> Daemon {
    Daemon::launch(command(), arguments)
}

/// Starts the daemon in mode insecure, on a free port of 127.0.0.1.
pub fn insecure(arguments: &[&str]) -> Daemon {
    start(&[&["--pods=insecure", "--listen=127.0.0.1:0"], arguments].concat())
}

/// Starts the daemon with this kubeconfig.
pub fn follow(kubeconfig: &Path, arguments: &[&str]) -> Daemon {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    start(&[&["--listen=127.0.0.1:0", &kubeconfig], arguments].concat())
}

/// Starts the daemon with this kubeconfig, and waits until it is ready.
#[cfg(feature = "kube-apiserver")]
pub fn follow_until_ready(kubeconfig: &Path, arguments: &[&str]) -> Daemon {
    let daemon = follow(kubeconfig, arguments);
    poddns_test_support::wait::until("ready", || daemon.get("/readyz").0 == 200);
    daemon
}
