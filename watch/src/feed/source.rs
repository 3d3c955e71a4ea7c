//! Opening and reading of pods files and pipes. Opening does not wait for a writer.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::net::unix::pipe;
use tokio::select;
use tokio::sync::mpsc;

use super::manifest::PodsFileError;

/// Maximum number of bytes per read from a pipe, and maximum number of such pieces in the queue to the parser.
const PIECE: usize = 1 << 16;
const PIECES: usize = 4;

/// Resolution of file times: two changes within it can have the same time.
const RESOLUTION: Duration = Duration::from_millis(20);

/// A file's identity and the version of its contents, as far as metadata shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    links: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns the stamp of an open file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::new(&metadata))
    }

    /// Returns the stamp of the regular file at `path`.
    pub(crate) fn at(path: &Path) -> Result<Self, PodsFileError> {
        let metadata = path.metadata()?;
        check_kind(metadata.file_type(), false)?;
        Ok(Self::new(&metadata))
    }

    /// Returns whether an open file has kept its contents since `before`. The replacement of its name by another file
    /// is not a change of its contents.
    pub(crate) fn has_contents_of(&self, before: &Self) -> bool {
        let changed = if self.links < before.links { before.changed } else { self.changed };
        Self { links: before.links, changed, ..*self } == *before
    }

    /// Returns whether a file was changed later than another.
    #[cfg(test)]
    pub(crate) fn is_changed_after(&self, other: &Self) -> bool {
        self.changed > other.changed
    }

    /// Returns whether the contents may have changed after `now`, when the stamp was taken, without a change of the
    /// stamp.
    pub(crate) fn is_recent(&self, now: SystemTime) -> bool {
        let nanos = u32::try_from(self.changed.1).unwrap_or_default();
        let since = Duration::new(u64::try_from(self.changed.0).unwrap_or_default(), nanos);
        SystemTime::UNIX_EPOCH + since + RESOLUTION > now
    }
}

/// An opened pods file or pipe.
pub(crate) enum PodsInput {
    File(File),
    Pipe(File),
}

/// Opens a regular file or, if `pipes` are accepted, a pipe.
pub(crate) fn open(path: &Path, pipes: bool) -> Result<PodsInput, PodsFileError> {
    // Some devices act when they are opened, so the kind is checked before. `O_NONBLOCK`: if the path has become a FIFO
    // without a writer in between, opening must not block.
    check_kind(path.metadata()?.file_type(), pipes)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let kind = file.metadata()?.file_type();
    check_kind(kind, pipes)?;
    Ok(if kind.is_fifo() { PodsInput::Pipe(file) } else { PodsInput::File(file) })
}

fn check_kind(kind: FileType, pipes: bool) -> Result<(), PodsFileError> {
    let what = match kind {
        kind if kind.is_file() || (pipes && kind.is_fifo()) => return Ok(()),
        kind if kind.is_fifo() => "it is a pipe, which can be read only once, when the program starts",
        kind if kind.is_dir() => "it is a directory; name a file in it",
        kind if kind.is_socket() => "it is a socket, not a file",
        kind if kind.is_block_device() => "it is a block device, not a file",
        _ => "it is a terminal or another character device, not a file",
    };
    Err(PodsFileError::new(what))
}

/// Forwards the bytes of a pipe, until all writers have closed it or the receiver is dropped.
pub(crate) async fn pump(file: File, to: mpsc::Sender<io::Result<Vec<u8>>>) {
    let result = pump_pieces(file, &to).await;
    if let Err(error) = result {
        // The receiver may have been dropped.
        let _ = to.send(Err(error)).await;
    }
}

async fn pump_pieces(file: File, to: &mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let pipe = pipe::Receiver::from_file(file)?;
    loop {
        select! {
            () = to.closed() => return Ok(()),
            ready = pipe.readable() => ready?,
        }
        let mut piece = Vec::with_capacity(PIECE);
        match pipe.try_read_buf(&mut piece) {
            Ok(0) => {
                // An empty piece marks the end; without it, the receiver reports that reading was aborted.
                let _ = to.send(Ok(Vec::new())).await;
                return Ok(());
            }
            Ok(_) if to.send(Ok(piece)).await.is_err() => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The receiving end, for a parser on a thread of its own.
pub(crate) struct PipeReader {
    from: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    is_at_end: bool,
}

impl PipeReader {
    /// Returns a channel from [`pump`] to a reader.
    pub(crate) fn channel() -> (mpsc::Sender<io::Result<Vec<u8>>>, Self) {
        let (to, from) = mpsc::channel(PIECES);
        (to, Self { from, piece: io::Cursor::default(), is_at_end: false })
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || self.is_at_end || buffer.is_empty() {
                return Ok(count);
            }
            let piece = self.from.blocking_recv();
            let piece = piece.unwrap_or_else(|| Err(io::Error::other("reading was given up")))?;
            self.is_at_end = piece.is_empty();
            self.piece = io::Cursor::new(piece);
        }
    }
}
