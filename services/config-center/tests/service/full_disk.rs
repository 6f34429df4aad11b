//! A disk that is really full: a small tmpfs in a mount namespace of its own, in which this test binary runs itself again.
//!
//! Where a user may make no namespaces the tests say so loudly and check nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use squall_config_center::center::Limits;
use squall_config_center::seed::Seeds;
use squall_config_client::{Client, ConfigKey, Incident, Observe, Settings};
use tempfile::tempdir;
use tokio::runtime::Runtime;

use crate::support::{self, start, start_with, until};

const TMPFS: &str = "SQUALL_TEST_TMPFS";
/// Mounts a tmpfs on the first argument and becomes the rest.
const MOUNTED: &str = r#"mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@""#;

/// Runs one of the ignored tests below with a small disk of its own.
fn on_a_small_disk(test: &str) {
    let folder = tempdir().unwrap();
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNTED]);
        command.arg(folder.path()).stdin(Stdio::null());
        command
    };
    let can = unshare().arg("true").output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "NOT CHECKED: a full disk: no mount namespace is to be had: {can:?}"
        );
        return;
    }
    let output = unshare()
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(TMPFS, folder.path())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
}

/// The small disk, where this is the process that has one.
fn disk() -> Option<PathBuf> {
    std::env::var_os(TMPFS).map(PathBuf::from)
}

/// Takes all the space there is.
fn fill(disk: &Path) -> PathBuf {
    let filler = disk.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for chunk in [64 << 10, 1 << 10, 1] {
        while file.write_all(&vec![0; chunk]).is_ok() {}
    }
    filler
}

#[test]
fn a_server_whose_disk_is_full_refuses_changes_and_loses_none() {
    on_a_small_disk("full_disk::server_on_a_small_disk");
}

#[test]
#[ignore = "run by the test above, on a disk of its own"]
fn server_on_a_small_disk() {
    let Some(disk) = disk() else { return };
    let data = disk.join("server");
    let host = start(&data);
    let mut client = support::Client::connect(host.listen());
    assert_eq!(client.publish("before", "1").body, "true");
    let filler = fill(&disk);
    let large = "x".repeat(1 << 20);
    let answers = (0..16).map(|n| client.publish(&format!("large{n}"), &large));
    let refused = answers.into_iter().find(|answer| answer.status != 200);
    let refused = refused.expect("16 MiB do not fit");
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(
        refused.body.contains("No space left on device"),
        "{}",
        refused.body
    );
    let acknowledged = |client: &mut support::Client| {
        let there = (0..16).filter(|n| client.fetch(&format!("large{n}")).status == 200);
        there.collect::<Vec<_>>()
    };
    let kept = acknowledged(&mut client);
    assert_eq!(client.fetch("before").body, "1", "reads go on");
    fs::remove_file(filler).unwrap();
    assert_eq!(
        client.publish("after", "1").body,
        "true",
        "it finds back by itself"
    );
    let _ = host.stop();
    let host = start_with(&data, "127.0.0.1:0", Limits::default(), &Seeds::default());
    let mut client = support::Client::connect(host.listen());
    assert_eq!(
        (client.fetch("before").body, client.fetch("after").body),
        ("1".to_owned(), "1".to_owned())
    );
    assert_eq!(acknowledged(&mut client), kept);
}

/// Keeps what a client tells.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Incident>>);

impl Observe for Heard {
    fn note(&self, incident: &Incident) {
        self.0.lock().unwrap().push(incident.clone());
    }
}

#[test]
fn a_client_whose_disk_is_full_reads_on_and_keeps_again_once_there_is_space() {
    on_a_small_disk("full_disk::client_on_a_small_disk");
}

#[test]
#[ignore = "run by the test above, on a disk of its own"]
fn client_on_a_small_disk() {
    let Some(disk) = disk() else { return };
    let elsewhere = tempdir().unwrap();
    let host = start(elsewhere.path());
    let mut server = support::Client::connect(host.listen());
    let (runtime, heard) = (Runtime::new().unwrap(), Arc::new(Heard::default()));
    let snapshots = disk.join("client");
    let settings = Settings::new(&host.listen().to_string(), &snapshots);
    let client = Client::start_observed(settings, Arc::clone(&heard) as _).unwrap();
    let key = ConfigKey::new("a", "G", "").unwrap();
    let shows = |content: &str| {
        client
            .cached(&key)
            .is_some_and(|entry| entry.content.as_deref() == Some(content))
    };
    server.publish("a", "first");
    runtime.block_on(client.get(&key)).unwrap();
    let filler = fill(&disk);
    let large = "x".repeat(256 << 10);
    server.publish("a", &large);
    until("it is not shown", || shows(&large));
    let failed = |told: &Incident| matches!(told, Incident::SnapshotFailed { reason, .. } if reason.contains("No space left"));
    assert!(
        heard.0.lock().unwrap().iter().any(failed),
        "{:?}",
        heard.0.lock().unwrap()
    );
    // The old snapshot is whole, and nothing is left of the new one.
    let files = || {
        fs::read_dir(&snapshots)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect::<Vec<_>>()
    };
    let kept = files();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(fs::read_to_string(&kept[0]).unwrap().contains("first"));
    fs::remove_file(filler).unwrap();
    server.publish("a", "last");
    until("it is not shown", || shows("last"));
    assert!(fs::read_to_string(&kept[0]).unwrap().contains("last"));
}
