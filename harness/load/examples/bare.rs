//! The least that a request on a schedule costs: one connection, and for each request a sleep, a read of the answer before, and a write.
//!
//! `bare ADDRESS RATE SECONDS` prints the CPU time. No histogram, no check, no second connection: what a generator adds to this is its own.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;

use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds] = &args[..] else {
        return Err("usage: bare ADDRESS RATE SECONDS".into());
    };
    let (rate, seconds): (u64, u64) = (rate.parse()?, seconds.parse()?);
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    set_current_timer_slack(NonZeroU64::new(1))?;
    let request = format!("GET /id HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut answer = [0; 4096];
    let (begin_ns, begin_cpu_ns) = (now_ns(ClockId::Monotonic), now_ns(ClockId::ThreadCPUTime));
    for number in 1..=rate * seconds {
        let wake_ns = begin_ns + number * 1_000_000_000 / rate;
        let wake = Timespec {
            tv_sec: (wake_ns / 1_000_000_000) as i64,
            tv_nsec: (wake_ns % 1_000_000_000) as i64,
        };
        clock_nanosleep_absolute(ClockId::Monotonic, &wake)?;
        match stream.read(&mut answer) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            _ => stream.write_all(request.as_bytes())?,
        }
    }
    let cpu_ns = now_ns(ClockId::ThreadCPUTime) - begin_cpu_ns;
    writeln!(
        std::io::stdout(),
        "CPU {:.2} us/request, {:.2} % of a core",
        cpu_ns as f64 / 1e3 / (rate * seconds) as f64,
        cpu_ns as f64 / 1e7 / seconds as f64
    )?;
    Ok(())
}

fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
