//! How long to wait before something is tried again: twice as long each time, by a random part less.

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

/// The waits of one thing that fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

/// Where the random part comes from. Any spread will do: Marsaglia's xorshift.
#[derive(Debug)]
pub(crate) struct Jitter(u32);

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next wait: between half and all of what it has come to, so that clients don't come in step.
    pub(crate) fn next(&mut self, jitter: &mut Jitter) -> Duration {
        let wait = self.next.mul_f64(0.5 + 0.5 * jitter.share());
        self.next = (self.next * 2).min(self.max);
        wait
    }

    /// It did not fail.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

impl Jitter {
    pub(crate) fn new() -> Self {
        let mut drawn = [0; 4];
        // Where there were none, clients would only come back in step.
        let _ = getrandom(&mut drawn, GetRandomFlags::empty());
        Self(u32::from_ne_bytes(drawn) | 1)
    }

    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        f64::from(self.0) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Jitter};

    #[test]
    fn each_wait_is_at_most_twice_the_one_before_and_none_is_over_the_longest() {
        let ms = Duration::from_millis;
        let (mut backoff, mut jitter) = (Backoff::new(ms(50), ms(1_000)), Jitter::new());
        for whole in [50, 100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next(&mut jitter);
            assert!(
                wait >= ms(whole) / 2 && wait <= ms(whole),
                "{wait:?} of {whole} ms"
            );
        }
        backoff.reset();
        assert!(backoff.next(&mut jitter) <= ms(50));
    }
}
