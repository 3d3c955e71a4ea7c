//! Assembly of complete parts from chunks.

use bytes::{Buf, Bytes};

use super::error::{BodyPart, DecodeError};

/// Capacity above which a buffer is shrunk when it becomes empty.
const KEPT_CAPACITY: usize = 256 << 10;

/// The current chunk, and the beginning of a part from the chunks before it.
#[derive(Debug)]
pub(super) struct Input {
    partial: Vec<u8>,
    chunk: Bytes,
    /// Number of bytes read so far.
    position: u64,
    limit: usize,
}

impl Input {
    pub(super) const fn new(limit: usize) -> Self {
        Self { partial: Vec::new(), chunk: Bytes::new(), position: 0, limit }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunk = if self.chunk.is_empty() { chunk } else { [&self.chunk[..], &chunk].concat().into() };
    }

    /// Returns the unread bytes of the chunk.
    pub(super) fn unread(&self) -> &[u8] {
        &self.chunk
    }

    /// Returns the number of bytes of the body that have been read.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Returns whether no part is unfinished.
    pub(super) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.chunk.is_empty()
    }

    /// Returns the maximum size of a part, in bytes.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.chunk.first().copied()?;
        self.skip(1);
        Some(byte)
    }

    /// Skips this number of bytes of the chunk.
    pub(super) fn skip(&mut self, count: usize) {
        self.chunk.advance(count);
        self.position += count as u64;
    }

    /// Keeps the rest of the chunk, because the part continues in the next one.
    pub(super) fn keep(&mut self, part: BodyPart) -> Result<(), DecodeError> {
        self.check(self.chunk.len(), part)?;
        self.partial.extend_from_slice(&self.chunk);
        self.skip(self.chunk.len());
        Ok(())
    }

    /// Ends the part after this number of bytes of the chunk, and passes it to `read`.
    pub(super) fn take<T>(
        &mut self,
        count: usize,
        part: BodyPart,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DecodeError> {
        self.check(count, part)?;
        let result = if self.partial.is_empty() {
            read(&self.chunk[..count])
        } else {
            self.partial.extend_from_slice(&self.chunk[..count]);
            let result = read(&self.partial);
            self.partial.clear();
            self.partial.shrink_to(KEPT_CAPACITY);
            result
        };
        self.skip(count);
        Ok(result)
    }

    /// Passes a part of known length to `read`, once all of it has arrived.
    pub(super) fn part<T>(
        &mut self,
        length: usize,
        part: BodyPart,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, DecodeError> {
        let missing = length - self.partial.len();
        if self.chunk.len() >= missing {
            return self.take(missing, part, read).map(Some);
        }
        self.keep(part)?;
        Ok(None)
    }

    fn check(&self, more: usize, part: BodyPart) -> Result<(), DecodeError> {
        if self.partial.len() + more > self.limit {
            return Err(DecodeError::TooLarge { part, limit: self.limit });
        }
        Ok(())
    }
}
