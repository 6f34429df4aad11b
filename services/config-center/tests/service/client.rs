//! The client against real servers that come, go and forget.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::support::{Client as Connection, DEADLINE, Heard, Setup, key, start, until_hanging, until_metric};
use squall_config_center::seed::Seeds;
use squall_config_client::{Client, Entry, GetError, Incident, Settings, Watch};
use squall_service_kit::Host;
use tempfile::{TempDir, tempdir};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Where futures of the tests run: a server in this process has a runtime of its own, and can't be started within one.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// What comes of a future.
fn now<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

fn client(server: SocketAddr, snapshots: &Path) -> (Client, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let settings = Settings {
        heartbeat: Duration::from_millis(200),
        ..Settings::new(&server.to_string(), snapshots)
    };
    (
        Client::start_observed(settings, Arc::clone(&heard) as _).unwrap(),
        heard,
    )
}

/// An address where nobody is.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Starts a server where one was before.
fn start_at(address: SocketAddr, data: &Path) -> Host {
    let setup = Setup {
        listen: address.to_string(),
        ..Setup::default()
    };
    setup.start(data)
}

/// Likewise, set back to what a file holds.
fn set_back(address: SocketAddr, data: &Path, file: PathBuf) -> Host {
    let setup = Setup {
        listen: address.to_string(),
        seeds: Seeds {
            publish: Vec::new(),
            restore: Some(file),
        },
        ..Setup::default()
    };
    setup.start(data)
}

fn publish(host: &Host, name: &str, content: &str) -> u64 {
    let answer = Connection::connect(host.listen()).publish(name, content);
    assert_eq!(answer.body, "true");
    answer.header("squall-version").parse().unwrap()
}

/// Waits until a watch shows what is wanted, and checks that its versions only grow on the way.
fn until(watch: &mut Watch, wanted: impl Fn(&Entry) -> bool) -> Arc<Entry> {
    let mut last = None;
    let found = async {
        loop {
            let entry = watch.changed().await;
            assert!(last < Some(entry.version), "{entry:?} after {last:?}");
            last = Some(entry.version);
            assert!(watch.current().unwrap().version >= entry.version);
            if wanted(&entry) {
                return entry;
            }
        }
    };
    now(async { timeout(DEADLINE, found).await }).expect("it comes in time")
}

fn has(content: &str) -> impl Fn(&Entry) -> bool {
    move |entry| entry.content.as_deref() == Some(content)
}

#[test]
fn a_watch_sees_versions_grow_up_to_the_newest() {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("server"));
    publish(&host, "a", "first");
    let (client, _) = client(host.listen(), &folder.path().join("client"));
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until(&mut watch, has("first"));
    for n in 0..30 {
        publish(&host, "a", &n.to_string());
    }
    until(&mut watch, has("29"));
    Connection::connect(host.listen()).delete("a");
    until(&mut watch, |entry| entry.content.is_none());
    let _ = host.stop();
}

#[test]
fn a_hundred_readers_ask_the_server_once() {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("server"));
    publish(&host, "a", "1");
    let (client, _) = client(host.listen(), &folder.path().join("client"));
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            RUNTIME.spawn(async move { client.get(&key("a")).await.unwrap().version })
        })
        .collect();
    for read in reads {
        assert_eq!(now(read).unwrap(), 1);
    }
    let metrics = Connection::connect(host.admin()).get("/metrics").body;
    assert!(metrics.contains("\nconfig_center_fetches_total 1\n"), "{metrics}");
}

#[test]
fn what_changes_while_a_client_waits_comes_without_another_request() {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("server"));
    publish(&host, "a", "first");
    let (client, _) = client(host.listen(), &folder.path().join("client"));
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until(&mut watch, has("first"));
    for content in ["second", "third"] {
        until_hanging(&host, 1);
        publish(&host, "a", content);
        until(&mut watch, has(content));
    }
    let metrics = until_metric(&host, "woken_total", 2);
    assert!(metrics.contains("\nconfig_center_fetches_total 1\n"), "{metrics}");
    // That it is gone it looks for itself.
    until_hanging(&host, 1);
    Connection::connect(host.listen()).delete("a");
    until(&mut watch, |entry| entry.content.is_none());
    let metrics = until_metric(&host, "woken_total", 3);
    assert!(metrics.contains("\nconfig_center_fetches_total 2\n"), "{metrics}");
    let _ = host.stop();
}

#[test]
fn without_a_server_the_last_snapshot_is_read() {
    let folder = tempdir().unwrap();
    let (data, snapshots) = (folder.path().join("server"), folder.path().join("client"));
    let host = start(&data);
    let address = host.listen();
    publish(&host, "a", "1");
    let version = {
        let (client, _) = client(address, &snapshots);
        now(client.get(&key("a"))).unwrap().version
    };
    let _ = host.stop();
    let (client, heard) = client(address, &snapshots);
    let entry = now(client.get(&key("a"))).unwrap();
    assert_eq!(
        (entry.version, entry.content.as_deref(), entry.live),
        (version, Some("1"), false)
    );
    heard.wait(|told| matches!(told, Incident::FromSnapshot { .. }));
    let missing = now(client.get(&key("b"))).unwrap_err();
    assert!(matches!(missing, GetError::Away { .. }), "{missing}");
    let host = start_at(address, &data);
    heard.wait(|told| *told == Incident::Connected);
    publish(&host, "b", "2");
    let mut watch = now(client.watch(&key("b"))).unwrap();
    until(&mut watch, has("2"));
    assert_eq!(now(client.get(&key("a"))).unwrap().version, version);
}

#[test]
fn a_snapshot_that_was_cut_anywhere_is_passed_over() {
    let folder = tempdir().unwrap();
    let (data, snapshots) = (folder.path().join("server"), folder.path().join("client"));
    let host = start(&data);
    publish(&host, "a", "1");
    {
        let (client, _) = client(host.listen(), &snapshots);
        now(client.get(&key("a"))).unwrap();
    }
    let file = std::fs::read_dir(&snapshots)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "snapshot"))
        .unwrap();
    let whole = std::fs::read(&file).unwrap();
    let address = host.listen();
    let _ = host.stop();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        let (client, heard) = client(address, &snapshots);
        assert!(matches!(now(client.get(&key("a"))), Err(GetError::Away { .. })));
        let ignored = |told: &Incident| matches!(told, Incident::SnapshotIgnored { what, .. } if what.contains("torn or damaged"));
        assert!(heard.has(ignored), "cut after {length} bytes");
    }
    std::fs::write(&file, &whole).unwrap();
    let (client, _) = client(address, &snapshots);
    assert_eq!(now(client.get(&key("a"))).unwrap().content.as_deref(), Some("1"));
}

#[test]
fn what_cannot_be_kept_on_disk_is_read_all_the_same() {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("server"));
    publish(&host, "a", "1");
    let snapshots = folder.path().join("client");
    let (client, heard) = client(host.listen(), &snapshots);
    std::fs::remove_dir_all(&snapshots).unwrap();
    assert_eq!(now(client.get(&key("a"))).unwrap().version, 1);
    assert!(heard.has(|told| matches!(told, Incident::SnapshotFailed { .. })));
}

#[test]
fn a_server_that_was_set_back_does_not_set_its_readers_back() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("server");
    let host = start(&data);
    let address = host.listen();
    publish(&host, "a", "old");
    let saved = folder.path().join("saved.json");
    let export = Connection::connect(address).get("/squall/export").body;
    std::fs::write(&saved, export).unwrap();
    let newest = publish(&host, "a", "new");
    let (client, heard) = client(address, &folder.path().join("client"));
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until(&mut watch, has("new"));
    let _ = host.stop();
    let host = set_back(address, &data, saved);
    heard
        .wait(|told| matches!(told, Incident::Stale { held, seen: Some(seen), .. } if *held == newest && seen < held));
    assert_eq!(watch.current().unwrap().content.as_deref(), Some("new"));
    publish(&host, "a", "newer");
    until(&mut watch, has("newer"));
    let _ = host.stop();
}

/// As docs/services/config-center.md has it for a server whose store is lost altogether.
#[test]
fn a_lost_store_is_restored_from_an_export_and_its_readers_follow_it_again() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("server");
    let host = start(&data);
    let address = host.listen();
    publish(&host, "a", "exported");
    publish(&host, "b", "stays");
    let export = folder.path().join("export.json");
    let body = Connection::connect(address).get("/squall/export").body;
    std::fs::write(&export, body).unwrap();
    let newest = publish(&host, "a", "after the export");
    let (client, heard) = client(address, &folder.path().join("client"));
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until(&mut watch, has("after the export"));
    let _ = host.stop();
    // Closed by a thread that ends when it ends; what it held is of the file that is gone.
    std::fs::remove_dir_all(&data).unwrap();
    let host = set_back(address, &data, export);
    let mut there = Connection::connect(address);
    assert_eq!(
        (there.fetch("a").body, there.fetch("b").body),
        ("exported".to_owned(), "stays".to_owned())
    );
    heard.wait(|told| matches!(told, Incident::Stale { held, .. } if *held == newest));
    assert_eq!(
        watch.current().unwrap().content.as_deref(),
        Some("after the export")
    );
    assert!(publish(&host, "a", "published again") > newest);
    until(&mut watch, has("published again"));
    let _ = host.stop();
}

/// A server that says of nothing which version it is, as a real Nacos.
fn unnumbered(data: &Path, listen: &str) -> Host {
    let setup = Setup {
        listen: listen.to_owned(),
        says_versions: false,
        ..Setup::default()
    };
    setup.start(data)
}

fn publish_unnumbered(host: &Host, content: &str) {
    let answer = Connection::connect(host.listen()).publish("a", content);
    assert_eq!(answer.body, "true");
}

#[test]
fn a_server_without_versions_is_followed_in_the_order_of_what_it_says() {
    let folder: TempDir = tempdir().unwrap();
    let (older, newer) = (folder.path().join("older"), folder.path().join("newer"));
    let host = unnumbered(&newer, "127.0.0.1:0");
    let address = host.listen();
    publish_unnumbered(&host, "one");
    let (client, heard) = client(address, &folder.path().join("client"));
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until(&mut watch, has("one"));
    for content in ["two", "three"] {
        publish_unnumbered(&host, content);
        assert!(until(&mut watch, has(content)).version > 1);
    }
    let _ = host.stop();
    // It comes back with what it had two changes ago.
    let before = unnumbered(&older, &nobody().to_string());
    publish_unnumbered(&before, "one");
    let _ = before.stop();
    let host = unnumbered(&older, &address.to_string());
    heard.wait(|told| matches!(told, Incident::Stale { seen: None, .. }));
    assert_eq!(watch.current().unwrap().content.as_deref(), Some("three"));
    publish_unnumbered(&host, "four");
    until(&mut watch, has("four"));
    let _ = host.stop();
}
