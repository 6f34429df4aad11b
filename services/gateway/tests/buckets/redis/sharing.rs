//! Gateways that share a Redis.

use super::server::{Server, free_port, is_installed};
use crate::users::{Gateway, table};

const USERS: u32 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_agree_on_each_user_whatever_their_weights() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), free_port());
    let one = Gateway::connected(&server.address(), &[("a", 1), ("b", 1)]).await;
    let two = Gateway::connected(&server.address(), &[("a", 0), ("b", 1)]).await;
    // Each is first for half of them, and both ask at the same time.
    let (first, second) = tokio::join!(one.variants(0..USERS), async {
        let mut variants = Vec::new();
        for user in (0..USERS).rev() {
            variants.push(two.variant(&user.to_string()).await);
        }
        variants.reverse();
        variants
    });
    assert_eq!(first, second);
    assert!(first.contains(&"a".to_owned()) && first.contains(&"b".to_owned()));
    assert_eq!(one.variants(0..USERS).await, first);
    assert_eq!(one.told.count("unanswered") + two.told.count("unanswered"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_variant_that_is_gone_move_to_the_same_one_everywhere() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), free_port());
    let one = Gateway::connected(&server.address(), &[("a", 1), ("b", 1)]).await;
    let before = one.variants(0..USERS).await;
    let two = Gateway::connected(&server.address(), &[("b", 1), ("c", 1)]).await;
    let moved = two.variants(0..USERS).await;
    for (before, moved) in before.iter().zip(&moved) {
        assert!(before == "a" || before == moved);
    }
    assert!(moved.contains(&"c".to_owned()) && !moved.contains(&"a".to_owned()));
    one.router
        .apply(table(&[("b", 1), ("c", 0)]))
        .await
        .expect("nothing is to be synced");
    assert_eq!(one.variants(0..USERS).await, moved);
}
