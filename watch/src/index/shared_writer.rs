//! The writer of an index, behind a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::writer::IndexWriter;

/// The one writer of an index, shared by the watches of a feed, snapshots and zone transfers. The watches run in one
/// task, so they do not wait for each other.
#[derive(Clone)]
pub(crate) struct SharedWriter(Arc<Mutex<IndexWriter>>);

impl SharedWriter {
    pub(crate) fn new(writer: IndexWriter) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, IndexWriter> {
        // Each operation of the writer is complete, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
