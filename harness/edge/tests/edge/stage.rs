//! A proxy with a caller in front and a callee behind it, both driven by the test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rand_core::Rng;
use squall_edge::{Direction, EdgeSeen, Options, Proxies, Proxy, ProxySpec, ToxicKind, ToxicSpec};
use squall_model::seed::Seed;

/// How long anything may take that is to happen. Only a failure is ever so slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A proxy and where its callee listens.
pub(crate) struct Stage {
    // Dropped first, while its threads are there.
    pub(crate) proxy: Proxy,
    pub(crate) proxies: Proxies,
    pub(crate) callee: TcpListener,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage::with(Options::default(), |spec| spec)
    }

    pub(crate) fn with(options: Options, change: impl FnOnce(ProxySpec) -> ProxySpec) -> Stage {
        let callee = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxies = Proxies::start(options).unwrap();
        let spec = change(ProxySpec::new("edge", callee.local_addr().unwrap()));
        let proxy = proxies.stream(spec, Seed::new(7)).unwrap();
        Stage {
            proxy,
            proxies,
            callee,
        }
    }

    /// A connection: the caller's end and the callee's.
    pub(crate) fn open(&self) -> (TcpStream, TcpStream) {
        let caller = connect(self.proxy.listen());
        (caller, accept(&self.callee))
    }

    pub(crate) fn add(&self, stream: Direction, kind: impl Into<ToxicKind>) -> String {
        let toxic = ToxicSpec::new(stream, kind);
        let name = toxic.name.clone();
        self.proxy.add_toxic(toxic).unwrap();
        name
    }

    pub(crate) fn seen(&self) -> EdgeSeen {
        self.proxy.seen()
    }
}

/// A port of an address of loopback that no other test uses: once it is free again nobody else takes it.
pub(crate) fn own(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 77, 0, last], 0))
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(to).unwrap())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Takes the next connection.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut taken = None;
    until("a connection comes", || {
        taken = listener.accept().ok();
        taken.is_some()
    });
    let (stream, _) = taken.unwrap();
    stream.set_nonblocking(false).unwrap();
    patient(stream)
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

/// Sends a text and reads it at the other end.
#[track_caller]
pub(crate) fn say(mut from: &TcpStream, to: &TcpStream, text: &str) {
    from.write_all(text.as_bytes()).unwrap();
    assert_eq!(hear(to, text.len()), text);
}

/// Reads so many bytes of text.
#[track_caller]
pub(crate) fn hear(mut from: &TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Reads up to the end.
#[track_caller]
pub(crate) fn rest(mut from: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whether reading tells of a reset.
#[track_caller]
pub(crate) fn is_reset(mut from: &TcpStream) -> bool {
    let mut bytes = Vec::new();
    match from.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            true
        }
    }
}

/// Whether a new connection is taken and reset.
pub(crate) fn resets(at: SocketAddr) -> bool {
    match TcpStream::connect(at) {
        Ok(taken) => is_reset(&patient(taken)),
        // The reset may be here before the caller is back on a processor: then there is no socket to read it from.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Whether nothing has arrived.
pub(crate) fn is_silent(from: &TcpStream) -> bool {
    from.set_nonblocking(true).unwrap();
    let peeked = from.peek(&mut [0]);
    from.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Bytes without a pattern, so that a piece lost, doubled or moved shows.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut rng = Seed::new(seed).child("noise").rng();
    let mut bytes = vec![0; count];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Sends bytes and the end, while the other end reads up to the end. Returns what it read.
pub(crate) fn carry(mut from: &TcpStream, mut to: &TcpStream, bytes: &[u8]) -> Vec<u8> {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            from.write_all(bytes).unwrap();
            from.shutdown(Shutdown::Write).unwrap();
        });
        let mut read = Vec::new();
        to.read_to_end(&mut read).unwrap();
        read
    })
}
