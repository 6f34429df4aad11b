//! A `redis-server` of a test's own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start. Only a broken machine or a broken program takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a server can be started here. Says loudly where not: the harness swallows what a test prints that passes, but not this.
pub fn is_installed() -> bool {
    let found = Command::new("redis-server")
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success());
    if !found {
        let text = "NOT CHECKED: buckets in a real Redis: `redis-server` is not installed\n";
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
    found
}

/// A server on a port of its own, which writes everything to disk before it answers.
pub struct Server {
    child: Child,
    port: u16,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Server {
    /// Returns once it answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "a child's readiness sends no event to this process"
    )]
    pub fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--port", &port.to_string(), "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("it was there a moment ago");
        let server = Self { child, port };
        let begin = Instant::now();
        while server.ask("PING") != "+PONG\r\n" {
            assert!(begin.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The beginning of what it answers; nothing if it can't be reached.
    pub fn ask(&self, command: &str) -> String {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            let mut answer = [0; 1_024];
            let length = stream.read(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
        };
        asked().unwrap_or_default()
    }

    /// Sends it a signal, by its number's name in kill(1).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill(1)");
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
