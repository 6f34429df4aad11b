//! The kernel's accounts of who had the processors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use squall_model::record::GeneratorThread;

/// Time of some processors since the machine began, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a bare number carries its unit")]
pub(super) struct Processors {
    /// All of it.
    pub(super) total_us: u64,
    /// In processes and in the kernel on their behalf; interrupts belong to nobody and are left out.
    pub(super) busy_us: u64,
    /// Kept by the host of a virtual machine.
    pub(super) steal_us: u64,
}

/// The account of the processors in `mask`, from `/proc/stat` (proc(5)).
pub(super) fn processors(mask: &[usize]) -> Option<Processors> {
    parse_stat(&fs::read_to_string("/proc/stat").ok()?, mask)
}

fn parse_stat(stat: &str, mask: &[usize]) -> Option<Processors> {
    let mut sum = None;
    for line in stat.lines() {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next().and_then(|name| name.strip_prefix("cpu"));
        let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else {
            continue;
        };
        let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user and nice already.
        if let [user, nice, system, _, _, _, _, steal, ..] = ticks[..]
            && mask.contains(&number)
        {
            let sum: &mut Processors = sum.get_or_insert_default();
            sum.total_us += ticks_to_us(ticks[..8].iter().sum());
            sum.busy_us += ticks_to_us(user + nice + system);
            sum.steal_us += ticks_to_us(steal);
        }
    }
    sum
}

fn ticks_to_us(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second()
}

/// Time in which some thread of the machine waited for a processor, from `/proc/pressure/cpu`
/// (Documentation/accounting/psi); absent where the kernel keeps no such account.
pub(super) fn pressure_us() -> Option<u64> {
    parse_pressure(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn parse_pressure(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_ascii_whitespace()
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}

/// The threads of this process whose names begin with `prefix`, from `/proc/self/task/*/schedstat`
/// (Documentation/scheduler/sched-stats).
pub(super) fn threads(prefix: &str) -> BTreeMap<u32, GeneratorThread> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return BTreeMap::new();
    };
    let read = |task: PathBuf| {
        let id = task.file_name()?.to_str()?.parse().ok()?;
        let name = fs::read_to_string(task.join("comm")).ok()?;
        if !name.starts_with(prefix) {
            return None;
        }
        Some((
            id,
            parse_schedstat(&fs::read_to_string(task.join("schedstat")).ok()?)?,
        ))
    };
    tasks.flatten().filter_map(|task| read(task.path())).collect()
}

/// Nanoseconds on a processor, nanoseconds waiting for one, time slices.
fn parse_schedstat(text: &str) -> Option<GeneratorThread> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    Some(GeneratorThread {
        cpu_us: fields.next()?.ok()? / 1_000,
        wait_us: fields.next()?.ok()? / 1_000,
    })
}

/// The control group's account of how long its quota held it up.
#[derive(Clone, Debug)]
pub(super) struct Throttling(PathBuf);

impl Throttling {
    /// Finds this process's; nothing where no controller of that kind is mounted where it usually is.
    pub(super) fn find() -> Option<Throttling> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let places = places(&groups).into_iter().map(|place| place.join("cpu.stat"));
        places
            .map(Throttling)
            .find(|throttling| throttling.read_us().is_some())
    }

    /// The time so far, microseconds.
    pub(super) fn read_us(&self) -> Option<u64> {
        parse_throttled(&fs::read_to_string(&self.0).ok()?)
    }
}

/// Where the group's files may be, by `/proc/self/cgroup` (cgroups(7)): the one hierarchy of version 2, and the one of the
/// controller `cpu` of version 1. Inside a container the path is often that of the outside, and the files are at the top.
fn places(groups: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let mounts: &[&str] = match controllers {
            "" => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
            all if all.split(',').any(|one| one == "cpu") => {
                &["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
            }
            _ => continue,
        };
        for mount in mounts {
            places.push(Path::new(mount).join(path.trim_start_matches('/')));
            places.push(PathBuf::from(mount));
        }
    }
    places
}

/// `throttled_usec` of version 2, or `throttled_time` of version 1, which counts nanoseconds.
fn parse_throttled(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        let value: u64 = value.trim().parse().ok()?;
        match key {
            "throttled_usec" => Some(value),
            "throttled_time" => Some(value / 1_000),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processors_of_the_mask_count() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 50 800 5 3 2 30 0 0\n\
                    cpu1 1 1 1 1 1 1 1 1 0 0\ncpu12 5 5 5 5 5 5 5 5 0 0\nintr 5\n";
        let tick = ticks_to_us(1);
        let expected = |total, busy, steal| {
            Some(Processors {
                total_us: total * tick,
                busy_us: busy * tick,
                steal_us: steal * tick,
            })
        };
        assert_eq!(parse_stat(stat, &[0]), expected(1_000, 160, 30));
        assert_eq!(parse_stat(stat, &[0, 12]), expected(1_040, 175, 35));
        assert_eq!(parse_stat(stat, &[3]), None);
        assert_eq!(parse_stat("cpu0 1 2", &[0]), None, "an old kernel has no steal");
    }

    #[test]
    fn pressure_is_that_of_some_threads() {
        let text = "some avg10=2.81 avg60=7.22 avg300=4.67 total=3213962\nfull avg10=0.00 total=9\n";
        assert_eq!(parse_pressure(text), Some(3_213_962));
        assert_eq!(parse_pressure(""), None);
    }

    #[test]
    fn both_versions_of_the_quota_are_read() {
        let table = [
            ("usage_usec 5\nnr_throttled 1\nthrottled_usec 77\n", Some(77)),
            ("nr_periods 1\nnr_throttled 1\nthrottled_time 77000\n", Some(77)),
            ("usage_usec 5\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_throttled(text), expected, "{text}");
        }
        let found = places("4:memory:/x\n1:cpu,cpuacct:/y\n0::/z/w\n");
        assert!(found.contains(&"/sys/fs/cgroup/z/w".into()), "{found:?}");
        assert!(
            found.contains(&"/sys/fs/cgroup/cpu,cpuacct/y".into()),
            "{found:?}"
        );
        assert!(!found.iter().any(|place| place.ends_with("x")), "{found:?}");
    }

    #[test]
    fn threads_are_found_by_their_name() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("find-me-7".to_owned())
            .spawn(move || stopped.recv().is_err())
            .unwrap();
        // A thread takes its name itself, a moment after it was made.
        while threads("find-me-").is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(threads("find-me-").len(), 1);
        assert!(threads("nobody-").is_empty());
        drop(stop);
        thread.join().unwrap();
    }
}
