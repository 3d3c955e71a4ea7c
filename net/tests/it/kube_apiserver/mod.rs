//! The daemon against a real API server, which `.ci/kube-apiserver` starts, kills and restarts.
//!
//! `.ci/kube-apiserver build`, once, then
//! `cargo test --package poddns-net --features kube-apiserver --test it kube_apiserver`.
//! `KUBE_TEST_PODS=20000` runs the test of scale with 20,000 pods, which takes about eight minutes.

mod api;
mod following;
mod outage;
mod policies;
mod rights;
mod scale;

use std::sync::LazyLock;

use poddns_test_support::kube_apiserver::KubeApiserver;

/// A cluster shared by the tests that do not restart it.
static SHARED: LazyLock<KubeApiserver> = LazyLock::new(|| KubeApiserver::start(&[]));
