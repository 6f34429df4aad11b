//! Which processors the generator runs on: away from the services where the inherited mask has room, never outside it.

use std::io;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What was decided about processors, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPlan {
    /// The generator's processors, one a thread; `None`: not pinned.
    pub generator: Option<Vec<usize>>,
    /// Processors left for the services; `None`: all that were inherited.
    pub services: Option<Vec<usize>>,
    /// The decision in words, for the record.
    pub about: String,
}

/// Generator threads when nothing else is asked for: a quarter of the processors, at least one.
pub fn default_threads(processors: usize) -> usize {
    (processors / 4).max(1)
}

/// The processors that this process may run on, rising.
pub fn inherited_cpus() -> io::Result<Vec<usize>> {
    let mask = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect())
}

/// The fewest processors of which some are set apart for the generator. With fewer, a pinned generator could not get out
/// of the way of whatever else the machine runs, and its schedule would suffer more than the services gain.
const PROCESSORS_TO_SPARE: usize = 4;

/// Gives the generator's threads the last of the `inherited` processors, one each, where there are enough of them and at
/// least one stays for the services; else pins nothing.
pub fn plan_cpus(inherited: &[usize], threads: usize) -> CpuPlan {
    let spare = inherited.len().saturating_sub(threads);
    if spare == 0 || threads == 0 || inherited.len() < PROCESSORS_TO_SPARE {
        let about = format!(
            "generator not pinned: {threads} thread(s) and the services share the {} inherited processor(s)",
            inherited.len()
        );
        return CpuPlan {
            generator: None,
            services: None,
            about,
        };
    }
    let (services, generator) = inherited.split_at(spare);
    let about = format!(
        "generator pinned to processor(s) {}, {} left for the services",
        list(generator),
        list(services)
    );
    CpuPlan {
        generator: Some(generator.to_vec()),
        services: Some(services.to_vec()),
        about,
    }
}

/// Confines another process, which has one thread, to `cpus`; what it starts inherits that.
pub fn pin_process(pid: u32, cpus: &[usize]) -> io::Result<()> {
    let pid = Pid::from_raw(pid.cast_signed());
    Ok(sched_setaffinity(pid, &mask(cpus)?)?)
}

/// Confines the calling thread to `cpus`.
pub fn pin_current_thread(cpus: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(None, &mask(cpus)?)?)
}

fn mask(cpus: &[usize]) -> io::Result<CpuSet> {
    let mut mask = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("there is no processor {cpu}"),
            ));
        }
        mask.set(cpu);
    }
    Ok(mask)
}

fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_takes_the_last_processors_where_one_stays_for_the_services() {
        let plan = plan_cpus(&[2, 3, 8, 9], 1);
        assert_eq!(
            (plan.generator, plan.services),
            (Some(vec![9]), Some(vec![2, 3, 8]))
        );
        assert_eq!(
            plan.about,
            "generator pinned to processor(s) 9, 2, 3, 8 left for the services"
        );
    }

    #[test]
    fn nothing_is_pinned_where_no_processor_is_to_spare() {
        for (inherited, threads) in [
            (&[0][..], 1),
            (&[0, 1], 1),
            (&[0, 1, 2], 1),
            (&[0, 1, 2, 3], 4),
            (&[], 1),
        ] {
            let plan = plan_cpus(inherited, threads);
            assert_eq!(
                (plan.generator, plan.services),
                (None, None),
                "{inherited:?} {threads}"
            );
        }
    }

    #[test]
    fn a_quarter_of_the_processors_is_the_default() {
        assert_eq!([1, 2, 4, 7, 8, 64].map(default_threads), [1, 1, 1, 1, 2, 16]);
    }

    #[test]
    fn a_thread_can_be_confined_within_the_inherited_mask() {
        let inherited = inherited_cpus().unwrap();
        let last = *inherited.last().unwrap();
        std::thread::spawn(move || {
            pin_current_thread(&[last]).unwrap();
            assert_eq!(inherited_cpus().unwrap(), [last]);
        })
        .join()
        .unwrap();
        assert_eq!(inherited_cpus().unwrap(), inherited);
    }
}
