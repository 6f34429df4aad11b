//! Whether this machine lets squall isolate networks, found out by a child that makes one and ends.
#![expect(unsafe_code, reason = "code that runs after a fork has no safe form")]

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink, send, socket_with};
use rustix::thread::UnshareFlags;
use thiserror::Error;

use super::filter::{Addresses, Chain, foundation, rules, transaction};
use super::link;
use super::namespace::{Ownership, leave_after_fork};
use super::netlink::{Message, acknowledgement};

/// Numbers below this are errors of the kernel's, so a step and its error fit one number.
const ERRNO_MAX: i32 = 4096;

/// Why this machine can't isolate networks, and what would make it work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// The kernel refuses a part of it.
    #[error("network: isolated needs {what}, which this machine refuses ({error}); {remedy}")]
    Refused {
        /// The part.
        what: &'static str,
        /// The kernel's words.
        error: String,
        /// What would make it work.
        remedy: String,
    },
    /// A fault of squall's own.
    #[error("a user namespace can only be made while squall has a single thread")]
    Threads,
    /// It could not be tried.
    #[error("network: isolated could not be tried: {0}")]
    Untried(String),
}

/// The parts, in the order in which the child tries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    UserNamespace = 1,
    Maps,
    NetworkNamespace,
    Netlink,
    Bridge,
    Cable,
    TokenBucket,
    Filter,
    Share,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::UserNamespace,
        Self::Maps,
        Self::NetworkNamespace,
        Self::Netlink,
        Self::Bridge,
        Self::Cable,
        Self::TokenBucket,
        Self::Filter,
        Self::Share,
    ];

    fn what(self) -> &'static str {
        match self {
            Self::UserNamespace | Self::Maps => "a user namespace",
            Self::NetworkNamespace => "a network namespace",
            Self::Netlink => "netlink",
            Self::Bridge => "a bridge",
            Self::Cable => "a veth cable",
            Self::TokenBucket => "a tbf queue",
            Self::Filter => "nf_tables for bridges",
            Self::Share => "nf_tables' numgen",
        }
    }

    /// The module that a kernel of a distribution has it in.
    fn module(self) -> Option<&'static str> {
        match self {
            Self::Bridge => Some("bridge"),
            Self::Cable => Some("veth"),
            Self::TokenBucket => Some("sch_tbf"),
            Self::Filter => Some("nf_tables"),
            Self::Share => Some("nft_numgen"),
            Self::UserNamespace | Self::Maps | Self::NetworkNamespace | Self::Netlink => None,
        }
    }
}

impl Unavailable {
    pub(super) fn user_namespace(error: &io::Error) -> Self {
        Self::refused(Step::UserNamespace, error)
    }

    fn refused(step: Step, error: &io::Error) -> Self {
        Self::Refused {
            what: step.what(),
            error: error.to_string(),
            remedy: remedy(step, Errno::from_io_error(error), &Settings::read()),
        }
    }
}

/// Whether networks can be isolated here: a child of squall's own tries each part, in namespaces that end with it.
pub fn probe() -> Result<(), Unavailable> {
    let plan = Plan::new();
    let mut child = Command::new("/proc/self/exe");
    // SAFETY: `carry_out` makes system calls and allocates nothing.
    unsafe { child.pre_exec(move || Err(plan.carry_out())) };
    // It never executes anything; its error is what it has to say.
    let told = match child.spawn() {
        Err(told) => told,
        Ok(mut child) => {
            drop(child.kill());
            drop(child.wait());
            return Err(Unavailable::Untried("it was executed".to_owned()));
        }
    };
    let code = told.raw_os_error().unwrap_or_default();
    let step = Step::ALL.iter().find(|step| **step as i32 == code / ERRNO_MAX);
    match step {
        Some(step) => Err(Unavailable::refused(
            *step,
            &io::Error::from_raw_os_error(code % ERRNO_MAX),
        )),
        None if code == Errno::CANCELED.raw_os_error() => Ok(()),
        // The child could not be forked.
        None => Err(Unavailable::Untried(told.to_string())),
    }
}

/// All that the child sends, made before it is forked.
struct Plan {
    takes_user_namespace: bool,
    user_map: String,
    group_map: String,
    links: Vec<(Step, Vec<u8>)>,
    filter: Vec<(Step, Vec<u8>, usize)>,
}

impl Plan {
    fn new() -> Self {
        let [user, group] = [
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        ];
        let links = [
            (Step::Bridge, link::bridge(2, "bridge")),
            (Step::Cable, link::cable((3, "one"), 2, (4, "other"), None)),
            (
                Step::TokenBucket,
                link::token_bucket(3, 1_000_000, 10_000, 10_000),
            ),
        ];
        let end = Addresses {
            ipv4: Ipv4Addr::LOCALHOST,
            ipv6: Some(Ipv6Addr::LOCALHOST),
        };
        let dropping = |share| rules(Chain::Dropped, 1, end, end, share);
        let filter = [
            (Step::Filter, [foundation(), dropping(1.0)].concat()),
            (Step::Share, dropping(0.5)),
        ];
        let piece = |messages: Vec<Message>| {
            let numbered = transaction(messages).into_iter().zip(1..);
            numbered
                .flat_map(|(message, number)| message.numbered(number))
                .collect()
        };
        Self {
            takes_user_namespace: !Ownership::is_held(),
            user_map: format!("{user} {user} 1"),
            group_map: format!("{group} {group} 1"),
            links: links.map(|(step, message)| (step, message.numbered(1))).into(),
            filter: filter
                .map(|(step, messages)| {
                    let acknowledged = messages.len();
                    (step, piece(messages), acknowledged)
                })
                .into(),
        }
    }

    /// Tries each part in turn; says which one failed and how.
    fn carry_out(&self) -> io::Error {
        let code = match self.attempt() {
            Ok(()) => Errno::CANCELED.raw_os_error(),
            Err((step, errno)) => step as i32 * ERRNO_MAX + errno.raw_os_error(),
        };
        io::Error::from_raw_os_error(code)
    }

    fn attempt(&self) -> Result<(), (Step, Errno)> {
        let at = |step| move |errno| (step, errno);
        if self.takes_user_namespace {
            leave_after_fork(UnshareFlags::NEWUSER).map_err(at(Step::UserNamespace))?;
            self.map().map_err(at(Step::Maps))?;
        }
        leave_after_fork(UnshareFlags::NEWNET).map_err(at(Step::NetworkNamespace))?;
        let open = |protocol| {
            let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
            socket_with(family, kind, SocketFlags::CLOEXEC, protocol)
        };
        let route = open(None).map_err(at(Step::Netlink))?;
        for (step, message) in &self.links {
            tell(&route, message, 1).map_err(at(*step))?;
        }
        let filter = open(Some(netlink::NETFILTER)).map_err(at(Step::Filter))?;
        for (step, piece, acknowledged) in &self.filter {
            tell(&filter, piece, *acknowledged).map_err(at(*step))?;
        }
        Ok(())
    }

    fn map(&self) -> rustix::io::Result<()> {
        let write = |path: &std::ffi::CStr, text: &str| {
            let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(file, text.as_bytes()).map(drop)
        };
        write(c"/proc/self/setgroups", "deny")?;
        write(c"/proc/self/uid_map", &self.user_map)?;
        write(c"/proc/self/gid_map", &self.group_map)
    }
}

fn tell(to: &OwnedFd, bytes: &[u8], acknowledged: usize) -> rustix::io::Result<()> {
    send(to, bytes, SendFlags::empty())?;
    (0..acknowledged).try_for_each(|_| acknowledgement(to))
}

/// What the machine's administrator, or its container, has set; nothing where there is no such setting.
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    /// `kernel.unprivileged_userns_clone`, of Debian's kernels
    userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's
    apparmor_restricts: Option<u64>,
    /// `user.max_user_namespaces`
    user_namespaces_max: Option<u64>,
    /// `user.max_net_namespaces`
    net_namespaces_max: Option<u64>,
    /// A filter on squall's own system calls is in force.
    is_filtered: bool,
}

impl Settings {
    fn read() -> Self {
        let setting = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut modes = status.lines().filter_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            userns_clone: setting("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            user_namespaces_max: setting("/proc/sys/user/max_user_namespaces"),
            net_namespaces_max: setting("/proc/sys/user/max_net_namespaces"),
            is_filtered: modes.any(|mode| mode.trim() == "2"),
        }
    }
}

fn remedy(step: Step, errno: Option<Errno>, settings: &Settings) -> String {
    let is_namespace = matches!(step, Step::UserNamespace | Step::NetworkNamespace | Step::Maps);
    match (step, errno) {
        (Step::UserNamespace, Some(Errno::INVAL)) => "the kernel must be built with CONFIG_USER_NS".to_owned(),
        (Step::NetworkNamespace, Some(Errno::INVAL)) => {
            "the kernel must be built with CONFIG_NET_NS".to_owned()
        }
        (Step::UserNamespace, Some(Errno::NOSPC | Errno::USERS)) => format!(
            "user.max_user_namespaces is {} and reached: sysctl -w user.max_user_namespaces=15000",
            shown(settings.user_namespaces_max)
        ),
        (Step::NetworkNamespace, Some(Errno::NOSPC)) => format!(
            "user.max_net_namespaces is {} and reached: sysctl -w user.max_net_namespaces=15000",
            shown(settings.net_namespaces_max)
        ),
        (Step::UserNamespace, _) if settings.userns_clone == Some(0) => {
            "kernel.unprivileged_userns_clone is 0: sysctl -w kernel.unprivileged_userns_clone=1".to_owned()
        }
        // AppArmor lets the namespace be made and takes away what it is good for.
        (_, Some(Errno::PERM | Errno::ACCESS)) if settings.apparmor_restricts.is_some_and(|mode| mode > 0) => {
            "kernel.apparmor_restrict_unprivileged_userns is 1: \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give squall a profile with `userns,`"
                .to_owned()
        }
        _ if is_namespace && settings.is_filtered => {
            "a filter on squall's system calls is in force; if that is a container's, start it with \
             --security-opt seccomp=unconfined or --cap-add SYS_ADMIN"
                .to_owned()
        }
        _ => match step.module() {
            Some("nf_tables") => "the kernel must have nf_tables for bridges: modprobe nf_tables, or CONFIG_NF_TABLES and \
                                  CONFIG_NF_TABLES_BRIDGE"
                .to_owned(),
            Some(module) => format!("the kernel must have it: modprobe {module}"),
            None => "squall must be allowed user namespaces, or have CAP_SYS_ADMIN and CAP_NET_ADMIN".to_owned(),
        },
    }
}

fn shown(setting: Option<u64>) -> String {
    setting.map_or_else(|| "not to be read".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named() {
        let free = Settings::default();
        let debian = Settings {
            userns_clone: Some(0),
            ..free
        };
        let ubuntu = Settings {
            apparmor_restricts: Some(1),
            ..free
        };
        let full = Settings {
            user_namespaces_max: Some(0),
            net_namespaces_max: Some(3),
            ..free
        };
        let container = Settings {
            is_filtered: true,
            ..free
        };
        for (step, errno, settings, expected) in [
            (Step::UserNamespace, Errno::INVAL, free, "CONFIG_USER_NS"),
            (
                Step::UserNamespace,
                Errno::PERM,
                debian,
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                Step::UserNamespace,
                Errno::NOSPC,
                full,
                "max_user_namespaces is 0",
            ),
            (
                Step::UserNamespace,
                Errno::PERM,
                container,
                "--security-opt seccomp=unconfined",
            ),
            (Step::UserNamespace, Errno::PERM, free, "allowed user namespaces"),
            (
                Step::Maps,
                Errno::PERM,
                ubuntu,
                "apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::NetworkNamespace,
                Errno::PERM,
                ubuntu,
                "apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::NetworkNamespace,
                Errno::NOSPC,
                full,
                "max_net_namespaces is 3",
            ),
            (Step::Bridge, Errno::OPNOTSUPP, free, "modprobe bridge"),
            (Step::Cable, Errno::OPNOTSUPP, free, "modprobe veth"),
            (Step::TokenBucket, Errno::NOENT, free, "modprobe sch_tbf"),
            (
                Step::Filter,
                Errno::PROTONOSUPPORT,
                free,
                "CONFIG_NF_TABLES_BRIDGE",
            ),
            (Step::Share, Errno::NOENT, free, "modprobe nft_numgen"),
        ] {
            let remedy = remedy(step, Some(errno), &settings);
            assert!(remedy.contains(expected), "{step:?} {errno:?}: {remedy}");
        }
    }

    #[test]
    fn each_step_is_found_again_by_its_number() {
        let numbers: Vec<_> = Step::ALL.iter().map(|step| *step as i32).collect();
        assert_eq!(numbers, (1..=Step::ALL.len() as i32).collect::<Vec<_>>());
    }
}
