//! Unix sockets, end to end.

use std::path::Path;
use std::sync::Arc;

use squall_load::http1::RequestTemplate;
use squall_load::http2::Http2;
use squall_load::url::HttpUrl;
use squall_load::{Address, LoadSpec, Target};

use crate::http2::spoken;
use crate::hyper_server::{HyperServer, Manner, Seen};
use crate::rig::{load, open, run};

fn at(path: &Path) -> LoadSpec {
    let url: HttpUrl = format!("unix:{}:/", path.display()).parse().unwrap();
    LoadSpec {
        target: url.resolve().unwrap(),
        ..load("unix", ([127, 0, 0, 1], 1).into())
    }
}

#[test]
fn http1_goes_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let server = HyperServer::at(&path, Manner::default());
    let told = run(at(&path), open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.intended, totals.completed, totals.failed),
        (100, 100, 0),
        "{totals:?}"
    );
    assert_eq!(Seen::count(&server.seen.requests), 100);
}

#[test]
fn http2_goes_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let server = HyperServer::at(&path, spoken(Manner::default()));
    let mut spec = at(&path);
    let request = RequestTemplate::get("/");
    spec.protocol = Arc::new(Http2 { request, streams: 10 });
    let told = run(spec, open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.intended, totals.completed, totals.failed),
        (100, 100, 0),
        "{totals:?}"
    );
    assert!(Seen::count(&server.seen.accepted) <= 8);
}

#[test]
fn a_socket_that_is_not_there_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let told = run(at(&folder.path().join("none.sock")), open(100.0), 50);
    assert_eq!(told.errors(0, 0), [("connect_refused".to_owned(), 5)]);
    let example = &told.of(0, 0).examples[0].1;
    assert!(
        example.contains("connecting to unix:/") && example.contains("none.sock"),
        "{example}"
    );
}

#[test]
fn a_path_that_no_socket_can_have_fails_every_request() {
    let mut spec = at(Path::new("/a"));
    spec.target = Target {
        addr: Address::Unix(format!("/{}", "a".repeat(120)).into()),
        ..spec.target
    };
    let told = run(spec, open(100.0), 50);
    assert_eq!(told.errors(0, 0), [("connect_failed".to_owned(), 5)]);
}
