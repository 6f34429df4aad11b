//! One connection of a load: its socket, its protocol, and what has not been written yet.

use std::io::{self, Write};

use mio::Token;
use mio::net::TcpStream;

use crate::protocol::{Session, Tag};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being opened, under this tag.
    Connecting(Tag),
    /// Carrying the request with this tag.
    Busy(Tag),
    /// Free; its place in the list of free connections.
    Idle(u32),
    /// Changing from one of these to another.
    Between,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) session: Box<dyn Session>,
    pub(crate) state: State,
    /// Whether it has carried a request before.
    pub(crate) used: bool,
    /// What the socket did not take yet.
    unwritten: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, session: Box<dyn Session>, tag: Tag) -> Connection {
        Connection {
            stream,
            session,
            state: State::Connecting(tag),
            used: false,
            unwritten: Vec::new(),
        }
    }

    /// Writes `bytes`; what the socket does not take is kept for [`flush`](Connection::flush).
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = write_some(&mut self.stream, bytes)?;
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
            let written = write_some(&mut self.stream, &self.unwritten)?;
            self.unwritten.drain(..written);
        }
        Ok(())
    }
}

/// Writes until the socket is full or all is written.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
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

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }
}

/// Packs a connection's place into the token of its events.
pub(crate) fn pack_token(load: u16, slot: u32, generation: u16) -> Token {
    Token(usize::from(load) << 48 | usize::from(generation) << 32 | slot as usize)
}

/// Undoes [`pack_token`].
pub(crate) fn unpack_token(token: Token) -> (u16, u32, u16) {
    ((token.0 >> 48) as u16, token.0 as u32, (token.0 >> 32) as u16)
}
