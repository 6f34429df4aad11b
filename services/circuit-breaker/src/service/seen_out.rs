//! Calls that are seen out: judged as they end, also where the client that they were made for has left meanwhile.
//!
//! A client that gives up while what is called hangs would otherwise take the verdict along: breakers and latency rules would learn
//! nothing of the very calls that they are for. Each part runs in a task of its own, and is told when nobody waits for it any more. It may then drop
//! what has not reached the other service; what has ends by its deadline, and there are never more of these than connections.

use std::convert::Infallible;
use std::future::pending;
use std::panic::resume_unwind;

use tokio::sync::oneshot;

/// Tells when the client has left.
#[derive(Debug)]
pub struct Client(oneshot::Receiver<Infallible>);

/// The client has left, so that nobody waits for what comes of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has left")]
pub struct Left;

impl Client {
    /// What comes of something, unless the client leaves before.
    pub async fn unless_left<F: Future>(&mut self, waits: F) -> Result<F::Output, Left> {
        tokio::select! {
            biased;
            output = waits => Ok(output),
            _ = &mut self.0 => Err(Left),
        }
    }
}

/// Runs a part of a refresh to its end, even if this is dropped before.
pub async fn seen_out<F>(part: impl FnOnce(Client) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (_here, left) = oneshot::channel();
    match tokio::spawn(part(Client(left))).await {
        Ok(output) => output,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::{Left, seen_out};

    #[tokio::test]
    async fn a_part_that_nobody_waits_for_is_told_and_ends_all_the_same() {
        let (begun, has_begun) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let part = seen_out(move |mut client| async move {
            begun.send(client.unless_left(yield_now()).await).unwrap();
            let waited = client.unless_left(std::future::pending::<()>()).await;
            ended.send(waited).unwrap();
        });
        let request = tokio::spawn(part);
        assert_eq!(has_begun.await, Ok(Ok(())));
        request.abort();
        assert_eq!(has_ended.await, Ok(Err(Left)));
    }
}
