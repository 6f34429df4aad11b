//! One connection of a load: its socket, its protocol, and what has not been written yet.

use std::io;

use crate::protocol::{Session, Tag};
use crate::socket::Socket;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The socket is being connected, under this tag.
    Connecting(Tag),
    /// The protocol is being opened, under the same tag.
    Opening(Tag),
    /// It may carry requests.
    Open,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    pub(crate) session: Box<dyn Session>,
    pub(crate) state: State,
    /// Its place in the list of connections that take requests, while it is there.
    pub(crate) place: Option<u32>,
    /// Requests that it carries.
    pub(crate) carries: u32,
    /// The request it carries, where that is one.
    pub(crate) latest: Tag,
    /// Whether it has carried a request before.
    pub(crate) used: bool,
    /// A user stays on it after the answer.
    pub(crate) held: bool,
    /// What the socket did not take yet.
    unwritten: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(socket: Socket, session: Box<dyn Session>, tag: Tag) -> Connection {
        Connection {
            socket,
            session,
            state: State::Connecting(tag),
            place: None,
            carries: 0,
            latest: tag,
            used: false,
            held: false,
            unwritten: Vec::new(),
        }
    }

    /// Writes `bytes`; what the socket does not take is kept for [`flush`](Connection::flush).
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Nothing may overtake what waits already.
        let written = if self.is_written() {
            send_some(&self.socket, bytes)?
        } else {
            0
        };
        self.unwritten.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Whether the socket has taken everything.
    #[inline]
    pub(crate) fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// Writes what was left, as far as the socket takes it.
    #[inline]
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.unwritten.is_empty() {
            let written = send_some(&self.socket, &self.unwritten)?;
            self.unwritten.drain(..written);
        }
        Ok(())
    }
}

/// Writes until the socket is full or all is written.
fn send_some(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.send(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Connections by slot. A slot's generation tells an event of its present connection from one of a connection closed in the same batch.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Vec<(u16, Option<Connection>)>,
    free: Vec<u32>,
}

impl Slots {
    /// Connections open or being opened.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slot and generation that the next [`insert`](Slots::insert) will use.
    pub(crate) fn vacant(&mut self) -> (u32, u16) {
        if self.free.is_empty() {
            self.slots.push((0, None));
            self.free.push(self.slots.len() as u32 - 1);
        }
        let slot = self.free[self.free.len() - 1];
        (slot, self.slots[slot as usize].0)
    }

    /// Puts a connection into the vacant slot.
    pub(crate) fn insert(&mut self, connection: Connection) {
        let (slot, _) = self.vacant();
        self.free.pop();
        self.slots[slot as usize].1 = Some(connection);
    }

    /// Takes a connection out; its slot is free and of a new generation.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Connection> {
        let (generation, connection) = &mut self.slots[slot as usize];
        let connection = connection.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(slot);
        Some(connection)
    }

    #[inline]
    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.1.as_mut()
    }

    /// Whether an event of `generation` is one of the slot's present connection.
    #[inline]
    pub(crate) fn is_current(&self, slot: u32, generation: u16) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|(current, open)| *current == generation && open.is_some())
    }

    /// Every slot that holds a connection.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let open = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, (_, open))| open.is_some());
        open.map(|(slot, _)| slot as u32)
    }

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }
}

/// Packs a connection's place into the token of its events.
pub(crate) fn pack_token(load: u16, slot: u32, generation: u16) -> u64 {
    u64::from(load) << 48 | u64::from(generation) << 32 | u64::from(slot)
}

/// Undoes [`pack_token`].
pub(crate) fn unpack_token(token: u64) -> (u16, u32, u16) {
    ((token >> 48) as u16, token as u32, (token >> 32) as u16)
}
