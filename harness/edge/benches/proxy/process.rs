//! The processes of the benchmark: each is ended when its value is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use squall_edge::{Options, Proxies, ProxySpec};
use squall_model::seed::Seed;

/// A process that listens.
pub(crate) struct Running {
    child: Child,
    pub(crate) listens: SocketAddr,
}

/// How many descriptors a process may have here, once it asks for them.
pub(crate) fn descriptors_max() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit anybody may go");
}

/// Squall's proxy, alone in its process, until standard input ends.
pub(crate) fn proxy(upstream: SocketAddr) {
    allow_descriptors();
    let proxies = Proxies::start(Options::default()).expect("threads");
    let proxy = proxies
        .stream(ProxySpec::new("bench", upstream), Seed::new(7))
        .expect("a free port");
    println!("{}", proxy.listen());
    std::io::stdout().flush().expect("somebody reads");
    // Whatever ends it is the end.
    let _ = std::io::stdin().read(&mut [0]);
}

impl Running {
    /// This program in another role, once it has said where it listens.
    fn role(words: &[&str]) -> Result<Running, String> {
        allow_descriptors();
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("role").args(words);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        let read = BufReader::new(out).read_line(&mut line);
        match line.trim().parse() {
            Ok(listens) if read.is_ok() => Ok(Running { child, listens }),
            _ => {
                end(&mut child);
                Err(format!("{words:?} ended"))
            }
        }
    }

    pub(crate) fn server() -> Running {
        Running::role(&["server"]).expect("the server starts")
    }

    pub(crate) fn squall(upstream: SocketAddr) -> Running {
        Running::role(&["proxy", &upstream.to_string()]).expect("the proxy starts")
    }

    pub(crate) fn holder(to: SocketAddr, count: usize) -> Result<Running, String> {
        Running::role(&["hold", &to.to_string(), &count.to_string()])
    }

    /// `HAProxy` in TCP mode with one thread, as squall's has.
    pub(crate) fn haproxy(upstream: SocketAddr) -> Result<Running, String> {
        let listens = free_address();
        let connections = (descriptors_max().saturating_sub(100) / 2).min(10_000);
        let config = format!(
            "global\n  nbthread 1\n  maxconn {connections}\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n  maxconn {connections}\n\
             listen bench\n  bind {listens} backlog 4096\n  server callee {upstream}\n"
        );
        let path = std::env::temp_dir().join(format!("squall-bench-haproxy-{}.cfg", std::process::id()));
        std::fs::write(&path, config).map_err(|error| error.to_string())?;
        let mut command = Command::new("haproxy");
        let started = start(
            command.arg("-db").arg("-f").arg(&path),
            listens,
            "apt-get install haproxy",
        );
        // It was read at the start.
        let _ = std::fs::remove_file(&path);
        started
    }

    /// noxious's core, with the runtime and the threads that its server has.
    pub(crate) fn noxious(upstream: SocketAddr) -> Result<Running, String> {
        let listens = free_address();
        let built = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../target/bench-noxious/target/release/noxious-proxy"
        );
        let mut command = Command::new(built);
        command.args([listens.to_string(), upstream.to_string()]);
        start(&mut command, listens, "bash harness/edge/benches/noxious.sh")
    }

    /// The memory that the process has now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// Starts a program that is not ours, and waits until it listens.
fn start(command: &mut Command, listens: SocketAddr, install: &str) -> Result<Running, String> {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = quiet
        .spawn()
        .map_err(|error| format!("{error}; to have it: {install}"))?;
    let mut running = Running { child, listens };
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(listens).is_err() {
        if Instant::now() > deadline || running.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Err("it does not listen".to_owned());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(running)
}
