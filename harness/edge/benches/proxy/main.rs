//! What a proxy adds: squall's beside `HAProxy` in TCP mode, and noxious where it is installed, in front of one echo server.
//!
//! Each way is measured in turn, again and again, so that what the machine does meanwhile falls on all of them. Server, proxies and
//! client are processes of their own. `just bench-proxy` runs it; `--help` says what can be set.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

mod client;
mod process;
mod server;
mod table;

use std::net::SocketAddr;
use std::process::ExitCode;

use process::Running;
use table::{Measured, Way};

/// What can be set.
#[derive(Clone, Copy, Debug)]
struct Asked {
    pairs: usize,
    connections: usize,
    round_trips: usize,
    seconds: f64,
}

const HELP: &str = "\
just bench-proxy [--pairs 7] [--connections 9900] [--round-trips 15000] [--seconds 1.5]

  --pairs        how often each way is measured, at least 5
  --connections  how many are opened to see what memory each takes; a proxy needs two descriptors for each
  --round-trips  with one connection, for the latency
  --seconds      with 32 connections, for the throughput

HAProxy is measured where `haproxy` is found (apt-get install haproxy), noxious once
`bash harness/edge/benches/noxious.sh` has built it; what is missing is said and left out.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["role", "server"] => server::run(),
        ["role", "proxy", upstream] => process::proxy(address(upstream)),
        ["role", "hold", to, count] => client::hold(address(to), count.parse().expect("a number")),
        ["--help" | "-h"] => println!("{HELP}"),
        _ => match asked(&words) {
            Ok(asked) => compare(asked),
            Err(wrong) => {
                eprintln!("{wrong}\n\n{HELP}");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}: {value} is no number"))
}

fn asked(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        pairs: 7,
        connections: 9_900,
        round_trips: 15_000,
        seconds: 1.5,
    };
    for option in words.chunks(2) {
        let [name, value] = option else {
            return Err(format!("{} needs a value", option[0]));
        };
        match *name {
            "--pairs" => asked.pairs = number(name, value)?,
            "--connections" => asked.connections = number(name, value)?,
            "--round-trips" => asked.round_trips = number(name, value)?,
            "--seconds" => asked.seconds = number(name, value)?,
            _ => return Err(format!("there is no {name}")),
        }
    }
    if asked.pairs < 5 {
        return Err("--pairs: fewer than 5 say nothing".to_owned());
    }
    Ok(asked)
}

/// The ways from client to server, and the processes that they need.
fn ways(server: &Running) -> Vec<(Way, Option<Running>, SocketAddr)> {
    let mut ways = vec![(Way::Direct, None, server.listens)];
    let squall = Running::squall(server.listens);
    let listens = squall.listens;
    ways.push((Way::Squall, Some(squall), listens));
    for (way, started) in [
        (Way::HaProxy, Running::haproxy(server.listens)),
        (Way::Noxious, Running::noxious(server.listens)),
    ] {
        match started {
            Ok(running) => {
                let listens = running.listens;
                ways.push((way, Some(running), listens));
            }
            Err(missing) => println!("{} is left out: {missing}", way.name()),
        }
    }
    ways
}

fn compare(asked: Asked) {
    let server = Running::server();
    let ways = ways(&server);
    for (_, _, to) in &ways {
        client::round_trips(*to, asked.round_trips / 10);
    }
    let mut measured = Vec::new();
    for _ in 0..asked.pairs {
        for (way, _, to) in &ways {
            measured.push(Measured {
                way: *way,
                p50_ns: client::round_trips(*to, asked.round_trips),
                per_second: client::throughput(*to, asked.seconds),
            });
        }
    }
    table::print(&measured);
    println!();
    for (way, running, to) in &ways {
        if let Some(running) = running {
            memory(*way, running, *to, asked.connections);
        }
    }
}

/// Opens many connections and says what memory each takes in the proxy.
fn memory(way: Way, proxy: &Running, to: SocketAddr, wanted: usize) {
    // Two descriptors for each connection, and some for itself.
    let allowed = (process::descriptors_max() as usize).saturating_sub(100) / 2;
    let count = wanted.min(allowed);
    let before = proxy.memory_bytes();
    let Ok(holder) = Running::holder(to, count) else {
        println!("{}: {count} connections could not be opened", way.name());
        return;
    };
    let after = proxy.memory_bytes();
    println!(
        "{:<8} {count} connections, each after one round trip: {:.0} bytes of memory each ({:.1} MiB in all, {:.1} before)",
        way.name(),
        after.saturating_sub(before) as f64 / count as f64,
        after as f64 / f64::from(1 << 20),
        before as f64 / f64::from(1 << 20),
    );
    if count < wanted {
        println!(
            "         {wanted} were asked for; this machine allows a process {} descriptors",
            process::descriptors_max()
        );
    }
    drop(holder);
}
