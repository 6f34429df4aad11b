//! What the generator tells while it runs.

use std::fmt;

use squall_model::observation::ObservedBatch;

use crate::recorder::Samples;

/// Length of a [`Slice`] in microseconds; slices are aligned to multiples of it.
pub const SLICE_US: u64 = 100_000;
/// Examples kept for each kind of error, phase, load and thread.
pub const EXAMPLES_MAX: usize = 3;
/// Bytes of a body that an example quotes.
pub const EXAMPLE_BODY_BYTES: usize = 160;

/// One report of a generator thread.
#[derive(Clone, Debug)]
pub enum Report {
    /// Counts and samples of at most a few hundred milliseconds.
    Slice(Slice),
    /// Values read from responses.
    Values(ObservedBatch),
    /// Every request intended in this phase by this thread has ended, was dropped or could not be sent; no more slices of it follow.
    PhaseEnded {
        /// Index of the load.
        load: u16,
        /// Index of the phase.
        phase: u32,
        /// Generator thread.
        thread: u16,
    },
    /// A generator thread gave up; what it counted since its last slice is lost.
    ThreadFailed {
        /// Generator thread.
        thread: u16,
        /// What it was doing and what went wrong.
        error: String,
    },
}

/// What happened to the requests of one load, phase and thread between two moments. Counted when it happened; the phase is that
/// of the request's intended time, so a late answer appears in a later slice with its own phase.
///
/// Summed over a finished phase: `intended = sent + dropped + unsent_by_generator` and `sent = completed + aborted`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// Index of the load.
    pub load: u16,
    /// Index of the phase.
    pub phase: u32,
    /// Generator thread.
    pub thread: u16,
    /// Start in microseconds since the epoch, a multiple of [`SLICE_US`]; the first slice of a phase may begin before it does.
    pub start_us: u64,
    /// End; a multiple of [`SLICE_US`] except in the last slice of a phase.
    pub end_us: u64,
    /// Requests that the schedule asked for.
    pub intended: u64,
    /// Requests handed to a connection, or that needed one which failed.
    pub sent: u64,
    /// Sent requests that ended, well or badly.
    pub completed: u64,
    /// Completed requests that ended badly; the sum of `errors`.
    pub failed: u64,
    /// Requests never sent because no connection came free: the queue was full, or the phase was over for longer than the timeout.
    pub dropped: u64,
    /// Requests never sent because the generator was too slow.
    pub unsent_by_generator: u64,
    /// Sent requests whose end an abort left unknown.
    pub aborted: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Bytes received, heads included.
    pub bytes_in: u64,
    /// Answers whose arrival the kernel did not tell: they count as having come when the thread read them.
    pub unstamped: u64,
    /// Messages that the target sent of its own accord, such as server-sent events.
    pub messages: u64,
    /// Connections on which a user stayed and that ended without being asked to.
    pub streams_lost: u64,
    /// Failed requests by kind, in the kinds' order.
    pub errors: Vec<(ErrorKind, u64)>,
    /// The first few errors of each kind in words.
    pub examples: Vec<(ErrorKind, String)>,
    /// From the intended send time to the end of the answer, of all completed requests.
    pub response: Samples,
    /// From the actual send to the end of the answer, of all completed requests.
    pub service: Samples,
    /// The generator's own lateness: from the intended time to when it took up the request; open loop only.
    pub lag: Samples,
}

impl Slice {
    /// Whether nothing happened in it.
    pub fn is_empty(&self) -> bool {
        self.intended == 0
            && self.sent == 0
            && self.completed == 0
            && self.dropped == 0
            && self.aborted == 0
            && self.messages == 0
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Nothing listens at the target.
    ConnectRefused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection could not be made for another reason.
    ConnectFailed,
    /// TLS was not agreed on, or broken off.
    Tls,
    /// The target reset the connection.
    Reset,
    /// The target closed the connection before its answer was whole.
    Closed,
    /// No whole answer within the timeout.
    Timeout,
    /// An answer with a status of 400 or above.
    Status(u16),
    /// An answer that is not the protocol's.
    Malformed,
    /// An answer that lacks a value that was to be read from it.
    Extract,
    /// A request that was not sent, because a value in it would have broken the message.
    Render,
    /// An answer whose status is not the one that was asked for.
    CheckStatus,
    /// An answer whose header is not as asked for.
    CheckHeader,
    /// An answer whose body has another size.
    CheckSize,
    /// An answer in whose body something else stands at a JSON pointer.
    CheckJson,
    /// An answer whose body is another.
    CheckBody,
}

impl ErrorKind {
    /// Why a connection could not be made.
    pub(crate) fn of_connecting(error: &std::io::Error) -> ErrorKind {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => ErrorKind::ConnectRefused,
            std::io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
            _ => ErrorKind::ConnectFailed,
        }
    }

    /// Whether nothing of the request went out, so that it costs the target no time and the user would be at the next at once.
    pub(crate) fn is_before_sending(self) -> bool {
        matches!(
            self,
            ErrorKind::ConnectRefused
                | ErrorKind::ConnectFailed
                | ErrorKind::ConnectTimeout
                | ErrorKind::Tls
                | ErrorKind::Render
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::ConnectRefused => "connect_refused",
            ErrorKind::ConnectTimeout => "connect_timeout",
            ErrorKind::ConnectFailed => "connect_failed",
            ErrorKind::Tls => "tls",
            ErrorKind::Reset => "reset",
            ErrorKind::Closed => "closed",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Status(code) => return write!(f, "status_{code}"),
            ErrorKind::Malformed => "malformed",
            ErrorKind::Extract => "extract",
            ErrorKind::Render => "render",
            ErrorKind::CheckStatus => "check_status",
            ErrorKind::CheckHeader => "check_header",
            ErrorKind::CheckSize => "check_size",
            ErrorKind::CheckJson => "check_json",
            ErrorKind::CheckBody => "check_body",
        })
    }
}
