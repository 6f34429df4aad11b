//! The server over real sockets. A reply is never early, which holds on any machine; how late it is, only its book knows.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use squall_delay_law::behaviour::Behaviour;
use squall_delay_law::report::Report;
use squall_delay_law::server::{Config, Replies, Shadow};
use squall_delay_law::timetable::{Down, Outage, Periodic};
use squall_delay_law::{Book, Draws, Law, Server, Timetable};
use squall_service_kit::Telemetry;

const DEADLINE: Duration = Duration::from_secs(30);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn constant(delay: Duration) -> Config {
    Config {
        behaviour: Behaviour {
            law: Law::Constant { delay },
            draws: Draws {
                seed: 7,
                stratified: true,
            },
            timetable: Timetable::default(),
            error_share: 0.0,
            slots: 0,
        },
        work: Duration::ZERO,
        spin: Duration::ZERO,
        replies: Replies::new(200, 503, 2),
        shadow: None,
        datagrams: false,
    }
}

/// A server with its book and its metrics.
struct Rig {
    server: Server,
    book: Arc<Book>,
    law: Law,
    telemetry: Telemetry,
}

impl Rig {
    fn start(config: Config) -> Self {
        let mut telemetry = Telemetry::new();
        let (book, law) = (Arc::new(Book::new()), config.behaviour.law);
        let report = Report::new(&mut telemetry);
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(any, config, Arc::clone(&book), report).unwrap();
        Self {
            server,
            book,
            law,
            telemetry,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.server.listen())
    }

    /// Stops, which hands over the last samples; returns the book and the metrics.
    fn end(self) -> (Value, String) {
        self.server.stop().unwrap();
        (self.book.json(&self.law), self.telemetry.encode().unwrap())
    }
}

/// An HTTP/1.1 connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, target: &str) -> (u16, Duration) {
        let sent = Instant::now();
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let (status, _) = self.reply();
        (status, sent.elapsed())
    }

    /// The status and the size of the body.
    fn reply(&mut self) -> (u16, usize) {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, length)
    }
}

fn count(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
        .parse()
        .unwrap()
}

#[test]
fn no_reply_is_early_and_the_book_tells_how_late_each_was() {
    let rig = Rig::start(constant(ms(20)));
    let mut client = rig.client();
    for _ in 0..10 {
        let (status, took) = client.get("/");
        assert_eq!(status, 200);
        assert!(took >= ms(20), "{took:?}");
    }
    let (_, took) = client.get("/?delay=60ms");
    assert!(took >= ms(60), "{took:?}");
    let (book, metrics) = rig.end();
    assert_eq!(book["held"]["count"], 11);
    assert!(book["held"]["min_us"].as_f64() >= Some(19_980.0), "{book}");
    assert!(book["intended"]["max_us"].as_f64() > Some(59_000.0), "{book}");
    assert_eq!(count(&metrics, "delay_law_requests_total"), 11);
}

#[test]
fn replies_come_in_the_order_in_which_they_are_due() {
    let rig = Rig::start(constant(ms(0)));
    let (mut slow, mut quick) = (rig.client(), rig.client());
    slow.send("GET /?delay=400ms HTTP/1.1\r\n\r\n");
    // The slow one has been read once a later one of its own connection's neighbour is answered.
    let sent = Instant::now();
    quick.get("/?delay=1ms");
    let quick_took = sent.elapsed();
    slow.reply();
    assert!(sent.elapsed() >= quick_took);
    assert!(sent.elapsed() >= ms(390));
    rig.end();
}

#[test]
fn requests_sent_together_are_answered_one_after_the_other() {
    let rig = Rig::start(constant(ms(5)));
    let mut client = rig.client();
    client.send(&"GET / HTTP/1.1\r\n\r\n".repeat(4));
    for _ in 0..4 {
        assert_eq!(client.reply(), (200, 2));
    }
    // A body goes unread into the void, wherever it is cut.
    client.send("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n01234");
    client.send("56789");
    assert_eq!(client.reply(), (200, 2));
    assert_eq!(client.get("/").0, 200);
    rig.end();
}

#[test]
fn a_large_body_arrives_whole_however_slowly_it_is_read() {
    let mut config = constant(ms(0));
    config.replies = Replies::new(200, 503, 8_000_000);
    let rig = Rig::start(config);
    let (mut reader, mut other) = (rig.client(), rig.client());
    reader.send("GET / HTTP/1.1\r\n\r\n");
    // The first does not read yet, and holds nobody up.
    other.send("HEAD / HTTP/1.1\r\n\r\n");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        other.0.read_line(&mut head).unwrap();
    }
    assert!(head.contains("content-length: 8000000"), "{head}");
    assert_eq!(reader.reply(), (200, 8_000_000));
    rig.end();
}

#[test]
fn connections_close_when_asked_to_and_when_what_they_send_is_no_http() {
    let rig = Rig::start(constant(ms(1)));
    for (text, status) in [
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        ("nonsense\r\n\r\n", "400"),
        ("GET /?delay=x HTTP/1.1\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "411"),
    ] {
        let mut client = rig.client();
        client.send(text);
        let mut all = String::new();
        client.0.read_to_string(&mut all).unwrap();
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {all}");
    }
    // One that ends its side first still gets its reply.
    let mut client = rig.client();
    client.send("GET /?delay=30ms HTTP/1.1\r\n\r\n");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.reply().0, 200);
    let (_, metrics) = rig.end();
    assert_eq!(count(&metrics, "delay_law_malformed_total"), 3);
}

#[test]
fn a_stall_holds_up_everything_and_is_told() {
    let mut config = constant(ms(0));
    config.behaviour.timetable.stall = Some(Periodic {
        length: ms(300),
        every: ms(600),
    });
    let rig = Rig::start(config);
    let mut client = rig.client();
    // Time zero is no earlier than this.
    let zero = Instant::now();
    let mut longest = Duration::ZERO;
    while zero.elapsed() < ms(1_000) {
        longest = longest.max(client.get("/").1);
    }
    // The client may come late to it.
    assert!(longest >= ms(100), "{longest:?}");
    let (book, metrics) = rig.end();
    assert!(count(&metrics, "delay_law_stalls_total") >= 1);
    let planned = book["intended"]["max_us"].as_f64().unwrap();
    assert!((100_000.0..=300_500.0).contains(&planned), "{book}");
}

#[test]
fn an_outage_refuses_and_recovery_takes_longer_than_the_law() {
    let mut config = constant(ms(1));
    config.behaviour.timetable.outage = Some(Outage {
        after: ms(100),
        length: ms(400),
        down: Down::Refuses,
        recovery_start: ms(80),
        recovery_constant: ms(10_000),
    });
    let rig = Rig::start(config);
    let mut client = rig.client();
    let mut statuses = Vec::new();
    let zero = Instant::now();
    let mut last = Duration::ZERO;
    while zero.elapsed() < ms(900) {
        let (status, took) = client.get("/");
        statuses.push(status);
        last = took;
    }
    statuses.dedup();
    assert_eq!(statuses, [200, 503, 200]);
    assert!(last >= ms(70), "{last:?}");
    let (_, metrics) = rig.end();
    assert!(count(&metrics, "delay_law_refused_total") > 0);
}

#[test]
fn slots_make_requests_queue() {
    let mut config = constant(ms(50));
    config.behaviour.slots = 1;
    let rig = Rig::start(config);
    let mut clients: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    let sent = Instant::now();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\n\r\n");
    }
    for client in &mut clients {
        client.reply();
    }
    assert!(sent.elapsed() >= ms(195), "{:?}", sent.elapsed());
    rig.end();
}

#[test]
fn errors_come_in_their_exact_share() {
    let mut config = constant(ms(0));
    config.behaviour.error_share = 0.25;
    let rig = Rig::start(config);
    let mut client = rig.client();
    let errors = (0..64).filter(|_| client.get("/").0 == 503).count();
    assert_eq!(errors, 16);
    let (_, metrics) = rig.end();
    assert_eq!(count(&metrics, "delay_law_errors_total"), 16);
}

#[test]
fn it_asks_of_itself_as_many_requests_as_told() {
    let mut config = constant(ms(3));
    config.shadow = Some(Shadow {
        rate: 1_000,
        count: 50,
    });
    let rig = Rig::start(config);
    let mut client = rig.client();
    let began = Instant::now();
    while began.elapsed() < ms(120) {
        client.get("/");
    }
    let (book, _) = rig.end();
    assert_eq!(book["shadow"]["count"], 50);
    assert!(book["shadow"]["min_us"].as_f64() >= Some(2_990.0), "{book}");
}

#[test]
fn datagrams_come_back_as_they_were_sent_and_never_before_their_delay() {
    let mut config = constant(ms(30));
    config.datagrams = true;
    let rig = Rig::start(config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(rig.server.listen()).unwrap();
    for text in ["one", "two", ""] {
        let sent = Instant::now();
        socket.send(text.as_bytes()).unwrap();
        let mut back = [0; 16];
        let count = socket.recv(&mut back).unwrap();
        assert!(sent.elapsed() >= ms(30), "{text}: {:?}", sent.elapsed());
        assert_eq!(&back[..count], text.as_bytes());
    }
    // Requests are answered on the same port all the while.
    assert_eq!(rig.client().get("/").0, 200);
    rig.end();
}

#[test]
fn a_datagram_that_meets_an_outage_is_not_answered() {
    let mut config = constant(ms(1));
    config.datagrams = true;
    config.behaviour.timetable.outage = Some(Outage {
        after: ms(0),
        length: Duration::from_hours(1),
        down: Down::Refuses,
        recovery_start: ms(0),
        recovery_constant: ms(1),
    });
    let rig = Rig::start(config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(ms(200))).unwrap();
    socket.connect(rig.server.listen()).unwrap();
    socket.send(b"one").unwrap();
    assert!(socket.recv(&mut [0; 16]).is_err(), "it was answered");
    rig.end();
}

#[test]
fn thousands_of_connections_are_served_and_let_go() {
    let rig = Rig::start(constant(ms(1)));
    squall_service_kit::host::connections_max();
    let mut clients: Vec<Client> = (0..2_000).map(|_| rig.client()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.reply().0, 200);
        }
    }
    drop(clients);
    let mut last = rig.client();
    last.get("/");
    let deadline = Instant::now() + DEADLINE;
    while count(&rig.telemetry.encode().unwrap(), "delay_law_connections") > 1 {
        assert!(Instant::now() < deadline, "connections are left");
        last.get("/");
    }
    let (book, _) = rig.end();
    assert!(book["held"]["count"].as_u64() >= Some(4_001));
}

#[test]
fn requests_in_flight_are_answered_when_it_is_told_to_stop() {
    let rig = Rig::start(constant(ms(0)));
    let mut client = rig.client();
    client.get("/");
    client.send("GET /?delay=200ms HTTP/1.1\r\n\r\n");
    // It has been read once another request that came later is answered.
    rig.client().get("/?delay=50ms");
    let address = rig.server.listen();
    rig.server.stop().unwrap();
    assert_eq!(client.reply().0, 200);
    assert!(TcpStream::connect(address).is_err());
}
