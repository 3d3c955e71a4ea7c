//! The writer of an index, shared by watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::writer::IndexWriter;

/// The one writer of an index, shared by the watches of a feed. They run in one task, so the lock is never contended.
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
