//! Chromium without a screen: found, started once for all tests that run at a time, and killed when the last of them ends.
//!
//! Its profile is a temporary folder and its port one of the loopback, so nothing of a person's own browser is touched.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything in a browser may take. Only a broken machine or a broken page takes longer.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Names under which it is looked for, after what `SQUALL_BROWSER` says.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The one that runs, as long as a test uses it.
static RUNNING: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());

/// A browser that was started here.
pub struct Chromium {
    child: Child,
    /// Where its `DevTools` listen: `127.0.0.1:PORT`, and the path of the browser as a whole.
    pub address: String,
    pub path: String,
    /// Profile, crash reports and the pages that are shown.
    pub folder: TempDir,
}

/// The browser; nothing where the machine has none, which is said loudly.
pub fn chromium() -> Option<Arc<Chromium>> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = running.upgrade() {
        return Some(there);
    }
    let Some(program) = found() else {
        not_checked(
            "the report in a browser",
            "no Chromium is here; install one (apt-get install chromium) or name it in SQUALL_BROWSER",
        );
        return None;
    };
    let started = Arc::new(Chromium::start(&program));
    *running = Arc::downgrade(&started);
    Some(started)
}

/// Written past the test harness, which keeps what a test that passes prints.
pub fn not_checked(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}: {why}");
}

fn found() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SQUALL_BROWSER") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}

impl Chromium {
    fn start(program: &Path) -> Chromium {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let profile = folder.path().join("profile");
        let mut command = Command::new(program);
        command
            .args([
                "--headless=new",
                "--remote-debugging-address=127.0.0.1",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args([
                "--no-first-run",
                "--no-default-browser-check",
                "--disable-extensions",
                "--disable-sync",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-breakpad",
            ])
            .args([
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
            ])
            // Pages of several tests are open at once, and none of them may count as being in the background.
            .args([
                "--disable-renderer-backgrounding",
                "--disable-backgrounding-occluded-windows",
            ])
            .arg("--disable-background-timer-throttling");
        if rustix::process::geteuid().is_root() {
            // Its sandbox refuses to work for root.
            command.arg("--no-sandbox");
        }
        let child = command
            .arg("about:blank")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("starting {}: {error}", program.display()));
        let mut started = Chromium {
            child,
            address: String::new(),
            path: String::new(),
            folder,
        };
        let (port, path) = started.port(&profile.join("DevToolsActivePort"));
        started.address = format!("127.0.0.1:{port}");
        started.path = path;
        started
    }

    /// Waits for the file in which the browser says where it listens: port and path, a line each.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of another program sends no event to this process"
    )]
    fn port(&mut self, file: &Path) -> (u16, String) {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n')
                && let Ok(port) = port.parse()
                && path.starts_with("/devtools/")
            {
                return (port, path.trim_end().to_owned());
            }
            if let Some(status) = self.child.try_wait().expect("our own child") {
                panic!("the browser ended before it listened: {status}");
            }
            assert!(begun.elapsed() < PATIENCE, "the browser never listened");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The group: its renderers too, which would else write to the folder while that is removed.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
