//! A real server, a proxy in its place, and programs that are to be led from one to the other.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use squall_engine::guard::{ExitStatus, SpawnRequest, Spawned};
use squall_engine::redirect::{Redirects, probe};
use squall_engine::seccomp::{Rule, Supervisor, calls_of};

use crate::fixture::{PATIENCE, Stage};
use crate::skipped;

/// Both families' own addresses.
pub(crate) const LOOPBACKS: [&str; 2] = ["127.0.0.1", "::1"];

/// Whether this machine lets anything be redirected at all; says loudly where not.
pub(crate) fn is_possible() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| match probe() {
        Ok(()) => true,
        Err(why) => {
            skipped(&why.to_string());
            false
        }
    })
}

/// The families that this machine has an address of.
pub(crate) fn loopbacks() -> Vec<&'static str> {
    let has = |ip: &&str| TcpListener::bind((*ip, 0)).is_ok();
    let found: Vec<_> = LOOPBACKS.into_iter().filter(has).collect();
    if found.len() < LOOPBACKS.len() {
        skipped("this machine has no IPv6 address, so nothing was redirected there");
    }
    found
}

/// A server that answers every line, and every datagram, with its name, until the test ends.
pub(crate) fn serve(ip: &str, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    // Whoever has the TCP port may not get the same one for UDP: only a test of datagrams minds.
    if let Ok(socket) = UdpSocket::bind(address) {
        std::thread::spawn(move || {
            let mut datagram = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut datagram) {
                drop(socket.send_to(name.as_bytes(), from));
            }
        });
    }
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut line = String::new();
                drop(BufReader::new(&stream).read_line(&mut line));
                drop(writeln!(stream, "{name}"));
            });
        }
    });
    address
}

/// A guard, a table, and a program's way between them.
pub(crate) struct Rig {
    pub(crate) stage: Stage,
    pub(crate) table: Arc<Redirects>,
}

/// A program that runs, and who answers its calls.
pub(crate) struct Running {
    pub(crate) spawned: Spawned,
    log: PathBuf,
    _supervisor: Supervisor,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::set(),
            table: Arc::new(Redirects::new()),
        }
    }

    pub(crate) fn start(&self, program: &Path, args: &[&str]) -> Running {
        let rule: Arc<dyn Rule> = Arc::clone(&self.table) as _;
        start(&self.stage, program, args, vec![rule])
    }

    /// Runs a program to its end; returns the lines that it printed.
    pub(crate) fn run(&self, program: &Path, args: &[&str]) -> Vec<String> {
        self.start(program, args).finish()
    }
}

pub(crate) fn request(stage: &Stage, program: &Path, args: &[&str]) -> SpawnRequest {
    let log = tempfile::Builder::new()
        .suffix(".log")
        .tempfile_in(stage.folder.path())
        .expect("a file");
    SpawnRequest {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        log: log.into_temp_path().keep().expect("kept").into(),
        ..SpawnRequest::default()
    }
}

pub(crate) fn start(stage: &Stage, program: &Path, args: &[&str], rules: Vec<Arc<dyn Rule>>) -> Running {
    let request = SpawnRequest {
        stops_at: calls_of(&rules),
        ..request(stage, program, args)
    };
    let mut spawned = stage.guard.spawn(&request).expect("started");
    let listener = spawned.listener.take().expect("asked for");
    Running {
        spawned,
        log: request.log.into(),
        _supervisor: Supervisor::start("rig", listener, rules).expect("a thread"),
    }
}

impl Running {
    pub(crate) fn finish(self) -> Vec<String> {
        let status = self.spawned.exit.wait(PATIENCE * 6).expect("it ends");
        let text = fs::read_to_string(&self.log).expect("a log");
        assert_eq!(status, ExitStatus::Code(0), "{text}");
        text.lines().map(str::to_owned).collect()
    }
}

/// The static C program, compiled once; nothing where that can't be done here.
pub(crate) fn client() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compile = || {
        let program =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redirect_client.{}", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-static", "-pthread", "-O1", "-Wall", "-o"])
            .arg(&program)
            .arg(source("client.c"))
            .output();
        match compiled {
            Ok(output) if output.status.success() => Some(program),
            Ok(output) => {
                skipped(&format!(
                    "no static program can be linked here: {}",
                    String::from_utf8_lossy(&output.stderr)
                ));
                None
            }
            Err(error) => {
                skipped(&format!("no C compiler: {error}"));
                None
            }
        }
    };
    is_possible()
        .then(|| PROGRAM.get_or_init(compile).as_deref())
        .flatten()
}

pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/redirect/programs")
        .join(name)
}
