//! How many connections wait to be accepted, from the kernel's list of sockets: the only place where those show that a black hole
//! swallowed.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;

/// The state of a listening socket in that list (`TCP_LISTEN`, in hexadecimal).
const LISTENING: &str = "0A";

/// The connections that wait at `address`; `None` where nothing listens.
pub(crate) fn waiting(address: SocketAddr) -> io::Result<Option<u64>> {
    let list = match address {
        SocketAddr::V4(_) => "/proc/self/net/tcp",
        SocketAddr::V6(_) => "/proc/self/net/tcp6",
    };
    let wanted = written(address);
    // Listening sockets come first, so little of a long list is read.
    for line in BufReader::new(std::fs::File::open(list)?).lines().skip(1) {
        let line = line?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, _, LISTENING, queues, ..] = fields[..]
            && local == wanted
        {
            let waiting = queues.split_once(':').map(|(_, waiting)| waiting);
            return Ok(waiting.and_then(|count| u64::from_str_radix(count, 16).ok()));
        }
    }
    Ok(None)
}

/// An address as that list has it: words of four bytes as this machine's numbers, in hexadecimal.
fn written(address: SocketAddr) -> String {
    let words = |bytes: &[u8]| -> String {
        let mut text = String::new();
        for four in bytes.chunks_exact(4) {
            let word = u32::from_ne_bytes([four[0], four[1], four[2], four[3]]);
            // Writing to memory can't fail.
            let _ = write!(text, "{word:08X}");
        }
        text
    };
    let address_words = match address {
        SocketAddr::V4(four) => words(&four.ip().octets()),
        SocketAddr::V6(six) => words(&six.ip().octets()),
    };
    format!("{address_words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn connections_that_nobody_accepts_are_counted() {
        for on in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(on) else {
                // Where the machine has no IPv6 there is nothing to see.
                continue;
            };
            let address = listener.local_addr().unwrap();
            assert_eq!(waiting(address).unwrap(), Some(0));
            let callers: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
            // A busy machine may take a while to put the last of them there.
            let deadline = Instant::now() + Duration::from_mins(1);
            while waiting(address).unwrap() != Some(3) && Instant::now() < deadline {
                std::thread::yield_now();
            }
            assert_eq!(waiting(address).unwrap(), Some(3));
            drop(callers);
            drop(listener);
            assert_eq!(waiting(address).unwrap(), None);
        }
    }
}
