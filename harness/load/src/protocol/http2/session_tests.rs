//! Both ends in memory: the session against h2's own server, which these tests drive by hand as well.

use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use proptest::prelude::*;

use super::*;

/// The server's end.
struct Peer {
    pipe: Pipe,
    connection: server::Connection<Pipe, Bytes>,
    asked: Vec<(Request<RecvStream>, SendResponse<Bytes>)>,
}

impl Peer {
    /// Answers the client's first bytes.
    fn greeting(first: &[u8], streams: u32) -> Peer {
        let pipe = Pipe::default();
        pipe.push(first);
        let mut builder = server::Builder::new();
        builder.max_concurrent_streams(streams);
        let mut begun = pin!(builder.handshake::<_, Bytes>(pipe.clone()));
        let Poll::Ready(Ok(connection)) = begun.as_mut().poll(&mut idle()) else {
            panic!("the client's preface is not one");
        };
        let asked = Vec::new();
        Peer {
            pipe,
            connection,
            asked,
        }
    }

    /// Takes bytes, if any; returns what it sends.
    fn turn(&mut self, bytes: &[u8]) -> Vec<u8> {
        assert!(self.pipe.push(bytes));
        while let Poll::Ready(Some(asked)) = self.connection.poll_accept(&mut idle()) {
            self.asked.extend(asked.ok());
        }
        let mut out = Vec::new();
        self.pipe.drain(&mut out);
        out
    }

    /// Answers the oldest request.
    fn answer(&mut self, status: u16, body: &[u8]) {
        let (_, mut respond) = self.asked.remove(0);
        let head = Response::builder()
            .status(status)
            .header("x-a", "b")
            .body(())
            .unwrap();
        let mut sending = respond.send_response(head, body.is_empty()).unwrap();
        if !body.is_empty() {
            sending.send_data(Bytes::copy_from_slice(body), true).unwrap();
        }
    }
}

/// What a session said, in words.
#[derive(Debug, Default, PartialEq)]
struct Said {
    opened: bool,
    /// Tag, status, body and its length.
    answers: Vec<(Tag, u16, Vec<u8>, u64)>,
    fields: Vec<Vec<u8>>,
    failed: Vec<(Tag, String, String)>,
}

/// Gives bytes to a session, `step` at a time; returns what it sends.
fn give(session: &mut dyn Session, bytes: &[u8], step: usize, said: &mut Said) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    for piece in bytes.chunks(step) {
        let mut rest = piece;
        loop {
            let (used, event) = session.receive(rest, &mut out)?;
            rest = &rest[used..];
            match event {
                None => break,
                Some(Event::Opened) => said.opened = true,
                Some(Event::Answer(answer)) => {
                    let kept = answer.body.to_vec();
                    assert_eq!(answer.whole, kept.len() as u64 == answer.body_bytes);
                    said.answers
                        .push((answer.tag, answer.status, kept, answer.body_bytes));
                    said.fields.extend(answer.fields.get("x-a").map(<[u8]>::to_vec));
                }
                Some(Event::Failed { tag, kind, text }) => {
                    said.failed.push((tag, kind.to_string(), text.to_owned()));
                }
                Some(Event::Message(message)) => panic!("{message:?}"),
            }
        }
        while session.holds_back() {
            session.resume(&mut out);
        }
    }
    Ok(out)
}

fn target() -> Target {
    Target {
        addr: std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
        host: "ids.test".into(),
        tls: None,
    }
}

fn session(streams: usize, keep: Keep, change: impl FnOnce(&mut RequestTemplate)) -> Box<dyn Session> {
    let mut request = RequestTemplate::get("/id");
    change(&mut request);
    let dialect = Http2 { request, streams }.dialect(&target(), keep).unwrap();
    dialect.session()
}

/// A session and a server that have greeted each other.
fn greeted(
    streams: u32,
    keep: Keep,
    change: impl FnOnce(&mut RequestTemplate),
) -> (Box<dyn Session>, Peer, Said) {
    let (mut session, mut said) = (session(STREAMS, keep, change), Said::default());
    let mut out = Vec::new();
    assert!(!session.open(&mut out), "it waits for the server's settings");
    assert_eq!(session.room(), 0);
    let mut peer = Peer::greeting(&out, streams);
    let bytes = peer.turn(&[]);
    let bytes = give(&mut *session, &bytes, usize::MAX, &mut said).unwrap();
    assert!(said.opened);
    peer.turn(&bytes);
    (session, peer, said)
}

/// Lets both ends talk until they fall silent.
fn talk(session: &mut dyn Session, peer: &mut Peer, mut bytes: Vec<u8>, said: &mut Said) {
    for _ in 0..10_000 {
        let answer = peer.turn(&bytes);
        if answer.is_empty() {
            return;
        }
        bytes = give(session, &answer, usize::MAX, said).unwrap();
    }
    panic!("they never fall silent");
}

fn started(session: &mut dyn Session, tags: impl IntoIterator<Item = Tag>) -> Vec<u8> {
    let mut out = Vec::new();
    for tag in tags {
        assert!(session.room() > 0);
        session.start(tag, u64::from(tag), &mut out);
    }
    out
}

const KEEP: Keep = Keep {
    fields: true,
    body: true,
};

#[test]
fn answers_may_come_in_any_order_and_split_anywhere() {
    for step in [1, 2, 7, 100, usize::MAX] {
        let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
        peer.turn(&started(&mut *session, 0..3));
        assert_eq!(peer.asked.len(), 3);
        assert_eq!(peer.asked[0].0.uri(), "http://ids.test/id");
        peer.asked.rotate_left(1);
        for body in ["one", "two", ""] {
            peer.answer(200, body.as_bytes());
        }
        let bytes = peer.turn(&[]);
        give(&mut *session, &bytes, step, &mut said).unwrap();
        said.answers.sort();
        let whole = |tag, body: &str| (tag, 200, body.as_bytes().to_vec(), body.len() as u64);
        assert_eq!(said.answers, [whole(0, ""), whole(1, "one"), whole(2, "two")]);
        assert_eq!(said.fields, vec![b"b".to_vec(); 3]);
        assert_eq!(session.room(), STREAMS);
    }
}

#[test]
fn large_bodies_pass_both_ways_through_small_windows() {
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |template| {
        template.method = "POST".into();
        template.body = sent.clone().into();
    });
    let mut bytes = started(&mut *session, [7]);
    assert!(
        bytes.len() < 200_000,
        "the server's window and the pipe bound it: {}",
        bytes.len()
    );
    let mut got = Vec::new();
    for _ in 0..10_000 {
        let answer = peer.turn(&bytes);
        bytes = give(&mut *session, &answer, usize::MAX, &mut said).unwrap();
        let body = peer.asked[0].0.body_mut();
        while let Poll::Ready(Some(piece)) = body.poll_data(&mut idle()) {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            got.extend_from_slice(&piece);
        }
        if got.len() == sent.len() {
            break;
        }
    }
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    peer.answer(200, &sent);
    talk(&mut *session, &mut peer, bytes, &mut said);
    assert_eq!(said.answers.len(), 1);
    assert!(said.answers[0].2 == sent, "the body came back as it was");
}

#[test]
fn what_the_socket_does_not_take_is_held_back_within_bounds() {
    let (mut session, mut peer, _) = greeted(100, Keep::default(), |template| {
        template.method = "POST".into();
        template.body = vec![7; 8 << 20].into();
    });
    // The server has no objection to all of it at once.
    peer.connection.set_target_window_size(1 << 30);
    peer.connection.set_initial_window_size(1 << 30).unwrap();
    let bytes = peer.turn(&[]);
    give(&mut *session, &bytes, usize::MAX, &mut Said::default()).unwrap();
    let mut out = Vec::new();
    session.start(1, 1, &mut out);
    let mut total = out.len();
    let mut largest = total;
    while session.holds_back() {
        out.clear();
        session.resume(&mut out);
        assert!(!out.is_empty());
        largest = largest.max(out.len());
        total += out.len();
    }
    assert!(total > 8 << 20, "{total}");
    assert!(largest < 200_000, "{largest}");
}

#[test]
fn a_reset_fails_its_own_request_and_no_other() {
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
    peer.turn(&started(&mut *session, 0..3));
    peer.asked[1].1.send_reset(Reason::REFUSED_STREAM);
    peer.asked.remove(1);
    peer.answer(200, b"a");
    peer.answer(503, b"c");
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    let tags: Vec<_> = said
        .answers
        .iter()
        .map(|(tag, status, ..)| (*tag, *status))
        .collect();
    assert_eq!(tags.len(), 2);
    assert!(tags.contains(&(0, 200)) && tags.contains(&(2, 503)));
    let text = "HTTP/2: the target reset the stream: refused stream before processing any application logic";
    assert_eq!(said.failed, [(1, "reset".to_owned(), text.to_owned())]);
    assert!(!session.is_spent());
}

#[test]
fn a_cancelled_request_leaves_the_connection_as_it_was() {
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
    peer.turn(&started(&mut *session, 0..2));
    let mut out = Vec::new();
    assert!(session.cancel(0, &mut out));
    assert_eq!(session.room(), STREAMS - 1);
    // The answer was on its way.
    peer.answer(200, b"too late");
    peer.answer(200, b"in time");
    talk(&mut *session, &mut peer, out, &mut said);
    assert_eq!(said.answers, [(1, 200, b"in time".to_vec(), 7)]);
    assert_eq!((said.failed, session.room()), (vec![], STREAMS));
    assert!(!session.is_spent());
}

#[test]
fn a_server_that_allows_fewer_streams_gets_fewer() {
    let (mut session, mut peer, mut said) = greeted(3, KEEP, |_| {});
    assert_eq!(session.room(), 3);
    peer.turn(&started(&mut *session, 0..3));
    assert_eq!((session.room(), peer.asked.len()), (0, 3));
    peer.answer(200, b"");
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    assert_eq!(session.room(), 1);
}

#[test]
fn after_goaway_what_is_under_way_ends_and_nothing_new_begins() {
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
    peer.turn(&started(&mut *session, 0..2));
    peer.connection.graceful_shutdown();
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    assert!(session.is_spent());
    assert_eq!(session.room(), 0);
    peer.answer(200, b"a");
    peer.answer(200, b"b");
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    assert_eq!((said.answers.len(), said.failed.len()), (2, 0));
}

#[test]
fn goaway_fails_what_the_server_has_not_taken_up() {
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
    peer.turn(&started(&mut *session, [0]));
    let late = started(&mut *session, [1]);
    // GOAWAY after stream 1, with NO_ERROR (RFC 9113, 6.8): the second request was stream 3.
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    give(&mut *session, &goaway, usize::MAX, &mut said).unwrap();
    assert_eq!(said.failed.len(), 1);
    assert_eq!((said.failed[0].0, said.failed[0].1.as_str()), (1, "closed"));
    drop(late);
    peer.answer(200, b"a");
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    assert_eq!(said.answers, [(0, 200, b"a".to_vec(), 1)]);
    assert!(session.is_spent());
}

#[test]
fn only_what_was_asked_for_is_kept() {
    let (mut session, mut peer, mut said) = greeted(100, Keep::default(), |_| {});
    peer.turn(&started(&mut *session, 0..2));
    peer.answer(200, &[1; 1_000]);
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    peer.answer(500, &[2; 1_000]);
    talk(&mut *session, &mut peer, Vec::new(), &mut said);
    let kept: Vec<_> = said
        .answers
        .iter()
        .map(|(_, _, body, length)| (body.len(), *length))
        .collect();
    assert_eq!(kept, [(0, 1_000), (crate::report::EXAMPLE_BODY_BYTES, 1_000)]);
    assert!(said.fields.is_empty());
}

#[test]
fn pings_are_answered() {
    let (mut session, _peer, mut said) = greeted(100, KEEP, |_| {});
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let out = give(&mut *session, &ping, 3, &mut said).unwrap();
    // The same with the flag ACK.
    assert_eq!(out, [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_is_not_http2_is_told_apart() {
    let said = |bytes: &[u8], step| {
        let mut session = session(10, KEEP, |_| {});
        session.open(&mut Vec::new());
        give(&mut *session, bytes, step, &mut Said::default())
            .unwrap_err()
            .0
    };
    let http1 = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for step in [1, usize::MAX] {
        let text = "the target answers in HTTP/1, not in HTTP/2: leave `version: 2` out";
        assert_eq!(said(http1, step), text);
    }
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(
        said(&ping, 4),
        "the target's first frame is not HTTP/2's SETTINGS"
    );
}

#[test]
fn a_server_that_breaks_the_rules_fails_all_that_it_carries() {
    let (mut session, mut peer, mut said) = greeted(100, KEEP, |_| {});
    peer.turn(&started(&mut *session, 0..2));
    // DATA on stream 0.
    let result = give(
        &mut *session,
        &[0, 0, 1, 0, 0, 0, 0, 0, 0, 7],
        usize::MAX,
        &mut said,
    );
    assert!(result.is_ok(), "{result:?}");
    assert!(
        said.failed.iter().all(|(_, kind, _)| kind == "malformed"),
        "{said:?}"
    );
    assert_eq!(said.failed.len(), 2);
    assert!(session.is_spent());
}

#[test]
fn requests_at_once_have_bounds() {
    for streams in [0, STREAMS_MAX + 1] {
        let request = RequestTemplate::get("/");
        assert!(Http2 { request, streams }.check().is_err());
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        frames in prop::collection::vec((0_u8..10, any::<u8>(), 0_u8..6, prop::collection::vec(any::<u8>(), 0..20)), 0..12),
        step in 1_usize..50,
    ) {
        let (mut session, _peer, mut said) = greeted(100, KEEP, |_| {});
        started(&mut *session, 0..3);
        let mut all = Vec::new();
        for (kind, flags, stream, payload) in frames {
            all.extend([0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream]);
            all.extend(payload);
        }
        all.extend(bytes);
        // Any outcome is fine but a panic, and an answer or failure more than there were requests.
        let _ = give(&mut *session, &all, step, &mut said);
        prop_assert!(said.answers.len() + said.failed.len() <= 3);
    }
}
