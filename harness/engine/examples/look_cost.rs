//! What a look at a service costs: the CPU time that the sampler's thread spends on one process with many threads.
//!
//! `cargo run --release -p squall-engine --example look_cost` prints, for 10, 100 and 1,000 sleeping threads, the median CPU time
//! of a full look and of a light one.

use std::io::Write as _;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use squall_engine::measure::resources::{Depth, Watch};
use squall_engine::process::Identity;

const LOOKS: usize = 101;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let own = Identity::own()?;
    let mut started = 1;
    for threads in [10, 100, 1_000] {
        let arrived = Arc::new(Barrier::new(threads - started + 1));
        for _ in started..threads {
            let arrived = Arc::clone(&arrived);
            std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
                arrived.wait();
                loop {
                    std::thread::park();
                }
            })?;
        }
        arrived.wait();
        started = threads;
        let mut watch = Watch::new();
        let (full, light) = (
            median(&mut watch, own, Depth::Full),
            median(&mut watch, own, Depth::Light),
        );
        writeln!(
            out,
            "{threads:>5} threads: full {:>8.1} us, light {:>6.1} us",
            full.as_secs_f64() * 1e6,
            light.as_secs_f64() * 1e6
        )?;
    }
    Ok(())
}

fn median(watch: &mut Watch, process: Identity, depth: Depth) -> Duration {
    let look = || {
        let began = spent();
        let seen = watch.look(process, depth);
        let took = spent().saturating_sub(began);
        assert!(seen.is_some(), "this process is there");
        took
    };
    let mut times: Vec<Duration> = std::iter::repeat_with(look).take(LOOKS).collect();
    times.sort_unstable();
    times[LOOKS / 2]
}

/// CPU time of this thread.
fn spent() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
