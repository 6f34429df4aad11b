//! Processes that use a processor for a while, so that there is noise.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use squall_delay_law::Draws;
use squall_delay_law::draws::Stream;

/// No hog outlives this, also when nobody is left to stop it.
const LONGEST: Duration = Duration::from_secs(20);

/// Uses a processor until it is stopped, or for 20 s.
pub(crate) fn burn() {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        std::hint::spin_loop();
    }
}

/// When a hog comes and goes, from the run's beginning on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stay {
    from: Duration,
    until: Duration,
}

/// The hogs of a run: from none at all up to `most`, each there for 20 ms to 2 s at a time.
pub(crate) fn draw(seed: u64, run: u32, most: u32, length: Duration) -> Vec<Stay> {
    let draws = Draws {
        seed: seed ^ (u64::from(run) << 32),
        stratified: false,
    };
    let mut number = 0;
    let mut next = || {
        number += 1;
        draws.draw(Stream::Delay, number)
    };
    // A third of the runs are quiet: those must be judged valid.
    let hogs = ((next() * 1.5 - 0.5).max(0.0) * f64::from(most)).ceil() as u32;
    let mut stays = Vec::new();
    for _ in 0..hogs {
        let mut at = length.mul_f64(next() / 2.0);
        while at < length {
            let until = at + Duration::from_millis(20).mul_f64((next() * 100_f64.ln()).exp());
            stays.push(Stay { from: at, until });
            at = until + Duration::from_millis(20).mul_f64((next() * 100_f64.ln()).exp());
        }
    }
    stays.sort_by_key(|stay| stay.from);
    stays
}

/// Lets the hogs come and go until all have been, or until `over` tells so; leaves none.
pub(crate) fn run(stays: &[Stay], over: &Receiver<()>) -> anyhow::Result<()> {
    let mut here: Vec<(Duration, Hog)> = Vec::new();
    let mut coming = stays.iter().peekable();
    let began = Instant::now();
    loop {
        let now = began.elapsed();
        here.retain(|(until, _)| *until > now);
        while let Some(stay) = coming.next_if(|stay| stay.from <= now) {
            here.push((stay.until, Hog::start()?));
        }
        let next = here.iter().map(|(until, _)| *until);
        let Some(next) = next.chain(coming.peek().map(|stay| stay.from)).min() else {
            return Ok(());
        };
        match over.recv_timeout(next.saturating_sub(began.elapsed())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// A hog; stopped when dropped.
struct Hog(Child);

impl Hog {
    fn start() -> anyhow::Result<Hog> {
        let program = std::env::current_exe().context("finding the benchmark's own program")?;
        let mut command = Command::new(program);
        command.arg("hog").stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Hog(command.spawn().context("starting a hog")?))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
