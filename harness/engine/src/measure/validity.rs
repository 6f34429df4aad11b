//! Whether the numbers of a load in a phase can be trusted: the generator is judged before the service is. Pure.
//!
//! Three things are asked. Did the generator keep its schedule? Did it send what it was to send? And how much of the
//! percentile is its own lateness, in sending and in reading ([`super::lateness`])? The last catches what the schedule
//! cannot: an answer that lay in the socket while its reader had no processor counts as the service's time, also in closed
//! loop, which has no schedule.
//!
//! Where strangers or the host of the virtual machine had the processors, the services were held up by them as well, and
//! that is no property of theirs: then the lateness of this machine counts too. What the run's own services do to each other
//! is what is being measured.
//!
//! Lateness spoils times. Counts and ratios it leaves as they are, up to a schedule that slipped by so much that the load was
//! another one; requests that were never sent spoil those too (docs/decisions/014).
//!
//! Requests dropped because the service held all connections are the service's doing and spoil no number. How much CPU time
//! the generator used, who else had the processors and how long it waited for one are no limits; they name the likely cause.

use std::fmt;

use squall_load::oneshot::Totals;
use squall_model::histogram::Histogram;
use squall_model::record::{GeneratorPhase, LatencyError, LoadMode, Spoils};
use squall_model::units::human;

use super::lateness::{self, Estimate, Lateness};

/// The schedule lag that is always tolerated, microseconds.
const LAG_US: u64 = 1_000;

/// The share of the response P99 that the lag's P99 may have.
const LAG_SHARE: f64 = 0.10;

/// A schedule whose P99 slipped by more is not the load that was asked for, microseconds: the width of a row of the series.
const SLIPPED_US: u64 = 100_000;

/// The share of intended requests that the generator may leave unsent.
const UNSENT_SHARE: f64 = 0.05;

/// The share of a percentile that may be lateness, by estimate: what is let pass must not be off by 5 %, and the estimate
/// is good to a hundredth.
const ERROR_SHARE: f64 = 0.04;

/// The share of answers without the kernel's word on when they came that moves no percentile that is judged.
const UNSTAMPED_SHARE: f64 = 0.001;

/// The lateness in a percentile that is always tolerated, microseconds: so much two runs on a machine at rest differ by.
const ERROR_US: f64 = 500.0;

/// From this share of the processors' time on, strangers had them, or the host of the virtual machine did.
const NOTICEABLE: f64 = 0.05;

/// From this share of its time on, a generator thread is busy.
const BUSY: f64 = 0.90;

/// What the numbers of one load in one phase are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The load's name.
    pub load: &'a str,
    /// Whether it has a schedule.
    pub mode: LoadMode,
    /// What it did.
    pub totals: &'a Totals,
    /// How late the generator's threads came to what was due at moments of no meaning, microseconds. Where nobody
    /// recorded that, the schedule lag stands for it in open loop, and in closed loop the oversleep of a thread that only
    /// sleeps.
    pub wake_late: Option<&'a Histogram>,
    /// How late a thread woke that only sleeps; empty where nobody watched.
    pub oversleep: &'a Histogram,
    /// What was seen of the generator and its machine.
    pub host: &'a GeneratorPhase,
}

/// Why numbers can't be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What is wrong with which load.
    pub problem: String,
    /// What of the load's numbers that spoils.
    pub spoils: Spoils,
    /// What brought it about, most likely first; empty where nothing that was watched stands out.
    pub causes: Vec<String>,
    /// What to do about it.
    pub advice: &'static str,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        if !self.causes.is_empty() {
            write!(f, "; likely cause: {}", self.causes.join(", and "))?;
        }
        write!(f, "; {}", self.advice)
    }
}

/// Why the numbers of a load in a phase can't be trusted; nothing where they can.
pub fn doubts(inputs: &Inputs<'_>) -> Vec<Doubt> {
    let totals = inputs.totals;
    let mut problems = Vec::new();
    let estimate = error(inputs);
    if inputs.mode == LoadMode::Open && totals.intended > 0 {
        // Lag that is known to move no percentile by much spoils none (docs/decisions/011), unless it is of their size.
        let is_grave = high(&totals.lag) > high(&totals.response) / 2;
        if is_grave || estimate.is_none_or(is_too_large) {
            problems.extend(schedule(inputs.load, totals));
        }
        problems.extend(unsent(inputs.load, totals));
    }
    problems.extend(estimate.and_then(|estimate| too_large(inputs, estimate)));
    let (causes, advice) = causes(inputs.host);
    let doubt = |(spoils, problem)| Doubt {
        problem,
        spoils,
        causes: causes.clone(),
        advice,
    };
    problems.into_iter().map(doubt).collect()
}

/// What doubts spoil together; nothing where there are none.
pub fn spoils(doubts: &[Doubt]) -> Option<Spoils> {
    doubts.iter().map(|doubt| doubt.spoils).max()
}

/// The same in words. Cause and advice stand behind the first and hold for all.
pub fn texts(doubts: Vec<Doubt>) -> Vec<String> {
    let first = doubts.first().map(Doubt::to_string);
    let others = doubts.into_iter().skip(1).map(|doubt| doubt.problem);
    first.into_iter().chain(others).collect()
}

/// How far the load's highest percentile is off, as the run record has it; nothing where there are too few samples.
pub fn latency_error(inputs: &Inputs<'_>) -> Option<LatencyError> {
    error(inputs).map(|estimate| LatencyError {
        quantile: estimate.quantile,
        measured_us: estimate.measured_us,
        without_us: estimate.true_us,
    })
}

/// Why nothing that was measured across a suspend can be trusted: monotonic clocks stood still, and the world did not.
pub fn suspended(suspended_us: u64) -> Option<String> {
    (suspended_us > 0).then(|| {
        format!(
            "the machine was suspended for {} during the run; keep it awake and run again",
            human::microseconds(suspended_us as f64)
        )
    })
}

fn schedule(load: &str, totals: &Totals) -> Option<(Spoils, String)> {
    let lag = high(&totals.lag);
    let limit = LAG_US.max((high(&totals.response) as f64 * LAG_SHARE) as u64);
    let spoils = if lag > SLIPPED_US {
        Spoils::Everything
    } else {
        Spoils::Times
    };
    (lag > limit).then(|| {
        let text = format!(
            "the generator fell behind its schedule for {load}: P99 of the lag is {}, over the limit of {}",
            human::microseconds(lag as f64),
            human::microseconds(limit as f64)
        );
        (spoils, text)
    })
}

fn unsent(load: &str, totals: &Totals) -> Option<(Spoils, String)> {
    let unsent = totals.unsent_by_generator as f64 / totals.intended as f64;
    (unsent > UNSENT_SHARE).then(|| {
        let text = format!(
            "the generator left {} of the requests of {load} unsent ({} of {})",
            human::ratio(unsent),
            totals.unsent_by_generator,
            totals.intended
        );
        (Spoils::Everything, text)
    })
}

/// How far the load's highest percentile is off.
fn error(inputs: &Inputs<'_>) -> Option<Estimate> {
    let totals = inputs.totals;
    let open = inputs.mode == LoadMode::Open;
    let measured = if open { &totals.response } else { &totals.service };
    if measured.is_empty() {
        return None;
    }
    let mut late = Vec::new();
    // Where the kernel told when answers came, it does not matter when they were read.
    if totals.unstamped as f64 > totals.completed as f64 * UNSTAMPED_SHARE {
        let reading = inputs
            .wake_late
            .unwrap_or(if open { &totals.lag } else { inputs.oversleep });
        let service_us = totals.service.value_at_quantile(0.5) as f64;
        late.push(Lateness::Read(reading, service_us));
    }
    if open {
        late.push(Lateness::Turn(&totals.lag));
    }
    if disturbed(inputs.host) {
        late.push(Lateness::Turn(inputs.oversleep));
    }
    lateness::estimate(measured, &late)
}

/// Whether somebody who is no part of the run had the processors.
fn disturbed(host: &GeneratorPhase) -> bool {
    [host.strangers, host.steal]
        .into_iter()
        .flatten()
        .any(|share| share >= NOTICEABLE)
}

/// Whether more of a percentile is lateness than may be.
pub(super) fn is_too_large(estimate: Estimate) -> bool {
    estimate.off_us() > ERROR_US && estimate.share() > ERROR_SHARE
}

fn too_large(inputs: &Inputs<'_>, estimate: Estimate) -> Option<(Spoils, String)> {
    if !is_too_large(estimate) {
        return None;
    }
    let kind = if inputs.mode == LoadMode::Open {
        "response"
    } else {
        "service"
    };
    let text = format!(
        "P{:.0} of the {kind} time of {} is {}, and {} of it by estimate that requests were sent and answers read late",
        estimate.quantile * 100.0,
        inputs.load,
        human::microseconds(estimate.measured_us),
        human::microseconds(estimate.off_us()),
    );
    Some((Spoils::Times, text))
}

/// Something that stands out of all that was watched.
struct Cause {
    /// How much of the time it had.
    weight: f64,
    text: String,
    advice: &'static str,
}

/// What stands out, the weightiest first, and what to do about that.
fn causes(host: &GeneratorPhase) -> (Vec<String>, &'static str) {
    let mut causes: Vec<Cause> = [stolen(host), throttled(host), waited(host), busy(host)]
        .into_iter()
        .flatten()
        .collect();
    if causes.is_empty() {
        causes.extend(pressed(host));
    }
    causes.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let advice = causes.first().map(|cause| cause.advice);
    (
        causes.into_iter().map(|cause| cause.text).collect(),
        advice.unwrap_or("lower the rate or give it more cores"),
    )
}

/// A part of the time that was watched, as a share.
fn share_of(host: &GeneratorPhase, us: u64) -> f64 {
    us as f64 / host.watched_us.max(1) as f64
}

/// How much of the time the thread that waited longest waited for a processor.
fn longest_wait(host: &GeneratorPhase) -> f64 {
    let waited = host.threads.iter().map(|thread| share_of(host, thread.wait_us));
    // A wait enters the account when it ends, which may be in the next phase.
    waited.fold(0.0, f64::max).min(1.0)
}

fn stolen(host: &GeneratorPhase) -> Option<Cause> {
    let weight = host.steal.filter(|share| *share >= NOTICEABLE)?;
    Some(Cause {
        weight,
        text: format!(
            "the machine was stolen {} of the time by its host",
            human::ratio(weight)
        ),
        advice: "use a machine whose processors are its own",
    })
}

fn throttled(host: &GeneratorPhase) -> Option<Cause> {
    let weight = share_of(host, host.throttled_us?);
    (weight >= NOTICEABLE).then(|| Cause {
        weight,
        text: format!(
            "the control group's quota held squall up {} of the phase",
            human::ratio(weight)
        ),
        advice: "raise the quota or lower the rate",
    })
}

fn waited(host: &GeneratorPhase) -> Option<Cause> {
    let waited = longest_wait(host);
    let queue = format!("run-queue wait {} of the phase", human::ratio(waited));
    if let Some(strangers) = host.strangers.filter(|share| *share >= NOTICEABLE) {
        let share = human::ratio(strangers);
        return Some(Cause {
            weight: strangers.max(waited),
            text: format!("other programs had {share} of the processors' time: {queue}"),
            advice: "stop what else runs on this machine",
        });
    }
    (waited >= NOTICEABLE).then(|| Cause {
        weight: waited,
        text: format!("the run's own services had the processors: {queue}"),
        advice: "lower the rate or give the generator processors of its own",
    })
}

fn busy(host: &GeneratorPhase) -> Option<Cause> {
    let used = host.threads.iter().map(|thread| share_of(host, thread.cpu_us));
    let used = used.fold(0.0, f64::max);
    // A thread that had to wait for a processor was busy with what came up in the meantime.
    let weight = if longest_wait(host) < NOTICEABLE {
        used
    } else {
        0.0
    };
    (used >= BUSY).then(|| Cause {
        weight,
        text: format!(
            "the generator itself used {} of its core",
            human::ratio(used.min(1.0))
        ),
        advice: "lower the rate or give it more cores",
    })
}

/// The last resort: it tells that threads waited, but not which.
fn pressed(host: &GeneratorPhase) -> Option<Cause> {
    let weight = host.pressure.filter(|share| *share >= NOTICEABLE)?;
    Some(Cause {
        weight,
        text: format!(
            "some thread of this machine waited for a processor {} of the time",
            human::ratio(weight)
        ),
        advice: "stop what else runs on this machine, or lower the rate",
    })
}

/// The P99, also of few samples: a guard must not fall silent for lack of them.
fn high(histogram: &Histogram) -> u64 {
    if histogram.is_empty() {
        0
    } else {
        histogram.value_at_quantile(0.99)
    }
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
