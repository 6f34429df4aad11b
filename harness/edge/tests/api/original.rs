//! The transcript is true: Toxiproxy itself, built from its Go module, answers as it says.
//!
//! Needs Go and its module proxy, and most of a minute, so it is run by `just test-full` only.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use squall_edge::api::VERSION;

use crate::transcript::{Asked, differences, line};

const PATIENCE: Duration = Duration::from_mins(1);

/// Toxiproxy, until it is dropped.
struct Original {
    process: Child,
    address: SocketAddr,
}

impl Drop for Original {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Builds the original, unless it was built before. Why it can't be had otherwise.
fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("toxiproxy-{VERSION}"));
    let program = folder.join("server");
    if !program.exists() {
        let module = format!("github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}");
        let version = format!("-X github.com/Shopify/toxiproxy/v2.Version={VERSION}");
        let built = Command::new("go")
            .args(["install", "-ldflags", &version, &module])
            .env("GOBIN", &folder)
            .output();
        let built = built.map_err(|error| format!("`go` is not here: {error}"))?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned());
        }
    }
    Ok(program)
}

impl Original {
    fn start() -> Result<Original, String> {
        let program = build()?;
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new(program)
            .args(["-host", "127.0.0.1", "-port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let original = Original { process, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "Toxiproxy does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(original)
    }

    fn ask(&self, asked: &Asked) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // An answer to HTTP/1.0 comes in one piece, and its end is the connection's.
        write!(
            stream,
            "{} {} HTTP/1.0\r\nuser-agent: {}\r\ncontent-length: {}\r\n\r\n{}",
            asked.method,
            asked.target,
            asked.user_agent,
            asked.body.len(),
            asked.body
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| {
            let fields = head.lines().filter_map(|line| line.split_once(": "));
            let mut found = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map_or(String::new(), |(_, value)| value.to_owned())
        };
        line(status, &field("content-type"), &field("location"), body)
    }
}

#[test]
#[ignore = "builds Toxiproxy with Go: `just test-full`"]
fn the_original_answers_as_the_transcript_says() {
    let original = match Original::start() {
        Ok(original) => original,
        Err(missing) => {
            let _ = writeln!(
                std::io::stderr(),
                "NOT CHECKED: answers of the original: {missing}"
            );
            return;
        }
    };
    let freeze = std::env::var_os("SQUALL_FREEZE").is_some();
    let differences = differences(freeze, |asked| original.ask(asked));
    assert!(freeze || differences.is_empty(), "\n{differences}");
}
