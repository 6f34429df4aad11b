//! Invariants, which need no statistics.

use super::*;

#[test]
fn an_invariant_that_only_the_candidate_violates_ends_it_at_once() {
    let mut gate = Gate::new(settings()).unwrap();
    assert_eq!(gate.take(violating(&[]), BLOCK), Next::Block);
    assert_eq!(
        gate.take(violating(&[Arm::Candidate]), BLOCK * 2),
        Next::Stop(GateEnd::Decided)
    );
    let record = gate.conclude(GateEnd::Decided, about());
    assert_eq!((record.verdict, record.exit_code), (GateVerdict::Regressed, 98));
    assert_eq!(
        record.reasons,
        [
            "the candidate violated ids.unique 3 times in 1 block; the base kept it. For example: 17 was given twice"
        ]
    );
    assert!(!record.stopped_early, "no estimate rests on it");
}

#[test]
fn an_invariant_that_the_base_violates_too_only_informs() {
    let mut gate = Gate::new(settings()).unwrap();
    for arms in [&[Arm::Base][..], &[Arm::Candidate], &Arm::BOTH] {
        assert_eq!(gate.take(violating(arms), BLOCK), Next::Block);
    }
    let record = gate.conclude(GateEnd::Interrupted, about());
    assert_eq!((record.verdict, record.exit_code), (GateVerdict::Inconclusive, 0));
    assert_eq!(
        record.reasons,
        [
            "3 blocks count: 11 are missing to the first look, which takes 14",
            "the base violated ids.unique 6 times in 2 blocks, the candidate 6 times in 2 blocks"
        ]
    );
}

#[test]
fn a_violation_counts_in_a_block_that_does_not() {
    let mut gate = Gate::new(settings()).unwrap();
    let mut block = violating(&[Arm::Candidate]);
    block.invalid = invalid(1).invalid;
    assert_eq!(gate.take(block, BLOCK), Next::Stop(GateEnd::Decided));
}
