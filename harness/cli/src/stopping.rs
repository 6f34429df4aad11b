//! Ctrl-C: the first signal asks for an orderly end, the second ends at once.

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use squall_engine::run::Stop;
use squall_model::exit::Exit;

/// What a first SIGINT or SIGTERM asks for from now on. The second ends squall as if nobody listened, and the guard cleans
/// up.
pub fn on_signals() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listening for Ctrl-C")?;
    std::thread::Builder::new()
        .name("squall-signals".to_owned())
        .spawn(move || {
            for signal in &mut signals {
                if asked.requested().is_some() {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                asked.request(signal);
            }
        })?;
    Ok(stop)
}

/// The signal that asked for the end, in words, and the exit code that it amounts to.
pub fn told(stop: &Stop) -> Option<(&'static str, Exit)> {
    Some(match stop.requested()? {
        SIGTERM => ("SIGTERM", Exit::Terminated),
        _ => ("SIGINT (Ctrl-C)", Exit::Interrupted),
    })
}
