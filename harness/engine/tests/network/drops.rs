//! What is dropped, what is not, and what the kernel says of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use squall_engine::network::{DropRule, Network, Watch};
use squall_model::units::Ratio;

use crate::fixture::{PATIENCE, eventually};
use crate::world::{acquaint, inside, network, pairs, receive_exactly, send, socket};

const ALL: Ratio = Ratio::new(1.0);

fn dropped(network: &Network, rule: DropRule) -> u64 {
    network.dropped(rule).expect("counted").packets
}

fn seen(network: &Network, watch: Watch) -> u64 {
    network.seen(watch).expect("counted").packets
}

pub(crate) fn one_way_is_dropped_and_the_other_is_not() {
    const COUNT: u64 = 20;
    let network = network();
    for (from, to) in pairs(&network, "feed", "ranking") {
        let [feed, ranking] = [socket(&network, "feed", from), socket(&network, "ranking", to)];
        let [at_feed, at_ranking] = [&feed, &ranking].map(|socket| socket.local_addr().expect("bound"));
        acquaint(&feed, &ranking);
        let there = network.watch("feed", "ranking").expect("watched");
        let back = network.watch("ranking", "feed").expect("watched");
        send(&feed, at_ranking, COUNT);
        receive_exactly(&ranking, COUNT);
        assert_eq!(seen(&network, there), COUNT, "before the fault");

        let one_way = network.drop("feed", "ranking", ALL).expect("dropped");
        send(&feed, at_ranking, COUNT);
        eventually("all have met the fault", || seen(&network, there) == 2 * COUNT);
        receive_exactly(&ranking, 0);
        assert_eq!(dropped(&network, one_way), COUNT);
        send(&ranking, at_feed, COUNT);
        receive_exactly(&feed, COUNT);
        assert_eq!(dropped(&network, one_way), COUNT, "the way back is another way");

        let other_way = network.drop("ranking", "feed", ALL).expect("dropped");
        send(&ranking, at_feed, COUNT);
        eventually("all have met the fault", || seen(&network, back) == 2 * COUNT);
        receive_exactly(&feed, 0);
        assert_eq!(dropped(&network, other_way), COUNT);

        let ids = pairs(&network, "ids", "ranking");
        let third = ids.iter().find(|(_, ip)| *ip == to).expect("of one family").0;
        let third = socket(&network, "ids", third);
        acquaint(&third, &ranking);

        assert_eq!(network.heal(one_way).expect("healed").packets, COUNT);
        send(&feed, at_ranking, COUNT);
        receive_exactly(&ranking, COUNT);
        assert_eq!(seen(&network, there), 3 * COUNT, "after the fault");
        network.heal(other_way).expect("healed");
        acquaint(&feed, &ranking);
        assert!(network.heal(other_way).is_err(), "it is gone");
    }
}

pub(crate) fn a_share_is_dropped() {
    const ROUNDS: u64 = 60;
    const COUNT: u64 = 50;
    let network = network();
    for (from, to) in pairs(&network, "feed", "ranking") {
        let [feed, ranking] = [socket(&network, "feed", from), socket(&network, "ranking", to)];
        let at_ranking = ranking.local_addr().expect("bound");
        acquaint(&feed, &ranking);
        let watch = network.watch("feed", "ranking").expect("watched");
        let rule = network.drop("feed", "ranking", Ratio::new(0.3)).expect("dropped");
        let mut before = 0;
        for round in 1..=ROUNDS {
            send(&feed, at_ranking, COUNT);
            eventually("all have met the fault", || {
                seen(&network, watch) == round * COUNT
            });
            let lost = dropped(&network, rule);
            receive_exactly(&ranking, COUNT - (lost - before));
            before = lost;
        }
        let share = before as f64 / (ROUNDS * COUNT) as f64;
        // Six standard deviations of 3,000 draws.
        assert!((share - 0.3).abs() < 0.051, "{share}");
        network.heal(rule).expect("healed");
    }
}

pub(crate) fn loads_in_one_place_are_cut_off_apart() {
    let network = network();
    for (from, to) in pairs(&network, "refresh", "feed") {
        let others = pairs(&network, "browse", "feed");
        let other = others.iter().find(|(_, ip)| *ip == to).expect("of one family").0;
        let [refresh, browse] = [from, other].map(|ip| socket(&network, "generator", ip));
        let feed = socket(&network, "feed", to);
        acquaint(&refresh, &feed);
        let watch = network.watch("refresh", "feed").expect("watched");
        let rule = network.drop("refresh", "feed", ALL).expect("dropped");
        send(&refresh, feed.local_addr().expect("bound"), 5);
        eventually("all have met the fault", || seen(&network, watch) == 5);
        receive_exactly(&feed, 0);
        acquaint(&browse, &feed);
        assert_eq!(network.heal(rule).expect("healed").packets, 5);
    }
}

/// A connection from feed to ranking.
fn connection(network: &Network, to: IpAddr) -> (TcpStream, TcpStream) {
    let listener = listener(network, to);
    let address = listener.local_addr().expect("bound");
    let caller = connect(network, address, PATIENCE).expect("connected");
    let (callee, _) = listener.accept().expect("accepted");
    for stream in [&caller, &callee] {
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
    }
    (caller, callee)
}

fn listener(network: &Network, ip: IpAddr) -> TcpListener {
    let ranking = network.place("ranking").expect("a place");
    inside(ranking, || TcpListener::bind((ip, 0)).expect("bound"))
}

fn connect(network: &Network, to: SocketAddr, within: Duration) -> std::io::Result<TcpStream> {
    let feed = network.place("feed").expect("a place");
    inside(feed, || TcpStream::connect_timeout(&to, within))
}

pub(crate) fn connections_stall_and_go_on() {
    let network = network();
    for (_, to) in pairs(&network, "feed", "ranking") {
        let (mut caller, mut callee) = connection(&network, to);
        let mut line = [0; 4];
        caller.write_all(b"one\n").expect("written");
        callee.read_exact(&mut line).expect("read");
        let there = network.drop("feed", "ranking", ALL).expect("dropped");
        let back = network.drop("ranking", "feed", ALL).expect("dropped");
        caller
            .write_all(b"two\n")
            .expect("the kernel takes it all the same");
        // The first time and at least once more, since nobody has acknowledged it.
        eventually("it was sent again", || dropped(&network, there) >= 2);
        callee.set_nonblocking(true).expect("set");
        let nothing = callee.read(&mut line).expect_err("nothing came");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        callee.set_nonblocking(false).expect("set");
        network.heal(there).expect("healed");
        network.heal(back).expect("healed");
        callee.read_exact(&mut line).expect("it came in the end");
        assert_eq!(&line, b"two\n");
    }
}

pub(crate) fn new_connections_meet_silence() {
    let network = network();
    for (_, to) in pairs(&network, "feed", "ranking") {
        let listener = listener(&network, to);
        let address = listener.local_addr().expect("bound");
        connect(&network, address, PATIENCE).expect("connected");
        let rule = network.drop("ranking", "feed", ALL).expect("dropped");
        let silence = connect(&network, address, Duration::from_millis(300)).expect_err("no answer comes");
        assert_eq!(silence.kind(), ErrorKind::TimedOut, "silence, and no refusal");
        assert!(dropped(&network, rule) >= 1, "the answer was sent and dropped");
        network.heal(rule).expect("healed");
        connect(&network, address, PATIENCE).expect("connected");
    }
}
