//! Cached reads: how many a second one thread does, and how many all cores do together.
//!
//! Criterion measures both paths; the table that follows has them a core, beside what is asked of them.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use squall_config_client::key::ConfigKey;
use squall_config_client::{Client, Settings, Watch};
use tempfile::TempDir;
use tokio::runtime::Builder;

/// How long each figure of the table is measured.
const SPAN: Duration = Duration::from_secs(1);
/// What is asked for, in reads a second of a core.
const ASKED: f64 = 20e6;
/// How many configurations are in memory: as many as may be.
const ENTRIES: usize = 1_024;

/// A client full of configurations, of a server that has one content for all of them.
struct Readers {
    client: Client,
    watch: Watch,
    keys: Vec<ConfigKey>,
    _folder: TempDir,
}

impl Readers {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let client = Client::start(Settings::new(&serve().to_string(), folder.path())).expect("a client");
        let keys: Vec<ConfigKey> = (0..ENTRIES)
            .map(|n| ConfigKey::new(&format!("feed-{n}.json"), "FEED", "").expect("a key"))
            .collect();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let watch = runtime.block_on(async {
            for key in &keys {
                client.get(key).await.expect("the server is there");
            }
            client.watch(&keys[0]).await.expect("it is in memory")
        });
        Self {
            client,
            watch,
            keys,
            _folder: folder,
        }
    }

    fn by_key(&self, n: usize) -> u64 {
        let entry = self.client.cached(&self.keys[n % ENTRIES]);
        entry.expect("it is in memory").version
    }

    fn by_watch(&self) -> u64 {
        self.watch.current().expect("it is in memory").version
    }
}

/// Reads a second of each of so many threads.
fn rate(threads: usize, read: impl Fn(usize) -> u64 + Sync) -> f64 {
    let gate = Barrier::new(threads);
    let run = || {
        gate.wait();
        let (began, mut reads) = (Instant::now(), 0_usize);
        while began.elapsed() < SPAN {
            for n in 0..1_024 {
                black_box(read(black_box(n)));
            }
            reads += 1_024;
        }
        reads as f64 / began.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let rates = runs.into_iter().map(|run| run.join().expect("no thread panics"));
        rates.sum::<f64>() / threads as f64
    })
}

/// A server that answers every request for a configuration with the same, and lets polls hang. As small as can be, so that
/// nothing of it is in what is measured.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let head = String::from_utf8_lossy(&buffer[..read]);
        let answer = if head.starts_with("GET") {
            "squall-version: 7\r\ncontent-length: 7\r\n\r\n{\"n\":1}"
        } else if head.contains("no-hangup") {
            "content-length: 0\r\n\r\n"
        } else {
            continue;
        };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes())?;
    }
}

fn reads(criterion: &mut Criterion, readers: &Readers) {
    let mut group = criterion.benchmark_group("cached read");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group.bench_function("watch", |bencher| bencher.iter(|| readers.by_watch()));
    let mut n = 0;
    group.bench_function("key, of 1,024", |bencher| {
        bencher.iter(|| {
            n += 1;
            readers.by_key(n)
        });
    });
    group.finish();
}

fn print_table(mut out: impl io::Write, readers: &Readers) -> io::Result<()> {
    let cores = thread::available_parallelism()?.get();
    let mut rates: HashMap<(&str, usize), f64> = HashMap::new();
    for threads in [1, cores] {
        rates.insert(("watch", threads), rate(threads, |_| readers.by_watch()));
        rates.insert(("key, of 1,024", threads), rate(threads, |n| readers.by_key(n)));
    }
    writeln!(
        out,
        "\n{:16} {:>8} {:>18}",
        "cached read by", "threads", "reads/s of each"
    )?;
    for path in ["watch", "key, of 1,024"] {
        for threads in [1, cores] {
            writeln!(
                out,
                "{path:16} {threads:>8} {:>16.1} M",
                rates[&(path, threads)] / 1e6
            )?;
        }
    }
    writeln!(out, "{:16} {:>8} {:>16.1} M\n", "asked for", "", ASKED / 1e6)
}

fn main() -> io::Result<()> {
    let readers = Readers::new();
    let mut criterion = Criterion::default().configure_from_args();
    reads(&mut criterion, &readers);
    criterion.final_summary();
    // Without it this is a test run, which only checks that everything runs.
    if std::env::args().any(|argument| argument == "--bench") {
        print_table(io::stdout().lock(), &readers)?;
    }
    Ok(())
}
