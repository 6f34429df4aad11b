//! The transport that h2 is given: two queues of bytes in memory. Reading an empty one and writing a full one is "not now"; nobody
//! is woken, since the session polls whenever either has changed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What may wait to be written before h2 is told to hold back. A frame more may come.
const OUTGOING_BYTES: usize = 128 << 10;
/// What may wait to be read. h2 reads everything at once unless it has to answer first and the target does not take it, and then flow
/// control bounds what else comes.
const INCOMING_BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
struct Queues {
    incoming: Vec<u8>,
    /// How much of it h2 has read.
    read: usize,
    outgoing: Vec<u8>,
    /// h2 had more to write than there was room for.
    full: bool,
}

/// One end is h2's, the other the session's.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Arc<Mutex<Queues>>);

impl Pipe {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // The queues are whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes that arrived; false if there are too many unread already.
    pub(super) fn push(&self, bytes: &[u8]) -> bool {
        let mut queues = self.queues();
        if queues.incoming.len() - queues.read + bytes.len() > INCOMING_BYTES_MAX {
            return false;
        }
        queues.incoming.extend_from_slice(bytes);
        true
    }

    /// Moves to `out` what h2 has written.
    pub(super) fn drain(&self, out: &mut Vec<u8>) {
        let mut queues = self.queues();
        out.append(&mut queues.outgoing);
        if queues.outgoing.capacity() > OUTGOING_BYTES {
            queues.outgoing = Vec::new();
        }
    }

    /// Whether h2 had more to write than there was room for.
    pub(super) fn is_full(&self) -> bool {
        self.queues().full
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut queues = self.queues();
        let waiting = &queues.incoming[queues.read..];
        if waiting.is_empty() {
            return Poll::Pending;
        }
        let count = waiting.len().min(into.remaining());
        into.put_slice(&waiting[..count]);
        queues.read += count;
        if queues.read == queues.incoming.len() {
            queues.incoming.clear();
            queues.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut queues = self.queues();
        if queues.outgoing.len() >= OUTGOING_BYTES {
            queues.full = true;
            return Poll::Pending;
        }
        queues.full = false;
        for part in parts {
            queues.outgoing.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn writing_more_than_there_is_room_for_waits_until_it_is_drained() {
        let mut pipe = Pipe::default();
        let mut cx = Context::from_waker(Waker::noop());
        let much = vec![7; OUTGOING_BYTES];
        let mut write = |pipe: &mut Pipe| Pin::new(pipe).poll_write(&mut cx, &much);
        assert!(write(&mut pipe).is_ready());
        assert!(!pipe.is_full());
        assert!(write(&mut pipe).is_pending());
        assert!(pipe.is_full());
        let mut out = Vec::new();
        pipe.drain(&mut out);
        assert_eq!(out.len(), OUTGOING_BYTES);
        assert!(pipe.is_full(), "it still waits");
        assert!(write(&mut pipe).is_ready() && !pipe.is_full());
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let pipe = Pipe::default();
        let piece = vec![0; INCOMING_BYTES_MAX / 2];
        assert!(pipe.push(&piece) && pipe.push(&piece));
        assert!(!pipe.push(&[0]));
    }
}
