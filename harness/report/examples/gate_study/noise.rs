//! A made-up machine and the blocks that a gate would see on it, as changes; no histograms, so that tens of thousands of gates take minutes.
//!
//! The logarithm of what an arm shows in a second is a sum:
//!
//! - *restart*: one draw for each start of a process, normal. Memory layout, hashes' seeds, which processor. A block has one start of each arm,
//!   so its slices don't average it; pairing doesn't remove it; only more blocks help.
//! - *slice*: one draw a second, normal, or with heavy tails (Student's t with two degrees of freedom).
//! - *drift*: the machine's slow course, the same for both arms (an Ornstein-Uhlenbeck process with a memory of a minute). Slices that lie
//!   side by side share nearly all of it.
//! - *bursts*: seconds in which the machine is taken away, as a two-state chain; each makes things slower by an exponential draw. It meets
//!   whoever has its slice then.
//!
//! Metrics feel these parts differently (`FEELS`): CPU time per request hardly any, P99.9 most. Half of the variance of a restart is common to
//! all metrics of the arm, so they are alike.
//!
//! The sizes are choices, held to two numbers that the project's design names: a rule that compares one run with one run at 5 % is wrong in 39
//! to 42 of 100 on the same code (profile *drift* is made to give that), and blocks with restarts and slices of 1 s find +10 % on P99
//! in about three minutes (it comes out near that on *drift*). The others are guesses to all sides of it.

use squall_model::gate::MetricKind;
use squall_model::seed::Seed;

/// A kind of machine. Sizes are standard deviations of the logarithm of P99.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What it is called in the table.
    pub name: &'static str,
    /// Between starts of one program.
    pub restart: f64,
    /// Between seconds.
    pub slice: f64,
    /// Of the machine's slow course.
    pub drift: f64,
    /// The share of seconds in a burst; one lasts two seconds on average.
    pub bursts: f64,
    /// By how much a burst makes things slower, on average.
    pub burst: f64,
    /// Whether seconds have heavy tails.
    pub heavy: bool,
    /// Failed requests where nothing is wrong, a share; four times as many in a burst.
    pub errors: f64,
}

/// The machines of the study.
pub const PROFILES: [Profile; 5] = [
    Profile {
        name: "quiet",
        restart: 0.015,
        slice: 0.03,
        drift: 0.03,
        bursts: 0.0,
        burst: 0.0,
        heavy: false,
        errors: 0.0,
    },
    Profile {
        name: "drift",
        restart: 0.035,
        slice: 0.06,
        drift: 0.25,
        bursts: 0.0,
        burst: 0.0,
        heavy: false,
        errors: 0.000_2,
    },
    Profile {
        name: "bursts",
        restart: 0.03,
        slice: 0.05,
        drift: 0.05,
        bursts: 0.1,
        burst: 1.0,
        heavy: false,
        errors: 0.000_2,
    },
    Profile {
        name: "heavy tail",
        restart: 0.03,
        slice: 0.05,
        drift: 0.05,
        bursts: 0.0,
        burst: 0.0,
        heavy: true,
        errors: 0.000_2,
    },
    Profile {
        name: "ten times oversubscribed",
        restart: 0.15,
        slice: 0.4,
        drift: 0.3,
        bursts: 0.2,
        burst: 1.0,
        heavy: false,
        errors: 0.002,
    },
];

/// Pairs of slices in a block.
const PAIRS: usize = 3;

/// What a block takes: six slices of 1 s, and 1 s for starts, warming up and draining.
pub const BLOCK_S: f64 = 7.0;

/// Requests of an arm in a block, at 1,000 a second.
const REQUESTS: f64 = 3_000.0;

/// How much of the drift is left after a second.
const MEMORY: f64 = 1.0 - 1.0 / 60.0;

/// How much a metric feels of each part, P99 being 1: restart, slice, machine (drift and bursts).
const FEELS: [(MetricKind, [f64; 3]); 5] = [
    (MetricKind::Cpu, [0.15, 0.15, 0.1]),
    (MetricKind::P50, [0.4, 0.3, 0.5]),
    (MetricKind::P99, [1.0, 1.0, 1.0]),
    (MetricKind::P999, [1.0, 1.5, 1.2]),
    (MetricKind::Pause, [2.0, 4.0, 1.5]),
];

/// The change of each metric in a block, on the axis of the test.
pub type Changes = Vec<(MetricKind, f64)>;

/// A machine on which two programs run in turn.
#[derive(Debug)]
pub struct Machine {
    profile: Profile,
    rng: Draws,
    drift: f64,
    burst: f64,
}

impl Machine {
    /// At any moment of its life.
    pub fn new(profile: Profile, seed: Seed) -> Machine {
        let mut rng = Draws::new(seed);
        Machine {
            drift: profile.drift * rng.normal(),
            burst: 0.0,
            profile,
            rng,
        }
    }

    /// A block. `slower` says how much worse the candidate is in truth, on the axis of the test.
    pub fn block(&mut self, slower: impl Fn(MetricKind) -> f64) -> Changes {
        self.second();
        let starts = [self.start(), self.start()];
        let mut changes = [[0.0; FEELS.len()]; PAIRS];
        let mut errors = [0.0; 2];
        for of_pair in &mut changes {
            let first = usize::from(self.rng.unit() < 0.5);
            for arm in [first, 1 - first] {
                let machine = self.second();
                let sign = if arm == 0 { -1.0 } else { 1.0 };
                for (at, (_, feels)) in FEELS.iter().enumerate() {
                    let own = feels[0] * starts[arm][at] + feels[1] * self.noise() + feels[2] * machine;
                    of_pair[at] += sign * own;
                }
                errors[arm] += self.failed();
            }
        }
        let of_metric = |(at, (kind, _)): (usize, &(MetricKind, [f64; 3]))| {
            let pairs: [f64; PAIRS] = std::array::from_fn(|pair| changes[pair][at]);
            let change = match kind {
                MetricKind::P50 | MetricKind::P99 => median(pairs),
                _ => pairs.iter().sum::<f64>() / PAIRS as f64,
            };
            (*kind, change + slower(*kind))
        };
        let mut told: Changes = FEELS.iter().enumerate().map(of_metric).collect();
        let errors = (errors[1] - errors[0]) / REQUESTS + slower(MetricKind::Errors);
        told.push((MetricKind::Errors, errors));
        told
    }

    /// P99 of each second of a whole run of one program, as logarithms: a process that is started and runs alone.
    pub fn run(&mut self, seconds: usize, slower: f64) -> Vec<f64> {
        self.second();
        let start = self.profile.restart * self.rng.normal();
        (0..seconds)
            .map(|_| self.second() + start + self.noise() + slower)
            .collect()
    }

    /// What the machine adds in the next second.
    fn second(&mut self) -> f64 {
        let fresh = (1.0 - MEMORY * MEMORY).sqrt();
        self.drift = MEMORY * self.drift + fresh * self.profile.drift * self.rng.normal();
        // Of two states, one that lasts two seconds on average and is there in the given share of them.
        let change = self.rng.unit();
        let begins = 0.5 * self.profile.bursts / (1.0 - self.profile.bursts);
        if self.burst > 0.0 && change < 0.5 {
            self.burst = 0.0;
        } else if self.burst == 0.0 && change < begins {
            self.burst = -self.profile.burst * (1.0 - self.rng.unit()).ln();
        }
        self.drift + self.burst
    }

    /// What a start adds to each metric.
    fn start(&mut self) -> [f64; FEELS.len()] {
        let common = self.rng.normal();
        let half = std::f64::consts::FRAC_1_SQRT_2;
        std::array::from_fn(|_| self.profile.restart * half * (common + self.rng.normal()))
    }

    fn noise(&mut self) -> f64 {
        let normal = self.rng.normal();
        if !self.profile.heavy {
            return self.profile.slice * normal;
        }
        // A chi-squared variable with two degrees of freedom, halved, is an exponential one.
        let exponential = -(1.0 - self.rng.unit()).ln();
        self.profile.slice * normal / exponential.max(1e-9).sqrt()
    }

    /// Failed requests of a slice: Poisson, by counting exponential gaps.
    fn failed(&mut self) -> f64 {
        let more = if self.burst > 0.0 { 4.0 } else { 1.0 };
        let expected = self.profile.errors * more * REQUESTS / PAIRS as f64;
        let mut count = 0.0;
        let mut passed = -(1.0 - self.rng.unit()).ln();
        while passed < expected {
            count += 1.0;
            passed -= (1.0 - self.rng.unit()).ln();
        }
        count
    }
}

/// Draws from one stream, each from its number.
#[derive(Debug)]
pub struct Draws {
    seed: Seed,
    drawn: u64,
    spare: Option<f64>,
}

impl Draws {
    /// From the start of a stream.
    pub fn new(seed: Seed) -> Draws {
        Draws {
            seed,
            drawn: 0,
            spare: None,
        }
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.drawn += 1;
        (self.seed.nth(self.drawn).value() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Marsaglia's polar method, which makes two at a time).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }
}

fn median(mut values: [f64; PAIRS]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[PAIRS / 2]
}
