//! A disk that is full: this test starts itself again in a namespace of its own, where a small file system is all there is.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use squall_gateway::bucket::{BucketError, BucketStore};
use squall_gateway::route::{Observe, Router, RouterOptions};

use crate::users::{Told, table, variant};

const DISK: &str = "SQUALL_TEST_SMALL_DISK";
const FOLDER: &str = "SQUALL_TEST_BUCKETS";
const HALVES: &[(&str, u32)] = &[("a", 1), ("b", 1)];
const ALL_B: &[(&str, u32)] = &[("a", 0), ("b", 1)];
/// How many users are asked about at most; they don't fit on the disk.
const USERS_MAX: u32 = 200_000;

fn router(folder: &Path, told: &Arc<Told>) -> Router {
    let options = RouterOptions {
        buckets: BucketStore::Embedded(folder.to_owned()),
        observe: Arc::clone(told) as Arc<dyn Observe>,
        ..RouterOptions::default()
    };
    Router::new(table(HALVES), options).expect("the folder can be used")
}

async fn given(router: &Router, user: u32) -> String {
    variant(router, &user.to_string()).await
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
        first.push(given(&router, user).await);
        if told.count("store away") > 0 {
            break;
        }
    }
    told.until("store away").await;
    let refused = router.apply(table(ALL_B)).await;
    assert!(matches!(refused, Err(BucketError::Unwritten(_))), "{refused:?}");
    std::fs::remove_file(&filler).expect("it is there");
    told.until("store back").await;
    router.apply(table(ALL_B)).await.expect("there is room again");
    assert_eq!(told.by_hash(), 0, "the journal took all of them");
    for (user, first) in (0..).zip(&first) {
        assert_eq!(given(&router, user).await, *first, "user {user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "this is what the test below runs on a small disk"]
async fn the_journals_are_on_a_full_disk() {
    let (folder, filler) = folder(&["buckets.first.log", "buckets.second.log"]);
    let told = Arc::new(Told::default());
    let router = router(&folder, &told);
    let kept = given(&router, 0).await;
    fill(&filler);
    let mut first = vec![kept];
    for user in 1..USERS_MAX {
        first.push(given(&router, user).await);
        if told.by_hash() >= 100 {
            break;
        }
    }
    let by_hash = told.by_hash();
    assert!(by_hash >= 100);
    std::fs::remove_file(&filler).expect("it is there");
    router.apply(table(ALL_B)).await.expect("the database has room");
    let mut moved = 0;
    for (user, first) in (0..).zip(&first) {
        moved += u64::from(given(&router, user).await != *first);
    }
    // About half of those that could not be kept are given the other one now, and nobody else is.
    assert!(moved > 0 && moved <= by_hash, "{moved} moved of {by_hash}");
    assert_eq!(told.by_hash(), by_hash);
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
        let text = "NOT CHECKED: buckets on a full disk: this machine lets no user mount in a namespace of its own\n";
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
    on_a_small_disk("disk_full::the_database_is_on_a_full_disk");
}

#[test]
fn a_journal_that_takes_no_more_moves_nobody_who_was_remembered() {
    on_a_small_disk("disk_full::the_journals_are_on_a_full_disk");
}
