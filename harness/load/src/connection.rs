//! One connection of a load: its socket, its protocol, and what has not been written yet.

use std::io;

use crate::protocol::{Session, Tag};
use crate::socket::Socket;
use crate::tls::Layer;

/// Room for what waits to be written, beyond which it is given back once nothing waits.
const UNWRITTEN_KEPT_BYTES: usize = 64 << 10;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The socket is being connected, under this tag.
    Connecting(Tag),
    /// TLS is agreed on and the protocol opened, under the same tag.
    Opening(Tag),
    /// It may carry requests.
    Open,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    /// What goes between both, where the target wants it.
    tls: Option<Box<Layer>>,
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
    pub(crate) fn new(
        socket: Socket,
        tls: Option<Box<Layer>>,
        session: Box<dyn Session>,
        tag: Tag,
    ) -> Connection {
        Connection {
            socket,
            tls,
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

    /// The socket stands: begins TLS, or the protocol where there is none. Returns whether it may carry requests at once.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        out.clear();
        if self.tls.is_some() {
            self.write_sealed(&[])?;
            return Ok(false);
        }
        let open = self.session.open(out);
        self.write(out)?;
        Ok(open)
    }

    /// Whether what arrives is ciphertext, for [`unseal`](Connection::unseal).
    #[inline]
    pub(crate) fn is_sealed(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the handshake of TLS is not over yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether the target has said that nothing more comes, though the socket may still be open.
    pub(crate) fn has_ended(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_ended())
    }

    /// Whether an end of the socket is one of the protocol's: under TLS anybody can cut a connection off.
    pub(crate) fn is_end_meant(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.has_ended())
    }

    /// Takes ciphertext: what it says is appended to `plain`, also where an error follows. Once the handshake is over, begins the
    /// protocol; returns whether it may carry requests at once.
    pub(crate) fn unseal(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let Some(tls) = &mut self.tls else {
            return Ok(false);
        };
        let was_handshaking = tls.is_handshaking();
        let received = tls.receive(bytes, plain);
        let begins = was_handshaking && !tls.is_handshaking();
        let agreed = if begins { tls.check_agreed() } else { Ok(()) };
        let mut open = false;
        out.clear();
        if begins && agreed.is_ok() {
            open = self.session.open(out);
        }
        // Also after an error: the target is told what is wrong.
        let written = self.write(out);
        received.and(agreed)?;
        written.map_err(|error| format!("the connection broke: {error}"))?;
        Ok(open)
    }

    /// Writes `bytes`; what the socket does not take is kept for [`flush`](Connection::flush).
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tls.is_some() {
            self.write_sealed(bytes)?;
        } else if !bytes.is_empty() {
            // Nothing may overtake what waits already.
            let written = if self.is_written() {
                send_some(&self.socket, bytes)?
            } else {
                0
            };
            self.unwritten.extend_from_slice(&bytes[written..]);
        }
        self.resume()
    }

    /// Writes `bytes` under TLS, after what TLS itself has to say.
    fn write_sealed(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.seal(bytes, &mut self.unwritten)?;
        }
        self.send_unwritten()
    }

    /// Asks the session for what it held back, as long as the socket takes it.
    fn resume(&mut self) -> io::Result<()> {
        while self.unwritten.is_empty() && self.session.holds_back() {
            let mut more = Vec::new();
            self.session.resume(&mut more);
            if more.is_empty() {
                break;
            }
            if let Some(tls) = &mut self.tls {
                tls.seal(&more, &mut self.unwritten)?;
            } else {
                self.unwritten = more;
            }
            self.send_unwritten()?;
        }
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
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.send_unwritten()?;
        self.resume()
    }

    fn send_unwritten(&mut self) -> io::Result<()> {
        let written = send_some(&self.socket, &self.unwritten)?;
        self.unwritten.drain(..written);
        if self.unwritten.is_empty() && self.unwritten.capacity() > UNWRITTEN_KEPT_BYTES {
            self.unwritten = Vec::new();
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
