//! Drives `squall proxy` by the crate `toxiproxy_rust`, and prints `done`. A program of its own, which the test builds: that crate
//! brings OpenSSL and a runtime, and squall is to have neither.
//!
//!     client API_ADDRESS ECHO_ADDRESS

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};

/// What comes back of a text through a proxy, up to its end.
fn echo(proxy: &Proxy) -> (String, Duration) {
    let since = Instant::now();
    let mut stream = TcpStream::connect(&proxy.proxy_pack.listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut heard = String::new();
    let mut bytes = [0; 6];
    // Whoever is late to send anything finds a connection with a timeout closed.
    let is_sent = stream.write_all(b"abcdef").is_ok();
    while is_sent && heard.len() < bytes.len() {
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => heard += std::str::from_utf8(&bytes[..count]).unwrap(),
            _ => break,
        }
    }
    (heard, since.elapsed())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (address, upstream) = (&arguments[1], &arguments[2]);
    let client = Client::new(address);
    assert!(client.is_running());
    assert!(client.version().unwrap().contains("\"version\": \"2."));
    let pack = |name: &str| ProxyPack::new(name.into(), "127.0.0.1:0".into(), upstream.clone());
    let all = client.populate(vec![pack("feed"), pack("ranking")]).unwrap();
    assert_eq!(all.len(), 2);
    let proxy = client.find_proxy("feed").unwrap();
    assert_eq!(proxy.proxy_pack.listen, all[0].proxy_pack.listen);
    assert!(client.find_proxy("other").is_err());
    assert_eq!(echo(&proxy).0, "abcdef");

    let down = || "downstream".to_owned();
    let mut names = Vec::new();
    let mut with = |add: &dyn Fn(&Proxy), check: &dyn Fn(&Proxy)| {
        add(&proxy);
        let toxics = proxy.toxics().unwrap();
        assert_eq!(toxics.len(), 1);
        names.push(toxics[0].name.clone());
        proxy.apply(|| check(&proxy)).unwrap();
        assert!(proxy.toxics().unwrap().is_empty());
    };
    let whole = |proxy: &Proxy| assert_eq!(echo(proxy).0, "abcdef");
    with(&|proxy| _ = proxy.with_latency(down(), 300, 0, 1.0), &|proxy| {
        assert!(echo(proxy).1 >= Duration::from_millis(300));
    });
    with(&|proxy| _ = proxy.with_bandwidth(down(), 1_000, 1.0), &whole);
    with(&|proxy| _ = proxy.with_slow_close(down(), 20, 1.0), &whole);
    with(&|proxy| _ = proxy.with_slicer(down(), 2, 1, 10, 1.0), &whole);
    with(&|proxy| _ = proxy.with_timeout(down(), 50, 1.0), &|proxy| assert_eq!(echo(proxy).0, ""));
    with(&|proxy| _ = proxy.with_limit_data(down(), 3, 1.0), &|proxy| assert_eq!(echo(proxy).0, "abc"));
    with(&|proxy| _ = proxy.with_timeout("upstream".into(), 50, 0.0), &whole);
    assert_eq!(names.len(), 7);
    assert_eq!((names[0].as_str(), names[6].as_str()), ("latency_downstream", "timeout_upstream"));

    proxy
        .with_down(|| {
            let refused = TcpStream::connect(&proxy.proxy_pack.listen).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        })
        .unwrap();
    whole(&proxy);
    proxy.with_timeout(down(), 50, 1.0);
    proxy.disable().unwrap();
    client.reset().unwrap();
    assert!(client.find_proxy("feed").unwrap().proxy_pack.enabled);
    whole(&client.find_and_reset_proxy("feed").unwrap());
    for proxy in client.all().unwrap().values() {
        proxy.delete().unwrap();
    }
    assert!(client.all().unwrap().is_empty());
    println!("done");
}
