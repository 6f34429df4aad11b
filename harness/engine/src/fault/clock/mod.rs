//! The clock fault: a service is shown another time than the real one, which nobody touches.
//!
//! A small library, preloaded into the service ([`install`]), answers its clock reads by the law in force on a page of
//! shared memory ([`ClockPage`]). squall changes the law ([`ClockLaw`]) and the service sees it at its next read, and
//! writes back that it did: this is the receipt ([`ClockFault`]). [`reachable`] says beforehand whether a program can be
//! reached so at all.
//!
//! What it does not do, and why:
//! - Waits with a deadline on a shifted clock end when that clock shows the deadline, but a wait that is already under
//!   way when the law changes keeps its moment. A wait by a frozen clock lasts as long as its deadline is ahead of it.
//! - `timer_settime`, `mq_timedsend`, `mq_timedreceive`, `pthread_timedjoin_np` and `io_uring` timeouts with absolute
//!   deadlines keep real time, and `TFD_TIMER_CANCEL_ON_SET` doesn't notice a step.
//! - Times that the kernel writes (files, sockets, `adjtimex`) stay real.
//! - A program that reads the clock by its own system call instructions or straight from the vDSO is not reached:
//!   those known to do so are refused, and any other leaves no receipt.

mod clocks;
mod fault;
mod law;
mod page;
mod preload;
mod reach;
mod spec;
mod written;

use std::io;
use std::path::PathBuf;

pub use clocks::{ClockFamily, KernelClock, Laws, Readings};
pub use fault::{ClockFault, ClockParams};
pub use law::{ClockChange, ClockLaw, LawError, Slope};
pub use page::{ClockPage, Seen, reset_page};
pub use preload::{InstalledClock, PAGE_VARIABLE, install, page_path};
pub use reach::{Unreachable, reachable, reachable_on};
pub use spec::ClockSpec;

use super::{FaultKind, Way};

/// The clock fault in the list of faults.
pub const KIND: FaultKind = FaultKind {
    name: "clock",
    about: "shows a service another time: stepped, jumped, frozen or drifting",
    decode: written::decode,
    schema: written::schema,
    ways: &[Way {
        name: "preload",
        about: "a library that the service is started with; dynamically linked programs with glibc",
        check: |here| {
            preload::loadable(&here.reports)
                .map(|_| ())
                .map_err(|why| super::Lack {
                    missing: why.to_string(),
                    unlock: "choose with --out a folder on a file system that is not mounted noexec"
                        .to_owned(),
                })
        },
    }],
};

/// What can go wrong with the page and the library.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The page's file can't be made.
    #[error("could not create the clock page {}: {source}", path.display())]
    CreatePage {
        /// The page.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The page can't be opened or mapped.
    #[error("could not map the clock page {}: {source}", path.display())]
    OpenPage {
        /// The page.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The page can't be locked for a change.
    #[error("could not lock the clock page {}: {source}", path.display())]
    LockPage {
        /// The page.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a clock page of this version of squall: {found}", path.display())]
    NotAPage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The library can't be written.
    #[error("could not write the clock library to {}: {source}", path.display())]
    WriteLibrary {
        /// The library, or its folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The loader could not load a library from there.
    #[error("no library can be preloaded from {}, since {why}: choose another folder with --out", path.display())]
    UnloadableFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
