//! Programs that nobody here wrote, which some tests ask whether they understand what squall writes.
//!
//! They are not on every machine. What can't be had is said, and never passes for a check.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that getting a package or asking a program may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Says on standard error what was not checked. Not by a macro, which the test harness would swallow.
pub fn not_checked(what: &str, missing: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}: {missing}");
}

/// A Python that has `package`, in a folder of its own called `name`, where `module` can be imported; why there is none.
pub fn python(name: &str, package: &str, module: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-py"));
    let python = folder.join("bin/python");
    let import = format!("import {module}");
    if ended(Command::new(&python).args(["-c", &import])).is_err() {
        ended(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            package,
        ];
        ended(Command::new(&python).args(install))?;
        ended(Command::new(&python).args(["-c", &import]))?;
    }
    Ok(python)
}

/// What a program prints until its end; why there is nothing.
pub fn ended(command: &mut Command) -> Result<String, String> {
    let what = format!("`{}`", command.get_program().display());
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|e| format!("{what} is not here: {e}"))?;
    let mut stdout = child.stdout.take().expect("a pipe");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let until = Instant::now() + PATIENCE;
    while child.try_wait().map_err(|e| format!("{what}: {e}"))?.is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{what} took longer than {PATIENCE:?}"));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let status = child.wait().map_err(|e| format!("{what}: {e}"))?;
    let text = reading
        .join()
        .expect("it only reads")
        .map_err(|e| format!("{what}: {e}"))?;
    // A canary of squall ends with its own code; its record says the rest.
    if status.success() || status.code() == Some(96) {
        Ok(text)
    } else {
        Err(format!(
            "{what} with {:?} ended with {status}",
            command.get_args().collect::<Vec<_>>()
        ))
    }
}
