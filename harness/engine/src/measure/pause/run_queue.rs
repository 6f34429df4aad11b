//! Time in which threads could have run but no processor was free for them, as the scheduler counts it.
//!
//! The second field of `/proc/PID/task/TID/schedstat` (the kernel's `Documentation/scheduler/sched-stats.rst`): nanoseconds
//! that the thread has spent waiting on a run queue. It is a sum over all threads between two looks, never a single pause, and
//! knows nothing of collectors, locks or stop signals. What a thread waited between the last look and its own end is lost
//! with it; how many ended so is counted beside it.

use std::collections::HashMap;

use squall_model::record::Each;

use super::Kind;
use crate::measure::resources::Account;

/// The kind.
pub const KIND: Kind = Kind {
    name: "run_queue",
    about: "what threads waited for a processor, summed over all of them between two looks",
    each: Each::Interval,
};

/// What the threads of a service did between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// What they waited for a processor, microseconds; absent where the kernel doesn't say.
    pub run_queue_us: Option<u64>,
    /// How often they gave up their processor; absent where it can't be read.
    pub voluntary: Option<u64>,
    /// How often they were taken off it.
    pub involuntary: Option<u64>,
    /// Threads of the look before that are no more.
    pub ended: u64,
}

/// The accounts of a service's threads, by thread id.
pub type Accounts = HashMap<u32, Account>;

/// What happened between two looks. A thread that is new began between them, so all of its account is of this interval; so is
/// that of one whose account fell, because its number was given to another.
pub fn between(before: &Accounts, now: &Accounts) -> Spent {
    let mut spent = Spent {
        ended: before.keys().filter(|id| !now.contains_key(id)).count() as u64,
        ..Spent::default()
    };
    let mut waited_ns = None;
    for (id, account) in now {
        let base = before
            .get(id)
            .copied()
            .filter(|base| !base.is_of_another(account));
        let base = base.unwrap_or_default();
        let add = |sum: &mut Option<u64>, now: Option<u64>, base: Option<u64>| {
            if let Some(now) = now {
                *sum.get_or_insert(0) += now.saturating_sub(base.unwrap_or(0));
            }
        };
        add(&mut waited_ns, account.waited_ns, base.waited_ns);
        add(&mut spent.voluntary, account.voluntary, base.voluntary);
        add(&mut spent.involuntary, account.involuntary, base.involuntary);
    }
    spent.run_queue_us = waited_ns.map(|ns| ns / 1_000);
    spent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(waited_us: u64, voluntary: u64) -> Account {
        Account {
            waited_ns: Some(waited_us * 1_000),
            voluntary: Some(voluntary),
            involuntary: Some(1),
        }
    }

    #[test]
    fn a_thread_that_ends_is_counted_and_takes_nothing_away() {
        let before = Accounts::from([(1, account(100, 7)), (2, account(900, 3))]);
        let now = Accounts::from([(1, account(130, 9)), (3, account(20, 4))]);
        assert_eq!(
            between(&before, &now),
            Spent {
                run_queue_us: Some(30 + 20),
                voluntary: Some(2 + 4),
                involuntary: Some(1),
                ended: 1
            }
        );
    }

    #[test]
    fn a_number_that_was_given_to_another_thread_starts_anew() {
        let before = Accounts::from([(1, account(500, 70))]);
        let now = Accounts::from([(1, account(40, 2))]);
        let spent = between(&before, &now);
        assert_eq!((spent.run_queue_us, spent.voluntary), (Some(40), Some(2)));
    }

    #[test]
    fn what_the_kernel_does_not_say_is_not_zero() {
        let silent = Accounts::from([(1, Account::default())]);
        assert_eq!(between(&silent, &silent), Spent::default());
    }
}
