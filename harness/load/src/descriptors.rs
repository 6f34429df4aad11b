//! Room for connections: each is a file descriptor, and a process may have only so many (getrlimit(2), `RLIMIT_NOFILE`).
//!
//! The soft limit, which exists for programs that use `select`, is raised as far as needed; the hard one only where this process
//! may. Services are started by another process and keep the limits that squall was started with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but connections: files of the record, logs, pipes.
const OTHERS: u64 = 512;

/// The limit is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} connections need more file descriptors than the {limit} this process may have; ask for fewer, or raise the limit \
     with `ulimit -n {}` before squall is started", needed + OTHERS
)]
pub(crate) struct TooFew {
    needed: u64,
    limit: u64,
}

/// Sees to it that `connections` can be open at once.
pub(crate) fn make_room(connections: usize) -> Result<(), TooFew> {
    let needed = connections as u64;
    let wanted = needed + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum_raised = maximum.map(|maximum| maximum.max(wanted));
    for maximum in [maximum, maximum_raised] {
        let enough = maximum.is_none_or(|maximum| maximum >= wanted);
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        if enough && setrlimit(Resource::Nofile, raised).is_ok() {
            return Ok(());
        }
    }
    Err(TooFew {
        needed,
        limit: maximum.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_always_fit_and_more_than_any_kernel_allows_never_do() {
        assert_eq!(make_room(1), Ok(()));
        // More than `fs.nr_open` can be: 2^31.
        let short = make_room(1 << 40).unwrap_err().to_string();
        assert!(short.contains("ulimit -n 1099511628288"), "{short}");
    }
}
