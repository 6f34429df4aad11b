//! Documents and plug-ins that are put in force while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::support::upstream::Upstream;
use crate::support::{Rig, one};

#[test]
fn a_document_that_is_wrong_is_refused_whole() {
    let upstreams = [Upstream::well("a"), Upstream::well("b")];
    let rig = Rig::new(&one(&[upstreams[0].address], &json!({})));
    let other = one(&[upstreams[1].address], &json!({}));
    for wrong in [
        "{".to_owned(),
        "[]".to_owned(),
        json!({"clusters": other["clusters"]}).to_string(),
        json!({"clusters": other["clusters"], "default": "nowhere"}).to_string(),
        json!({"clusters": other["clusters"], "default": "app", "rules": []}).to_string(),
        json!({"clusters": {"app": {"endpoints": ["nobody"]}}, "default": "app"}).to_string(),
        "x".repeat(2 << 20),
    ] {
        assert!(rig.push(&wrong).is_err(), "{wrong:.80}");
        assert_eq!(rig.get("/").text(), "a");
    }
    assert_eq!(rig.metric("gateway_config_refused_total"), 7);
    rig.push(&other.to_string()).unwrap();
    assert_eq!(rig.get("/").text(), "b");
    assert_eq!(rig.metric("gateway_config_applied_total"), 2);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let upstream = Upstream::well("a");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let wrong = json!({
        "clusters": {"a": {"endpoints": []}, "b": {"endpoints": ["nobody"]}},
        "routes": [{"match": {"prefix": "no-slash"}, "cluster": "c"}],
        "default": "d",
    });
    let error = rig.push(&wrong.to_string()).unwrap_err();
    assert!(error.0.len() >= 4, "{error}");
}

#[test]
fn no_request_fails_while_documents_are_swapped() {
    let upstreams = [Upstream::well("a"), Upstream::well("b")];
    let documents = [0, 1].map(|at| {
        let name = ["one", "two"][at];
        json!({
            "clusters": {name: {"endpoints": [upstreams[at].address.to_string()]}},
            "default": name,
        })
    });
    let rig = Rig::with(&documents[0], &["workers=2"]);
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
            let mut client = rig.client();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let reply = client.get("/");
                    assert_eq!(reply.status, 200, "{reply:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for swap in 0..200 {
        let before = asked.load(Ordering::Relaxed);
        rig.push(&documents[(swap + 1) % 2].to_string()).unwrap();
        crate::support::eventually("requests go on", || asked.load(Ordering::Relaxed) > before);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(upstreams.iter().all(|upstream| !upstream.seen().is_empty()));
}

#[test]
fn requests_in_flight_keep_what_they_began_with() {
    let slow = Upstream::start(|_, _| {
        crate::support::upstream::Act::After(std::time::Duration::from_millis(300), 200, "slow")
    });
    let other = Upstream::well("other");
    let rig = Rig::new(&one(&[slow.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    crate::support::eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
    let document = json!({"clusters": {"new": {"endpoints": [other.address.to_string()]}}, "default": "new"});
    rig.push(&document.to_string()).unwrap();
    assert_eq!(rig.get("/").text(), "other");
    assert_eq!(client.reply().unwrap().text(), "slow");
}
