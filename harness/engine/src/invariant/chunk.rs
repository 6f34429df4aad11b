//! The values that came since the last look: in the order of their arrival, with the response each came in.

use std::ops::Range;

/// Values of the current window. At most `u32::MAX` fit; the checker closes a window long before.
#[derive(Debug)]
pub(super) struct Chunk<K> {
    values: Vec<K>,
    responses: Vec<Response>,
    received_us: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Response {
    received_us: u64,
    /// Where its values end; they start where those of the one before end.
    end: u32,
    load: u16,
}

/// When and by which load one value was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) received_us: u64,
    pub(super) load: u16,
    /// Its place in the response, from 0, and how many values that had.
    pub(super) place: u32,
    pub(super) places: u32,
}

/// A span of time in which values were seen, and by which loads. Both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start_us: u64,
    pub(super) end_us: u64,
    pub(super) loads: Box<[u16]>,
}

impl<K: Copy + PartialEq> Chunk<K> {
    pub(super) const fn new() -> Self {
        Self {
            values: Vec::new(),
            responses: Vec::new(),
            received_us: None,
        }
    }

    /// Adds one response's values.
    #[inline]
    pub(super) fn push(&mut self, received_us: u64, load: u16, values: impl IntoIterator<Item = K>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() == before {
            return;
        }
        self.responses.push(Response {
            received_us,
            end: self.values.len() as u32,
            load,
        });
        let (first, last) = self.received_us.unwrap_or((received_us, received_us));
        self.received_us = Some((first.min(received_us), last.max(received_us)));
    }

    /// All values, in the order of their arrival.
    pub(super) fn values(&self) -> &[K] {
        &self.values
    }

    /// Microseconds that the window would cover with a response of that time in it.
    #[inline]
    pub(super) fn span_with_us(&self, received_us: u64) -> u64 {
        self.received_us
            .map_or(0, |(first, last)| last.max(received_us) - first.min(received_us))
    }

    /// The window that the chunk covers, unless it's empty.
    pub(super) fn window(&self) -> Option<Window> {
        let (start_us, end_us) = self.received_us?;
        let mut loads: Vec<u16> = Vec::new();
        for response in &self.responses {
            if loads.last() != Some(&response.load) && !loads.contains(&response.load) {
                loads.push(response.load);
            }
        }
        Some(Window {
            start_us,
            end_us,
            loads: loads.into(),
        })
    }

    /// Where `value` stands, in the order of arrival.
    pub(super) fn positions(&self, value: K) -> impl Iterator<Item = usize> {
        self.values
            .iter()
            .enumerate()
            .filter(move |(_, seen)| **seen == value)
            .map(|(position, _)| position)
    }

    /// The response that brought the value at `position`.
    pub(super) fn sighting(&self, position: usize) -> Sighting {
        let index = self
            .responses
            .partition_point(|response| response.end as usize <= position);
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.responses[before].end);
        let Range { start, end } = start..self.responses[index].end;
        let Response {
            received_us, load, ..
        } = self.responses[index];
        Sighting {
            received_us,
            load,
            place: position as u32 - start,
            places: end - start,
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.responses.clear();
        self.received_us = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_leads_back_to_its_response() {
        let mut chunk = Chunk::new();
        chunk.push(30, 1, [5_u64, 6]);
        chunk.push(10, 0, []);
        chunk.push(20, 0, [7]);
        chunk.push(40, 1, [8, 5, 9]);
        assert_eq!(chunk.positions(5).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(
            chunk.sighting(1),
            Sighting {
                received_us: 30,
                load: 1,
                place: 1,
                places: 2
            }
        );
        assert_eq!(
            chunk.sighting(2),
            Sighting {
                received_us: 20,
                load: 0,
                place: 0,
                places: 1
            }
        );
        assert_eq!(
            chunk.sighting(4),
            Sighting {
                received_us: 40,
                load: 1,
                place: 1,
                places: 3
            }
        );
        assert_eq!([10, 30, 45].map(|at| chunk.span_with_us(at)), [30, 20, 25]);
        assert_eq!(
            chunk.window(),
            Some(Window {
                start_us: 20,
                end_us: 40,
                loads: [1, 0].into()
            })
        );
        chunk.clear();
        assert_eq!((chunk.window(), chunk.span_with_us(9)), (None, 0));
    }
}
