//! Chromium without a screen: found, started once for all tests that run at a time, and killed when the last of them ends.
//!
//! Its profile is a temporary folder and its port one of the loopback, so nothing of a person's own browser is touched.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
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

/// The one that runs, as long as a test uses it; or why it can't be started, which is tried once.
static RUNNING: Mutex<Result<Weak<Chromium>, String>> = Mutex::new(Ok(Weak::new()));

/// A browser that was started here.
pub struct Chromium {
    child: Child,
    /// Where its `DevTools` listen: `127.0.0.1:PORT`, and the path of the browser as a whole.
    pub address: String,
    pub path: String,
    /// Profile, crash reports and the pages that are shown.
    pub folder: TempDir,
}

/// The browser; nothing where the machine has none or it does not start, which is said loudly.
pub fn chromium() -> Option<Arc<Chromium>> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let started = match &*running {
        Ok(there) => match there.upgrade() {
            Some(there) => return Some(there),
            None => found().and_then(|program| Chromium::start(&program)),
        },
        Err(why) => Err(why.clone()),
    };
    let started = started.map(Arc::new);
    if let Err(why) = &started {
        not_checked("the report in a browser", why);
    }
    *running = started.as_ref().map(Arc::downgrade).map_err(Clone::clone);
    started.ok()
}

/// Written past the test harness, which keeps what a test that passes prints.
pub fn not_checked(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}: {why}");
}

/// Where it lies, or what to do about it.
fn found() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("SQUALL_BROWSER") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let none = "no Chromium is here; install one (apt-get install chromium) or name it in SQUALL_BROWSER";
    places
        .find(|place| place.is_file())
        .ok_or_else(|| none.to_owned())
}

impl Chromium {
    /// Starts it and waits until it listens. Why it does not, otherwise: a broken browser says nothing of the page.
    fn start(program: &Path) -> Result<Chromium, String> {
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
        let said = folder.path().join("stderr");
        let child = command
            .arg("about:blank")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).expect("a file"))
            .process_group(0)
            .spawn()
            .map_err(|error| format!("starting {}: {error}", program.display()))?;
        let mut started = Chromium {
            child,
            address: String::new(),
            path: String::new(),
            folder,
        };
        let (port, path) = started
            .port(&profile.join("DevToolsActivePort"))
            .map_err(|why| format!("{} {why}{}", program.display(), last_line(&said)))?;
        started.address = format!("127.0.0.1:{port}");
        started.path = path;
        Ok(started)
    }

    /// Waits for the file in which the browser says where it listens: port and path, a line each.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of another program sends no event to this process"
    )]
    fn port(&mut self, file: &Path) -> Result<(u16, String), String> {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n')
                && let Ok(port) = port.parse()
                && path.starts_with("/devtools/")
            {
                return Ok((port, path.trim_end().to_owned()));
            }
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return Err(format!("ended before it listened: {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("did not listen within {} s", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The last thing that it said.
fn last_line(said: &Path) -> String {
    let text = std::fs::read(said).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(String::new, |line| {
        format!("; it said: {}", line.chars().take(300).collect::<String>())
    })
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

#[test]
fn a_browser_that_does_not_start_is_no_browser_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = Chromium::start(&folder.path().join("chromium")).err();
    assert!(missing.is_some_and(|why| why.contains("No such file")));
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "#!/bin/sh\necho 'no libnss3.so' >&2\nexit 7\n").expect("written");
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).expect("a program");
    let why = Chromium::start(&broken).err().unwrap_or_default();
    assert!(
        why.contains("ended before it listened: exit status: 7; it said: no libnss3.so"),
        "{why}"
    );
}
