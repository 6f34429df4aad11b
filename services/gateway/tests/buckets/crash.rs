//! A gateway's buckets after `kill -9`: this test starts itself again as the process that is killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use squall_gateway::bucket::BucketStore;
use squall_gateway::route::{Router, RouterOptions};

use crate::users::{table, variant};

const FOLDER: &str = "SQUALL_TEST_BUCKETS";
/// Which of [`WEIGHTS`] a process has.
const LIFE: &str = "SQUALL_TEST_LIFE";
/// How many users are to have been answered when the process is killed.
const USERS_MIN: usize = 2_000;
/// How many are answered at most.
const USERS_MAX: u32 = 1_000_000;
/// The weights of each process that is killed: by the hash alone, users would move with each.
const WEIGHTS: [[u32; 2]; 3] = [[1, 1], [1, 9], [9, 1]];

fn router(folder: &Path, weights: [u32; 2]) -> Router {
    let options = RouterOptions {
        buckets: BucketStore::Embedded(folder.to_owned()),
        ..RouterOptions::default()
    };
    let [a, b] = weights;
    Router::new(table(&[("a", a), ("b", b)]), options).expect("the folder can be used")
}

#[tokio::test]
#[ignore = "this is the process that the next test kills"]
async fn answers_users_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("the test below says where");
    let life: usize = std::env::var(LIFE).expect("likewise").parse().expect("a number");
    let router = router(folder.as_ref(), WEIGHTS[life]);
    let mut out = std::io::stdout();
    for user in 0..USERS_MAX {
        let variant = variant(&router, &user.to_string()).await;
        writeln!(out, "answered {user} {variant}").expect("somebody reads it");
    }
}

/// Starts a gateway, kills it while it answers, and returns whom it answered what.
fn answered_until_killed(folder: &Path, life: usize) -> BTreeMap<u32, String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "crash::answers_users_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can start itself");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut answered = BTreeMap::new();
    let mut note = |line: &str| {
        let mut words = line.split(' ');
        if let (Some("answered"), Some(user), Some(variant)) = (words.next(), words.next(), words.next()) {
            answered.insert(user.parse().expect("a number"), variant.to_owned());
        }
        answered.len()
    };
    while let Some(Ok(line)) = lines.next() {
        if note(&line) >= USERS_MIN {
            break;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
    // What it wrote and nobody had read yet; the last line may be cut off.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    for line in rest.iter().take(rest.len().saturating_sub(1)) {
        note(line);
    }
    answered
}

#[tokio::test]
async fn nobody_who_was_answered_is_moved_by_kill_9_and_other_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut answered: BTreeMap<u32, String> = BTreeMap::new();
    for life in 0..WEIGHTS.len() {
        let now = answered_until_killed(folder.path(), life);
        assert!(now.len() >= USERS_MIN);
        let known = now.keys().filter(|user| answered.contains_key(user)).count();
        assert!(life == 0 || known >= USERS_MIN, "{known} were asked about again");
        for (user, variant) in now {
            let before = answered.entry(user).or_insert_with(|| variant.clone());
            assert_eq!(*before, variant, "user {user} in life {life}");
        }
        let second = answered.values().filter(|variant| *variant == "b").count();
        assert!((1..answered.len()).contains(&second));
    }
    // By these weights all would be given the second.
    let router = router(folder.path(), [0, 1]);
    for (user, before) in answered {
        assert_eq!(variant(&router, &user.to_string()).await, before, "user {user}");
    }
    assert_eq!(variant(&router, &USERS_MAX.to_string()).await, "b");
}
