//! Events of a machine for log and counters.

use std::time::Duration;

use super::listing::ListMethod;
use super::target::IndexDifference;

/// An event for log and counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A list is complete.
    Listed {
        /// The method.
        method: ListMethod,
        /// Number of objects that were removed because the list did not contain them.
        removed: usize,
    },
    /// An object was added, changed or removed by a watch.
    Changed,
    /// An exchange failed.
    Failed {
        /// The reason, for an operator.
        text: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// A list method is given up; another one is used from now on.
    GaveUp {
        /// The method that was used.
        method: ListMethod,
        /// The reason.
        why: String,
    },
    /// The snapshot was of another cluster and must not be served.
    SnapshotRefused {
        /// The reason, for an operator.
        text: String,
    },
    /// A comparison with the cluster is complete.
    Compared,
    /// A comparison with the cluster was given up; a later one follows.
    ComparisonFailed {
        /// The reason, for an operator.
        why: String,
    },
    /// A comparison found an object in the index that differed from the cluster; it has been corrected.
    Differs {
        /// Kind of the difference.
        difference: IndexDifference,
        /// Name of the object.
        object: String,
    },
    /// The index is out of sync although no exchange failed.
    OutOfSync {
        /// The reason, for an operator.
        text: String,
    },
}
