//! Network namespaces: making them, entering them, and being allowed to.
#![expect(
    unsafe_code,
    reason = "leaving a namespace has no safe wrapper; no descriptor table is left here"
)]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, UnshareFlags, capabilities,
    capability_is_in_ambient_set, clear_ambient_capability_set, configure_capability_in_ambient_set,
    move_into_link_name_space, set_capabilities, unshare_unsafe,
};

use super::probe::Unavailable;

/// What making, joining and filling network namespaces takes.
const NEEDED: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::NET_ADMIN);

/// Added to an error of the kernel's on its way from child to parent, on which there is room for a number only: it says that
/// the namespace could not be entered, and tells it from an error of exec.
const REFUSED: i32 = 4096;

fn refused(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error() + REFUSED)
}

/// That this process may make network namespaces and move its threads between them.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    /// It is so in a user namespace of its own.
    by_user_namespace: bool,
}

impl Ownership {
    /// Whether this process may already, with the capabilities that it has.
    pub fn is_held() -> bool {
        capabilities(None).is_ok_and(|held| held.effective.contains(NEEDED))
    }

    /// Makes this process, as which user ever it runs, one that may.
    ///
    /// Where it doesn't have the capabilities, it moves into a user namespace of its own, as the same user and group, for good: all
    /// that it starts is in there too. Must then be called while it has one thread only, and before the guard is started.
    /// Inside, files belong to whom they did, and other users can't be switched to. Programs that start outside of any place keep
    /// one capability, which is good for nothing but these namespaces. After an error the process is fit for nothing but its end.
    pub fn take() -> Result<Self, Unavailable> {
        if Self::is_held() {
            // Inherited by programs as an ordinary user's: taken before.
            let by_user_namespace = capability_is_in_ambient_set(CapabilitySet::SYS_ADMIN).unwrap_or(false);
            return Ok(Self { by_user_namespace });
        }
        let threads = fs::read_dir("/proc/self/task").map(Iterator::count);
        if !threads.is_ok_and(|threads| threads == 1) {
            return Err(Unavailable::Threads);
        }
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        leave(UnshareFlags::NEWUSER).map_err(|error| Unavailable::user_namespace(&error))?;
        let settle = || -> io::Result<()> {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
            // So that the guard has them as well, whose children join the namespaces.
            let held = capabilities(None)?;
            let inheritable = held.inheritable | CapabilitySet::SYS_ADMIN;
            set_capabilities(None, CapabilitySets { inheritable, ..held })?;
            configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
            Ok(())
        };
        settle().map_err(|error| Unavailable::user_namespace(&error))?;
        Ok(Self {
            by_user_namespace: true,
        })
    }

    /// Whether this process now lives in a user namespace of its own.
    pub fn is_by_user_namespace(self) -> bool {
        self.by_user_namespace
    }
}

fn leave(namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: none of the callers leaves its table of descriptors, which is what could go wrong.
    Ok(unsafe { unshare_unsafe(namespaces) }?)
}

/// The same after a fork, where nothing may be allocated.
pub(super) fn leave_after_fork(namespaces: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: as above.
    unsafe { unshare_unsafe(namespaces) }
}

/// A network namespace. It is there for as long as anybody has this, or runs in it, or has a socket of it.
#[derive(Clone, Debug)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
    sheds: bool,
}

impl Namespace {
    /// Moves the calling thread into a new one. Only for a thread that ends soon: there is no way back.
    pub(super) fn make(owner: Ownership) -> io::Result<Self> {
        leave(UnshareFlags::NEWNET)?;
        Ok(Self {
            fd: Arc::new(File::open("/proc/thread-self/ns/net")?.into()),
            sheds: owner.by_user_namespace,
        })
    }

    pub(crate) fn received(fd: OwnedFd, sheds: bool) -> Self {
        Self {
            fd: Arc::new(fd),
            sheds,
        }
    }

    /// Whether a program that is started in it loses the capability that made that possible.
    pub(crate) fn sheds(&self) -> bool {
        self.sheds
    }

    /// Moves the calling thread into it. Sockets that the thread makes from here on belong to it, and stay there wherever they
    /// are used. Threads that it starts are in there too.
    pub fn enter(&self) -> io::Result<()> {
        Ok(self.join()?)
    }

    fn join(&self) -> rustix::io::Result<()> {
        move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))
    }

    /// Has `command` run its program in it.
    pub(crate) fn hold(&self, command: &mut Command) {
        let namespace = self.clone();
        // SAFETY: `enter_after_fork` makes system calls and allocates nothing.
        unsafe { command.pre_exec(move || namespace.enter_after_fork().map_err(refused)) };
    }

    /// The kernel's error if a command that was to run in a namespace failed since that could not be entered.
    pub(crate) fn refusal(error: &io::Error) -> Option<i32> {
        let errno = error.raw_os_error()? - REFUSED;
        (errno > 0).then_some(errno)
    }

    fn enter_after_fork(&self) -> rustix::io::Result<()> {
        self.join()?;
        if self.sheds {
            clear_ambient_capability_set()?;
            let held = capabilities(None)?;
            let inheritable = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { inheritable, ..held })?;
        }
        Ok(())
    }

    /// Tells it from all others, as in `/proc/PID/ns/net`.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(File::from(self.fd.try_clone()?).metadata()?.ino())
    }
}

/// Does something in a namespace, on a thread of its own, so that the calling one stays where it is; without a namespace on the
/// calling thread. Threads that are started and sockets that are opened there are of that namespace, and stay so.
pub fn within<T: Send>(namespace: Option<&Namespace>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let Some(namespace) = namespace else {
        return Ok(work());
    };
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("squall-place".to_owned())
            .spawn_scoped(scope, || namespace.enter().map(|()| work()))?;
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
