//! A Redis that is away, silent, or none.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use squall_gateway::bucket::{BucketError, BucketStore};
use squall_gateway::route::{Router, RouterOptions};

use super::server::{Server, free_port, is_installed};
use crate::users::{Gateway, table};

const USERS: u32 = 200;
const HALVES: &[(&str, u32)] = &[("a", 1), ("b", 1)];
const ALL_B: &[(&str, u32)] = &[("a", 0), ("b", 1)];
const ALL_A: &[(&str, u32)] = &[("a", 1), ("b", 0)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_keep_their_variants_through_a_kill_and_a_restart_of_redis() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), free_port());
    let gateway = Gateway::connected(&server.address(), HALVES).await;
    let told_before = gateway.told.by_hash();
    let known = gateway.variants(0..USERS).await;
    assert_eq!(gateway.told.by_hash(), told_before);

    let port = server.port();
    server.signal("KILL");
    drop(server);
    // Those that it knows it still knows; the others go by their hash, and nothing remembers that.
    assert_eq!(gateway.variants(0..USERS).await, known);
    let new = USERS..2 * USERS;
    gateway
        .router
        .apply(table(ALL_B))
        .await
        .expect("nothing is to be synced");
    let away = gateway.variants(new.clone()).await;
    assert!(away.iter().all(|variant| variant == "b"));
    assert_eq!(gateway.told.by_hash() - told_before, u64::from(USERS));
    assert_eq!(gateway.told.count("store away"), 1);

    let server = Server::start(folder.path(), port);
    gateway.until_back("again").await;
    assert_eq!(gateway.told.count("store back"), 1);
    gateway
        .router
        .apply(table(ALL_A))
        .await
        .expect("nothing is to be synced");
    assert!(gateway.variants(new).await.iter().all(|variant| variant == "a"));
    // Another gateway, which knows nobody, finds everyone.
    let other = Gateway::connected(&server.address(), ALL_B).await;
    let all = gateway.variants(0..2 * USERS).await;
    assert_eq!(other.variants(0..2 * USERS).await, all);
    assert_eq!(all[..USERS as usize], known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_holds_up_few_requests_and_none_beyond_the_deadline() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), free_port());
    let gateway = Gateway::new(&server.address(), Duration::from_millis(250), ALL_B);
    gateway.until_back("probe").await;
    server.signal("STOP");
    let before = gateway.told.by_hash();
    let variants = gateway.variants(0..USERS).await;
    assert!(variants.iter().all(|variant| variant == "b"));
    assert_eq!(gateway.told.by_hash() - before, u64::from(USERS));
    // The first one waits and all others know; a look in between may let another one wait.
    assert!(
        gateway.told.count("away") > u64::from(USERS) / 2,
        "{:?}",
        gateway.told
    );
    server.signal("CONT");
    gateway.until_back("again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_takes_no_writes_is_away() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), free_port());
    assert_eq!(server.ask("CONFIG SET min-replicas-to-write 1"), "+OK\r\n");
    let gateway = Gateway::new(&server.address(), crate::users::PATIENCE, ALL_B);
    assert!(
        gateway
            .variants(0..USERS)
            .await
            .iter()
            .all(|variant| variant == "b")
    );
    assert_eq!(gateway.told.by_hash(), u64::from(USERS));
    assert_eq!(server.ask("CONFIG SET min-replicas-to-write 0"), "+OK\r\n");
    gateway.until_back("again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_redis_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    // It answers everyone with what is no Redis's, until the test ends.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
        }
    });
    for address in [address, format!("127.0.0.1:{}", free_port())] {
        let gateway = Gateway::new(&address, Duration::from_secs(1), ALL_B);
        assert!(
            gateway
                .variants(0..USERS)
                .await
                .iter()
                .all(|variant| variant == "b")
        );
        assert_eq!(gateway.told.count("away"), u64::from(USERS));
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let options = RouterOptions {
        buckets: BucketStore::Redis {
            address: "http://127.0.0.1:1".to_owned(),
            deadline: Duration::from_secs(1),
        },
        ..RouterOptions::default()
    };
    let refused = Router::new(table(HALVES), options);
    assert!(matches!(refused, Err(BucketError::Address { .. })));
}
