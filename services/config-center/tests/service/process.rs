//! The server as a process: what is there when it was killed, and when its disk was full.
//!
//! The test binary runs itself again as the service, since a service has no binary of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::acknowledged::Acknowledged;
use crate::support::{Client, launch, until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use squall_config_center::SERVICE;

const DATA: &str = "SQUALL_TEST_DATA";
/// SIGXFSZ, which a file over its limit would end the process with.
const FILE_TOO_LARGE: i32 = 25;

#[test]
#[ignore = "the tests below run it as a process of its own"]
fn child() {
    let data = std::env::var_os(DATA).expect("it is run by another test, with a folder");
    // A handler, so that the write fails instead, as on a full disk.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let kind = tokio::signal::unix::SignalKind::from_raw(FILE_TOO_LARGE);
    let _handled = tokio::signal::unix::signal(kind).unwrap();
    let launch = launch(Path::new(&data), "127.0.0.1:0");
    let run = thread::spawn(move || (SERVICE.run)(launch).map_err(|error| error.to_string()));
    if let Err(error) = run.join().unwrap() {
        panic!("{error}");
    }
}

/// A running service; killed when dropped.
struct Running {
    child: Child,
    /// Held open, as a service may write to it.
    _stdout: BufReader<ChildStdout>,
    listen: SocketAddr,
}

impl Running {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["process::child", "--exact", "--ignored", "--nocapture", "--quiet"])
            .env(DATA, data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            assert!(
                stdout.read_line(&mut line).unwrap() > 0,
                "the service ended before it was ready"
            );
        }
        let (_, rest) = line.split_once("listen=").unwrap();
        let listen = rest.split(' ').next().unwrap().parse().unwrap();
        Self {
            child,
            _stdout: stdout,
            listen,
        }
    }

    fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Publishes growing numbers on several connections until the process is killed in their midst. Of each, the last that was
/// acknowledged, and its version.
fn acknowledged_until_killed(data: &Path, from: u64, enough: usize) -> Vec<(u64, u64)> {
    const CONNECTIONS: usize = 4;
    let mut service = Running::start(data);
    let address = service.listen;
    let last = Mutex::new((vec![(0, 0); CONNECTIONS], 0_usize));
    let count = || last.lock().unwrap().1;
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let last = &last;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for content in from.. {
                    let form = format!("dataId=n{number}&group=G&content={content}");
                    let sent = client.send("POST", crate::support::CONFIGS, "", &form);
                    let Some(answer) = sent.and_then(|()| client.receive()) else {
                        return;
                    };
                    assert_eq!(answer.body, "true");
                    let version = answer.header("squall-version").parse().unwrap();
                    let mut last = last.lock().unwrap();
                    last.0[number] = (content, version);
                    last.1 += 1;
                }
            });
        }
        until("changes are not acknowledged", || count() >= enough);
        service.child.kill().unwrap();
    });
    last.into_inner().unwrap().0
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (mut from, mut newest) = (1, 0);
    for _ in 0..4 {
        let acknowledged = acknowledged_until_killed(folder.path(), from, 60);
        let service = Running::start(folder.path());
        let mut client = Client::connect(service.listen);
        for (number, (content, version)) in acknowledged.into_iter().enumerate() {
            let there = client.fetch(&format!("n{number}"));
            let (found, of) = (
                there.body.parse::<u64>().unwrap_or(0),
                there.header("squall-version").parse::<u64>().unwrap(),
            );
            // One more may have been written whose answer was on its way.
            assert!(
                found == content && of == version || found == content + 1 && of > version,
                "{content} was acknowledged as {version}, {found} is there as {of}"
            );
            assert!(of > newest, "numbers of changes repeat");
            from = from.max(found + 1);
        }
        newest = client
            .publish("last", &from.to_string())
            .header("squall-version")
            .parse()
            .unwrap();
    }
}

#[test]
fn a_full_disk_refuses_changes_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path());
    let (mut client, mut acknowledged) = (Client::connect(service.listen), Acknowledged::default());
    acknowledged.publish(&mut client, "before");
    let size = std::fs::metadata(folder.path().join("configs.redb"))
        .unwrap()
        .len();
    service.limit_files(Some(size));
    let refused = acknowledged.publish_until_refused(&mut client).unwrap();
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(
        refused.body.starts_with("caused: cannot ") && refused.body.contains("see that"),
        "{}",
        refused.body
    );
    service.limit_files(None);
    let answer = acknowledged.publish(&mut client, "after");
    assert_eq!(answer.body, "true", "it finds back by itself");
    assert!(
        acknowledged.len() > 2,
        "nothing was taken while the disk became full"
    );
    drop(service);
    let again = Running::start(folder.path());
    let mut client = Client::connect(again.listen);
    assert_eq!(acknowledged.lost(&mut client), [""; 0]);
}
