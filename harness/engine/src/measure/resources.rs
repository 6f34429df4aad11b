//! What a service uses, its children included, from `/proc`: processor, memory, threads, descriptors, context switches.
//!
//! Looking never stops a process. One that ended between two reads is simply not there any more: its CPU time is then in its
//! parent's account of waited-for children. What can't be read, such as a process of another user, is absent, not zero.
//!
//! Switches and run-queue delay are kept by the kernel per thread, two small files each. A full look reads them all; a light one
//! goes only over the processes that the last full look found. Measured by `examples/look_cost.rs`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

use super::pause::run_queue::{self, Accounts, Spent};
use crate::process::Identity;

/// The most processes of one service that are looked at: a tree deeper or wider than this is a runaway, and seen in part.
const PROCESSES_MAX: usize = 4_096;

/// The most threads of one service that are looked at.
const THREADS_MAX: usize = 65_536;

/// The most of one file that is read: the longest, a thread's `status`, has about 1.5 KiB, most of it masks.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Find the processes anew and read every thread.
    Full,
    /// The processes as they were found last, and no threads.
    Light,
}

/// What all processes of a service have, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since the processes began, microseconds.
    pub cpu_us: u64,
    /// Resident set, bytes.
    pub rss: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors; absent where they can't be read of each process.
    pub descriptors: Option<u64>,
}

/// What a thread has done since it began. Absent is what can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it waited on a run queue, nanoseconds.
    pub waited_ns: Option<u64>,
    /// How often it gave up its processor.
    pub voluntary: Option<u64>,
    /// How often it was taken off it.
    pub involuntary: Option<u64>,
}

impl Account {
    /// Whether `now`, of the same number, is another thread's: an account never falls.
    pub fn is_of_another(&self, now: &Account) -> bool {
        let fell = |before: Option<u64>, now: Option<u64>| before.zip(now).is_some_and(|(b, n)| n < b);
        fell(self.waited_ns, now.waited_ns)
            || fell(self.voluntary, now.voluntary)
            || fell(self.involuntary, now.involuntary)
    }
}

/// One look at a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What it has now.
    pub usage: Usage,
    /// What its threads did since the last full look; absent in the first, and in a light one.
    pub spent: Option<Spent>,
    /// Those of its processes that a stop signal or a tracer holds.
    pub stopped: Vec<Identity>,
}

/// What is remembered of a service from look to look.
#[derive(Debug, Default)]
pub struct Watch {
    processes: Vec<u32>,
    accounts: Option<Accounts>,
    file: Vec<u8>,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new() -> Watch {
        Watch::default()
    }

    /// Looks at `root` and all that descends from it; nothing if it is gone.
    pub fn look(&mut self, root: Identity, depth: Depth) -> Option<Look> {
        let root_pid = root.pid.cast_unsigned();
        if self.stat(root_pid)?.identity != root {
            return None;
        }
        let is_full = depth == Depth::Full || self.processes.first() != Some(&root_pid);
        let mut look = Look {
            usage: Usage {
                descriptors: Some(0),
                ..Usage::default()
            },
            ..Look::default()
        };
        if !is_full {
            for at in 0..self.processes.len() {
                self.add(self.processes[at], &mut look);
            }
            return Some(look);
        }
        let mut accounts = Accounts::new();
        let mut found = Vec::new();
        let mut waiting = vec![root_pid];
        while let Some(pid) = waiting.pop().filter(|_| found.len() < PROCESSES_MAX) {
            if self.add(pid, &mut look) {
                found.push(pid);
                self.threads(pid, &mut accounts, &mut waiting);
            }
        }
        self.processes = found;
        let before = self.accounts.replace(accounts);
        let now = self.accounts.as_ref().expect("it was just put there");
        look.spent = before.map(|before| run_queue::between(&before, now));
        Some(look)
    }

    /// Adds one process; false if it is gone.
    fn add(&mut self, pid: u32, look: &mut Look) -> bool {
        let Some(stat) = self.stat(pid) else { return false };
        let usage = &mut look.usage;
        usage.cpu_us += cpu_us(pid, &stat);
        usage.rss += stat.pages * rustix::param::page_size() as u64;
        // What is left of a process that has ended has neither threads nor descriptors.
        if matches!(stat.state, 'Z' | 'X') {
            return true;
        }
        usage.threads += stat.threads;
        usage.descriptors = usage.descriptors.zip(descriptors(pid)).map(|(a, b)| a + b);
        if matches!(stat.state, 'T' | 't') {
            look.stopped.push(stat.identity);
        }
        true
    }

    /// Adds the accounts of a process's threads, and their children. Kernels without `CONFIG_PROC_CHILDREN` show no
    /// children: then only the service's own process counts.
    fn threads(&mut self, pid: u32, accounts: &mut Accounts, children: &mut Vec<u32>) {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
            return;
        };
        let mut path = String::new();
        for thread in threads.flatten() {
            let name = thread.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let mut read = |watch: &mut Watch, name: &str, of: &mut dyn FnMut(&str)| {
                path.clear();
                // Writing to a String cannot fail.
                let _ = write!(path, "/proc/{pid}/task/{id}/{name}");
                watch.with(&path, of);
            };
            read(self, "children", &mut |text| {
                children.extend(
                    text.split_ascii_whitespace()
                        .filter_map(|child| child.parse::<u32>().ok()),
                );
            });
            if accounts.len() >= THREADS_MAX {
                continue;
            }
            let mut account = Account::default();
            read(self, "schedstat", &mut |text| {
                account.waited_ns = parse_schedstat(text);
            });
            read(self, "status", &mut |text| {
                (account.voluntary, account.involuntary) = parse_switches(text);
            });
            accounts.insert(id, account);
        }
    }

    fn stat(&mut self, pid: u32) -> Option<Stat> {
        let mut stat = None;
        self.with(&format!("/proc/{pid}/stat"), &mut |text| {
            stat = parse_stat(pid.cast_signed(), text);
        });
        stat
    }

    /// Hands the text of a file on, if there is one.
    fn with(&mut self, path: &str, of: &mut dyn FnMut(&str)) {
        self.file.clear();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut self.file));
        if read.is_ok() {
            of(&String::from_utf8_lossy(&self.file));
        }
    }
}

/// What a process and the children that it waited for have used. The kernel shows whole ticks of 10 ms in `stat`; a process's own
/// clock (`clock_getcpuclockid(3)`) is as fine as the scheduler's, and also has what threads used that have ended.
fn cpu_us(pid: u32, stat: &Stat) -> u64 {
    let us = |ticks: u64| ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second();
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed()));
    let own = clock
        .and_then(ClockId::now)
        .map(|spent| Duration::from(spent).as_micros() as u64);
    own.unwrap_or_else(|_| us(stat.ticks)).max(us(stat.ticks)) + us(stat.waited_for)
}

/// How many descriptors a process has open. Since Linux 6.2 the folder's size is their number; before, it is zero and they are
/// counted one by one.
fn descriptors(pid: u32) -> Option<u64> {
    let folder = format!("/proc/{pid}/fd");
    match fs::metadata(&folder).map(|folder| folder.len()) {
        Ok(0) => Some(fs::read_dir(&folder).ok()?.count() as u64),
        Ok(open) => Some(open),
        Err(_) => None,
    }
}

/// What is read of `/proc/PID/stat`, see `proc_pid_stat(5)`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    identity: Identity,
    state: char,
    /// User and system CPU time.
    ticks: u64,
    /// The same of children that have ended and were waited for.
    waited_for: u64,
    threads: u64,
    pages: u64,
}

fn parse_stat(pid: i32, stat: &str) -> Option<Stat> {
    // The name may hold spaces and brackets; it ends at the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let (user, system, users, systems) = (number(11)?, number(12)?, number(13)?, number(14)?);
    Some(Stat {
        identity: Identity {
            pid,
            start_time: number(19)?,
        },
        state: fields.first()?.chars().next()?,
        ticks: user.saturating_add(system),
        waited_for: users.saturating_add(systems),
        threads: number(17)?,
        pages: number(21)?,
    })
}

/// The nanoseconds that a thread has waited, the second of the three numbers of its `schedstat`. A kernel that doesn't keep
/// them shows none for a thread that has run, which is nothing known rather than no wait.
fn parse_schedstat(text: &str) -> Option<u64> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (ran > 0 || waited > 0).then_some(waited)
}

/// The last two lines of a thread's `status`: how often it gave up its processor, and how often it was taken off.
fn parse_switches(status: &str) -> (Option<u64>, Option<u64>) {
    let value = |name: &str| {
        let mut lines = status.lines().rev().take(8);
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    (
        value("voluntary_ctxt_switches:"),
        value("nonvoluntary_ctxt_switches:"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    fn of(child: &Child) -> Identity {
        Identity::of(child.id().cast_signed()).expect("it runs")
    }

    fn end(mut child: Child) {
        child.kill().and_then(|()| child.wait()).expect("killed");
    }

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let fields = "S 1 1 1 0 -1 0 0 0 0 0 7 5 3 1 20 0 4 0 100 999 42 18446744073709551615";
        let stat = parse_stat(12, &format!("12 (a) b ) {fields}")).expect("readable");
        assert_eq!(
            (stat.state, stat.ticks, stat.waited_for, stat.threads, stat.pages),
            ('S', 12, 4, 4, 42)
        );
        assert_eq!(stat.identity.start_time, 100);
    }

    #[test]
    fn a_torn_file_says_nothing() {
        for text in [
            "",
            "12 (a",
            "12 (a) S 1 2",
            "12 (a) S 1 1 1 0 -1 0 0 0 0 0 x 5 3 1 20 0 4 0 100 999 42 1",
        ] {
            assert_eq!(parse_stat(12, text), None, "{text}");
        }
        assert_eq!(parse_schedstat("12"), None);
        assert_eq!(parse_switches("Name: a\n"), (None, None));
    }

    #[test]
    fn a_kernel_that_keeps_no_delay_is_not_taken_for_a_thread_without() {
        assert_eq!(parse_schedstat("61366452 20497085 168\n"), Some(20_497_085));
        assert_eq!(parse_schedstat("100 0 1\n"), Some(0));
        assert_eq!(parse_schedstat("0 0 0\n"), None);
    }

    /// Ticks are of 10 ms: a slice of a gate would have a few dozen.
    #[test]
    fn what_a_process_used_is_known_finer_than_in_ticks() {
        let own = Identity::own().expect("/proc is readable");
        let mut watch = Watch::new();
        let tick_us = 1_000_000 / rustix::param::clock_ticks_per_second();
        let used = |_| watch.look(own, Depth::Full).expect("it runs").usage.cpu_us;
        let used: Vec<u64> = (0..20).map(used).collect();
        assert!(used.iter().any(|us| us % tick_us != 0), "{used:?}");
    }

    #[test]
    fn switches_are_told_apart() {
        let status = "Name:\tvoluntary_ctxt_switches: 9\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(parse_switches(status), (Some(17), Some(3)));
    }

    #[test]
    fn this_process_uses_something_and_one_that_is_gone_is_not_zero() {
        let own = Identity::own().expect("/proc is readable");
        let look = Watch::new().look(own, Depth::Full).expect("it runs");
        assert!(look.usage.rss > 0 && look.usage.threads > 0, "{look:?}");
        assert!(look.usage.descriptors.is_some_and(|open| open >= 3), "{look:?}");
        assert_eq!(
            look.spent, None,
            "what was before the first look is of no interval"
        );
        let other = Identity {
            start_time: own.start_time + 1,
            ..own
        };
        assert_eq!(
            Watch::new().look(other, Depth::Full),
            None,
            "a number that was given again"
        );
        let none = Identity {
            pid: i32::MAX,
            start_time: 1,
        };
        assert_eq!(Watch::new().look(none, Depth::Full), None);
    }

    #[test]
    fn descriptors_are_those_that_the_process_has_open() {
        let held = Command::new("sh")
            .args(["-c", "exec 7</dev/null 8</dev/null; exec sleep 60"])
            .spawn()
            .expect("sh starts");
        let folder = format!("/proc/{}/fd", held.id());
        let named = || {
            let entries = fs::read_dir(&folder).expect("our own child").flatten();
            entries.map(|entry| entry.file_name().into_string().expect("a number"))
        };
        // A program that begins opens and closes libraries, so the two counts are taken until they agree.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let names: Vec<String> = named().collect();
            let is_set = ["7", "8"].iter().all(|name| names.iter().any(|one| one == name));
            if is_set && descriptors(held.id()) == Some(names.len() as u64) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{names:?}, {:?}",
                descriptors(held.id())
            );
            std::thread::yield_now();
        }
        end(held);
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let mut watch = Watch::new();
        watch.look(Identity::own().expect("/proc is readable"), Depth::Full);
        let seen = watch.processes.clone();
        let pid = child.id();
        end(child);
        assert!(seen.contains(&pid), "{seen:?}");
    }

    #[test]
    fn what_threads_do_between_two_looks_is_told() {
        let own = Identity::own().expect("/proc is readable");
        let mut watch = Watch::new();
        watch.look(own, Depth::Full);
        assert_eq!(
            watch.look(own, Depth::Light).expect("it runs").spent,
            None,
            "a light look reads no thread"
        );
        // More runnable threads than processors: some must wait for one.
        let busy = 2 * std::thread::available_parallelism().map_or(2, usize::from) + 2;
        let over = AtomicBool::new(false);
        let look = std::thread::scope(|scope| {
            for _ in 0..busy {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let until = Instant::now() + Duration::from_millis(300);
            while Instant::now() < until {
                std::thread::park_timeout(until - Instant::now());
            }
            let look = watch.look(own, Depth::Full);
            over.store(true, Ordering::Relaxed);
            look
        });
        let spent = look.and_then(|look| look.spent).expect("the second full look");
        assert!(spent.voluntary.is_some_and(|times| times > 0), "{spent:?}");
        assert!(spent.run_queue_us.is_some_and(|us| us > 10_000), "{spent:?}");
    }

    #[test]
    fn a_process_that_is_held_is_seen_to_be_stopped() {
        let child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let (process, mut watch) = (of(&child), Watch::new());
        assert!(
            watch
                .look(process, Depth::Full)
                .expect("it runs")
                .stopped
                .is_empty()
        );
        process.signal(rustix::process::Signal::STOP).expect("sent");
        let deadline = Instant::now() + Duration::from_secs(20);
        while watch.look(process, Depth::Light).expect("it runs").stopped != [process] {
            assert!(Instant::now() < deadline, "it never stopped");
            std::thread::yield_now();
        }
        end(child);
    }
}
