//! A program that follows the API server, as it is measured.

use std::time::Duration;

use super::process::MeasuredProcess;
use poddns_test_support::api_server::ApiServer;

/// The most that a list of a million pods may take, on a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// Progress of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FollowerProgress {
    /// Pods that it knows.
    pub(super) pods: u64,
    /// Changes that it has seen.
    pub(super) events: u64,
    /// Lists that it has had to their end.
    pub(super) lists: u64,
}

pub(super) trait Follower {
    /// Returns once it has its first list, and does its work. Panics if it does not within [`PATIENCE`].
    fn wait_until_ready(&mut self);

    /// Returns its progress.
    fn progress(&mut self) -> FollowerProgress;

    /// Panics unless it knows the server's pods, as far as it can be asked.
    fn assert_right(&mut self, server: &ApiServer);

    fn process(&mut self) -> &mut MeasuredProcess;
}
