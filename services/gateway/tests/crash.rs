//! A gateway's buckets after `kill -9`: this test starts itself again as the process that is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use squall_gateway::bucket::BucketStore;
use squall_gateway::route::{Route, RouteReason, RouteRequest, RouteTable, Router, RouterOptions};

const FOLDER: &str = "SQUALL_TEST_BUCKETS";
/// How many users are to have been answered when the process is killed.
const USERS_MIN: usize = 2_000;
/// How many are answered at most.
const USERS_MAX: u32 = 1_000_000;
const KILLS: usize = 3;

fn router(folder: &Path, weights: [u32; 2]) -> Router {
    let clusters = BTreeSet::from([Arc::from("svc-v1"), Arc::from("svc-v2")]);
    let table = serde_json::json!({
        "experiments": [{ "name": "e", "variants": [
            { "name": "a", "cluster": "svc-v1", "weight": weights[0] },
            { "name": "b", "cluster": "svc-v2", "weight": weights[1] }
        ] }],
        "default": { "experiment": "e" }
    });
    let options = RouterOptions {
        buckets: BucketStore::Embedded(folder.to_owned()),
        ..RouterOptions::default()
    };
    let table = RouteTable::from_value(&table, &clusters).expect("the table is valid");
    Router::new(table, options).expect("the folder can be used")
}

async fn route(router: &Router, user: u32) -> Route {
    let user = HeaderValue::from_str(&user.to_string()).expect("a valid value");
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-user-id"), user)]);
    let request = RouteRequest {
        method: "GET",
        path: "/",
        headers: &headers,
    };
    let route = router.route(&request).await;
    assert_eq!(route.reason, RouteReason::Bucket);
    route
}

#[tokio::test]
#[ignore = "this is the process that the next test kills"]
async fn answers_users_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("the test below says where");
    let router = router(folder.as_ref(), [1, 1]);
    let mut out = std::io::stdout();
    for user in 0..USERS_MAX {
        let cluster = route(&router, user).await.cluster;
        writeln!(out, "answered {user} {cluster}").expect("somebody reads it");
    }
}

/// Starts a gateway, kills it while it answers, and returns whom it answered what.
fn answered_until_killed(folder: &Path) -> BTreeMap<u32, String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "answers_users_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can start itself");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut answered = BTreeMap::new();
    let mut note = |line: &str| {
        let mut words = line.split(' ');
        if let (Some("answered"), Some(user), Some(cluster)) = (words.next(), words.next(), words.next()) {
            answered.insert(user.parse().expect("a number"), cluster.to_owned());
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
    let mut answered = BTreeMap::new();
    for _ in 0..KILLS {
        let before = answered;
        answered = answered_until_killed(folder.path());
        assert!(answered.len() >= USERS_MIN);
        for (user, cluster) in &before {
            assert_eq!(answered.get(user).unwrap_or(cluster), cluster);
        }
        let second = answered.values().filter(|cluster| *cluster == "svc-v2").count();
        assert!((1..answered.len()).contains(&second));
    }
    // By these weights all would be given the second.
    let router = router(folder.path(), [0, 1]);
    for (user, cluster) in answered {
        assert_eq!(*route(&router, user).await.cluster, *cluster, "user {user}");
    }
    assert_eq!(&*route(&router, USERS_MAX).await.cluster, "svc-v2");
}
