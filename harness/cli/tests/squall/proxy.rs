//! `squall proxy`: a real process, asked by clients that nobody here wrote and by hand.
//!
//! The clients are fetched with npm, pip and cargo where those are; what can't be had is said. The one for Rust takes minutes to
//! build and needs OpenSSL, so `just test-full` alone runs it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use prometheus_parse::{Sample, Scrape, Value};
use rustix::process::Signal;
use squall_model::exit::Exit;

use crate::foreign;
use crate::support::{PATIENCE, Running, Stage, eventually};

const NODE: &str = "toxiproxy-node-client@4.1.0";
const PYTHON: &str = "toxiproxy-python==0.1.1";
const RUST: &str = "0.1.6";

/// `squall proxy` with more arguments, and where its API is.
pub(crate) fn start(stage: &Stage, more: &[&str]) -> (Running, String) {
    let mut arguments = vec!["proxy", "--listen", "127.0.0.1:0"];
    arguments.extend(more);
    let mut running = stage.start(Stage::command(&arguments));
    let line = running.wait_for("proxy: http://127.0.0.1:");
    let address = line.trim_start_matches("proxy: http://");
    let address = address.split(',').next().expect("a seed follows").to_owned();
    (running, address)
}

/// Asks by hand; status and body.
pub(crate) fn ask(address: &str, method: &str, path: &str, fields: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{fields}content-length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .expect("a status")
        .parse()
        .expect("a number");
    (status, body.to_owned())
}

/// A callee that sends back what it gets, until the test ends.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = (&stream).read(&mut bytes) {
                    if (&stream).write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn proxies_of_a_file_carry_bytes_and_end_with_the_command() {
    let stage = Stage::shared();
    let upstream = echo();
    let file = stage.write(
        "proxies.json",
        &format!(r#"[{{"name":"feed","listen":"127.0.0.1:0","upstream":"{upstream}","enbaled":true}}]"#),
    );
    let (running, address) = start(&stage, &["--config", &file, "--seed", "9"]);
    let (status, body) = ask(&address, "GET", "/proxies/feed", "", "");
    assert_eq!(status, 200, "{body}");
    let proxy: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let listen = proxy["listen"].as_str().expect("text").to_owned();
    let latency = r#"{"type":"latency","attributes":{"latency":200},"toxicty":0.1}"#;
    let (status, body) = ask(&address, "POST", "/proxies/feed/toxics", "", latency);
    assert_eq!(status, 200, "{body}");
    let mut caller = TcpStream::connect(&listen).expect("it listens");
    caller.set_read_timeout(Some(PATIENCE)).expect("a time");
    let since = Instant::now();
    caller.write_all(b"x").expect("sent");
    caller.read_exact(&mut [0]).expect("answered");
    assert!(since.elapsed() >= Duration::from_millis(200));
    // Bytes are counted once they are sent, so that they can be here before they are there.
    eventually("a parser of Prometheus' finds the byte counted", PATIENCE, || {
        let (_, text) = ask(&address, "GET", "/metrics", "", "");
        let text = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("a text of metrics");
        let is_it = |one: &&Sample| {
            one.metric == "toxiproxy_proxy_sent_bytes_total"
                && one.labels.get("direction") == Some("downstream")
        };
        let sent = text.samples.iter().find(is_it).expect("a sample of the proxy");
        assert_eq!(sent.labels.get("listener"), Some(listen.as_str()));
        sent.value == Value::Counter(1.0)
    });
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.pid())).expect("it runs");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .expect("a limit");
    let numbers: Vec<&str> = files.split_whitespace().skip(3).collect();
    assert_eq!(
        numbers[0], numbers[1],
        "room for as many connections as may be: {files}"
    );
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(Exit::Interrupted.code().into());
    for words in [
        "warning: ",
        "proxies.json: `enbaled` of a proxy is ignored",
        ", seed 9",
        "warning: POST /proxies/feed/toxics: `toxicty` of a toxic is ignored",
        "SIGINT (Ctrl-C): closing all proxies",
    ] {
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
    assert!(matches!(caller.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(&listen).is_err());
}

#[test]
fn what_is_wrong_is_found_before_anything_listens() {
    let stage = Stage::shared();
    let unknown = r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enbaled":true}]"#;
    let other = r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"192.0.2.1:80"}]"#;
    let table: [(&[&str], Option<&str>, &str); 6] = [
        (&["--listen", "0.0.0.0:0"], None, "--token"),
        (
            &["--listen", "127.0.0.1:0", "--token", "a b"],
            None,
            "visible ASCII",
        ),
        (
            &["--listen", "127.0.0.1:0", "--strict"],
            Some(unknown),
            "`enbaled` of a proxy: nobody knows it",
        ),
        (
            &["--listen", "127.0.0.1:0"],
            Some(other),
            "--allow-host 192.0.2.1",
        ),
        (
            &["--listen", "127.0.0.1:0"],
            Some("[{}]"),
            "missing required field: name at proxy 1",
        ),
        (
            &["--listen", "127.0.0.1:0", "--config", "/nowhere"],
            None,
            "reading /nowhere",
        ),
    ];
    for (arguments, config, words) in table {
        let mut arguments = [&["proxy"], arguments].concat();
        let file = config.map(|text| stage.write("proxies.json", text));
        arguments.extend(file.iter().flat_map(|file| ["--config", file]));
        let ended = stage.squall(&arguments);
        ended.assert_code(Exit::Usage.code().into());
        assert!(ended.stderr.contains(words), "{arguments:?}\n{}", ended.stderr);
    }
}

#[test]
fn who_knows_no_token_is_told_nothing() {
    let stage = Stage::shared();
    let token = stage.write("token", "s3cret\n");
    let (running, address) = start(&stage, &["--token", &format!("@{token}")]);
    let wrong = "authorization: Bearer wrong\r\n";
    for (fields, status) in [("", 401), (wrong, 401), ("authorization: Bearer s3cret\r\n", 200)] {
        let (answered, body) = ask(&address, "GET", "/proxies", fields, "");
        assert_eq!(answered, status, "{fields}: {body}");
    }
    let body = r#"{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}"#;
    assert_eq!(ask(&address, "POST", "/proxies", wrong, body).0, 401);
    let right = "authorization: bearer s3cret\r\n";
    assert_eq!(ask(&address, "GET", "/proxies", right, "").1, "{}");
    let browser = format!("{right}user-agent: Mozilla/5.0\r\n");
    assert_eq!(ask(&address, "GET", "/proxies", &browser, "").0, 403);
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(ask(&address, "POST", "/proxies", right, &long).0, 413);
    running.signal(Signal::TERM);
    running.wait().assert_code(Exit::Terminated.code().into());
}

/// Runs a client against a `squall proxy` of its own. It says `done`, or what was wrong.
fn drive(client: &Path, arguments: &[&Path]) {
    let stage = Stage::shared();
    let (running, address) = start(&stage, &["--strict", "--seed", "1"]);
    let mut command = Command::new(client);
    command.args(arguments).arg(&address).arg(echo().to_string());
    let said = foreign::ended(&mut command);
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(
        said.as_deref().map(str::trim),
        Ok("done"),
        "squall said:\n{}",
        ended.stderr
    );
    ended.assert_code(Exit::Interrupted.code().into());
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/squall/proxy")
}

#[test]
fn the_client_for_node_finds_what_it_expects() {
    match node() {
        Ok(folder) => drive(Path::new("node"), &[&here().join("client.mjs"), &folder]),
        Err(missing) => foreign::not_checked("squall proxy with the client for node", &missing),
    }
}

/// The folder in which node finds the client.
fn node() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toxiproxy-node-client");
    foreign::ended(Command::new("node").arg("--version"))?;
    if !folder
        .join("node_modules/toxiproxy-node-client/package.json")
        .exists()
    {
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let install = [
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ];
        foreign::ended(Command::new("npm").args(install).arg(&folder).arg(NODE))?;
    }
    Ok(folder)
}

#[test]
fn the_client_for_python_finds_what_it_expects() {
    match foreign::python("toxiproxy", PYTHON, "toxiproxy") {
        Ok(python) => drive(&python, &[&here().join("client.py")]),
        Err(missing) => foreign::not_checked("squall proxy with the client for Python", &missing),
    }
}

#[test]
#[ignore = "builds a client with OpenSSL and a runtime, for minutes: `just test-full`"]
fn the_client_for_rust_finds_what_it_expects() {
    match rust() {
        Ok(program) => drive(&program, &[]),
        Err(missing) => foreign::not_checked("squall proxy with the client for Rust", &missing),
    }
}

/// The program around the client, built in a folder and a workspace of its own.
fn rust() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toxiproxy-rust");
    let manifest = format!(
        "[package]\nname = \"client\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [[bin]]\nname = \"client\"\npath = \"client.rs\"\n\n[dependencies]\ntoxiproxy_rust = \"={RUST}\"\n"
    );
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    fs::write(folder.join("Cargo.toml"), manifest).map_err(|e| e.to_string())?;
    fs::copy(here().join("client.rs"), folder.join("client.rs")).map_err(|e| e.to_string())?;
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet"]).current_dir(&folder);
    build.env("CARGO_TARGET_DIR", folder.join("target"));
    let built = build.output().map_err(|e| e.to_string())?;
    if built.status.success() {
        return Ok(folder.join("target/debug/client"));
    }
    Err(String::from_utf8_lossy(&built.stderr).into_owned())
}
