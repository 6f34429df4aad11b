//! How a caller comes to a proxy, and why it may not have come.

use std::net::SocketAddr;
use std::sync::Arc;

use super::At;
use crate::fault::FaultError;
use crate::network::{self, NetworkError};
use crate::redirect::{Counts, Redirects};

/// How a caller comes to a proxy.
#[derive(Clone, Debug)]
pub enum Led {
    /// It was told the proxy's address.
    Told,
    /// Its connects are redirected there.
    Redirected {
        /// Where they are counted.
        redirects: Arc<Redirects>,
        /// The callee's addresses.
        from: Vec<SocketAddr>,
    },
}

impl<P: Send + Sync> At<P> {
    /// Does something to the proxy where it is: sockets that it opens are to be of its own place.
    pub(super) fn there(
        &self,
        act: impl FnOnce() -> Result<(), FaultError> + Send,
    ) -> Result<(), FaultError> {
        network::within(self.place.as_ref(), act).map_err(NetworkError::entering)?
    }

    /// Why nobody may have come to the proxy, and what to do.
    pub(super) fn unused(&self) -> String {
        let At { caller, callee, .. } = self;
        let why = match &self.led {
            Led::Told => {
                "a service that has its callee's address from elsewhere than what it is told needs `redirect: true`"
                    .to_owned()
            }
            Led::Redirected { redirects, from } => {
                let from: Vec<_> = from.iter().map(ToString::to_string).collect();
                elsewhere(&redirects.counts(), &from.join(" or "))
            }
        };
        format!("{caller} never used its edge to {callee}: {why}")
    }
}

/// Where connects went that were to be redirected.
fn elsewhere(counts: &Counts, from: &str) -> String {
    let Counts { seen, missed, .. } = counts;
    match &counts.last_miss {
        _ if *seen == 0 => "it has `redirect: true`, and connected to nothing".to_owned(),
        Some(miss) => format!(
            "it has `redirect: true`, but {missed} of its {seen} connects could not be redirected; the last one failed {}: {}",
            miss.doing, miss.error
        ),
        None => format!("it has `redirect: true`, but none of its {seen} connects was to {from}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::Miss;

    #[test]
    fn why_nobody_came_by_a_redirect_goes_by_what_was_counted() {
        let counts = |seen, missed, last_miss| Counts {
            seen,
            missed,
            last_miss,
            ..Counts::default()
        };
        let miss = Miss {
            doing: "taking the socket",
            error: "Operation not permitted (os error 1)".to_owned(),
            errno: Some(1),
        };
        for (counts, expected) in [
            (counts(0, 0, None), "and connected to nothing"),
            (
                counts(4, 0, None),
                "but none of its 4 connects was to 127.0.0.1:80",
            ),
            (
                counts(4, 3, Some(miss)),
                "but 3 of its 4 connects could not be redirected; the last one failed taking the socket: Operation not permitted",
            ),
        ] {
            let told = elsewhere(&counts, "127.0.0.1:80");
            assert!(told.contains(expected), "{told}");
        }
    }
}
