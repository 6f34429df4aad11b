//! An HTTP server in the test's own process: answers as it is told, after a pause, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is answered: status and body.
type Answer = (u16, &'static str);

/// A server; its threads end with their connections and with the test.
pub(crate) struct Answering {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answering {
    /// Answers every request with what `answer` says, after `pause`.
    pub(crate) fn start(pause: Duration, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Answering {
        Answering::at("127.0.0.1:0", pause, answer).expect("a port")
    }

    /// The same at another address, which may not be there.
    pub(crate) fn at(
        address: &str,
        pause: Duration,
        answer: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Answering> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?.to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    // A client that goes away ends its thread.
                    let _ = serve(&stream, pause, answer.as_ref(), &kept);
                });
            }
        });
        Ok(Answering { address, asked })
    }

    /// Answers up to `most` requests a second well, and those beyond with 503. A quarter of a second's worth may come at once,
    /// so that a busy machine that hands over several together is no overload.
    pub(crate) fn limited(most: f64, pause: Duration) -> Answering {
        let burst = most / 4.0;
        let bucket = Mutex::new((Instant::now(), burst));
        Answering::start(pause, move || {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let tokens = (bucket.1 + now.duration_since(bucket.0).as_secs_f64() * most).min(burst);
            let served = tokens >= 1.0;
            *bucket = (now, if served { tokens - 1.0 } else { tokens });
            if served { (200, "{}") } else { (503, "{}") }
        })
    }

    /// The first request of each kind, head and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    stream: &TcpStream,
    pause: Duration,
    answer: &dyn Fn() -> Answer,
    kept: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let length = request
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        request.push_str(&String::from_utf8_lossy(&body));
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.contains(&request) && kept.len() < 100 {
                kept.push(request);
            }
        }
        // Nobody wakes this: it is what a service does with its time.
        std::thread::park_timeout(pause);
        let (status, body) = answer();
        write!(
            &mut &*stream,
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
