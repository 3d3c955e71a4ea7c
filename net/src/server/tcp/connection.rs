//! One connection: it reads, answers complete messages and writes the replies, and reads again once they have been
//! sent.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::task;
use tokio::time::Instant;

use super::frames::{self, StreamProgress};
use super::state::{TcpState, quiet};
use crate::server::connections::ConnectionId;
use crate::server::supervise::unblocked;
use crate::server::transfer::TransferJob;

/// State of a connection's task. It has its own buffer only while a message is incomplete.
pub(super) struct TcpConnection {
    pub(super) stream: Rc<TcpStream>,
    pub(super) peer: SocketAddr,
    pub(super) id: ConnectionId,
    pub(super) shared: Rc<TcpState>,
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        self.shared.closed(self.id);
    }
}

/// Next step of a connection.
enum ConnectionStep {
    /// Read: all complete messages have been answered.
    Read,
    /// Answer: there are complete messages left.
    Answer,
    /// Write these replies first.
    Write(Vec<u8>),
    /// Write these replies, and then the messages of a transfer, before the next answer.
    Transfer(Vec<u8>, Box<TransferJob>),
}

impl TcpConnection {
    /// Answers until the client closes its side, or something fails.
    ///
    /// Dropping the future closes the connection.
    pub(super) async fn converse(self) {
        if let Err(error) = self.exchange().await {
            tracing::debug!(%error, "the connection failed");
        }
    }

    async fn exchange(&self) -> io::Result<()> {
        // Bytes that have been read but not answered; usually empty and unallocated.
        let mut held = Vec::new();
        loop {
            self.stream.readable().await?;
            let mut next = match self.read(&mut held) {
                Ok(Some(next)) => next,
                // RFC 7766 6.2.1: a client may close its side and still wait for the responses, all of which have been
                // sent. An incomplete query has no response.
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            loop {
                next = match next {
                    ConnectionStep::Read => break,
                    ConnectionStep::Answer => self.answer_held(&mut held)?,
                    ConnectionStep::Write(unsent) => {
                        self.write(unsent, held.capacity()).await?;
                        self.shared.exchanged(self.id, Instant::now());
                        ConnectionStep::Answer
                    }
                    ConnectionStep::Transfer(unsent, job) => {
                        self.write(unsent, held.capacity()).await?;
                        // On the heap, so that tasks of connections without a transfer need no memory for one.
                        Box::pin(self.transfer(*job, held.capacity())).await?;
                        ConnectionStep::Answer
                    }
                };
            }
            self.shared.note(self.id, !held.is_empty(), held.capacity());
            if held.is_empty() && self.shared.draining() && quiet(&self.stream) {
                return Ok(());
            }
            // Other tasks run first, however fast this client sends.
            task::yield_now().await;
        }
    }

    /// Reads the bytes that have arrived and answers complete messages; `None` at the end of the stream.
    fn read(&self, held: &mut Vec<u8>) -> io::Result<Option<ConnectionStep>> {
        let buffers = &mut *self.shared.buffers();
        let len = self.stream.try_read(&mut buffers.input)?;
        if len == 0 {
            return Ok(None);
        }
        let read = buffers.input.get(..len).unwrap_or_default();
        if !held.is_empty() {
            held.extend_from_slice(read);
            return Ok(Some(ConnectionStep::Answer));
        }
        let begin = self.shared.begin();
        let (answered, transfer) = self.shared.answer(read, self.peer, &mut buffers.replies);
        held.extend_from_slice(read.get(answered.consumed..).unwrap_or_default());
        self.send(answered, transfer, begin, &mut buffers.replies).map(Some)
    }

    /// Answers the complete messages of the held bytes.
    fn answer_held(&self, held: &mut Vec<u8>) -> io::Result<ConnectionStep> {
        let buffers = &mut *self.shared.buffers();
        let begin = self.shared.begin();
        let (answered, transfer) = self.shared.answer(held, self.peer, &mut buffers.replies);
        if answered.consumed == held.len() {
            *held = Vec::new();
        } else {
            held.drain(..answered.consumed);
        }
        self.send(answered, transfer, begin, &mut buffers.replies)
    }

    /// Sends replies as far as the socket accepts them without waiting, and ends a measurement.
    fn send(
        &self,
        answered: StreamProgress,
        transfer: Option<Box<TransferJob>>,
        begin: Option<Instant>,
        replies: &mut frames::Replies,
    ) -> io::Result<ConnectionStep> {
        let mut rest = replies.as_slice();
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.shared.end(begin.filter(|_| answered.replies > 0));
        let unsent = rest.to_vec();
        replies.clear();
        if let Some(job) = transfer {
            return Ok(ConnectionStep::Transfer(unsent, job));
        }
        if !unsent.is_empty() {
            return Ok(ConnectionStep::Write(unsent));
        }
        if answered.replies > 0 {
            self.shared.exchanged(self.id, Instant::now());
        }
        Ok(if answered.all { ConnectionStep::Read } else { ConnectionStep::Answer })
    }

    /// Writes the messages of a transfer. As any other connection, it is closed if the client reads nothing for the
    /// idle time-out.
    async fn transfer(&self, job: TransferJob, held: usize) -> io::Result<()> {
        self.shared.note(self.id, true, held);
        let (mut messages, call) = job.start().await?;
        while let Some(message) = messages.recv().await {
            self.write(message?, held).await?;
            self.shared.exchanged(self.id, Instant::now());
        }
        // A panic closes the connection: the client must not consider the transfer complete.
        unblocked(call).await.ok_or_else(|| io::ErrorKind::Interrupted.into())
    }

    /// Writes replies that the socket did not accept immediately. Nothing is read meanwhile: further queries wait in
    /// the client's buffers.
    async fn write(&self, unsent: Vec<u8>, held: usize) -> io::Result<()> {
        self.shared.note(self.id, true, held + unsent.capacity());
        let mut rest = unsent.as_slice();
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
