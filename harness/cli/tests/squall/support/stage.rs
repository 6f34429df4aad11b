//! A folder for one test and the `squall` processes started in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tempfile::TempDir;

use super::{Ended, PATIENCE, ROOT, SQUALL, eventually, processes};

/// Who has the machine.
static MACHINE: RwLock<()> = RwLock::new(());

#[expect(dead_code, reason = "held, never read")]
enum Turn {
    Alone(RwLockWriteGuard<'static, ()>),
    Shared(RwLockReadGuard<'static, ()>),
}

/// A test's folder. When it goes, no process of the runs that were started on it may be left.
pub(crate) struct Stage {
    folder: TempDir,
    started: Mutex<Vec<u32>>,
    _turn: Turn,
}

impl Stage {
    /// For a test that puts load on the machine or must not be disturbed.
    pub(crate) fn alone() -> Stage {
        Stage::new(Turn::Alone(
            MACHINE.write().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// For a test that only reads, writes and looks.
    pub(crate) fn shared() -> Stage {
        Stage::new(Turn::Shared(
            MACHINE.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    fn new(turn: Turn) -> Stage {
        let folder = tempfile::Builder::new()
            .prefix("squall-test-")
            .tempdir()
            .expect("a folder");
        Stage {
            folder,
            started: Mutex::default(),
            _turn: turn,
        }
    }

    /// The test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the runs of this test land.
    pub(crate) fn reports(&self) -> PathBuf {
        self.path("reports")
    }

    /// Writes a file into the test's folder; its path as an argument.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path.into_os_string().into_string().expect("a path in UTF-8")
    }

    /// `squall` with these arguments, in the repository's root.
    pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
        let mut command = Command::new(SQUALL);
        command.args(args).current_dir(ROOT);
        command
    }

    /// `squall run SCENARIO --out ...` with more arguments.
    pub(crate) fn run_command(&self, scenario: &str, more: &[&str]) -> Command {
        let mut command = Stage::command(&["run", scenario]);
        command.args(more).arg("--out").arg(self.reports());
        command
    }

    /// Runs `squall` with these arguments to its end.
    pub(crate) fn squall<S: AsRef<OsStr>>(&self, args: &[S]) -> Ended {
        self.start(Stage::command(args)).wait()
    }

    /// Runs a scenario to its end.
    pub(crate) fn run(&self, scenario: &str, more: &[&str]) -> Ended {
        self.start(self.run_command(scenario, more)).wait()
    }

    /// Starts a command in a process group of its own, as a shell does.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(child.id());
        let mut stdout = child.stdout.take().expect("a pipe");
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout
                .read_to_string(&mut text)
                .expect("UTF-8 on standard output");
            text
        });
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (say, said) = unbounded();
        std::thread::spawn(move || {
            // A test that has heard enough has gone.
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(say.send(line)));
        });
        Running {
            child,
            stdout: Some(stdout),
            said,
            heard: String::new(),
            reports: self.reports(),
        }
    }

    /// Starts a reference service in the foreground, and waits until it says where it listens.
    pub(crate) fn serve(&self, service: &str) -> Served {
        let out = self.path("serve.out");
        let data = self.path("serve.data");
        let mut command = Command::new(SQUALL);
        command
            .args(["serve", service, "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .stdout(fs::File::create(&out).expect("a file"))
            .spawn()
            .expect("started");
        let mut served = Served {
            child,
            listen: String::new(),
            admin: String::new(),
        };
        eventually("the service prints where it listens", PATIENCE, || {
            let text = fs::read_to_string(&out).unwrap_or_default();
            let Some(line) = text.split_inclusive('\n').find(|line| line.ends_with('\n')) else {
                return false;
            };
            let word = |key: &str| {
                line.split_whitespace()
                    .find_map(|word| word.strip_prefix(key))
                    .map(str::to_owned)
            };
            served.listen = word("listen=").expect("listen= in the first line");
            served.admin = word("admin=").expect("admin= in the first line");
            true
        });
        served
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = started
            .iter()
            .flat_map(|squall| processes::of_run(*squall))
            .collect();
        for process in &left {
            // Each carries the marker of this test's own run.
            let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        assert!(
            left.is_empty() || std::thread::panicking(),
            "left running: {left:?}"
        );
    }
}

/// `squall serve` in the foreground; dropped, it is told to end.
pub(crate) struct Served {
    child: Child,
    /// Where it serves, as `host:port`.
    pub(crate) listen: String,
    /// Its admin endpoint.
    pub(crate) admin: String,
}

impl Served {
    /// Tells it to end, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let mut code = None;
        eventually("the service ends", PATIENCE, || {
            code = self.child.try_wait().expect("it can be waited for");
            code.is_some()
        });
        code.and_then(|code| code.code())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already reaped where it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `squall` that runs.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    said: Receiver<String>,
    heard: String,
    reports: PathBuf,
}

impl Running {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Sends a signal to its process group, as a terminal does for Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until it says a line on standard error that contains `words`, and returns it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.said.recv_deadline(deadline);
            let line =
                line.unwrap_or_else(|e| panic!("waiting for `{words}`: {e}; it said:\n{}", self.heard));
            self.heard.push_str(&line);
            self.heard.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it has ended or `within` is over; returns whether it has ended.
    pub(crate) fn ends_within(&self, within: Duration) -> bool {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .expect("a child not yet waited for");
        let deadline = Instant::now() + within;
        loop {
            let left =
                Timespec::try_from(deadline.saturating_duration_since(Instant::now())).expect("a short time");
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => panic!("waiting: {e}"),
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Ended {
        self.wait_within(PATIENCE)
    }

    /// Waits for the end of what takes longer than others.
    pub(crate) fn wait_within(mut self, within: Duration) -> Ended {
        let in_time = self.ends_within(within);
        if !in_time {
            self.child.kill().expect("it runs");
        }
        let status = self.child.wait().expect("it can be waited for");
        let stdout = self
            .stdout
            .take()
            .expect("waited for once")
            .join()
            .expect("UTF-8 on standard output");
        for line in &self.said {
            self.heard.push_str(&line);
            self.heard.push('\n');
        }
        let stderr = std::mem::take(&mut self.heard);
        assert!(in_time, "it did not end within {within:?}; it said:\n{stderr}");
        Ended {
            status,
            stdout,
            stderr,
            reports: self.reports.clone(),
            pid: self.child.id(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where a test gives up on it: whoever was waited for is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one run below `reports`; nothing where none began.
pub(crate) fn only_run(reports: &Path) -> Option<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect()
    };
    let mut runs: Vec<PathBuf> = folders(reports)
        .iter()
        .flat_map(|scenario| folders(scenario))
        .collect();
    assert!(runs.len() < 2, "more than one run: {runs:?}");
    runs.pop()
}
