//! A disk that is really full: a small tmpfs in a mount namespace of its own, in which this test binary runs itself again.
//!
//! Where a user may make no namespaces the tests say so loudly and check nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use squall_config_center::plant::Plant;
use squall_config_client::{Client, Incident, Settings};
use tempfile::tempdir;
use tokio::runtime::Runtime;

use crate::acknowledged::Acknowledged;
use crate::support::{self, Heard, Setup, key, start, until};

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

/// The small disk of this process.
fn disk() -> PathBuf {
    let disk = std::env::var_os(TMPFS);
    disk.expect("it is run by another test, on a disk of its own")
        .into()
}

/// Takes all the space there is but so many bytes.
fn fill(disk: &Path, but_bytes: u64) -> PathBuf {
    let filler = disk.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for chunk in [64 << 10, 1 << 10, 1] {
        while file.write_all(&vec![0; chunk]).is_ok() {}
    }
    let length = file.metadata().unwrap().len();
    file.set_len(length - but_bytes).unwrap();
    filler
}

#[test]
fn a_server_whose_disk_is_full_refuses_changes_and_loses_none() {
    on_a_small_disk("full_disk::server_on_a_small_disk");
}

#[test]
#[ignore = "run by the test above, on a disk of its own"]
fn server_on_a_small_disk() {
    let (disk, mut acknowledged) = (disk(), Acknowledged::default());
    let data = disk.join("server");
    let host = start(&data);
    let mut client = support::Client::connect(host.listen());
    acknowledged.publish(&mut client, "before");
    let filler = fill(&disk, 1 << 20);
    let refused = acknowledged.publish_until_refused(&mut client).unwrap();
    assert_eq!(refused.status, 500, "{}", refused.body);
    let reason = "No space left on device";
    assert!(refused.body.contains(reason), "{}", refused.body);
    fs::remove_file(filler).unwrap();
    let answer = acknowledged.publish(&mut client, "after");
    assert_eq!(answer.body, "true", "it finds back by itself");
    assert!(
        acknowledged.len() > 2,
        "nothing was taken while the disk became full"
    );
    let _ = host.stop();
    let host = start(&data);
    let mut client = support::Client::connect(host.listen());
    assert_eq!(acknowledged.lost(&mut client), [""; 0]);
}

#[test]
fn a_server_that_acknowledges_what_it_did_not_write_loses_it_on_a_full_disk() {
    on_a_small_disk("full_disk::careless_server_on_a_small_disk");
}

/// So the check above can fail.
#[test]
#[ignore = "run by the test above, on a disk of its own"]
fn careless_server_on_a_small_disk() {
    let (disk, mut acknowledged) = (disk(), Acknowledged::default());
    let data = disk.join("server");
    let careless = Setup {
        plant: Plant::AcknowledgeUnwritten,
        ..Setup::default()
    };
    let host = careless.start(&data);
    let mut client = support::Client::connect(host.listen());
    let filler = fill(&disk, 1 << 20);
    acknowledged.publish_until_refused(&mut client);
    let _ = host.stop();
    fs::remove_file(filler).unwrap();
    let host = start(&data);
    let mut client = support::Client::connect(host.listen());
    assert_ne!(acknowledged.lost(&mut client), [""; 0]);
}

#[test]
fn a_client_whose_disk_is_full_reads_on_and_keeps_again_once_there_is_space() {
    on_a_small_disk("full_disk::client_on_a_small_disk");
}

#[test]
#[ignore = "run by the test above, on a disk of its own"]
fn client_on_a_small_disk() {
    let disk = disk();
    let elsewhere = tempdir().unwrap();
    let host = start(elsewhere.path());
    let mut server = support::Client::connect(host.listen());
    let (runtime, heard) = (Runtime::new().unwrap(), Arc::new(Heard::default()));
    let snapshots = disk.join("client");
    let settings = Settings::new(&host.listen().to_string(), &snapshots);
    let client = Client::start_observed(settings, Arc::clone(&heard) as _).unwrap();
    let key = key("a");
    let shows = |content: &str| {
        client
            .cached(&key)
            .is_some_and(|entry| entry.content.as_deref() == Some(content))
    };
    server.publish("a", "first");
    runtime.block_on(client.get(&key)).unwrap();
    let filler = fill(&disk, 0);
    let large = "x".repeat(256 << 10);
    server.publish("a", &large);
    until("it is not shown", || shows(&large));
    let failed = |told: &Incident| matches!(told, Incident::SnapshotFailed { reason, .. } if reason.contains("No space left"));
    assert!(heard.has(failed), "{heard:?}");
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
