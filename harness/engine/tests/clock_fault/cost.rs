//! What a clock read costs under the library. Prints figures and holds none: they are the machine's.

use squall_engine::fault::clock::{ClockChange, ClockFamily};

use super::target::{SECOND, Setup, Target, target_program};

#[test]
#[ignore = "a measurement: cargo test --release -p squall-engine --test clock_fault -- --ignored --nocapture cost"]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn cost_per_read() {
    let best = |target: &mut Target| {
        let runs = (0..5).map(|_| target.ask("cost 0 10000000").parse::<f64>().unwrap());
        runs.fold(f64::INFINITY, f64::min)
    };
    let mut native = Target::start(std::process::Command::new(target_program()));
    println!("native    {:.1} ns", best(&mut native));

    let setup = Setup::new();
    let mut target = setup.target();
    println!("at rest   {:.1} ns", best(&mut target));
    for (name, change) in [
        ("stepped  ", ClockChange::Step(-20_000_000)),
        ("drifting ", ClockChange::Drift { ppb: 500_000 }),
        ("frozen   ", ClockChange::Freeze),
        ("far      ", ClockChange::Drift { ppb: -400_000_000 }),
    ] {
        setup.set(ClockFamily::Realtime, ClockChange::Step(SECOND));
        setup.set(ClockFamily::Realtime, change);
        println!("{name} {:.1} ns", best(&mut target));
    }
}
