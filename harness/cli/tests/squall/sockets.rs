//! Services that already run behind TLS or at a unix socket.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use squall_model::exit::Exit;

use super::support::{Ended, Stage};

/// Answers every request that has no body until the connection ends.
fn answer(mut stream: impl Read + Write) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            bytes.drain(..end + 4);
            if stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                .is_err()
            {
                return;
            }
        }
    }
}

/// A server with a certificate for `localhost`; its port, and the certificate as PEM.
fn secured() -> (u16, String) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || answer(StreamOwned::new(connection, stream.unwrap())));
        }
    });
    (port, own.cert.pem())
}

fn scenario(service: &str) -> String {
    format!(
        "squall: 1
name: there
services: {{ there: {service} }}
load: {{ single: {{ to: there, http: {{ get: / }}, rate: 100/s, connections: 4 }} }}
phases: [{{ phase: p, for: 500ms }}]
expect: {{ run: [\"single.errors == 0%\"] }}
"
    )
}

#[test]
fn a_unix_socket_is_loaded_by_a_scenario_and_by_a_url() {
    let stage = Stage::alone();
    let path = stage.path("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    let written = stage.write("there.yaml", &scenario("{ at: \"unix:app.sock\" }"));
    let ended = stage.run(&written, &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    assert_eq!(ended.record().phases[0].load["single"].completed, 50);
    let url = format!("unix:{}:/", path.display());
    let ended = stage.squall(&["load", &url, "--rate", "100", "--duration", "300ms", "--json"]);
    // Whether the machine was calm enough is not what is asked here.
    assert!(ended.stdout.contains("\"completed\": 30"), "{ended}");
}

/// A run against a server with a certificate of its own, under these settings; `ca.pem` is its, `other.pem` another's.
fn under(settings: &str) -> (Ended, Stage) {
    let stage = Stage::alone();
    let (port, ca) = secured();
    stage.write("ca.pem", &ca);
    stage.write("other.pem", &secured().1);
    let service = format!("{{ at: \"https://localhost:{port}\", tls: {settings} }}");
    let written = stage.write("there.yaml", &scenario(&service));
    (stage.run(&written, &[]), stage)
}

#[test]
fn a_service_behind_tls_is_loaded_if_its_certificate_is_trusted() {
    let (ended, _stage) = under("{ ca: ca.pem }");
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    assert_eq!(ended.record().phases[0].load["single"].completed, 50);
}

#[test]
fn a_certificate_that_nobody_trusted_signed_fails_every_request() {
    let (ended, _stage) = under("{ ca: other.pem }");
    ended.assert_nothing_left();
    let record = ended.record();
    let load = &record.phases[0].load["single"];
    assert_eq!((load.completed, load.failed, load.errors["tls"]), (50, 50, 50));
}

#[test]
fn a_certificate_that_nobody_looks_at_is_warned_of() {
    let (ended, _stage) = under("{ insecure: true }");
    ended.assert_exit(Exit::Pass);
    let warned = "any certificate is taken from there";
    assert!(ended.file("events.ndjson").contains(warned), "{ended}");
    assert!(ended.file("report.html").contains(warned));
}

#[test]
fn a_url_behind_tls_is_loaded_if_its_certificate_is_trusted() {
    let stage = Stage::alone();
    let (port, ca) = secured();
    let ca = stage.write("ca.pem", &ca);
    let url = format!("https://localhost:{port}/");
    let load = [
        "load",
        url.as_str(),
        "--rate",
        "100",
        "--duration",
        "300ms",
        "--json",
    ];
    let trusting = [&load[..], &["--ca", ca.as_str()]].concat();
    let ended = stage.squall(&trusting);
    assert!(ended.stdout.contains("\"completed\": 30"), "{ended}");
    assert!(ended.stdout.contains("\"failed\": 0"), "{ended}");
    let ended = stage.squall(&[&load[..], &["--insecure"]].concat());
    assert!(ended.stdout.contains("\"failed\": 0"), "{ended}");
}
