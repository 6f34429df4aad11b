//! What an event or a timer is for, in the 64 bits that epoll keeps for it.

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connection,
    Listener,
    Datagrams,
}

/// From the top: the kind in 2 bits, the generation in 30, the slot in 31, and the side of a connection in 1. A generation tells
/// those apart that had the same slot one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

const GENERATION_MAX: u32 = (1 << 30) - 1;

impl Token {
    pub(crate) fn new(kind: Kind, slot: u32, generation: u32) -> Token {
        let generation = u64::from(generation & GENERATION_MAX);
        Token((kind as u64) << 62 | generation << 32 | u64::from(slot) << 1)
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match self.0 >> 62 {
            0 => Kind::Connection,
            1 => Kind::Listener,
            _ => Kind::Datagrams,
        }
    }

    #[inline]
    pub(crate) fn slot(self) -> u32 {
        (self.0 >> 1) as u32 & (u32::MAX >> 1)
    }

    /// 0 is the caller's, 1 the callee's.
    #[inline]
    pub(crate) fn side(self) -> usize {
        (self.0 & 1) as usize
    }

    /// The same for both sides.
    #[inline]
    pub(crate) fn whole(self) -> Token {
        Token(self.0 & !1)
    }
}

impl From<u64> for Token {
    fn from(token: u64) -> Token {
        Token(token)
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        token.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_what_went_in() {
        for kind in [Kind::Connection, Kind::Listener, Kind::Datagrams] {
            let token = Token::new(kind, 0x7fff_0001, 0x3fff_fffe);
            let with_side = Token::from(u64::from(token) | 1);
            assert_eq!(with_side.kind(), kind);
            assert_eq!(with_side.slot(), 0x7fff_0001);
            assert_ne!(with_side.whole(), Token::new(kind, 0x7fff_0001, 0x3fff_fffd));
            assert_eq!((token.side(), with_side.side()), (0, 1));
            assert_eq!(with_side.whole(), token);
        }
    }
}
