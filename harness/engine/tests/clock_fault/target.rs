//! Starts programs under the clock library and talks to the C target.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use squall_engine::fault::FaultError;
use squall_engine::fault::clock::{
    ClockChange, ClockFamily, ClockFault, ClockPage, ClockParams, InstalledClock, KernelClock, Laws,
    Readings, install,
};

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MS: i64 = 1_000_000;

/// Longer than any answer takes; only a target that hangs gets there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with the library and a page.
pub(crate) struct Setup {
    pub(crate) installed: InstalledClock,
    pub(crate) page: Arc<ClockPage>,
    pub(crate) dir: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let installed = install(dir.path(), "target").unwrap();
        let page = Arc::new(ClockPage::open(&installed.page).unwrap());
        Self { installed, page, dir }
    }

    /// A command that loads the library.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.installed.needs().environment(None));
        command
    }

    pub(crate) fn fault(&self, clock: ClockFamily, change: ClockChange) -> ClockFault {
        ClockFault::new(ClockParams { clock, change }, Arc::clone(&self.page)).unwrap()
    }

    /// Changes the clocks without a fault's receipts.
    pub(crate) fn set(&self, clock: ClockFamily, change: ClockChange) {
        self.page
            .update(|laws| {
                laws.after(clock, change, &Readings::take())
                    .map_err(FaultError::from)
            })
            .unwrap();
    }

    pub(crate) fn target(&self) -> Target {
        Target::start(self.command(target_program()))
    }
}

/// The C target, compiled once.
pub(crate) fn target_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clock_target.{}", std::process::id()));
        assert!(
            compile("cc", &["-pthread"], &program),
            "a C compiler built the library but not the target"
        );
        program
    })
}

/// Compiles the target with some compiler. False if that compiler isn't there or can't.
pub(crate) fn compile(compiler: &str, arguments: &[&str], program: &Path) -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clock_fault/target.c");
    let made = Command::new(compiler)
        .args(["-O2", "-std=gnu11", "-o"])
        .arg(program)
        .arg(source)
        .args(arguments)
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}

/// A running target. Killed when dropped.
pub(crate) struct Target {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Target {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        Self { child, input, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ask(&mut self, question: &str) -> String {
        writeln!(self.input, "{question}").unwrap();
        self.next_line()
    }

    pub(crate) fn next_line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the target answers")
    }

    /// Everything the target knows about the time, and what really was just before and after.
    pub(crate) fn read(&mut self) -> Reads {
        let before = Readings::take();
        let answer = self.ask("read");
        let after = Readings::take();
        let shown: Vec<i64> = answer.split(' ').map(|word| word.parse().unwrap()).collect();
        Reads {
            shown: shown.try_into().unwrap(),
            before,
            after,
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer to `read`.
pub(crate) struct Reads {
    pub(crate) shown: [i64; 11],
    before: Readings,
    after: Readings,
}

/// The ways to read a clock, in the order of the answer: name, clock, and how far the way may lag for its own reasons.
pub(crate) const WAYS: [(&str, KernelClock, i64); 11] = {
    use KernelClock::{Boottime, Monotonic, MonotonicRaw, Realtime, Tai};
    const TICK: i64 = 20 * MS; // a coarse clock's, at the lowest common rate and then some
    [
        ("clock_gettime REALTIME", Realtime, 0),
        ("clock_gettime REALTIME_COARSE", Realtime, TICK),
        ("clock_gettime TAI", Tai, 0),
        ("gettimeofday", Realtime, 1_000),
        ("time", Realtime, SECOND + TICK),
        ("timespec_get", Realtime, 0),
        ("syscall(SYS_clock_gettime)", Realtime, 0),
        ("clock_gettime MONOTONIC", Monotonic, 0),
        ("clock_gettime MONOTONIC_COARSE", Monotonic, TICK),
        ("clock_gettime BOOTTIME", Boottime, 0),
        ("clock_gettime MONOTONIC_RAW", MonotonicRaw, 0),
    ]
};

impl Reads {
    /// Holds every way of reading a family's clocks to a law: no earlier than before the question, no later than after
    /// the answer.
    pub(crate) fn hold(&self, family: ClockFamily, laws: &Laws) {
        for ((name, clock, lag), shown) in WAYS.into_iter().zip(self.shown) {
            if clock.family() != family {
                continue;
            }
            let law = laws.of(clock);
            let (first, last) = (law.at(self.before.of(clock)), law.at(self.after.of(clock)));
            assert!(
                (first - lag..=last).contains(&shown),
                "{name} showed {shown}, outside of {first}-{lag}..={last}: off by {} before or {} after",
                shown - first,
                shown - last
            );
        }
    }
}
