//! What the gateway adds and carries beside nginx and `HAProxy`, each in front of one server, in one run.
//!
//! Each way is measured in turn, again and again, so that what the machine does meanwhile falls on all of them. Server, proxies and
//! client are processes of their own. `just bench-gateway` runs it; `--help` says what can be set.

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
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use table::{Measured, Way};

/// What can be set.
#[derive(Clone, Copy, Debug)]
struct Asked {
    rounds: usize,
    requests: usize,
    seconds: f64,
    cores: Option<usize>,
}

const HELP: &str = "\
just bench-gateway [--rounds 7] [--requests 10000] [--seconds 2] [--cores 1]

  --rounds    how often each way is measured, at least 5
  --requests  with one connection, for the latency
  --seconds   with 64 connections, for the throughput
  --cores     how many all of them share; all there are if left out. On one, no time is spent waking a core that sleeps, which on
              a virtual machine can take longer than the rest

nginx and HAProxy are measured where they are found (apt-get install nginx haproxy); what is missing is said and left out.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["role", "server"] => server::run(),
        ["role", "gateway", document] => process::gateway(document),
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

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}: {value} is no number"))
}

fn asked(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        rounds: 7,
        requests: 10_000,
        seconds: 2.0,
        cores: None,
    };
    for option in words.chunks(2) {
        let [name, value] = option else {
            return Err(format!("{} needs a value", option[0]));
        };
        match *name {
            "--rounds" => asked.rounds = number(name, value)?,
            "--requests" => asked.requests = number(name, value)?,
            "--seconds" => asked.seconds = number(name, value)?,
            "--cores" => asked.cores = Some(number(name, value)?),
            _ => return Err(format!("there is no {name}")),
        }
    }
    if asked.rounds < 5 {
        return Err("--rounds: fewer than 5 say nothing".to_owned());
    }
    Ok(asked)
}

/// The ways from client to server, and the processes that they need.
fn ways(server: &Running) -> Vec<(Way, Option<Running>, SocketAddr)> {
    let mut ways = vec![(Way::Direct, None, server.listens)];
    for (way, started) in [
        (Way::Gateway, Running::gateway(server.listens)),
        (Way::Nginx, Running::nginx(server.listens)),
        (Way::HaProxy, Running::haproxy(server.listens)),
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

/// Keeps this process, and those that it starts, to the first `count` processors that it may use.
fn keep_to(count: usize) {
    let may = sched_getaffinity(None).expect("a process may ask where it runs");
    let mut set = CpuSet::new();
    let first = (0..CpuSet::MAX_CPU)
        .filter(|cpu| may.is_set(*cpu))
        .take(count.max(1));
    first.for_each(|cpu| set.set(cpu));
    sched_setaffinity(None, &set).expect("a process may run on fewer");
}

fn compare(asked: Asked) {
    if let Some(count) = asked.cores {
        keep_to(count);
    }
    let server = Running::server();
    let ways = ways(&server);
    for (_, _, to) in &ways {
        client::round_trips(*to, asked.requests / 10);
    }
    let mut measured = Vec::new();
    for _ in 0..asked.rounds {
        for (way, _, to) in &ways {
            measured.push(Measured {
                way: *way,
                p50_ns: client::round_trips(*to, asked.requests),
                per_second: client::throughput(*to, asked.seconds),
            });
        }
    }
    table::print(&measured);
}
