//! Documents and plug-ins that are put in force while requests run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use squall_gateway::service::GatewayError;

use crate::support::upstream::{Act, Upstream};
use crate::support::{Rig, eventually, nobody, one};

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
        eventually("requests go on", || asked.load(Ordering::Relaxed) > before);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(upstreams.iter().all(|upstream| !upstream.seen().is_empty()));
}

#[test]
fn requests_in_flight_keep_what_they_began_with() {
    let (slow, answer) = Upstream::slow("slow");
    let other = Upstream::well("other");
    let rig = Rig::new(&one(&[slow.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
    let document = json!({"clusters": {"new": {"endpoints": [other.address.to_string()]}}, "default": "new"});
    rig.push(&document.to_string()).unwrap();
    assert_eq!(rig.get("/").text(), "other");
    drop(answer);
    assert_eq!(client.reply().unwrap().text(), "slow");
}

/// A plug-in that sends all requests to `later`, or those with a user.
fn to_later(only_users: bool) -> Vec<u8> {
    let condition = if only_users {
        "(i32.ge_s (call $header (i32.const 16) (i32.const 9) (i32.const 0) (i32.const 0)) (i32.const 0))"
    } else {
        "(i32.const 1)"
    };
    format!(
        r#"(module
            (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
            (import "squall_route_1" "target" (func $target (param i32 i32 f64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "later") (data (i32.const 16) "x-user-id")
            (func (export "route")
                (if {condition} (then (call $target (i32.const 0) (i32.const 5) (f64.const 1))))))"#
    )
    .into_bytes()
}

/// A document with `app`, and with `later` beside it.
fn with_later(app: &Upstream, later: &Upstream) -> String {
    let mut document = one(&[app.address], &json!({}));
    document["clusters"]["later"] = json!({"endpoints": [later.address.to_string()]});
    document.to_string()
}

#[test]
fn a_plugin_that_comes_before_its_document_is_kept() {
    let (app, later) = (Upstream::well("app"), Upstream::well("later"));
    let rig = Rig::new(&one(&[app.address], &json!({})));
    assert!(rig.push_plugin(to_later(false)).unwrap_err().awaits_cluster());
    assert_eq!(rig.get("/").text(), "app");
    // Another document without it leaves it waiting.
    rig.push(&one(&[app.address], &json!({"deadline": "5s"})).to_string())
        .unwrap();
    assert_eq!(rig.get("/").text(), "app");
    rig.push(&with_later(&app, &later)).unwrap();
    let reply = rig.get("/");
    assert_eq!(
        (reply.text().as_str(), reply.field("x-gateway-route")),
        ("later", "plugin")
    );
    assert_eq!(rig.metric("gateway_plugin_swapped_total"), 1);
}

#[test]
fn a_plugin_of_the_start_waits_for_its_document_where_one_may_come() {
    let (app, later) = (Upstream::well("app"), Upstream::well("later"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), to_later(false)).unwrap();
    let setting = format!("plugin={}", file.path().display());
    let start = |peers| Rig::try_start(&one(&[app.address], &json!({})), &[&setting], peers);
    let refused = start(BTreeMap::new()).err();
    assert!(
        matches!(refused, Some(GatewayError::Plugin { .. })),
        "{refused:?}"
    );
    let center = ("config-center".to_owned(), nobody().to_string());
    let rig = start(BTreeMap::from([center])).unwrap();
    assert_eq!(rig.get("/").text(), "app");
    rig.push(&with_later(&app, &later)).unwrap();
    assert_eq!(rig.get("/").text(), "later");
}

#[test]
fn a_plugin_that_was_removed_waits_no_more() {
    let (app, later) = (Upstream::well("app"), Upstream::well("later"));
    let rig = Rig::new(&one(&[app.address], &json!({})));
    assert!(rig.push_plugin(to_later(false)).is_err());
    let push = rig.running.push();
    push.runtime().block_on(push.remove_plugin());
    rig.push(&with_later(&app, &later)).unwrap();
    assert_eq!(rig.get("/").text(), "app");
}

#[test]
fn a_plugin_that_is_asked_no_more_is_asked_again_with_another_document() {
    let (app, later) = (Upstream::well("app"), Upstream::well("later"));
    let rig = Rig::new(&one(&[app.address], &json!({})));
    rig.push_plugin(to_later(true)).unwrap();
    let mut client = rig.client();
    let mut ask = || {
        client
            .ask("GET / HTTP/1.1\r\nhost: a\r\nx-user-id: u\r\n\r\n")
            .text()
    };
    for _ in 0..20 {
        assert_eq!(ask(), "app");
    }
    assert_eq!(
        rig.metric("gateway_plugin_failed_total"),
        10,
        "it is asked no more"
    );
    rig.push(&with_later(&app, &later)).unwrap();
    assert_eq!(ask(), "later");
}

#[test]
fn checks_end_with_their_document_though_a_request_still_holds_its_cluster() {
    let upstream = Upstream::start(|_, seen| match seen.line.as_str() {
        "GET /old" => Act::Answer(500, ""),
        "GET /new" => Act::Answer(200, ""),
        _ => Act::Hang,
    });
    let asked = |line: &str| upstream.seen().iter().filter(|seen| seen.line == line).count();
    let policy = |path: &str| json!({"health": {"path": path, "interval": "5ms", "rise": 1, "fall": 1}});
    let rig = Rig::new(&one(&[upstream.address], &policy("/old")));
    let mut client = rig.client();
    client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it holds its cluster", || asked("GET /held") == 1);
    eventually("the endpoint is down", || {
        rig.metric("gateway_ejected_total") == 1
    });
    rig.push(&one(&[upstream.address], &policy("/new")).to_string())
        .unwrap();
    let before = asked("GET /old");
    eventually("it is checked anew", || asked("GET /new") >= 20);
    // One may have been on its way.
    assert!(asked("GET /old") <= before + 1);
    assert_eq!(
        rig.metric("gateway_ejected_total"),
        1,
        "what the old checks find is noted"
    );
    assert_eq!(rig.metric("gateway_restored_total"), 1);
}

#[test]
fn checks_go_on_while_a_document_is_read() {
    const TRIES: usize = 20;
    let upstream = Upstream::well("");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut document = one(&[upstream.address], &json!({}));
    let rules = (0..500).map(|rule| {
        let regex = format!("[a-z]{{1,20}}{rule}");
        json!({"match": {"headers": [{"name": "x", "regex": regex}]}, "cluster": "app"})
    });
    document["routes"] = rules.collect();
    let document = document.to_string();
    // A task of the thread of checks that is begun while a document is read, and over before that is.
    let overtakes = || {
        let (begun, has_begun) = std::sync::mpsc::channel();
        let over = Arc::new(AtomicBool::new(false));
        let (push, document) = (rig.running.push().clone(), document.clone());
        let set = Arc::clone(&over);
        let reading = push.runtime().clone().spawn(async move {
            begun.send(()).unwrap();
            push.document(&document).await.unwrap();
            set.store(true, Ordering::SeqCst);
        });
        has_begun.recv().unwrap();
        let runtime = rig.running.push().runtime();
        let task = runtime.spawn(async move { !over.load(Ordering::SeqCst) });
        let overtook = runtime.block_on(task).unwrap();
        runtime.block_on(reading).unwrap();
        overtook
    };
    assert!((0..TRIES).any(|_| overtakes()));
}
