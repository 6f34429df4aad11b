//! Token buckets on the cables.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use squall_engine::network::{Direction, Network};

use crate::fixture::PATIENCE;
use crate::world::{inside, network};

const BYTES: usize = 600_000;

/// Sends so many bytes from feed to ranking; says how long it took.
fn transfer(network: &Network) -> Duration {
    let ip = network.ipv4("ranking").expect("an end");
    let ranking = network.place("ranking").expect("a place");
    let listener = inside(ranking, || TcpListener::bind((ip, 0)).expect("bound"));
    let address = listener.local_addr().expect("bound");
    let feed = network.place("feed").expect("a place");
    let start = Instant::now();
    let sender = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            feed.namespace().enter().expect("entered");
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connected");
            stream.write_all(&vec![7; BYTES]).expect("sent");
        });
        let (mut stream, _) = listener.accept().expect("accepted");
        let mut came = Vec::new();
        stream.read_to_end(&mut came).expect("received");
        assert_eq!(came.len(), BYTES);
        sender.join()
    });
    sender.expect("it did not panic");
    start.elapsed()
}

pub(crate) fn what_is_sent_is_limited() {
    const RATE: u64 = 1_000_000;
    let network = network();
    transfer(&network);
    for (place, direction) in [("ranking", Direction::In), ("feed", Direction::Out)] {
        assert_eq!(network.limited(place, direction).expect("read"), None);
        network.limit(place, direction, RATE).expect("limited");
        let took = transfer(&network);
        // 20 ms of the rate pass at once. Slower is the machine's fault, faster would be the limit's.
        let least = Duration::from_secs_f64((BYTES as f64 - RATE as f64 * 0.02) / RATE as f64 * 0.95);
        assert!(took >= least, "{took:?} and at least {least:?}");
        let counts = network.limited(place, direction).expect("read").expect("limited");
        assert!(counts.bytes as usize >= BYTES && counts.waited > 0, "{counts:?}");

        // Ten times as much from here on, for the same queue.
        network.limit(place, direction, RATE * 10).expect("limited");
        transfer(&network);
        network.unlimit(place, direction).expect("lifted");
        assert_eq!(network.limited(place, direction).expect("read"), None);
        transfer(&network);
    }
    assert!(network.limit("feed", Direction::In, 0).is_err());
    assert!(network.unlimit("feed", Direction::In).is_err(), "there is none");
}
