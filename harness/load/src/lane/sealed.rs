//! What a lane does with bytes that come under TLS: the same as with others, after they were unsealed.

use super::Lane;
use crate::dispatcher::Shared;
use crate::report::ErrorKind;

impl Lane {
    /// Hands the first `count` bytes of the scratch to a connection's TLS, and what they say to the protocol; returns whether the
    /// connection is still open. `came_ns`: when they arrived, where the kernel has told it. An answer came when the last of its
    /// ciphertext did.
    pub(super) fn take_sealed(
        &mut self,
        slot: u32,
        count: usize,
        came_ns: Option<u64>,
        now_ns: u64,
        shared: &mut Shared,
    ) -> bool {
        let Some(connection) = self.connections.get(slot) else {
            return false;
        };
        shared.plain.clear();
        let opened = connection.unseal(&shared.scratch[..count], &mut shared.plain, &mut shared.out);
        if opened == Ok(true) {
            self.opened(slot, now_ns);
        }
        // What came before an error is as good as ever.
        if !shared.plain.is_empty() && !self.take_bytes(slot, &shared.plain, came_ns, now_ns, &mut shared.out)
        {
            return false;
        }
        if let Err(problem) = opened {
            self.fail_connection(slot, now_ns, ErrorKind::Tls, || format!("TLS: {problem}"));
            return false;
        }
        if self.connections.get(slot).is_some_and(|one| one.has_ended()) {
            self.closed(slot, shared);
        }
        self.connections.get(slot).is_some()
    }
}
