//! What the kernel is asked about filters and listeners: seccomp(2) and the ioctls of `seccomp_unotify(2)`.
#![expect(
    unsafe_code,
    reason = "seccomp(2) and the ioctls of its listener have no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{
    c_uint, c_ulong, seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes, sock_filter, sock_fprog,
};
use rustix::io::{Errno, Result, retry_on_intr};
use rustix::ioctl;
use rustix::thread::set_no_new_privs;

/// Room for a structure that a newer kernel has made longer: it writes and reads its own length, whatever ours is.
const LONGER: usize = 512;

/// The end at which the calls of one service's processes arrive. Dropping it wakes all that wait, with `ENOSYS`.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    /// Names this wait, and no other one, for as long as it lasts.
    pub(super) id: u64,
    /// The thread that called, zero if it is in a PID namespace that can't be seen from here.
    pub(super) thread: i32,
    /// The call's number.
    pub(super) number: i32,
    /// The call's arguments as they are in the registers.
    pub(super) arguments: [u64; 6],
}

/// What becomes of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Continue,
    Return(i64),
    Fail(Errno),
}

/// Puts a filter on the calling thread, and so on all that it starts. No privilege is gained by any exec from here on
/// (`no_new_privs`), which is what an ordinary user needs to be allowed this. Allocates nothing.
pub(super) fn install(program: &[sock_filter]) -> Result<OwnedFd> {
    set_no_new_privs(true)?;
    // A process whose call was taken up waits on through signals that don't kill it, so that no handler makes it call again
    // what has been done already. Linux 5.19; the answer is microseconds away either way.
    let killable = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match set_filter(program, listener | killable) {
        Err(Errno::INVAL) => set_filter(program, listener),
        installed => installed,
    }
}

fn set_filter(program: &[sock_filter], flags: c_ulong) -> Result<OwnedFd> {
    let filter = sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    let operation: c_uint = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program is as long as said and only read. The result is an error or a new descriptor, ours alone.
    unsafe {
        match libc::syscall(libc::SYS_seccomp, operation, flags, &raw const filter) {
            -1 => Err(last_error()),
            number => Ok(OwnedFd::from_raw_fd(number as i32)),
        }
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

impl Listener {
    /// Takes a listener that a child handed over. Fails where this kernel's notifications don't fit what is known here.
    pub(crate) fn new(descriptor: OwnedFd) -> Result<Self> {
        let mut sizes = seccomp_notif_sizes {
            seccomp_notif: 0,
            seccomp_notif_resp: 0,
            seccomp_data: 0,
        };
        let operation: c_uint = libc::SECCOMP_GET_NOTIF_SIZES;
        let flags: c_uint = 0;
        // SAFETY: the call writes one `seccomp_notif_sizes`.
        if unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw mut sizes) } == -1 {
            return Err(last_error());
        }
        let longest = usize::from(sizes.seccomp_notif.max(sizes.seccomp_notif_resp));
        if longest > LONGER {
            return Err(Errno::TOOBIG);
        }
        Ok(Self(descriptor))
    }

    /// The next call that waits. Ask only when the listener is readable; `ENOENT` if the caller was gone before.
    pub(super) fn receive(&self) -> Result<Notification> {
        let raw = retry_on_intr(|| {
            // Zeroed each time, as the kernel demands.
            let mut raw = Padded::<seccomp_notif>::zeroed();
            self.ioctl::<{ libc::SECCOMP_IOCTL_NOTIF_RECV as ioctl::Opcode }, _>(&mut raw)?;
            Ok(raw.value())
        })?;
        Ok(Notification {
            id: raw.id,
            thread: raw.pid.cast_signed(),
            number: raw.data.nr,
            arguments: raw.data.args,
        })
    }

    /// Answers a call; `ENOENT` if its caller no longer waits.
    pub(super) fn answer(&self, id: u64, answer: Answer) -> Result<()> {
        let (val, error, flags) = match answer {
            Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Return(value) => (value, 0, 0),
            Answer::Fail(errno) => (0, -errno.raw_os_error(), 0),
        };
        let response = seccomp_notif_resp {
            id,
            val,
            error,
            flags,
        };
        let mut raw = Padded::new(response);
        self.ioctl::<{ libc::SECCOMP_IOCTL_NOTIF_SEND as ioctl::Opcode }, _>(&mut raw)
    }

    /// Whether the caller still waits. Whatever was looked up by its thread's number before was of this very thread.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        let mut id = Padded::new(id);
        self.ioctl::<{ libc::SECCOMP_IOCTL_NOTIF_ID_VALID as ioctl::Opcode }, _>(&mut id)
            .is_ok()
    }

    fn ioctl<const OPCODE: ioctl::Opcode, T: Plain>(&self, value: &mut Padded<T>) -> Result<()> {
        // SAFETY: each opcode above reads and writes a structure that is at most `LONGER` bytes long (checked in `new`).
        unsafe { ioctl::ioctl(&self.0, ioctl::Updater::<OPCODE, Padded<T>>::new(value)) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A structure of the kernel's, with room behind it.
#[repr(C)]
union Padded<T: Copy> {
    value: T,
    room: [u64; LONGER / 8],
}

/// Structures of integers only, for which any bytes are a value.
trait Plain: Copy {}
impl Plain for seccomp_notif {}
impl Plain for seccomp_notif_resp {}
impl Plain for u64 {}

impl<T: Plain> Padded<T> {
    fn zeroed() -> Self {
        Self {
            room: [0; LONGER / 8],
        }
    }

    fn new(value: T) -> Self {
        let mut padded = Self::zeroed();
        padded.value = value;
        padded
    }

    fn value(&self) -> T {
        // SAFETY: all bytes were set by `zeroed`, and any bytes are a value of `T`.
        unsafe { self.value }
    }
}
