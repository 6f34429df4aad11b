//! Opens many streams and stays on them: `live sse|ws ADDRESS CONNECTIONS SECONDS`. Prints what came, and the memory it took.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_load::http1::RequestTemplate;
use squall_load::oneshot::Totals;
use squall_load::sse::EventStream;
use squall_load::websocket::WebSocket;
use squall_load::{
    Arrivals, Generator, LoadSpec, Options, PhaseSpec, Protocol, Report, Target, Think, load_seed,
};
use squall_model::seed::Seed;

fn resident_bytes() -> std::io::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    Ok(pages * rustix::param::page_size() as u64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, addr, connections, seconds] = &args[..] else {
        return Err("usage: live sse|ws ADDRESS CONNECTIONS SECONDS".into());
    };
    let (connections, seconds): (usize, f64) = (connections.parse()?, seconds.parse()?);
    let request = RequestTemplate::get("/live");
    let protocol: Arc<dyn Protocol> = if kind == "ws" {
        Arc::new(WebSocket { request, send: None })
    } else {
        Arc::new(EventStream {
            request,
            events: None,
        })
    };
    let (sender, reports) = crossbeam_channel::unbounded();
    let epoch = Instant::now();
    let before = resident_bytes()?;
    let load = LoadSpec {
        name: "live".into(),
        target: Target {
            addr: addr.parse::<std::net::SocketAddr>()?.into(),
            host: addr.clone(),
            tls: None,
        },
        protocol,
        connections: 64,
        timeout: Duration::from_secs(20),
        source: None,
        extract: Vec::new(),
        seed: load_seed(Seed::new(1), "live"),
    };
    let options = Options {
        threads: 1,
        cpus: None,
        epoch,
        reports: sender,
    };
    let mut generator = Generator::start(vec![load], &options)?;
    generator.push_phase(PhaseSpec {
        index: 0,
        draw: 0,
        start_us: 0,
        end_us: Some((seconds * 1e6) as u64),
        arrivals: vec![Arrivals::Closed {
            users: connections,
            think: Think::NONE,
        }],
    })?;
    let mut totals = Totals::default();
    let mut all_open = None;
    let mut at_rest = before;
    let end = epoch + Duration::from_secs_f64(seconds);
    while let Ok(report) = reports.recv_deadline(end) {
        if let Report::Slice(slice) = report {
            totals.add(&slice);
            if all_open.is_none() && totals.completed as usize >= connections {
                all_open = Some(epoch.elapsed());
            }
        }
        at_rest = resident_bytes()?;
    }
    let usage = generator.finish();
    let opened = all_open.map_or_else(
        || "not all".to_owned(),
        |time| format!("all after {:.2} s", time.as_secs_f64()),
    );
    writeln!(
        std::io::stdout(),
        "{kind}: {} opened ({opened}), {} failed, {} lost, {} messages; P99 of opening {} us; {} bytes of memory per connection; \
         CPU {:.2} s",
        totals.completed - totals.failed,
        totals.failed,
        totals.streams_lost,
        totals.messages,
        totals.service.value_at_quantile(0.99),
        (at_rest - before) / connections as u64,
        usage.cpu_us as f64 / 1e6,
    )?;
    for (kind, example) in &totals.examples {
        writeln!(std::io::stdout(), "{kind}: {example}")?;
    }
    Ok(())
}
