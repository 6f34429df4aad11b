//! The server under test and the generator under test, each the `squall` binary in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use squall_model::histogram::{self, Histogram};
use squall_model::record::{LoadRecord, RunRecord};

const SQUALL: &str = env!("CARGO_BIN_EXE_squall");

/// A running delay-law server; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    /// Kept open: the server prints its ready line there.
    _stdout: BufReader<ChildStdout>,
    url: String,
    admin: SocketAddr,
}

/// What a server says of itself, histograms in nanoseconds.
pub(crate) struct Law {
    /// Until each reply was due.
    pub(crate) intended: Histogram,
    /// Until it was written.
    pub(crate) held: Histogram,
    /// The same for the requests that it asked of itself.
    pub(crate) shadow: Histogram,
}

impl Server {
    /// Starts a server with these settings.
    pub(crate) fn start(settings: &[String]) -> anyhow::Result<Server> {
        let mut command = Command::new(SQUALL);
        command.args([
            "serve",
            "delay-law",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ]);
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().context("starting the server")?;
        let mut stdout = BufReader::new(child.stdout.take().context("the server's output")?);
        let mut line = String::new();
        stdout.read_line(&mut line).context("waiting for the server")?;
        let addresses = line
            .trim_end()
            .strip_prefix("ready listen=")
            .and_then(|rest| rest.split_once(" admin="));
        let Some((listen, admin)) = addresses else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the server did not get ready with {settings:?}");
        };
        Ok(Server {
            url: format!("http://{listen}/"),
            admin: admin.parse().context("the server's admin address")?,
            _stdout: stdout,
            child,
        })
    }

    /// Where it serves.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it says of itself so far.
    pub(crate) fn law(&self) -> anyhow::Result<Law> {
        let mut stream = TcpStream::connect(self.admin).context("asking the server")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "GET /law HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.admin
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, body) = text.split_once("\r\n\r\n").context("the server's answer")?;
        let body: Value = serde_json::from_str(body).context("reading what the server says")?;
        let part = |name: &str| {
            let hdr = body[name]["hdr"]
                .as_str()
                .with_context(|| format!("no {name}.hdr"))?;
            Ok::<_, anyhow::Error>(histogram::decode(hdr)?)
        };
        Ok(Law {
            intended: part("intended")?,
            held: part("held")?,
            shadow: part("shadow")?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// What `squall load` measured.
pub(crate) struct Measured {
    pub(crate) record: RunRecord,
}

impl Measured {
    /// The load in its one phase.
    pub(crate) fn load(&self) -> anyhow::Result<&LoadRecord> {
        let phase = self.record.phases.first().context("a record without phases")?;
        phase.load.values().next().context("a phase without loads")
    }
}

/// Runs `squall load` on `url`, in open loop at `rate` requests a second, or without one in closed loop.
pub(crate) fn load(
    url: &str,
    rate: Option<u32>,
    connections: usize,
    length: Duration,
) -> anyhow::Result<Measured> {
    let mut command = Command::new(SQUALL);
    command.args(["load", url, "--json", "-c", &connections.to_string()]);
    command.args(["-d", &format!("{}ms", length.as_millis())]);
    if let Some(rate) = rate {
        command.args(["-r", &rate.to_string()]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("running squall load")?;
    let record = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "reading what squall load printed; it ended with {}",
            output.status
        )
    })?;
    Ok(Measured { record })
}
