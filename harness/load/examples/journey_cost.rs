//! What a request costs the generator in a journey, beside the same request in a load over HTTP.
//!
//! `journey_cost URL USERS SECONDS` has the users ask without pause, first as a load, then as a journey of one step, and prints requests
//! a second and the generator's CPU time for each request. `examples/responder.rs` is a server to ask.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_load::http1::RequestTemplate;
use squall_load::journey::{Journey, Route, Step};
use squall_load::url::HttpUrl;
use squall_load::{Arrivals, Generator, LoadSpec, Options, PhaseSpec, Protocol, Report, Target, load_seed};
use squall_model::seed::Seed;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, users, seconds] = &args[..] else {
        return Err("usage: journey_cost URL USERS SECONDS".into());
    };
    let url: HttpUrl = url.parse()?;
    let (target, users) = (url.resolve()?, users.parse()?);
    let length = Duration::from_secs_f64(seconds.parse()?);
    let request = RequestTemplate::get(url.path);
    let step = Step {
        name: "step".into(),
        request: request.clone(),
        takes: Vec::new(),
    };
    let journey = Journey {
        routes: vec![Route {
            name: "route".into(),
            weight: 1,
            think: None,
            steps: vec![0],
        }],
        steps: vec![step.clone()],
        first: 1,
        feeds: request.feeds.clone(),
    };
    let ways: [(&str, Vec<Arc<dyn Protocol>>); 2] = [
        ("http", vec![Arc::new(request)]),
        ("journey", vec![Arc::new(journey), Arc::new(step)]),
    ];
    for (name, protocols) in ways {
        let loads = protocols.into_iter().map(|one| load(&target, one)).collect();
        let (completed, cpu_us) = measure(loads, users, length)?;
        writeln!(
            std::io::stdout(),
            "{name:<8} {:>8.0} requests/s {:>8.1} us of CPU a request",
            completed as f64 / length.as_secs_f64(),
            cpu_us as f64 / completed as f64
        )?;
    }
    Ok(())
}

fn load(target: &Target, protocol: Arc<dyn Protocol>) -> LoadSpec {
    LoadSpec {
        name: "load".into(),
        target: target.clone(),
        protocol,
        connections: 1,
        timeout: Duration::from_secs(5),
        source: None,
        extract: Vec::new(),
        seed: load_seed(Seed::new(7), "load"),
    }
}

/// Requests completed, and the generator's CPU time.
fn measure(
    loads: Vec<LoadSpec>,
    users: usize,
    length: Duration,
) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let (sender, reports) = crossbeam_channel::unbounded();
    let options = Options {
        threads: 1,
        cpus: None,
        epoch: Instant::now(),
        reports: sender,
    };
    let mut arrivals = vec![Arrivals::None; loads.len()];
    let think = Duration::ZERO;
    arrivals[0] = Arrivals::Closed {
        users,
        think: think.into(),
    };
    let mut generator = Generator::start(loads, &options)?;
    drop(options);
    let start_us = 100_000;
    generator.push_phase(PhaseSpec {
        index: 0,
        draw: 0,
        start_us,
        end_us: Some(start_us + length.as_micros() as u64),
        arrivals,
    })?;
    let usage = generator.finish();
    let of_whole = reports.iter().filter_map(|report| match report {
        Report::Slice(slice) if slice.load == 0 => Some(slice.completed - slice.failed),
        _ => None,
    });
    Ok((of_whole.sum(), usage.cpu_us))
}
