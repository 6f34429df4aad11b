//! Where a run's numbers go while it goes on, as the command line asks for it.

use anyhow::{Context as _, bail};

#[cfg(feature = "otlp")]
use super::otlp::Pusher;
use super::{Board, endpoint};
use crate::arguments::RunArguments;
use crate::output;

/// Where numbers go; nowhere unless that was asked for.
pub struct Outlets {
    board: Option<Board>,
    #[cfg(feature = "otlp")]
    pusher: Option<Pusher>,
}

impl Outlets {
    /// Opens what was asked for. An error is one of the command line.
    pub fn open(arguments: &RunArguments) -> anyhow::Result<Outlets> {
        let board = Board::default();
        if let Some(address) = arguments.metrics {
            if !address.ip().is_loopback() && !arguments.metrics_public {
                bail!(
                    "--metrics {address} can be reached from other machines; add --metrics-public to mean that"
                );
            }
            let address = endpoint::start(address, board.clone())
                .with_context(|| format!("listening at {address} for --metrics"))?;
            output::note(&format!("metrics: http://{address}/metrics"));
        }
        #[cfg(feature = "otlp")]
        let pusher = match &arguments.otlp {
            Some(collector) => Some(Pusher::start(collector, board.clone())?),
            None => None,
        };
        #[cfg(feature = "otlp")]
        let is_pushed = pusher.is_some();
        #[cfg(not(feature = "otlp"))]
        let is_pushed = false;
        Ok(Outlets {
            board: (arguments.metrics.is_some() || is_pushed).then_some(board),
            #[cfg(feature = "otlp")]
            pusher,
        })
    }

    /// Where to put what is measured; nothing where nobody reads it.
    pub fn board(&self) -> Option<&Board> {
        self.board.as_ref()
    }

    /// Hands on what a run that has ended measured last.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(clippy::unused_self, reason = "what is scraped is asked for, not handed on")
    )]
    pub fn flush(&self) {
        #[cfg(feature = "otlp")]
        if let Some(pusher) = &self.pusher {
            pusher.flush();
        }
    }
}
