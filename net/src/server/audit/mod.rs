//! The audit of mode insecure: queries that mode verified would refuse, by name and client.
//!
//! # Cost for answers
//!
//! Each thread that answers has its own shard: counters, and a [`PairTable`] of the pairs of name and client since the
//! last merge. Only a query that would be refused takes the shard's lock. The merge holds the lock only to swap two
//! pointers, and then processes the table that was swapped out. Without an audit there is no shard.
//!
//! # Bound of the error
//!
//! All tables have at most [`PAIRS`] entries. A merge adds the counts of a shard's table to those of the ledger's
//! table. For `N` refused queries in total, a count is too high by at most `N / PAIRS` from the shards and `N / PAIRS`
//! from the ledger. Occurrences of pairs that a shard's table evicted are missing in the ledger: `missed` is an upper
//! bound of these for every pair, and is itself at most `N / PAIRS`. A pair therefore has between `count - error` and
//! `count + missed` occurrences, and every pair with more than `2 N / PAIRS` occurrences has an entry.

pub(crate) mod counts;
pub(crate) mod file;
pub(crate) mod record;
pub(crate) mod table;
pub(crate) mod task;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use poddns_core::AuditFinding;

use self::counts::{AuditCounts, FINDINGS, PAIRS};
use self::record::AuditRecord;
use self::table::{AuditEntry, AuditedQuery, PairTable};
use crate::server::counters::Counter;
use crate::server::settings::Settings;

/// Counts and pairs of one thread. Aligned, so that no two threads write to the same cache line.
#[repr(align(128))]
pub(crate) struct AuditShard {
    queries: Counter,
    without_client: Counter,
    findings: [Counter; FINDINGS],
    table: Mutex<Box<PairTable>>,
}

impl fmt::Debug for AuditShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditShard").field("queries", &self.queries).finish_non_exhaustive()
    }
}

impl AuditShard {
    fn new(key: [u8; 16]) -> Self {
        Self {
            queries: Counter::default(),
            without_client: Counter::default(),
            findings: Default::default(),
            table: Mutex::new(Box::new(PairTable::new(PAIRS, key))),
        }
    }

    /// Counts an audited query and its finding. Must only be called by the shard's own thread. `pair` returns the name
    /// and the client of a query that verified would refuse.
    pub(crate) fn count(
        &self,
        has_client: bool,
        finding: Option<AuditFinding>,
        now: u64,
        pair: impl FnOnce() -> Option<AuditedQuery>,
    ) {
        self.queries.increment();
        if !has_client {
            self.without_client.increment();
        }
        let Some(finding) = finding else { return };
        if let Some(counter) = self.findings.get(finding.index()) {
            counter.increment();
        }
        // If the index is not ready, there is no finding about the name.
        if finding != AuditFinding::NotReady
            && let Some(pair) = pair()
        {
            lock(&self.table).add(&AuditEntry::once(pair, finding, now));
        }
    }

    fn counts(&self) -> AuditCounts {
        let findings = std::array::from_fn(|at| self.findings.get(at).map_or(0, Counter::get));
        AuditCounts { queries: self.queries.get(), without_client: self.without_client.get(), findings }
    }
}

/// Sums of all shards up to the last merge, and of earlier processes.
struct Ledger {
    /// Unix seconds of the first observation.
    begun: u64,
    /// Time of observation, in which the process ran and its index was complete.
    observed: Duration,
    /// Counts of earlier processes.
    before: AuditCounts,
    table: PairTable,
    missed: u64,
    /// An empty table, to swap with a shard's.
    spare: Box<PairTable>,
}

/// State of the audit file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditFileReport {
    /// True if the audit continues from the file.
    pub(crate) restored: bool,
    pub(crate) written: u64,
    pub(crate) failed: u64,
    /// Error of the last read or write.
    pub(crate) error: Option<String>,
}

/// An audit, shared by the threads of a server.
pub(crate) struct Audit {
    /// Path of the file that keeps the audit across restarts.
    pub(crate) path: Option<PathBuf>,
    shards: Vec<Arc<AuditShard>>,
    ledger: Mutex<Ledger>,
    file: Mutex<AuditFileReport>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("path", &self.path).finish_non_exhaustive()
    }
}

/// State of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditReport {
    pub(crate) record: AuditRecord,
    /// `None` if there is no file.
    pub(crate) file: Option<(PathBuf, AuditFileReport)>,
}

impl Audit {
    /// Returns an empty audit for this many threads. `key` is secret and random.
    pub(crate) fn new(path: Option<PathBuf>, threads: usize, key: [u8; 16]) -> Self {
        let ledger = Ledger {
            begun: unix_seconds(),
            observed: Duration::ZERO,
            before: AuditCounts::default(),
            table: PairTable::new(PAIRS, key),
            missed: 0,
            spare: Box::new(PairTable::new(PAIRS, key)),
        };
        Self {
            path,
            shards: (0..threads).map(|_| Arc::new(AuditShard::new(key))).collect(),
            ledger: Mutex::new(ledger),
            file: Mutex::default(),
        }
    }

    /// Returns the audit of these settings, if enabled: a shard for each UDP thread, followed by one for the TCP
    /// thread.
    pub(crate) fn of(settings: &Settings, key: [u8; 16]) -> Option<Arc<Self>> {
        let audit = || Arc::new(Self::new(settings.audit_file.clone(), settings.threads.get() + 1, key));
        settings.audits().then(audit)
    }

    /// Returns the shard of a thread.
    pub(crate) fn shard(&self, thread: usize) -> Option<Arc<AuditShard>> {
        self.shards.get(thread).cloned()
    }

    /// Returns the counts of this process and earlier ones.
    pub(crate) fn counts(&self) -> AuditCounts {
        let mut counts = lock(&self.ledger).before;
        self.shards.iter().for_each(|shard| counts.add(&shard.counts()));
        counts
    }

    /// Returns the counts of this process alone, for metrics, whose counters begin at 0.
    pub(crate) fn counts_of_process(&self) -> AuditCounts {
        let mut counts = AuditCounts::default();
        self.shards.iter().for_each(|shard| counts.add(&shard.counts()));
        counts
    }

    /// Adds to the time of observation.
    fn observe(&self, time: Duration) {
        lock(&self.ledger).observed += time;
    }

    /// Adds the tables of the shards to the ledger.
    fn merge(&self) {
        let ledger = &mut *lock(&self.ledger);
        for shard in &self.shards {
            {
                let table = &mut *lock(&shard.table);
                if table.is_empty() {
                    continue;
                }
                std::mem::swap(table, &mut ledger.spare);
            }
            let Ledger { table, spare, missed, .. } = ledger;
            *missed = missed.saturating_add(spare.floor());
            spare.entries().iter().for_each(|entry| table.add(entry));
            spare.clear();
        }
    }

    /// Continues from a record.
    fn restore(&self, record: &AuditRecord) {
        let ledger = &mut *lock(&self.ledger);
        ledger.begun = ledger.begun.min(record.begun);
        ledger.observed += record.observed;
        ledger.before.add(&record.counts);
        ledger.missed = ledger.missed.saturating_add(record.missed);
        record.entries.iter().for_each(|entry| ledger.table.add(entry));
    }

    /// Returns the state of the audit, the most frequent pairs first.
    pub(crate) fn report(&self) -> AuditReport {
        self.merge();
        let counts = self.counts();
        let ledger = lock(&self.ledger);
        let mut entries = ledger.table.entries().to_vec();
        entries.sort_by(|a, b| b.count.cmp(&a.count).then(a.pair.cmp(&b.pair)));
        let Ledger { begun, observed, missed, .. } = *ledger;
        let record = AuditRecord { begun, observed, counts, missed, entries };
        let file = self.path.clone().map(|path| (path, lock(&self.file).clone()));
        AuditReport { record, file }
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Locks a mutex, even if poisoned: every change leaves its data consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;

    use super::*;

    fn pair(number: u32) -> AuditedQuery {
        let client = IpAddr::from((number % 3).to_be_bytes());
        AuditedQuery {
            namespace: "web".parse().unwrap(),
            address: IpAddr::from(number.to_be_bytes()),
            client: Some(client),
        }
    }

    #[test]
    fn merged_shards_keep_the_documented_bound() {
        let (audit, mut random) = (Audit::new(None, 3, [7; 16]), fastrand::Rng::with_seed(7));
        let (mut exact, mut total) = (HashMap::new(), 0_u64);
        for round in 0..60 {
            for thread in 0..3 {
                let shard = audit.shard(thread).unwrap();
                for _ in 0..4_000 {
                    // A few frequent pairs, and many rare ones.
                    let number = if random.bool() { random.u32(0..8) } else { random.u32(100..60_000) };
                    shard.count(true, Some(AuditFinding::NoSuchPod), round, || Some(pair(number)));
                    *exact.entry(pair(number)).or_insert(0_u64) += 1;
                    total += 1;
                }
            }
            audit.merge();
        }
        let AuditRecord { counts, missed, entries, .. } = audit.report().record;
        assert_eq!((counts.queries, counts.of(AuditFinding::NoSuchPod)), (total, total));
        let bound = total / PAIRS as u64;
        assert!(missed > 0 && missed <= bound, "{missed}: the shards were full");
        for entry in &entries {
            let truth = exact.get(&entry.pair).copied().unwrap_or_default();
            assert!(entry.count - entry.error <= truth && truth <= entry.count + missed, "{entry:?}");
            assert!(entry.error <= 2 * bound, "{entry:?}");
        }
        let known = |pair: &AuditedQuery| entries.iter().any(|entry| entry.pair == *pair);
        assert!(exact.iter().all(|(pair, &count)| count <= 2 * bound || known(pair)));
        assert!((0..8).all(|number| known(&pair(number))), "the frequent ones");
    }

    #[test]
    fn unready_index_is_counted_and_names_nothing() {
        let audit = Audit::new(None, 1, [7; 16]);
        let shard = audit.shard(0).unwrap();
        shard.count(true, Some(AuditFinding::NotReady), 1, || Some(pair(1)));
        shard.count(false, None, 1, || unreachable!("nothing was found"));
        let record = audit.report().record;
        assert_eq!((record.counts.queries, record.counts.without_client), (2, 1));
        assert_eq!(record.counts.of(AuditFinding::NotReady), 1);
        assert!(record.entries.is_empty());
    }

    #[test]
    fn restored_record_is_added() {
        let audit = Audit::new(None, 1, [7; 16]);
        let shard = audit.shard(0).unwrap();
        shard.count(true, Some(AuditFinding::NoSuchPod), 50, || Some(pair(1)));
        audit.observe(Duration::from_secs(5));
        let record = audit.report().record;
        let next = Audit::new(None, 2, [8; 16]);
        next.shard(1).unwrap().count(true, Some(AuditFinding::NoSuchPod), 60, || Some(pair(1)));
        next.restore(&record);
        let restored = next.report().record;
        assert_eq!((restored.begun, restored.observed), (record.begun, record.observed));
        assert_eq!(restored.counts.queries, 2);
        let entry = restored.entries[0];
        assert_eq!((entry.count, entry.first, entry.last), (2, 50, 60));
        assert_eq!(next.counts_of_process().queries, 1);
    }
}
