//! Faults of datagrams, seen by a server that the test has: what it gets, how often, in which order, and with which bits.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use crate::support::Stage;

/// A load for each fault, all at the same time, each on an edge of its own to the same server.
const LOADS: [(&str, &str); 6] = [
    ("lossy", "loss: { as: of-lossy, from: lossy, to: echo, share: 50%"),
    (
        "doubled",
        "duplicate: { as: of-doubled, from: doubled, to: echo, share: 50%",
    ),
    (
        "shuffled",
        "reorder: { as: of-shuffled, from: shuffled, to: echo, share: 50%",
    ),
    (
        "garbled",
        "corrupt: { as: of-garbled, from: garbled, to: echo, share: 50%",
    ),
    (
        "late",
        "latency: { as: of-late, from: echo, to: late, delay: 60ms, jitter: 10ms",
    ),
    ("cut", "partition: { as: of-cut, from: cut, to: echo"),
];

/// What the garbled load sends; all others send their name and a number.
const PLAIN: &[u8] = b"garbled 0123456789";

fn scenario(port: u16) -> String {
    let load = |(name, _): &(&str, &str)| {
        let send = if *name == "garbled" {
            String::from_utf8_lossy(PLAIN).into_owned()
        } else {
            format!("{name} {{n}}")
        };
        let data = if *name == "garbled" {
            ""
        } else {
            ", data: { n: { sequence: { from: 0 } } }"
        };
        format!("  {name}: {{ to: echo, udp: {{ send: \"{send}\" }}, rate: 100/s, timeout: 400ms{data} }}\n")
    };
    let fault = |(_, text): &(&str, &str)| format!("      - {text}, for: 2s }}\n");
    let loads: String = LOADS.iter().map(load).collect();
    let faults: String = LOADS.iter().map(fault).collect();
    format!(
        "squall: 1\nname: datagrams\nseed: 7\nservices:\n  echo: {{ at: \"127.0.0.1:{port}\" }}\nload:\n{loads}\
         phases:\n  - {{ phase: before, for: 1s }}\n  - phase: hit\n    for: 3s\n    faults:\n{faults}  - {{ phase: after, for: 2s }}\n"
    )
}

/// What came, in order.
type Came = Arc<Mutex<Vec<Vec<u8>>>>;

/// Sends everything back, on a thread that ends with the test.
fn echo() -> (u16, Came) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    let came = Came::default();
    let kept = Arc::clone(&came);
    std::thread::spawn(move || {
        let mut bytes = [0; 2_048];
        loop {
            // Errors are about senders that are gone.
            let Ok((count, sender)) = socket.recv_from(&mut bytes) else {
                continue;
            };
            kept.lock().expect("no panic").push(bytes[..count].to_vec());
            let _ = socket.send_to(&bytes[..count], sender);
        }
    });
    (port, came)
}

/// The numbers that came of a load, in order.
fn numbers(came: &[Vec<u8>], load: &str) -> Vec<u64> {
    let number = |bytes: &Vec<u8>| {
        let text = std::str::from_utf8(bytes).ok()?;
        text.strip_prefix(load)?.trim().parse().ok()
    };
    came.iter().filter_map(number).collect()
}

fn sent(record: &RunRecord, load: &str) -> u64 {
    record.phases.iter().map(|phase| phase.load[load].sent).sum()
}

#[test]
fn each_fault_of_datagrams_is_what_the_server_sees_of_it() {
    let (port, came) = echo();
    let stage = Stage::alone();
    let path = stage.write("datagrams.yaml", &scenario(port));
    let ended = stage.run(&path, &[]);
    ended.assert_nothing_left();
    let record = ended.record();
    assert_ne!(record.exit_code, Exit::Internal.code());
    for fault in &record.faults {
        assert!(fault.proved && fault.undone, "{fault:?}");
        let load = fault.name.strip_prefix("of-").expect("named so");
        assert_eq!(fault.edge.as_deref(), Some(format!("{load}->echo").as_str()));
    }
    let came = came.lock().expect("no panic").clone();
    // Two seconds of 100 a second meet a fault that is done to half of them, give or take a busy machine.
    let counted = |numbers: &[u64]| {
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for number in numbers {
            *times.entry(*number).or_default() += 1;
        }
        times
    };
    let lossy = counted(&numbers(&came, "lossy"));
    let lost = sent(&record, "lossy") - lossy.len() as u64;
    assert!((40..160).contains(&lost), "{lost} lost");
    let twice = counted(&numbers(&came, "doubled"));
    let doubled = twice.values().filter(|times| **times == 2).count();
    assert!(
        (40..160).contains(&doubled) && twice.values().all(|times| *times <= 2),
        "{doubled} doubled"
    );
    assert_eq!(
        twice.len() as u64,
        sent(&record, "doubled"),
        "none of them is lost"
    );
    let order = numbers(&came, "shuffled");
    let behind = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(behind > 20, "{behind} came behind a later one");
    assert_eq!(
        counted(&order).len() as u64,
        sent(&record, "shuffled"),
        "none of them is lost"
    );
    let others = ["lossy", "doubled", "shuffled", "late", "cut"];
    let is_garbled = |bytes: &&Vec<u8>| !others.iter().any(|load| bytes.starts_with(load.as_bytes()));
    let flipped = |bytes: &Vec<u8>| -> u32 {
        let pairs = bytes.iter().zip(PLAIN);
        pairs.map(|(one, other)| (one ^ other).count_ones()).sum()
    };
    let flips: Vec<u32> = came.iter().filter(is_garbled).map(flipped).collect();
    assert_eq!(
        flips.len() as u64,
        sent(&record, "garbled"),
        "none of them is lost"
    );
    let garbled = flips.iter().filter(|flips| **flips == 1).count();
    assert!(
        (40..160).contains(&garbled) && flips.iter().all(|flips| *flips <= 1),
        "{garbled} garbled"
    );
    let late = &record.phases[1].load["late"];
    assert!(late.response.p50 >= Some(50_000) && late.failed == 0, "{late:?}");
    let cut = sent(&record, "cut") - counted(&numbers(&came, "cut")).len() as u64;
    assert!(cut > 100, "{cut} cut off");
    assert!(record.phases[1].load["cut"].errors.get("timeout") > Some(&100));
}
