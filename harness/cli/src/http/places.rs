//! The places for connections that are answered at a time.

use crossbeam_channel::{Receiver, Sender};

/// What becomes of connections that find every place taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They are closed at once: whoever it was will ask again.
    Close,
    /// They wait, in order, for the next place that gets free.
    Wait,
}

/// All places, as a channel that is full where every one is taken.
pub struct Places {
    take: Sender<()>,
    give: Receiver<()>,
}

/// One of them; given back when dropped.
pub struct Place(Receiver<()>);

impl Places {
    pub fn new(count: usize) -> Places {
        let (take, give) = crossbeam_channel::bounded(count);
        Places { take, give }
    }

    pub fn take(&self, when_full: WhenFull) -> Option<Place> {
        let is_taken = match when_full {
            WhenFull::Close => self.take.try_send(()).is_ok(),
            WhenFull::Wait => self.take.send(()).is_ok(),
        };
        is_taken.then(|| Place(self.give.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // There is one for each place that is taken.
        let _ = self.0.try_recv();
    }
}
