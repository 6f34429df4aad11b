//! A run's numbers for others to read while it goes on.
//!
//! The supervisor hands over what it has measured once a second, and that is all it ever does here: whoever reads gets the
//! last state from the board, so that a slow reader holds up nothing.

mod endpoint;
mod exposition;
mod family;
#[cfg(feature = "otlp")]
mod otlp;
mod outlets;

use std::sync::{Arc, Mutex, PoisonError};

use squall_engine::observer::{Live, Measured, Observer};
use squall_model::event::{Event, EventKind, RunHeader};

pub use outlets::Outlets;

/// What is known of the run that goes on.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What was known before it began.
    pub header: RunHeader,
    /// What has been measured.
    pub measured: Measured,
}

/// The last view; shared by the one who writes it and those who read.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Arc<View>>>);

impl Board {
    /// The last view.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, view: View) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }
}

/// An observer that puts what is measured on a board, where there is one, and passes everything on.
pub struct Posting<'a, O> {
    /// Whom it passes everything on to.
    pub next: &'a mut O,
    /// Where it puts what is measured.
    pub board: Option<&'a Board>,
}

impl<O: Observer> Observer for Posting<'_, O> {
    fn event(&mut self, event: &Event) {
        if let (Some(board), EventKind::RunStarted(header)) = (self.board, &event.kind) {
            board.put(View {
                header: header.as_ref().clone(),
                measured: Measured::default(),
            });
        }
        self.next.event(event);
    }

    fn live(&mut self, live: &Live) {
        self.next.live(live);
    }

    fn wants_measured(&self) -> bool {
        self.board.is_some()
    }

    fn measured(&mut self, measured: Measured) {
        if let Some(board) = self.board {
            let header = board.view().header.clone();
            board.put(View { header, measured });
        }
    }
}
