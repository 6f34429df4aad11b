//! A static C program, in every way in which it can connect.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use squall_engine::redirect::Transport;

use crate::fixture::{PATIENCE, eventually};
use crate::rig::{Rig, client, loopbacks, serve};

/// What the program is given for a target.
fn target(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

fn args<'a>(mode: &'a str, targets: &'a [[String; 2]]) -> Vec<&'a str> {
    let targets = targets.iter().flatten().map(String::as_str);
    std::iter::once(mode).chain(targets).collect()
}

#[test]
fn connects_are_led_to_the_proxy_and_to_nowhere_else() {
    let Some(client) = client() else { return };
    for ip in loopbacks() {
        let [real, proxy, other] = ["real", "proxy", "other"].map(|name| serve(ip, name));
        for (mode, nonblocking) in [("ask", 0), ("poll", 1), ("thread", 0), ("child", 0)] {
            let rig = Rig::new();
            rig.table.set(Transport::Stream, real, proxy).expect("one family");
            let targets = [real, other, real].map(target);
            let printed = rig.run(client, &args(mode, &targets));
            let answer = |name: &str, peer: SocketAddr| {
                format!("{name} peer={} nonblocking={nonblocking}", peer.port())
            };
            let expected = [
                answer("proxy", proxy),
                answer("other", other),
                answer("proxy", proxy),
            ];
            assert_eq!(printed, expected, "{mode} {ip}");
            let counts = rig.table.counts();
            assert_eq!(
                (counts.seen, counts.redirected, counts.passed, counts.missed),
                (3, 2, 1, 0),
                "{mode} {ip}: {counts:?}"
            );
            assert_eq!(rig.table.redirected(Transport::Stream, real), 2);
        }
    }
}

#[test]
fn the_table_may_change_while_a_program_runs() {
    let Some(client) = client() else { return };
    for ip in loopbacks() {
        let [real, first, second] = ["real", "first", "second"].map(|name| serve(ip, name));
        // The program connects to the gate between its questions, so the test decides what the table is at each.
        let gate = TcpListener::bind((ip, 0)).expect("a port");
        let at_gate = gate.local_addr().expect("bound");
        let rig = Rig::new();
        let targets = [real, at_gate, real, at_gate, real, at_gate, real].map(target);
        let running = rig.start(client, &args("ask", &targets));
        let table = &rig.table;
        for step in 0..3 {
            let (stream, _) = gate.accept().expect("it comes");
            match step {
                0 => table.set(Transport::Stream, real, first).expect("one family"),
                1 => table.set(Transport::Stream, real, second).expect("one family"),
                _ => assert_eq!(table.remove(Transport::Stream, real), 2),
            }
            drop(stream);
        }
        let printed = running.finish();
        let names: Vec<_> = printed
            .iter()
            .filter_map(|line| line.split_once(" peer=").map(|(name, _)| name))
            .filter(|name| ["real", "first", "second"].contains(name))
            .collect();
        assert_eq!(names, ["real", "first", "second", "real"], "{printed:?}");
    }
}

#[test]
fn an_address_is_known_in_all_its_clothes() {
    let Some(client) = client() else { return };
    if loopbacks().len() < 2 {
        return;
    }
    let rig = Rig::new();
    for (listens, asked) in [
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::1", "::"),
    ] {
        let [real, proxy] = ["real", "proxy"].map(|name| serve(listens, name));
        rig.table.set(Transport::Stream, real, proxy).expect("one family");
        let printed = rig.run(client, &["ask", asked, &real.port().to_string()]);
        assert_eq!(
            printed,
            [format!("proxy peer={} nonblocking=0", proxy.port())],
            "{asked}"
        );
    }
}

#[test]
fn an_ipv6_socket_is_led_to_an_ipv4_proxy_unless_its_program_forbids_that() {
    let Some(client) = client() else { return };
    if loopbacks().len() < 2 {
        return;
    }
    let rig = Rig::new();
    let [real, proxy] = [("::1", "real"), ("127.0.0.1", "proxy")].map(|(ip, name)| serve(ip, name));
    rig.table.set(Transport::Stream, real, proxy).expect("it can be");
    let targets = [target(real)];
    let led = |nonblocking| format!("proxy peer={} nonblocking={nonblocking}", proxy.port());
    assert_eq!(rig.run(client, &args("ask", &targets)), [led(0)]);
    assert_eq!(rig.run(client, &args("poll", &targets)), [led(1)]);
    assert_eq!(rig.table.counts().missed, 0);
    assert_eq!(
        rig.run(client, &args("only", &targets)),
        [format!("real peer={} nonblocking=0", real.port())]
    );
    let counts = rig.table.counts();
    assert_eq!((counts.redirected, counts.missed), (2, 1), "{counts:?}");
    let miss = counts.last_miss.expect("there is one");
    assert_eq!(miss.errno, Some(libc::EAFNOSUPPORT), "{miss:?}");
}

#[test]
fn connected_datagrams_are_led_too_and_apart_from_streams() {
    let Some(client) = client() else { return };
    for ip in loopbacks() {
        let [real, proxy] = ["real", "proxy"].map(|name| {
            let socket = UdpSocket::bind((ip, 0)).expect("a port");
            let address = socket.local_addr().expect("bound");
            std::thread::spawn(move || {
                let mut datagram = [0; 64];
                while let Ok((_, from)) = socket.recv_from(&mut datagram) {
                    drop(socket.send_to(name.as_bytes(), from));
                }
            });
            address
        });
        let rig = Rig::new();
        let targets = [target(real)];
        rig.table.set(Transport::Stream, real, proxy).expect("one family");
        let printed = rig.run(client, &args("udp", &targets));
        assert_eq!(
            printed,
            [format!("real peer={} nonblocking=0", real.port())],
            "a row for streams"
        );
        rig.table
            .set(Transport::Datagram, real, proxy)
            .expect("one family");
        let printed = rig.run(client, &args("udp", &targets));
        assert_eq!(printed, [format!("proxy peer={} nonblocking=0", proxy.port())]);
    }
}

#[test]
fn a_refusal_by_the_proxy_is_what_the_program_is_told() {
    let Some(client) = client() else { return };
    let real = serve("127.0.0.1", "real");
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let rig = Rig::new();
    rig.table.set(Transport::Stream, real, gone).expect("one family");
    for mode in ["ask", "poll"] {
        let printed = rig.run(client, &args(mode, &[target(real)]));
        assert_eq!(
            printed,
            [format!(
                "errno {} at connect",
                libc_errno(rustix::io::Errno::CONNREFUSED)
            )],
            "{mode}"
        );
    }
    assert_eq!(rig.table.counts().redirected, 2);
}

fn libc_errno(errno: rustix::io::Errno) -> i32 {
    errno.raw_os_error()
}

/// A proxy whose queue is full: connects to it neither succeed nor fail, so long as it takes nobody.
struct Full {
    listener: TcpListener,
    _held: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            |flags| socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
        let listening = socket(SocketFlags::CLOEXEC);
        bind(
            &listening,
            &"127.0.0.1:0".parse::<SocketAddr>().expect("an address"),
        )
        .expect("bound");
        listen(&listening, 0).expect("listens");
        let listener = TcpListener::from(listening);
        let address = listener.local_addr().expect("bound");
        // The kernel takes one more than the length of the queue.
        let held = (0..4).map(|_| {
            let socket = socket(flags);
            let _ = connect(&socket, &address);
            TcpStream::from(socket)
        });
        let held = held.collect();
        Self {
            listener,
            _held: held,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }
}

#[test]
fn a_connect_that_waits_holds_up_nobody_else() {
    let Some(client) = client() else { return };
    let [real, proxy, other] = ["real", "proxy", "other"].map(|name| serve("127.0.0.1", name));
    let full = Full::new();
    let rig = Rig::new();
    rig.table
        .set(Transport::Stream, real, full.address())
        .expect("one family");
    rig.table
        .set(Transport::Stream, other, proxy)
        .expect("one family");
    // One service: one of its processes waits in connect(2), and another is served meanwhile.
    let go = rig.stage.path("go");
    let script = format!(
        "'{0}' ask 127.0.0.1 {1} & waits=$!; until [ -e '{3}' ]; do sleep 0.01; done; '{0}' ask 127.0.0.1 {2}; \
         kill -0 $waits && echo still; kill $waits; wait; true",
        client.display(),
        real.port(),
        other.port(),
        go.display()
    );
    let running = rig.start("/bin/sh".as_ref(), &["-c", &script]);
    eventually("the first is under way", || {
        rig.table.redirected(Transport::Stream, real) == 1
    });
    std::fs::write(go, "").expect("written");
    let printed = running.finish();
    let answered = format!("proxy peer={} nonblocking=0", proxy.port());
    assert!(printed.contains(&answered), "{printed:?}");
    assert!(printed.contains(&"still".to_owned()), "it waits: {printed:?}");
}

#[test]
fn a_connect_that_waits_is_interrupted_by_its_own_signals_and_goes_on_when_it_is_let() {
    let Some(client) = client() else { return };
    let real = serve("127.0.0.1", "real");
    let full = Full::new();
    let rig = Rig::new();
    rig.table
        .set(Transport::Stream, real, full.address())
        .expect("one family");
    let printed = rig.run(client, &args("alarm", &[target(real)]));
    let interrupted = rustix::io::Errno::INTR.raw_os_error();
    assert_eq!(printed, [format!("errno {interrupted} at connect")]);

    let running = rig.start(client, &args("ask", &[target(real)]));
    eventually("it is under way", || {
        rig.table.redirected(Transport::Stream, real) == 2
    });
    assert_eq!(running.spawned.exit.get(), None);
    // Room is made, and each connection is answered, so the program's as well, once its packet was sent again.
    let listener = full.listener.try_clone().expect("a descriptor");
    std::thread::spawn(move || {
        let streams = listener.incoming().flatten().map(|mut stream| {
            drop(std::io::Write::write_all(&mut stream, b"late\n"));
            stream
        });
        // Kept open: closed with the program's question unread, they would be reset.
        drop(streams.collect::<Vec<_>>());
    });
    assert!(running.spawned.exit.wait(PATIENCE).is_some(), "it was let");
    let expected = format!("late peer={} nonblocking=0", full.address().port());
    assert_eq!(running.finish(), [expected]);
}
