//! Each law by itself: Squall's percentiles beside the law's own, in open and in closed loop.

use std::time::Duration;

use squall_delay_law::service::behaviour;
use squall_delay_law::{Behaviour, SERVICE};
use squall_model::histogram::SAMPLES_BEYOND;
use squall_service_kit::Settings;

use crate::expected::{self, closed, open, quantile};
use crate::processes::{Server, load};

/// What is asked of every law.
const QUANTILES: [(&str, f64); 5] = [
    ("P50", 0.5),
    ("P90", 0.9),
    ("P99", 0.99),
    ("P99.9", 0.999),
    ("P99.99", 0.9999),
];

/// Requests a second, but for the law that needs fewer.
const RATE: u32 = 2_000;

/// The target: within one of these.
const WITHIN_SHARE: f64 = 0.01;
const WITHIN_US: f64 = 50.0;

/// Every server polls for its last moments before a reply, so that its own error is small beside what is judged.
const SPIN: &str = "spin=80us";

/// Users in closed loop.
const USERS: usize = 10;

/// A law, and the load that is put on it.
struct Case {
    name: &'static str,
    settings: &'static [&'static str],
    rate: u32,
    connections: usize,
    stalls: bool,
    /// How to put the law itself, where it has a closed form.
    closed_form: Option<fn(&Behaviour, f64, Duration) -> Duration>,
}

/// How many percentiles missed the target.
#[derive(Default)]
struct Missed {
    /// Held to the law.
    law: usize,
    /// Held to what the server really did.
    server: usize,
    /// Of how many.
    of: usize,
}

/// The stall of the case below.
const STALL_DELAY: Duration = Duration::from_millis(5);
const STALL: Duration = Duration::from_secs(1);
const STALL_EVERY: Duration = Duration::from_secs(5);

const CASES: [Case; 5] = [
    Case {
        name: "constant 5 ms",
        settings: &["law=constant", "delay=5ms"],
        rate: RATE,
        connections: 128,
        stalls: false,
        closed_form: Some(|behaviour, q, _| behaviour.law.quantile(q)),
    },
    Case {
        name: "lognormal, median 5 ms, sigma 0.5",
        settings: &["law=lognormal", "median=5ms", "sigma=0.5"],
        rate: RATE,
        connections: 128,
        stalls: false,
        closed_form: Some(|behaviour, q, _| behaviour.law.quantile(q)),
    },
    Case {
        name: "two modes, 2 ms and 5 % of 40 ms",
        settings: &["law=two-modes", "delay=2ms", "second=40ms", "share=5%"],
        rate: RATE,
        connections: 256,
        stalls: false,
        closed_form: Some(|behaviour, q, _| behaviour.law.quantile(q)),
    },
    Case {
        name: "stall, 1 s every 5 s over 5 ms",
        settings: &["delay=5ms", "stall=1s", "stall-every=5s"],
        // What a stall holds up is answered one by one at its end: the more there is, the later the last of it.
        rate: 1_000,
        connections: 1_500,
        stalls: true,
        closed_form: Some(|_, q, length| {
            let stalls = (length.as_secs_f64() / STALL_EVERY.as_secs_f64()) as u32;
            expected::stalled_quantile(q, STALL_DELAY, STALL, stalls, length)
        }),
    },
    Case {
        name: "recovery, 5 ms and 200 ms more that fall by 1/e in 2 s",
        settings: &[
            "delay=5ms",
            "outage=100ms",
            "outage-after=5s",
            "outage-mode=stall",
            "recovery=200ms",
            "recovery-constant=2s",
        ],
        rate: RATE,
        connections: 1_000,
        stalls: false,
        closed_form: None,
    },
];

/// Runs every law whose name contains `only`.
pub(crate) fn run(length: Duration, only: &str) -> anyhow::Result<()> {
    println!(
        "Squall beside the law, us. law: closed form, or the sum over all arrivals where there is none. sample: what a"
    );
    println!(
        "perfect generator would have got from these requests. server: until the reply was really written.\n"
    );
    let mut missed = Missed::default();
    for case in CASES.iter().filter(|case| case.name.contains(only)) {
        let one = case.open_loop(case.length(length))?;
        missed = Missed {
            law: missed.law + one.law,
            server: missed.server + one.server,
            of: missed.of + one.of,
        };
        case.closed_loop((length / 3).max(2 * STALL_EVERY))?;
        println!();
    }
    let Missed { law, server, of } = missed;
    println!(
        "open loop, percentiles off by more than 1 % and more than 50 us: {law} of {of} from the law, {server} of {of} \
         from what the server really did"
    );
    Ok(())
}

/// The percentiles that so many requests tell: ten lie beyond each.
fn told_by(requests: u64) -> impl Iterator<Item = (&'static str, f64)> {
    let told = move |(_, q): &(&str, f64)| requests as f64 * (1.0 - q) >= SAMPLES_BEYOND - 1e-6;
    QUANTILES.into_iter().filter(told)
}

impl Case {
    fn settings(&self) -> Vec<String> {
        let settings = self.settings.iter().chain([&SPIN]);
        settings.map(|setting| (*setting).to_owned()).collect()
    }

    /// How long to run it: with a lower rate longer, and where there are stalls until between two.
    fn length(&self, length: Duration) -> Duration {
        let length = length.mul_f64(f64::from(RATE) / f64::from(self.rate));
        if self.stalls {
            let stalls = (length.as_secs_f64() / STALL_EVERY.as_secs_f64()).ceil();
            STALL_EVERY.mul_f64(stalls + 0.5)
        } else {
            length
        }
    }

    fn behaviour(&self) -> anyhow::Result<Behaviour> {
        let settings = Settings::parse(SERVICE.settings, self.settings);
        let settings = settings.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        Ok(behaviour(&settings)?)
    }

    /// Prints the table; returns how many percentiles missed the target.
    fn open_loop(&self, length: Duration) -> anyhow::Result<Missed> {
        let behaviour = self.behaviour()?;
        let server = Server::start(&self.settings())?;
        let measured = load(server.url(), Some(self.rate), self.connections, length)?;
        let (record, told) = (measured.load()?, server.law()?);
        let sample = open(&behaviour, self.rate, length);
        let squall = record.response.histogram()?;
        println!(
            "{}: open loop, {}/s for {length:?}, {} done, {} failed, {:?}",
            self.name, self.rate, record.completed, record.failed, measured.record.verdict
        );
        let lag = &record.schedule_lag;
        println!(
            "  schedule lag of the generator: P50 {:?} us, P99 {:?} us",
            lag.p50, lag.p99
        );
        println!(
            "  {:<7}{:>12}{:>12}{:>12}{:>12}{:>12}{:>9}{:>12}",
            "", "law", "sample", "server", "squall", "error us", "error %", "less server"
        );
        let mut missed = Missed::default();
        for (name, q) in told_by(record.completed) {
            let exact = quantile(&sample, q).unwrap_or_default() as f64 / 1e3;
            let law = self
                .closed_form
                .map_or(exact, |form| form(&behaviour, q, length).as_secs_f64() * 1e6);
            let held = told.held.value_at_quantile(q) as f64 / 1e3;
            let found = squall.value_at_quantile(q) as f64;
            let error = found - law;
            let is_off = |error: f64| error.abs() > WITHIN_US && error.abs() > WITHIN_SHARE * law;
            missed.of += 1;
            missed.law += usize::from(is_off(error));
            missed.server += usize::from(is_off(found - held));
            println!(
                "  {name:<7}{law:>12.1}{exact:>12.1}{held:>12.1}{found:>12.0}{error:>+12.1}{:>+9.2}{:>+12.1}{}",
                100.0 * error / law,
                found - held,
                match (is_off(error), is_off(found - held)) {
                    (false, _) => "",
                    (true, false) => "  off with the server",
                    (true, true) => "  off",
                }
            );
        }
        let own = told.held.mean() - told.intended.mean();
        println!("  the server's own error: {:+.1} us on average", own / 1e3);
        Ok(missed)
    }

    /// Prints what closed loop sees, beside what a perfect closed loop would and what open loop is right to see.
    fn closed_loop(&self, length: Duration) -> anyhow::Result<()> {
        let behaviour = self.behaviour()?;
        let server = Server::start(&self.settings())?;
        let measured = load(server.url(), None, USERS, length)?;
        let record = measured.load()?;
        let squall = record.service.histogram()?;
        let (perfect, truth) = (
            closed(&behaviour, USERS, length),
            open(&behaviour, self.rate, length),
        );
        println!(
            "  closed loop, {USERS} users for {length:?}, {} done",
            record.completed
        );
        println!(
            "  {:<7}{:>12}{:>12}{:>12}{:>12}",
            "", "open truth", "closed law", "squall", "error us"
        );
        for (name, q) in told_by(record.completed) {
            let us = |times: &[u64]| quantile(times, q).unwrap_or_default() as f64 / 1e3;
            let found = squall.value_at_quantile(q) as f64;
            let (truth, perfect) = (us(&truth), us(&perfect));
            println!(
                "  {name:<7}{truth:>12.1}{perfect:>12.1}{found:>12.0}{:>+12.1}",
                found - perfect
            );
        }
        // What took half a stall or longer saw one.
        if behaviour.timetable.stall.is_some() {
            let long_us = STALL.as_micros() as u64 / 2;
            let share = |times: &[u64]| {
                let long = times.iter().filter(|ns| **ns >= long_us * 1_000).count();
                100.0 * long as f64 / times.len().max(1) as f64
            };
            let found = squall.count_between(long_us, u64::MAX) as f64 / squall.len().max(1) as f64;
            println!(
                "  share of requests of 500 ms or more: open truth {:.2} %, closed law {:.3} %, squall {:.3} %",
                share(&truth),
                share(&perfect),
                100.0 * found
            );
        }
        Ok(())
    }
}
