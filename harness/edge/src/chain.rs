//! The toxics of one direction of one connection, one behind the other, and the bytes that wait in them.
//!
//! Pure: it is told the time and hands out bytes; it knows no socket, timer or proxy. Bytes keep their order, and none is lost or
//! doubled but those that a rule throws away, which are counted.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use squall_model::seed::{Seed, unit};

use crate::spec::ToxicSpec;
use crate::tally::ToxicTally;
use crate::toxic::{Chunk, EndVerdict, Rule, Stop, Verdict};

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its sender has said all that it had to say.
    Finished,
    /// Its sender's connection broke.
    Broken,
    /// A toxic closes the connection.
    Closed,
    /// A toxic resets the connection.
    Reset,
}

/// A toxic as the connections of a proxy have it.
#[derive(Clone, Debug)]
pub(crate) struct ActiveToxic {
    /// Unique for ever on its proxy.
    pub(crate) id: u64,
    /// Goes up with each change.
    pub(crate) version: u64,
    pub(crate) spec: ToxicSpec,
    pub(crate) tally: Arc<ToxicTally>,
}

/// What becomes of what is next in a stage.
#[derive(Clone, Copy, Debug)]
enum Decided {
    Go { bytes: usize, at_ns: u64 },
    End { at_ns: u64 },
    Hold,
}

struct Stage {
    id: u64,
    version: u64,
    rule: Box<dyn Rule>,
    tally: Arc<ToxicTally>,
    /// The connection was counted.
    met: bool,
    waiting: VecDeque<(Bytes, u64)>,
    end: Option<End>,
    /// When it came.
    end_came_ns: u64,
    decided: Option<Decided>,
    /// It has ended the connection: nothing passes any more.
    stopped: bool,
}

impl Stage {
    fn new(toxic: &ActiveToxic, seed: Seed, now_ns: u64) -> Stage {
        Stage {
            id: toxic.id,
            version: toxic.version,
            rule: toxic.spec.kind.rule(seed, now_ns, 0),
            tally: Arc::clone(&toxic.tally),
            met: false,
            waiting: VecDeque::new(),
            end: None,
            end_came_ns: now_ns,
            decided: None,
            stopped: false,
        }
    }

    fn change(&mut self, toxic: &ActiveToxic, seed: Seed, now_ns: u64) {
        self.rule = toxic.spec.kind.rule(seed, now_ns, self.rule.counted());
        self.version = toxic.version;
        self.decided = None;
    }

    fn meet(&mut self, bytes: usize, now_ns: u64) {
        self.tally.met.note(bytes, !self.met, now_ns);
        self.met = true;
    }

    fn decide(&mut self, now_ns: u64, discarded: &mut usize) -> Option<Decided> {
        while let Some((bytes, came_ns)) = self.waiting.front() {
            let chunk = Chunk {
                bytes: bytes.len(),
                came_ns: *came_ns,
            };
            match self.rule.chunk(chunk, now_ns) {
                Verdict::Discard => {
                    *discarded += chunk.bytes;
                    self.waiting.pop_front();
                    if self.is_due_to_stop(now_ns).is_some() {
                        return None;
                    }
                }
                Verdict::Pass => {
                    return Some(Decided::Go {
                        bytes: chunk.bytes,
                        at_ns: now_ns,
                    });
                }
                Verdict::Until(at_ns) => {
                    return Some(Decided::Go {
                        bytes: chunk.bytes,
                        at_ns,
                    });
                }
                Verdict::Cut { bytes, at_ns } => {
                    let bytes = bytes.clamp(1, chunk.bytes);
                    return Some(Decided::Go { bytes, at_ns });
                }
                Verdict::Hold => return Some(Decided::Hold),
            }
        }
        self.end?;
        Some(match self.rule.end(now_ns) {
            EndVerdict::Pass => Decided::End { at_ns: now_ns },
            EndVerdict::Until(at_ns) => Decided::End { at_ns },
            EndVerdict::Hold => Decided::Hold,
        })
    }

    fn is_due_to_stop(&self, now_ns: u64) -> Option<Stop> {
        self.rule
            .stop()
            .filter(|(at_ns, _)| *at_ns <= now_ns)
            .map(|(_, stop)| stop)
    }

    fn discard(&mut self) -> usize {
        self.decided = None;
        self.waiting.drain(..).map(|(bytes, _)| bytes.len()).sum()
    }

    /// When it has to be looked at again, as far as time alone decides.
    fn wake_ns(&self) -> Option<u64> {
        if self.stopped {
            return None;
        }
        let due = self.decided.and_then(|decided| match decided {
            Decided::Go { at_ns, .. } | Decided::End { at_ns } => Some(at_ns),
            Decided::Hold => None,
        });
        let stop = self.rule.stop().map(|(at_ns, _)| at_ns);
        due.into_iter().chain(stop).min()
    }
}

/// What came out of a chain.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) bytes: VecDeque<Bytes>,
    /// After all bytes.
    pub(crate) end: Option<End>,
    /// Bytes that were thrown away.
    pub(crate) discarded: usize,
}

/// The stages of a direction.
#[derive(Default)]
pub(crate) struct Chain {
    stages: Vec<Stage>,
    bytes: usize,
}

impl Chain {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Bytes that wait inside.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Pieces that wait inside.
    pub(crate) fn chunks(&self) -> usize {
        self.stages.iter().map(|stage| stage.waiting.len()).sum()
    }

    /// Whether it ends the connection, so that nothing more need be read.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stages.iter().any(|stage| stage.stopped)
    }

    /// Makes the stages those that `toxics` are for this connection: each draws from a child of `seed` named after it. What waited in
    /// a stage that is gone goes on in order.
    pub(crate) fn reconcile(&mut self, toxics: &[ActiveToxic], seed: Seed, now_ns: u64, output: &mut Output) {
        let drawn = |toxic: &&ActiveToxic| {
            let draw = seed.child(&toxic.spec.name).child("share");
            unit(&mut draw.rng()) < toxic.spec.toxicity
        };
        let wanted: Vec<&ActiveToxic> = toxics.iter().filter(drawn).collect();
        let mut at = 0;
        while at < self.stages.len() {
            if wanted.iter().any(|toxic| toxic.id == self.stages[at].id) {
                at += 1;
            } else {
                self.remove(at, now_ns, output);
            }
        }
        for (at, toxic) in wanted.into_iter().enumerate() {
            let stream = seed.child(&toxic.spec.name).child("rule");
            match self.stages.get_mut(at) {
                Some(stage) if stage.id == toxic.id => {
                    if stage.version != toxic.version {
                        stage.change(toxic, stream, now_ns);
                    }
                }
                _ => self.stages.insert(at, Stage::new(toxic, stream, now_ns)),
            }
        }
    }

    fn remove(&mut self, at: usize, now_ns: u64, output: &mut Output) {
        let mut stage = self.stages.remove(at);
        if stage.stopped {
            return;
        }
        if stage.rule.closes_when_removed() {
            stage.end = Some(End::Closed);
        }
        for (bytes, _) in stage.waiting.drain(..) {
            self.hand_on(at, bytes, now_ns, output);
        }
        if let Some(end) = stage.end {
            self.hand_on_end(at, end, now_ns, output);
        }
    }

    /// Gives bytes to the stage at `at`, or out.
    fn hand_on(&mut self, at: usize, bytes: Bytes, came_ns: u64, output: &mut Output) {
        if let Some(stage) = self.stages.get_mut(at) {
            stage.meet(bytes.len(), came_ns);
            stage.waiting.push_back((bytes, came_ns));
        } else {
            self.bytes -= bytes.len();
            output.bytes.push_back(bytes);
        }
    }

    fn hand_on_end(&mut self, at: usize, end: End, now_ns: u64, output: &mut Output) {
        if let Some(stage) = self.stages.get_mut(at) {
            stage.meet(0, now_ns);
            if stage.end.is_none() {
                (stage.end, stage.end_came_ns) = (Some(end), now_ns);
            }
        } else {
            output.end.get_or_insert(end);
        }
    }

    /// Takes bytes that came.
    pub(crate) fn push(&mut self, bytes: Bytes, now_ns: u64, output: &mut Output) {
        if self.is_stopped() {
            output.discarded += bytes.len();
        } else {
            self.bytes += bytes.len();
            self.hand_on(0, bytes, now_ns, output);
        }
    }

    /// Takes the end.
    pub(crate) fn push_end(&mut self, end: End, now_ns: u64, output: &mut Output) {
        if !self.is_stopped() {
            self.hand_on_end(0, end, now_ns, output);
        }
    }

    /// Moves on what is due. Returns when time alone will make something due.
    pub(crate) fn advance(&mut self, now_ns: u64, output: &mut Output) -> Option<u64> {
        let discarded = output.discarded;
        for at in 0..self.stages.len() {
            if !self.stages[at].stopped {
                self.advance_stage(at, now_ns, output);
            }
        }
        self.bytes -= output.discarded - discarded;
        self.stages.iter().filter_map(Stage::wake_ns).min()
    }

    fn advance_stage(&mut self, at: usize, now_ns: u64, output: &mut Output) {
        loop {
            let stage = &mut self.stages[at];
            match stage.decided {
                Some(Decided::Go { bytes, at_ns }) if at_ns <= now_ns => {
                    stage.decided = None;
                    let Some((head, came_ns)) = stage.waiting.front_mut() else {
                        return;
                    };
                    let gone_ns = at_ns.max(*came_ns);
                    let piece = head.split_to(bytes.min(head.len()));
                    if head.is_empty() {
                        stage.waiting.pop_front();
                    }
                    self.hand_on(at + 1, piece, gone_ns, output);
                }
                Some(Decided::End { at_ns }) if at_ns <= now_ns => {
                    stage.decided = None;
                    if let Some(end) = stage.end.take() {
                        stage
                            .tally
                            .met
                            .end_goes_on(now_ns.saturating_sub(stage.end_came_ns));
                        self.hand_on_end(at + 1, end, at_ns, output);
                    }
                }
                _ => {
                    if let Some(stop) = stage.is_due_to_stop(now_ns) {
                        return self.stop(at, stop, now_ns, output);
                    }
                    if stage.decided.is_some() {
                        return;
                    }
                    stage.decided = stage.decide(now_ns, &mut output.discarded);
                    if stage.decided.is_none() && stage.is_due_to_stop(now_ns).is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// The stage at `at` ends the connection: what waits in it and before it is gone.
    fn stop(&mut self, at: usize, stop: Stop, now_ns: u64, output: &mut Output) {
        for stage in &mut self.stages[..=at] {
            stage.stopped = true;
            stage.end = None;
            output.discarded += stage.discard();
        }
        match stop {
            Stop::Close => self.hand_on_end(at + 1, End::Closed, now_ns, output),
            Stop::Reset => output.end = Some(End::Reset),
        }
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
