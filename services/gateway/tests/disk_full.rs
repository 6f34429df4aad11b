//! A disk that is full: this test starts itself again in a namespace of its own, where a small file system is all there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use squall_gateway::bucket::{BucketError, BucketStore};
use squall_gateway::route::{Event, Observe, RouteRequest, RouteTable, Router, RouterOptions};
use tokio::time::{Instant, sleep};

const DISK: &str = "SQUALL_TEST_SMALL_DISK";
const FOLDER: &str = "SQUALL_TEST_BUCKETS";
/// How long something may take that must happen. Only a broken machine or a broken program takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many users are asked about at most; they don't fit on the disk.
const USERS_MAX: u32 = 200_000;

#[derive(Debug, Default)]
struct Told(Mutex<BTreeMap<&'static str, u64>>);

impl Observe for Told {
    fn note(&self, event: &Event<'_>) {
        let kind = match event {
            Event::BucketByHash { .. } => "by hash",
            Event::BucketStoreAway { .. } => "away",
            Event::BucketStoreBack => "back",
            _ => return,
        };
        *self.0.lock().expect("no test panicked").entry(kind).or_default() += 1;
    }
}

impl Told {
    fn count(&self, kind: &str) -> u64 {
        let told = self.0.lock().expect("no test panicked");
        told.get(kind).copied().unwrap_or(0)
    }

    async fn until(&self, kind: &str) {
        let begin = Instant::now();
        while self.count(kind) == 0 {
            assert!(begin.elapsed() < PATIENCE, "never {kind}: {self:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn table(weights: [u32; 2]) -> RouteTable {
    let clusters = BTreeSet::from([Arc::from("svc-v1"), Arc::from("svc-v2")]);
    let table = serde_json::json!({
        "experiments": [{ "name": "e", "variants": [
            { "name": "a", "cluster": "svc-v1", "weight": weights[0] },
            { "name": "b", "cluster": "svc-v2", "weight": weights[1] }
        ] }],
        "default": { "experiment": "e" }
    });
    RouteTable::from_value(&table, &clusters).expect("the table is valid")
}

fn router(folder: &Path, told: &Arc<Told>) -> Router {
    let options = RouterOptions {
        buckets: BucketStore::Embedded(folder.to_owned()),
        observe: Arc::clone(told) as Arc<dyn Observe>,
        ..RouterOptions::default()
    };
    Router::new(table([1, 1]), options).expect("the folder can be used")
}

async fn cluster(router: &Router, user: u32) -> Arc<str> {
    let user = HeaderValue::from_str(&user.to_string()).expect("a valid value");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-user-id"), user)]);
    let request = RouteRequest {
        method: "GET",
        path: "/",
        headers: &headers,
    };
    router.route(&request).await.cluster
}

/// A file that takes all the room that is left.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).expect("there is room for a name");
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![0x5a; size]).is_err() {
            size /= 2;
        }
    }
}

/// A folder in which one part of what is kept lies on a small disk, and that disk.
fn folder(parts: &[&str]) -> (PathBuf, PathBuf) {
    let disk = PathBuf::from(std::env::var_os(DISK).expect("the test below says where"));
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the test below says where"));
    for part in parts {
        std::os::unix::fs::symlink(disk.join(part), folder.join(part)).expect("there is room");
    }
    (folder, disk.join("filler"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "this is what the test below runs on a small disk"]
async fn the_database_is_on_a_full_disk() {
    let (folder, filler) = folder(&["buckets.redb"]);
    let told = Arc::new(Told::default());
    let router = router(&folder, &told);
    fill(&filler);
    let mut first = Vec::new();
    for user in 0..USERS_MAX {
        first.push(cluster(&router, user).await);
        if told.count("away") > 0 {
            break;
        }
    }
    told.until("away").await;
    let refused = router.apply(table([0, 1])).await;
    assert!(matches!(refused, Err(BucketError::Unwritten(_))), "{refused:?}");
    std::fs::remove_file(&filler).expect("it is there");
    told.until("back").await;
    router.apply(table([0, 1])).await.expect("there is room again");
    assert_eq!(told.count("by hash"), 0, "the journal took all of them");
    for (user, first) in (0..).zip(&first) {
        assert_eq!(cluster(&router, user).await, *first, "user {user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "this is what the test below runs on a small disk"]
async fn the_journals_are_on_a_full_disk() {
    let (folder, filler) = folder(&["buckets.first.log", "buckets.second.log"]);
    let told = Arc::new(Told::default());
    let router = router(&folder, &told);
    let kept = cluster(&router, 0).await;
    fill(&filler);
    let mut first = vec![kept];
    for user in 1..USERS_MAX {
        first.push(cluster(&router, user).await);
        if told.count("by hash") >= 100 {
            break;
        }
    }
    let by_hash = told.count("by hash");
    assert!(by_hash >= 100);
    std::fs::remove_file(&filler).expect("it is there");
    router.apply(table([0, 1])).await.expect("the database has room");
    let mut moved = 0;
    for (user, first) in (0..).zip(&first) {
        moved += u64::from(cluster(&router, user).await != *first);
    }
    // About half of those that could not be kept are given the other one now, and nobody else is.
    assert!(moved > 0 && moved <= by_hash, "{moved} moved of {by_hash}");
    assert_eq!(told.count("by hash"), by_hash);
}

/// Runs one of the above with a small file system where `DISK` says.
fn on_a_small_disk(test: &str) {
    let (disk, folder) = (tempfile::tempdir(), tempfile::tempdir());
    let (disk, folder) = (disk.expect("a folder"), folder.expect("a folder"));
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["-Urm", "sh", "-c", script])
            .env(DISK, disk.path())
            .env(FOLDER, folder.path())
            .env("SQUALL_TEST", std::env::current_exe().expect("this test"));
        command.output()
    };
    let mount = format!("mount -t tmpfs -o size=4m none \"${DISK}\"");
    if !in_namespace(&mount).is_ok_and(|out| out.status.success()) {
        let text =
            "NOT TESTED: this machine lets no user mount in a namespace of its own, so no disk was full\n";
        drop(std::io::stderr().write_all(text.as_bytes()));
        return;
    }
    let run = format!("{mount} && \"$SQUALL_TEST\" --exact {test} --ignored --nocapture");
    let ended = in_namespace(&run).expect("it was there a moment ago");
    let out = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{out}{errors}");
    assert!(out.contains("1 passed"), "it ran: {out}");
}

#[test]
fn a_database_that_takes_no_more_moves_nobody_and_holds_back_other_weights() {
    on_a_small_disk("the_database_is_on_a_full_disk");
}

#[test]
fn a_journal_that_takes_no_more_moves_nobody_who_was_remembered() {
    on_a_small_disk("the_journals_are_on_a_full_disk");
}
