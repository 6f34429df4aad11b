//! The arrival processes, as a scenario writes them: `arrivals: poisson`, `arrivals: { ramp: { from: 100/s, to: 2k/s } }`.
//!
//! What is written may lean on its phase (a ramp lasts as long as it) and on the load's rate (`even` has none of its own); both
//! are put in when a phase is planned, so that the generator gets a process that depends on nothing.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use squall_load::PacerKind;
use squall_load::pacer::{self, Trace};
use squall_model::decode::{Decode, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::node::Node;
use squall_model::span::Spanned;
use squall_model::units::{Bytes, Count, Rate, Scale};
use squall_model::{choice, record, untagged};

use super::compile;

/// One arrival process.
#[derive(Clone, Copy, Debug)]
pub struct PacerEntry {
    /// Its word in a scenario.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Reads its parameters; the folder is the one that paths are relative to.
    pub(super) decode: fn(&Node, &Path, &mut Diagnostics) -> Option<Written>,
    /// The schema of the parameters.
    pub schema: fn() -> Schema,
}

/// Every arrival process.
pub static PACERS: &[PacerEntry] = &[
    PacerEntry {
        name: "even",
        about: "arrivals at equal distances",
        decode: |params, _, diagnostics| steady("even", PacerKind::Even, params, diagnostics),
        schema: Nothing::schema,
    },
    PacerEntry {
        name: "poisson",
        about: "arrivals independent of each other, as from many unrelated callers",
        decode: |params, _, diagnostics| steady("poisson", PacerKind::Poisson, params, diagnostics),
        schema: Nothing::schema,
    },
    PacerEntry {
        name: "ramp",
        about: "a rate that goes evenly from one to another",
        decode: |params, _, diagnostics| whole(params, diagnostics).map(Written::Ramp),
        schema: Ramp::schema,
    },
    PacerEntry {
        name: "step",
        about: "a rate that goes from one to another in stairs",
        decode: |params, _, diagnostics| whole(params, diagnostics).map(Written::Step),
        schema: Step::schema,
    },
    PacerEntry {
        name: "sine",
        about: "a rate that swings around a mean",
        decode: |params, _, diagnostics| whole(params, diagnostics).map(Written::Sine),
        schema: Sine::schema,
    },
    PacerEntry {
        name: "burst",
        about: "many arrivals at once, again and again",
        decode: |params, _, diagnostics| whole(params, diagnostics).map(Written::Burst),
        schema: Burst::schema,
    },
    PacerEntry {
        name: "trace",
        about: "arrivals at the times that a file lists",
        decode: trace,
        schema: TraceWritten::schema,
    },
];

/// An arrival process as written.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// One without parameters.
    Steady(PacerKind),
    /// See [`Ramp`].
    Ramp(Ramp),
    /// See [`Step`].
    Step(Step),
    /// See [`Sine`].
    Sine(Sine),
    /// See [`Burst`].
    Burst(Burst),
    /// Read already.
    Trace(Trace),
}

choice! {
    /// How arrivals are spread along a rate that changes.
    pub enum Spread {
        /// At distances that follow from the rate.
        Even = "even",
        /// Independent of each other.
        Poisson = "poisson",
    }
}

record! {
    /// No parameters.
    pub struct Nothing {}
}

record! {
    /// A rate that goes evenly from one to another.
    pub struct Ramp {
        /// The rate at the start.
        pub from: Rate,
        /// The rate at the end.
        pub to: Rate,
        /// How long it takes, from the begin of the phase; the whole phase if left out. Then the rate stays.
        pub over: Option<Duration>,
        /// How arrivals are spread along the rate.
        pub spread: Spread = Spread::Even,
    }
}

record! {
    /// A rate that goes from one to another in stairs.
    pub struct Step {
        /// The rate of the first stair.
        pub from: Rate,
        /// The rate of the last stair.
        pub to: Rate,
        /// So many stairs over the phase; at least two.
        pub steps: Option<NonZeroU32>,
        /// So long a stair; as many as the phase has room for.
        pub every: Option<Spanned<Duration>>,
        /// How arrivals are spread along the rate.
        pub spread: Spread = Spread::Even,
    }
    exactly_one ["steps", "every"];
}

record! {
    /// A rate that swings around a mean, beginning there and going up.
    pub struct Sine {
        /// The lowest rate.
        pub low: Option<Rate>,
        /// The highest rate.
        pub high: Option<Spanned<Rate>>,
        /// The mean rate.
        pub mean: Option<Rate>,
        /// How far it swings to either side.
        pub amplitude: Option<Rate>,
        /// From one crest to the next.
        pub period: Duration,
        /// How arrivals are spread along the rate.
        pub spread: Spread = Spread::Even,
    }
    exactly_one ["low", "mean"];
    needs ["low", "high"];
    needs ["high", "low"];
    needs ["mean", "amplitude"];
    needs ["amplitude", "mean"];
}

record! {
    /// Many arrivals at once, the first with the phase. What is left out follows from the load's `rate`.
    pub struct Burst {
        /// How many come at once.
        pub size: Option<Count>,
        /// From one to the next.
        pub every: Option<Duration>,
    }
    at_least_one ["size", "every"];
}

untagged! {
    /// A file of times.
    pub enum TraceWritten {
        /// Its path.
        File(Spanned<String>) = scalar,
        /// Its path, and how it is replayed.
        Keys(TraceKeys) = mapping,
    }
}

record! {
    /// A file of times, and how it is replayed.
    pub struct TraceKeys {
        /// Its path, relative to the scenario's folder. One time a line: seconds, or a duration with its unit.
        pub file: Spanned<String>,
        /// True to begin again after its end.
        pub repeat: bool = false,
        /// So many times as fast.
        pub speed: Scale = Scale::new(1.0),
    }
}

/// A file of times may be so large.
const TRACE_MAX: Bytes = Bytes(256 << 20);

fn steady(name: &str, kind: PacerKind, params: &Node, diagnostics: &mut Diagnostics) -> Option<Written> {
    if params
        .as_mapping()
        .is_some_and(|mapping| mapping.entries.is_empty())
    {
        return Some(Written::Steady(kind));
    }
    let message = format!("`{name}` takes no parameters");
    diagnostics.push(Diagnostic::error(params.head, message));
    None
}

/// Parameters in which nothing is wrong: what is missing would only be missed again in each phase.
fn whole<T: Decode>(params: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let found = diagnostics.error_count();
    T::decode(params, diagnostics).filter(|_| diagnostics.error_count() == found)
}

fn trace(params: &Node, base: &Path, diagnostics: &mut Diagnostics) -> Option<Written> {
    let (file, repeat, speed) = match whole(params, diagnostics)? {
        TraceWritten::File(file) => (file, false, 1.0),
        TraceWritten::Keys(keys) => (keys.file, keys.repeat, keys.speed.get()),
    };
    let read = read_trace(&base.join(&file.value)).and_then(|text| {
        let trace = Trace::parse(&text).map_err(|e| e.to_string())?;
        let trace = if repeat {
            trace.repeating().map_err(|e| e.to_string())?
        } else {
            trace
        };
        Ok(trace.faster(speed))
    });
    match read {
        Ok(trace) => Some(Written::Trace(trace)),
        Err(why) => {
            let message = format!("the trace `{}` cannot be replayed: {why}", file.value);
            diagnostics.push(Diagnostic::error(file.span, message));
            None
        }
    }
}

fn read_trace(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut text = String::new();
    // One byte more, so that a file that is too long is noticed, also one that grows.
    file.take(TRACE_MAX.0 + 1)
        .read_to_string(&mut text)
        .map_err(|e| e.to_string())?;
    if text.len() as u64 > TRACE_MAX.0 {
        return Err(format!("it is larger than {TRACE_MAX}"));
    }
    Ok(text)
}

/// The phase that a process is planned for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// How times are scaled.
    pub(super) scale: compile::Scale,
    /// The phase's length as written.
    pub(super) written: Duration,
}

impl Stretch {
    /// The phase's length.
    pub(super) fn length(self) -> Duration {
        self.of(self.written)
    }

    fn of(self, time: Duration) -> Duration {
        self.scale.of(time, self.written)
    }
}

impl Written {
    /// What it lacks of a rate of its own, in words; `None` if it has one.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        match self {
            Written::Steady(_) => Some("`rate`"),
            Written::Burst(burst) if burst.size.is_none() || burst.every.is_none() => {
                Some("`rate`, or both `size` and `every`")
            }
            Written::Ramp(_)
            | Written::Step(_)
            | Written::Sine(_)
            | Written::Burst(_)
            | Written::Trace(_) => None,
        }
    }

    /// The process in a phase: `factor` times as much as written; `rate_per_s` has the factor in it already, and is there where
    /// the process [lacks](Written::lacks) one.
    pub(super) fn in_phase(&self, rate_per_s: f64, factor: f64, phase: Stretch) -> Result<PacerKind, String> {
        Ok(match self {
            Written::Steady(kind) => kind.clone(),
            Written::Ramp(ramp) => PacerKind::Ramp(pacer::Ramp {
                from_per_s: ramp.from.get() * factor,
                to_per_s: ramp.to.get() * factor,
                over: phase.of(ramp.over.unwrap_or(phase.written)),
                spread: ramp.spread.into(),
            }),
            Written::Step(step) => PacerKind::Step(step.in_phase(factor, phase)?),
            Written::Sine(sine) => PacerKind::Sine(sine.in_phase(factor, phase)?),
            Written::Burst(burst) => PacerKind::Burst(burst.with(rate_per_s, factor)?),
            Written::Trace(trace) => PacerKind::Trace(trace.clone().faster(factor)),
        })
    }
}

impl Step {
    fn in_phase(&self, factor: f64, phase: Stretch) -> Result<pacer::Step, String> {
        let (stairs, every) = match (self.steps, &self.every) {
            (Some(steps), _) => (steps.get(), phase.length() / steps.get()),
            (None, Some(every)) if every.is_zero() => return Err("a stair of no length".to_owned()),
            (None, every) => {
                let every = every.map_or(phase.written, |every| every.value);
                let stairs = phase.written.as_nanos().div_ceil(every.as_nanos().max(1));
                // A phase with room for one has the first; what comes after it does not matter.
                let stairs = u32::try_from(stairs).unwrap_or(u32::MAX).max(2);
                (stairs, phase.of(every))
            }
        };
        Ok(pacer::Step {
            from_per_s: self.from.get() * factor,
            to_per_s: self.to.get() * factor,
            stairs,
            every,
            spread: self.spread.into(),
        })
    }
}

impl Sine {
    fn in_phase(&self, factor: f64, phase: Stretch) -> Result<pacer::Sine, String> {
        let (mean, amplitude) = match (self.low, self.high, self.mean, self.amplitude) {
            (Some(low), Some(high), _, _) if low.get() > high.get() => {
                return Err(format!("`low` is {low}, above `high`, which is {}", high.value));
            }
            (Some(low), Some(high), _, _) => (
                f64::midpoint(low.get(), high.get()),
                (high.get() - low.get()) / 2.0,
            ),
            (_, _, Some(mean), Some(amplitude)) => (mean.get(), amplitude.get()),
            // Reported where it was read.
            _ => return Err("a sine needs `low` and `high`, or `mean` and `amplitude`".to_owned()),
        };
        Ok(pacer::Sine {
            mean_per_s: mean * factor,
            amplitude_per_s: amplitude * factor,
            period: phase.of(self.period),
            spread: self.spread.into(),
        })
    }
}

impl Burst {
    /// What is written beside the load's rate stays, and the rate decides the other; of two that are written, the size follows
    /// the factor.
    fn with(&self, rate_per_s: f64, factor: f64) -> Result<pacer::Burst, String> {
        Ok(match (self.size, self.every) {
            (Some(size), Some(every)) => pacer::Burst {
                size: size.0 as f64 * factor,
                every,
            },
            (Some(size), None) => {
                let size = size.0 as f64;
                let every = Duration::try_from_secs_f64(size / rate_per_s)
                    .map_err(|_| "bursts that are further apart than can be told".to_owned())?;
                pacer::Burst { size, every }
            }
            (None, every) => {
                let every = every.unwrap_or_default();
                pacer::Burst {
                    size: rate_per_s * every.as_secs_f64(),
                    every,
                }
            }
        })
    }
}

impl From<Spread> for pacer::Spread {
    fn from(spread: Spread) -> pacer::Spread {
        match spread {
            Spread::Even => pacer::Spread::Even,
            Spread::Poisson => pacer::Spread::Poisson,
        }
    }
}
