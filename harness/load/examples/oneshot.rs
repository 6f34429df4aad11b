//! One load from the command line, for measuring the generator itself.
//!
//! `oneshot URL CONNECTIONS SECONDS [RATE [even|poisson]]` prints what came of it. The environment variable `CPU` pins the thread.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use squall_load::PacerKind;
use squall_load::http1::RequestTemplate;
use squall_load::oneshot::OneShot;
use squall_load::url::HttpUrl;
use squall_model::seed::Seed;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, connections, seconds, ..] = &args[..] else {
        return Err("usage: oneshot URL CONNECTIONS SECONDS [RATE [even|poisson]]".into());
    };
    let url: HttpUrl = url.parse()?;
    let cpus = std::env::var("CPU")
        .ok()
        .map(|cpu| cpu.parse())
        .transpose()?
        .map(|cpu| vec![cpu]);
    let outcome = OneShot {
        target: url.resolve()?,
        protocol: Arc::new(RequestTemplate::get(url.path)),
        connections: connections.parse()?,
        duration: Duration::from_secs_f64(seconds.parse()?),
        rate_per_s: args.get(3).map(|rate| rate.parse()).transpose()?,
        pacer: if args.get(4).is_some_and(|pacer| pacer == "poisson") {
            PacerKind::Poisson
        } else {
            PacerKind::Even
        },
        timeout: Duration::from_secs(5),
        threads: 1,
        cpus,
        seed: Seed::new(7),
    }
    .run()?;
    let totals = &outcome.totals;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "intended {} sent {} completed {} failed {} dropped {} unsent {} opened {}",
        totals.intended,
        totals.sent,
        totals.completed,
        totals.failed,
        totals.dropped,
        totals.unsent_by_generator,
        totals.connections_opened
    )?;
    for (name, histogram) in [
        ("response", &totals.response),
        ("service", &totals.service),
        ("lag", &totals.lag),
    ] {
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| histogram.value_at_quantile(q));
        writeln!(
            out,
            "{name:>8} us: p50 {p50} p90 {p90} p99 {p99} p99.9 {p999} max {}",
            histogram.max()
        )?;
    }
    let seconds = outcome.elapsed_us as f64 / 1e6;
    writeln!(
        out,
        "{:.0} requests/s over {seconds:.2} s; CPU {:.2} us/request, {:.1} % of a core",
        totals.completed as f64 / seconds,
        outcome.usage.cpu_us as f64 / totals.completed.max(1) as f64,
        outcome.usage.cpu_us as f64 / outcome.elapsed_us.max(1) as f64 * 100.0
    )?;
    for (kind, example) in &totals.examples {
        writeln!(out, "{kind}: {example}")?;
    }
    Ok(())
}
