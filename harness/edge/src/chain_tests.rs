//! Chains under a made-up clock.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::spec::Direction;
use crate::toxic::{Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout, ToxicKind};

const MS: u64 = 1_000_000;

fn toxic(id: u64, kind: impl Into<ToxicKind>) -> ActiveToxic {
    let spec = ToxicSpec {
        name: format!("toxic {id}"),
        ..ToxicSpec::new(Direction::Upstream, kind)
    };
    ActiveToxic {
        id,
        version: 0,
        tally: Arc::new(ToxicTally::new(&spec.name, spec.kind.type_name(), spec.stream)),
        spec,
    }
}

/// A chain, what came out of it, and its clock.
#[derive(Default)]
struct Bench {
    chain: Chain,
    output: Output,
    now_ns: u64,
}

impl Bench {
    fn with(toxics: &[ActiveToxic]) -> Bench {
        let mut bench = Bench::default();
        bench.set(toxics);
        bench
    }

    fn set(&mut self, toxics: &[ActiveToxic]) {
        self.chain
            .reconcile(toxics, Seed::new(7), self.now_ns, &mut self.output);
        self.look();
    }

    fn look(&mut self) -> Option<u64> {
        self.chain.advance(self.now_ns, &mut self.output)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.chain
            .push(Bytes::copy_from_slice(bytes), self.now_ns, &mut self.output);
        self.look();
    }

    fn push_end(&mut self) {
        self.chain.push_end(End::Finished, self.now_ns, &mut self.output);
        self.look();
    }

    /// Goes to the next moment at which something is due, if there is one before `until_ns`.
    fn run(&mut self, until_ns: u64) {
        while let Some(at_ns) = self.look().filter(|at_ns| *at_ns <= until_ns) {
            assert!(at_ns > self.now_ns, "nothing moved at {at_ns}");
            self.now_ns = at_ns;
        }
        self.now_ns = until_ns;
    }

    fn came(&self) -> Vec<u8> {
        self.output.bytes.iter().flatten().copied().collect()
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn bytes_come_out_when_they_are_due_and_not_before() {
    let mut bench = Bench::with(&[toxic(1, Latency::of(ms(10)))]);
    bench.push(b"a");
    bench.run(4 * MS);
    bench.push(b"b");
    bench.run(10 * MS - 1);
    assert_eq!(bench.came(), b"");
    assert_eq!(bench.chain.bytes(), 2);
    bench.run(10 * MS);
    assert_eq!(bench.came(), b"a");
    bench.run(14 * MS);
    assert_eq!(bench.came(), b"ab");
    assert_eq!((bench.chain.bytes(), bench.chain.chunks()), (0, 0));
}

#[test]
fn stages_come_one_after_the_other() {
    let mut bench = Bench::with(&[toxic(1, Bandwidth { rate: 1 }), toxic(2, Latency::of(ms(10)))]);
    bench.push(&[1; 5]);
    bench.run(15 * MS - 1);
    assert_eq!(bench.came(), b"");
    bench.run(15 * MS);
    assert_eq!(bench.came().len(), 5);
}

#[test]
fn an_end_comes_after_all_bytes_and_after_its_own_delay() {
    let mut bench = Bench::with(&[
        toxic(1, Latency::of(ms(10))),
        toxic(2, SlowClose { delay: ms(5) }),
    ]);
    bench.push(b"last");
    bench.push_end();
    bench.run(15 * MS - 1);
    assert_eq!((bench.came().as_slice(), bench.output.end), (&b"last"[..], None));
    bench.run(15 * MS);
    assert_eq!(bench.output.end, Some(End::Finished));
}

#[test]
fn how_long_an_end_was_held_back_is_told_once_it_goes_on_by_itself() {
    let slow = toxic(1, SlowClose { delay: ms(30) });
    let mut bench = Bench::with(std::slice::from_ref(&slow));
    let met = || slow.tally.met.seen();
    bench.push(b"abc");
    bench.run(5 * MS);
    bench.push_end();
    bench.run(34 * MS);
    assert_eq!((met().connections, met().ends), (1, 0), "it is still held");
    bench.run(35 * MS);
    assert_eq!((met().ends, met().end_held_max_ns), (1, 30 * MS));
    // One that goes on because the toxic is removed was not held for as long as was asked.
    let mut bench = Bench::with(std::slice::from_ref(&slow));
    bench.push_end();
    bench.set(&[]);
    assert!(bench.output.end.is_some() && met().ends == 1);
}

#[test]
fn a_stage_that_closes_still_delivers_what_went_through_it() {
    let mut bench = Bench::with(&[toxic(1, LimitData { bytes: 3 }), toxic(2, Latency::of(ms(10)))]);
    bench.push(b"abcdef");
    assert!(bench.chain.is_stopped());
    bench.push(b"more");
    bench.run(10 * MS);
    assert_eq!(
        (bench.came().as_slice(), bench.output.end),
        (&b"abc"[..], Some(End::Closed))
    );
    assert_eq!(bench.output.discarded, 7);
}

#[test]
fn a_reset_waits_for_no_later_stage() {
    let mut bench = Bench::with(&[
        toxic(1, ResetPeer { timeout: ms(10) }),
        toxic(2, SlowClose { delay: ms(1_000) }),
    ]);
    bench.push(b"x");
    bench.run(10 * MS - 1);
    assert_eq!(bench.output.end, None);
    bench.run(10 * MS);
    assert_eq!(bench.output.end, Some(End::Reset));
}

#[test]
fn a_timeout_closes_a_connection_on_which_nothing_comes() {
    let mut bench = Bench::with(&[toxic(1, Timeout { timeout: ms(10) })]);
    bench.run(9 * MS);
    bench.push(b"x");
    bench.run(19 * MS - 1);
    assert_eq!(bench.output.end, None);
    bench.run(19 * MS);
    assert_eq!((bench.output.end, bench.output.discarded), (Some(End::Closed), 1));
}

#[test]
fn what_a_removed_stage_held_goes_before_what_came_later() {
    let (slow, quick) = (toxic(1, Latency::of(ms(100))), toxic(2, Latency::of(ms(10))));
    let mut bench = Bench::with(&[slow, quick.clone()]);
    bench.push(b"first ");
    bench.push(b"second ");
    bench.push_end();
    bench.set(&[quick]);
    bench.run(10 * MS);
    assert_eq!(
        (bench.came().as_slice(), bench.output.end),
        (&b"first second "[..], Some(End::Finished))
    );
}

#[test]
fn a_share_is_drawn_once_for_each_connection_and_name() {
    let share = |toxicity: f64, name: &str| -> Vec<bool> {
        let mut one = toxic(1, Latency::of(ms(1)));
        one.spec.toxicity = toxicity;
        name.clone_into(&mut one.spec.name);
        let has = |connection: u64| {
            let mut chain = Chain::default();
            chain.reconcile(&[one.clone()], Seed::new(connection), 0, &mut Output::default());
            !chain.is_empty()
        };
        (0..1_000).map(has).collect()
    };
    let (half, more) = (share(0.5, "a"), share(0.7, "a"));
    let count = half.iter().filter(|has| **has).count();
    assert!((430..=570).contains(&count), "{count}");
    assert!(half.iter().zip(&more).all(|(half, more)| !half || *more));
    assert_ne!(half, share(0.5, "b"));
    assert!(share(0.0, "a").iter().all(|has| !has));
    assert!(share(1.0, "a").iter().all(|has| *has));
}

fn kinds() -> impl Strategy<Value = ToxicKind> {
    prop_oneof![
        (0_u64..40, 0_u64..40).prop_map(|(latency, jitter)| {
            Latency {
                latency: ms(latency),
                jitter: ms(jitter),
                ..Latency::default()
            }
            .into()
        }),
        (0_u64..500).prop_map(|rate| Bandwidth { rate }.into()),
        (0_u64..40).prop_map(|delay| SlowClose { delay: ms(delay) }.into()),
        (0_u64..60, 0_u64..60, 0_u64..300).prop_map(|(average_size, size_variation, delay)| {
            Slicer {
                average_size,
                size_variation,
                delay: Duration::from_micros(delay),
            }
            .into()
        }),
        Just(LimitData { bytes: u64::MAX >> 1 }.into()),
        Just(
            ResetPeer {
                timeout: ms(3_600_000)
            }
            .into()
        ),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Wait(u64),
    Add(ToxicKind, f64),
    Change(usize, ToxicKind),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..3_000).prop_map(Step::Push),
        4 => (0_u64..30 * MS).prop_map(Step::Wait),
        2 => (kinds(), 0.0..1.5_f64).prop_map(|(kind, share)| Step::Add(kind, share.min(1.0))),
        1 => (0_usize..8, kinds()).prop_map(|(at, kind)| Step::Change(at, kind)),
        1 => (0_usize..8).prop_map(Step::Remove),
    ]
}

proptest! {
    /// Whatever comes and goes meanwhile: once every toxic is gone all bytes are out, in order, and then the end.
    #[test]
    fn bytes_are_kept_in_order_and_whole(steps in proptest::collection::vec(steps(), 1..60)) {
        let (mut bench, mut toxics) = (Bench::default(), Vec::<ActiveToxic>::new());
        let (mut sent, mut ids) = (Vec::new(), 0);
        for step in steps {
            match step {
                Step::Push(count) => {
                    let bytes: Vec<u8> = (0..count).map(|at| (sent.len() + at) as u8 ^ ((sent.len() + at) >> 8) as u8).collect();
                    bench.push(&bytes);
                    sent.extend(bytes);
                }
                Step::Wait(ns) => bench.run(bench.now_ns + ns),
                Step::Add(kind, toxicity) => {
                    ids += 1;
                    let mut one = toxic(ids, kind);
                    one.spec.toxicity = toxicity;
                    toxics.push(one);
                    bench.set(&toxics);
                }
                Step::Change(at, kind) => {
                    if let Some(one) = toxics.get_mut(at).filter(|one| one.spec.kind.type_name() == kind.type_name()) {
                        one.spec.kind = kind;
                        one.version += 1;
                        bench.set(&toxics);
                    }
                }
                Step::Remove(at) => {
                    if at < toxics.len() {
                        toxics.remove(at);
                        bench.set(&toxics);
                    }
                }
            }
            prop_assert_eq!(bench.came().len() + bench.chain.bytes(), sent.len());
        }
        bench.push_end();
        bench.set(&[]);
        prop_assert!(bench.came() == sent);
        prop_assert_eq!(bench.output.end, Some(End::Finished));
        prop_assert_eq!((bench.output.discarded, bench.chain.bytes()), (0, 0));
    }
}
