//! What it starts with, and that it ends.

use std::sync::Arc;
use std::thread;

use squall_circuit_breaker::service::report::Report;
use squall_circuit_breaker::service::{self, StartError};
use squall_service_kit::Telemetry;

use crate::launched::{Breaker, Peers, launch};
use crate::rules::{Center, limit};
use crate::server::Server;
use crate::wait_until;

#[test]
fn what_it_cannot_start_with_is_said() {
    let server = Server::good();
    let data = tempfile::tempdir().unwrap();
    let fails = |peers: &Peers<'_>, settings: &[&str]| {
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let launch = launch(data.path(), peers, settings);
        service::start(&launch, &report)
            .err()
            .map(|error| (error.to_string(), error))
    };
    let peers = [("recall", &server), ("model", &server)];
    let (said, _) = fails(&peers, &[]).unwrap();
    assert!(said.contains("--peer model-light=HOST:PORT"), "{said}");
    let file = data.path().join("rules.json");
    std::fs::write(&file, r#"[{ "resource": "feed", "cuont": 1 }]"#).unwrap();
    let given = format!("rules={}", file.display());
    let (said, error) = fails(&peers, &[&given]).unwrap();
    assert!(
        said.contains("cuont") && matches!(error, StartError::Rules { .. }),
        "{said}"
    );
}

/// Whoever still held a part of it would hold its report too. It is started in a thread that ends, as one that goes on keeps the rules that it
/// read last.
#[test]
fn nothing_follows_config_center_once_the_service_has_ended() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(70))));
    let peers = [
        ("recall", &server),
        ("model", &server),
        ("model-light", &server),
        ("config-center", &center.server),
    ];
    let started = thread::scope(|scope| scope.spawn(|| Breaker::start(&peers, &[])).join());
    let Breaker { host, report, .. } = started.unwrap();
    assert!(report.upgrade().is_some());
    drop(host);
    wait_until("every part of it is gone", || report.upgrade().is_none());
}
