//! A measured program that follows the API server.

use std::time::Duration;

use super::process::MeasuredProcess;
use poddns_test_support::api_server::ApiServer;

/// Time limit for a list of a million pods, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// Progress of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FollowerProgress {
    /// Number of pods that it has.
    pub(super) pods: u64,
    /// Number of changes that it has received.
    pub(super) events: u64,
    /// Number of lists that it has received completely.
    pub(super) lists: u64,
}

pub(super) trait Follower {
    /// Waits until it is ready with its first list. Panics if this takes longer than [`PATIENCE`].
    fn wait_until_ready(&mut self);

    /// Returns its progress.
    fn progress(&mut self) -> FollowerProgress;

    /// Panics unless it has the server's pods, as far as it can be queried.
    fn assert_right(&mut self, server: &ApiServer);

    fn process(&mut self) -> &mut MeasuredProcess;
}
