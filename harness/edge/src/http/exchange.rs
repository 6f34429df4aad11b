//! The requests and responses of one connection: follows where each begins and ends, and does the faults that they meet.
//!
//! Bytes that nothing is done to pass as they are, in the pieces they came in. A connection that carries something else, or turns
//! into something else, passes untouched from there on.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use squall_model::seed::Seed;

use super::HttpAction;
use super::framing::{self, Body, Head, RequestHead};
use super::rewrite;
use super::rules::{ActiveFault, Rules};
use crate::chain::End;
use crate::spec::Direction;
use crate::tally::EdgeTally;

/// Bytes of a head; a longer one is not looked at.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests of one connection whose responses have not come; with more the connection passes untouched.
const ASKED_MAX: usize = 10_000;

/// What goes on in both directions: `[upstream, downstream]`.
#[derive(Default)]
pub(crate) struct Passage {
    pub(crate) directions: [Passed; 2],
}

/// What goes on in one direction.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) bytes: Vec<Bytes>,
    /// After all bytes.
    pub(crate) end: Option<End>,
}

impl Passage {
    fn push(&mut self, direction: Direction, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.directions[direction.index()].bytes.push(bytes);
        }
    }
}

/// A request whose response is not over.
struct Asked {
    to_head: bool,
    is_connect: bool,
    /// The proxy's own answer; the callee gives none.
    answer: Option<Vec<u8>>,
    /// No response follows this one.
    closes: bool,
    /// What is done to the callee's response.
    rewrites: Vec<Arc<ActiveFault>>,
}

/// Where in the messages of one direction the reader is.
#[derive(Default)]
struct Reader {
    /// The part of a head that has come.
    head: Vec<u8>,
    /// The part was let go already.
    let_go: bool,
    /// The body that it is in.
    body: Option<Body>,
    /// The body is thrown away.
    drops: bool,
}

/// The exchange on one connection.
pub(crate) struct Exchange {
    seed: Seed,
    /// Passes untouched from here on.
    is_untouched: bool,
    /// The caller was told that no more responses come: what it still sends is thrown away.
    is_over: bool,
    requests: Reader,
    responses: Reader,
    asked: VecDeque<Asked>,
    next_request: u64,
    /// What goes on upstream later, and when.
    delayed: VecDeque<(u64, Bytes)>,
    delayed_bytes: usize,
    delayed_until_ns: u64,
    end_behind: Option<End>,
}

impl Exchange {
    pub(crate) fn new(seed: Seed) -> Exchange {
        Exchange {
            seed,
            is_untouched: false,
            is_over: false,
            requests: Reader::default(),
            responses: Reader::default(),
            asked: VecDeque::new(),
            next_request: 0,
            delayed: VecDeque::new(),
            delayed_bytes: 0,
            delayed_until_ns: 0,
            end_behind: None,
        }
    }

    /// Bytes that wait here, of one direction.
    pub(crate) fn held_bytes(&self, at: usize) -> usize {
        let waiting = |reader: &Reader| if reader.let_go { 0 } else { reader.head.len() };
        match Direction::BOTH[at] {
            Direction::Upstream => self.delayed_bytes + waiting(&self.requests),
            Direction::Downstream => waiting(&self.responses),
        }
    }

    /// When something goes on later.
    pub(crate) fn wake_ns(&self) -> Option<u64> {
        self.delayed.front().map(|(due_ns, _)| *due_ns)
    }

    /// Lets go what is due. Returns whether there was anything.
    pub(crate) fn advance(&mut self, now_ns: u64, passage: &mut Passage) -> bool {
        let mut any = false;
        while let Some((due_ns, _)) = self.delayed.front() {
            if *due_ns > now_ns {
                return any;
            }
            if let Some((_, bytes)) = self.delayed.pop_front() {
                self.delayed_bytes -= bytes.len();
                passage.push(Direction::Upstream, bytes);
                any = true;
            }
        }
        if let Some(end) = self.end_behind.take() {
            passage.directions[0].end = Some(end);
            any = true;
        }
        any
    }

    /// Bytes go on to the callee, now or after what is delayed.
    fn upstream(&mut self, bytes: &[u8], now_ns: u64, passage: &mut Passage) {
        if bytes.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        if self.delayed.is_empty() && self.delayed_until_ns <= now_ns {
            passage.push(Direction::Upstream, bytes);
        } else {
            self.delayed_bytes += bytes.len();
            self.delayed.push_back((self.delayed_until_ns, bytes));
        }
    }

    /// From here on everything passes.
    fn let_all_pass(&mut self, now_ns: u64, passage: &mut Passage) {
        self.is_untouched = true;
        let (requests, responses) = (
            std::mem::take(&mut self.requests),
            std::mem::take(&mut self.responses),
        );
        if !requests.let_go {
            self.upstream(&requests.head, now_ns, passage);
        }
        if !responses.let_go {
            passage.push(Direction::Downstream, responses.head);
        }
        self.asked.clear();
    }

    /// Takes what the caller sent.
    pub(crate) fn request_bytes(
        &mut self,
        bytes: &[u8],
        rules: &Rules,
        tally: &EdgeTally,
        now_ns: u64,
        passage: &mut Passage,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_over {
                return tally.directions[0].discarded(rest.len());
            }
            if self.is_untouched {
                return self.upstream(rest, now_ns, passage);
            }
            if let Some(body) = &mut self.requests.body {
                let Some((count, ends)) = body.read(rest) else {
                    tally.http.other_connection();
                    self.let_all_pass(now_ns, passage);
                    continue;
                };
                let (part, more) = rest.split_at(count);
                rest = more;
                if ends {
                    self.requests.body = None;
                }
                if self.requests.drops {
                    tally.directions[0].discarded(part.len());
                } else {
                    self.upstream(part, now_ns, passage);
                }
                continue;
            }
            rest = self.request_head(rest, rules, tally, now_ns, passage);
        }
    }

    /// Reads the head of a request, or a part of it; returns what is behind it.
    fn request_head<'a>(
        &mut self,
        bytes: &'a [u8],
        rules: &Rules,
        tally: &EdgeTally,
        now_ns: u64,
        passage: &mut Passage,
    ) -> &'a [u8] {
        let before = self.requests.head.len();
        let mut whole = std::mem::take(&mut self.requests.head);
        // Most heads come in one piece, and are looked at where they are.
        let looked_at = if before == 0 {
            bytes
        } else {
            whole.extend_from_slice(bytes);
            &whole
        };
        match framing::request(looked_at) {
            Head::Whole(head) if self.asked.len() < ASKED_MAX => {
                tally.http.request();
                let let_go = std::mem::take(&mut self.requests.let_go);
                // A head of which a part has gone on can't be kept back any more.
                let rules = if let_go { &Rules::default() } else { rules };
                let fresh = if let_go { before } else { 0 };
                self.on_request(
                    &head,
                    &looked_at[fresh..head.length],
                    rules,
                    tally,
                    now_ns,
                    passage,
                );
                &bytes[head.length - before..]
            }
            Head::Partial if looked_at.len() < HEAD_BYTES_MAX => {
                if before == 0 {
                    self.requests.let_go = rules.is_empty();
                    whole.extend_from_slice(bytes);
                }
                self.requests.head = whole;
                if self.requests.let_go {
                    self.upstream(bytes, now_ns, passage);
                }
                &[]
            }
            _ => {
                tally.http.other_connection();
                whole.truncate(before);
                self.requests.head = whole;
                self.let_all_pass(now_ns, passage);
                bytes
            }
        }
    }

    fn on_request(
        &mut self,
        head: &RequestHead<'_>,
        bytes: &[u8],
        rules: &Rules,
        tally: &EdgeTally,
        now_ns: u64,
        passage: &mut Passage,
    ) {
        let seed = self.seed.nth(self.next_request);
        self.next_request += 1;
        let mut asked = Asked {
            to_head: head.method == "HEAD",
            is_connect: head.method == "CONNECT",
            answer: None,
            closes: false,
            rewrites: Vec::new(),
        };
        for fault in rules.met(head.method, head.path, seed, now_ns) {
            match fault.action() {
                HttpAction::Abort { status, body } => {
                    // A caller that waits to be told to send its body may send it or not: only an end is clear.
                    asked.closes = head.closes || head.expects;
                    asked.answer = Some(rewrite::answer(*status, body, asked.closes, asked.to_head));
                    break;
                }
                HttpAction::Delay(delay) => {
                    let delay_ns = delay.draw_ns(&mut seed.child(fault.name()).child("delay").rng());
                    self.delayed_until_ns = self.delayed_until_ns.max(now_ns.saturating_add(delay_ns));
                }
                HttpAction::Header { .. } | HttpAction::Body(_) => asked.rewrites.push(Arc::clone(fault)),
            }
        }
        self.requests.body = Some(head.body).filter(|body| *body != Body::NONE);
        self.requests.drops = asked.answer.is_some();
        if self.requests.drops {
            tally.directions[0].discarded(bytes.len());
        } else {
            self.upstream(bytes, now_ns, passage);
        }
        self.asked.push_back(asked);
        self.give_answers(tally, passage);
    }

    /// Gives the proxy's own answers whose turn it is.
    fn give_answers(&mut self, tally: &EdgeTally, passage: &mut Passage) {
        while let Some(answer) = self.asked.front_mut().and_then(|asked| asked.answer.take()) {
            tally.directions[1].inserted(answer.len());
            passage.push(Direction::Downstream, answer);
            if self.asked.pop_front().is_some_and(|asked| asked.closes) {
                passage.directions[1].end = Some(End::Finished);
                self.is_over = true;
                return;
            }
        }
    }

    /// Takes what the callee sent.
    pub(crate) fn response_bytes(
        &mut self,
        bytes: &[u8],
        tally: &EdgeTally,
        now_ns: u64,
        passage: &mut Passage,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_over {
                return tally.directions[1].discarded(rest.len());
            }
            if self.is_untouched {
                return passage.push(Direction::Downstream, Bytes::copy_from_slice(rest));
            }
            if let Some(body) = &mut self.responses.body {
                let Some((count, ends)) = body.read(rest) else {
                    // The head was understood and the body is not: what was begun is passed on as it is.
                    self.responses.drops = false;
                    tally.http.other_connection();
                    self.let_all_pass(now_ns, passage);
                    continue;
                };
                let (part, more) = rest.split_at(count);
                rest = more;
                if self.responses.drops {
                    tally.directions[1].discarded(part.len());
                } else {
                    passage.push(Direction::Downstream, Bytes::copy_from_slice(part));
                }
                if ends {
                    self.response_over(tally, passage);
                }
                continue;
            }
            rest = self.response_head(rest, tally, now_ns, passage);
        }
    }

    fn response_over(&mut self, tally: &EdgeTally, passage: &mut Passage) {
        self.responses.body = None;
        self.asked.pop_front();
        self.give_answers(tally, passage);
    }

    /// Reads the head of a response, or a part of it; returns what is behind it.
    fn response_head<'a>(
        &mut self,
        bytes: &'a [u8],
        tally: &EdgeTally,
        now_ns: u64,
        passage: &mut Passage,
    ) -> &'a [u8] {
        let before = self.responses.head.len();
        let mut whole = std::mem::take(&mut self.responses.head);
        let looked_at = if before == 0 {
            bytes
        } else {
            whole.extend_from_slice(bytes);
            &whole
        };
        // A response that nobody asked for is none.
        let asked = self.asked.front();
        let head = asked.map_or(Head::Other, |asked| framing::response(looked_at, asked.to_head));
        match (head, asked) {
            (Head::Whole(head), Some(asked)) => {
                let let_go = std::mem::take(&mut self.responses.let_go);
                let fresh = if let_go { before } else { 0 };
                let behind = &bytes[head.length - before..];
                let head_bytes = &looked_at[..head.length];
                let is_interim = head.status < 200;
                if is_interim || asked.rewrites.is_empty() || let_go {
                    passage.push(
                        Direction::Downstream,
                        Bytes::copy_from_slice(&head_bytes[fresh..]),
                    );
                    self.responses.drops = false;
                } else {
                    let (text, replaces) = rewrite::rewritten(head_bytes, &head, &asked.rewrites);
                    tally.directions[1].discarded(head_bytes.len());
                    tally.directions[1].inserted(text.len());
                    passage.push(Direction::Downstream, text);
                    self.responses.drops = replaces;
                }
                let switches = head.status == 101 || (asked.is_connect && (200..300).contains(&head.status));
                if !is_interim || switches {
                    tally.http.response();
                }
                if switches {
                    self.let_all_pass(now_ns, passage);
                } else if !is_interim {
                    self.responses.body = Some(head.body);
                    if head.body == Body::NONE {
                        self.response_over(tally, passage);
                    }
                }
                behind
            }
            (Head::Partial, Some(asked)) if looked_at.len() < HEAD_BYTES_MAX => {
                if before == 0 {
                    self.responses.let_go = asked.rewrites.is_empty();
                    whole.extend_from_slice(bytes);
                }
                self.responses.head = whole;
                if self.responses.let_go {
                    passage.push(Direction::Downstream, Bytes::copy_from_slice(bytes));
                }
                &[]
            }
            _ => {
                tally.http.other_connection();
                whole.truncate(before);
                self.responses.head = whole;
                self.let_all_pass(now_ns, passage);
                bytes
            }
        }
    }

    /// Takes the end of one direction.
    pub(crate) fn end(&mut self, direction: Direction, end: End, now_ns: u64, passage: &mut Passage) {
        match direction {
            Direction::Upstream => {
                let requests = std::mem::take(&mut self.requests);
                if !requests.let_go {
                    self.upstream(&requests.head, now_ns, passage);
                }
                if self.delayed.is_empty() {
                    passage.directions[0].end = Some(end);
                } else {
                    self.end_behind = Some(end);
                }
            }
            Direction::Downstream => {
                let responses = std::mem::take(&mut self.responses);
                if !responses.let_go {
                    passage.push(Direction::Downstream, responses.head);
                }
                passage.directions[1].end = Some(end);
            }
        }
    }
}
