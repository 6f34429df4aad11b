//! Things under tokens that are never given twice to two of them.

use crate::token::{Kind, Token};

struct Slot<T> {
    generation: u32,
    holds: Option<T>,
}

/// Things, each under a token.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, kind: Kind, holds: T) -> Token {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                holds: None,
            });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[at as usize];
        slot.holds = Some(holds);
        Token::new(kind, at, slot.generation)
    }

    #[inline]
    fn slot(&self, token: Token) -> Option<&Slot<T>> {
        let slot = self.slots.get(token.slot() as usize)?;
        (Token::new(token.kind(), token.slot(), slot.generation) == token.whole()).then_some(slot)
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        self.slot(token)?.holds.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.slot(token)?;
        self.slots[token.slot() as usize].holds.as_mut()
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        self.slot(token)?;
        let slot = &mut self.slots[token.slot() as usize];
        let held = slot.holds.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.slot());
        Some(held)
    }

    /// The tokens of those that `wanted` picks.
    pub(crate) fn tokens(&self, kind: Kind, wanted: impl Fn(&T) -> bool) -> Vec<Token> {
        let picked = |slot: &Slot<T>| slot.holds.as_ref().is_some_and(&wanted);
        let all = self.slots.iter().enumerate().filter(|(_, slot)| picked(slot));
        all.map(|(at, slot)| Token::new(kind, at as u32, slot.generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_used_again_has_another_token() {
        let mut slots = Slots::default();
        let first = slots.insert(Kind::Connection, 'a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert(Kind::Connection, 'b');
        assert_eq!(first.slot(), second.slot());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get(second), Some(&'b'));
        assert_eq!(slots.tokens(Kind::Connection, |_| true), [second]);
    }
}
