//! Counters of transfers, and the state of the secondaries.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Kind of an answer to a query for a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferKind {
    /// The whole zone.
    Axfr,
    /// Differences.
    Ixfr,
    /// One SOA: the client has the current version, or sent the query over UDP.
    Soa,
}

impl TransferKind {
    pub(crate) const ALL: [Self; 3] = [Self::Axfr, Self::Ixfr, Self::Soa];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Axfr => "axfr",
            Self::Ixfr => "ixfr",
            Self::Soa => "soa",
        }
    }
}

/// Reason why a query for a transfer, or a signed query, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferRefusal {
    /// The client's address is not that of a secondary.
    Address,
    /// There is a key, and the query is not signed.
    Unsigned,
    /// The signature is invalid, or of an unknown key.
    Signature,
    /// AXFR over UDP.
    Transport,
    /// No version yet.
    NotReady,
}

impl TransferRefusal {
    pub(crate) const ALL: [Self; 5] =
        [Self::Address, Self::Unsigned, Self::Signature, Self::Transport, Self::NotReady];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Unsigned => "unsigned",
            Self::Signature => "signature",
            Self::Transport => "transport",
            Self::NotReady => "not_ready",
        }
    }
}

/// Counter that any thread may increment.
#[derive(Debug, Default)]
pub(crate) struct SharedCounter(AtomicU64);

impl SharedCounter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The state of a secondary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Secondary {
    /// Serial of the version that it was last seen to have.
    pub(crate) serial: Option<u32>,
    /// Time at which it was seen.
    pub(crate) seen: Option<Instant>,
    /// Number of NOTIFY messages sent, and of those that the secondary accepted.
    pub(crate) notified: u64,
    pub(crate) acknowledged: u64,
}

/// Counters of transfers, which outlive a reload.
#[derive(Debug, Default)]
pub(crate) struct TransferCounters {
    completed: [SharedCounter; TransferKind::ALL.len()],
    failed: [SharedCounter; TransferKind::ALL.len()],
    refused: [SharedCounter; TransferRefusal::ALL.len()],
    /// Bytes of messages that were sent.
    pub(crate) bytes: SharedCounter,
    /// Transfers that were completed while the index was out of sync with the cluster.
    pub(crate) stale: SharedCounter,
    secondaries: Mutex<BTreeMap<SocketAddr, Secondary>>,
}

impl TransferCounters {
    pub(crate) fn completed(&self, kind: TransferKind) -> &SharedCounter {
        &self.completed[kind as usize]
    }

    pub(crate) fn failed(&self, kind: TransferKind) -> &SharedCounter {
        &self.failed[kind as usize]
    }

    pub(crate) fn refused(&self, refusal: TransferRefusal) -> &SharedCounter {
        &self.refused[refusal as usize]
    }

    /// Sets the secondaries; keeps the state of those that remain.
    pub(super) fn set_secondaries(&self, addresses: &[SocketAddr]) {
        let mut secondaries = self.lock();
        secondaries.retain(|address, _| addresses.contains(address));
        for &address in addresses {
            secondaries.entry(address).or_default();
        }
    }

    /// Records that a client has a version, for all secondaries with its address, which must be canonical.
    pub(super) fn seen(&self, client: IpAddr, serial: u32) {
        for (_, secondary) in
            self.lock().iter_mut().filter(|(address, _)| address.ip().to_canonical() == client)
        {
            (secondary.serial, secondary.seen) = (Some(serial), Some(Instant::now()));
        }
    }

    /// Changes the state of a secondary.
    pub(super) fn change(&self, address: SocketAddr, change: impl FnOnce(&mut Secondary)) {
        self.lock().get_mut(&address).map(change);
    }

    /// Returns the state of each secondary.
    pub(crate) fn secondaries(&self) -> Vec<(SocketAddr, Secondary)> {
        self.lock().iter().map(|(&address, &secondary)| (address, secondary)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Secondary>> {
        // Each change consists of assignments, so a panic leaves the state consistent.
        self.secondaries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
