//! `unique`: no value is ever seen twice, over all loads that feed the checker.
//!
//! Exact for integers; texts are kept as 88-bit hashes, so that a false alarm has odds of 2 in 10^11 among 100
//! million. Values gather in a window of at most 200 ms; at its end they are checked against one another and
//! against every value kept before, so a violation is known once 200 ms of data have come after it. Each value
//! kept remembers its window, which is what a violation can say of the first sighting; within one window both
//! times are exact. A value seen n times is n - 1 violations.
//!
//! Values kept take memory, up to [`Settings::memory_max`]. Past that, new ones are still checked against those
//! kept, but no longer kept: what is found is true and fails the run, what isn't found proves nothing, so that the
//! verdict is unknown.

use squall_model::observation::{ObservedBatch, ObservedResponse};

use super::chunk::{Chunk, Sighting, Window};
use super::keyed::KeyedHash;
use super::run_set::{Hit, Key, RunSet, TextKey};
use super::{Findings, Invariant, Moment, Outcome, Settings, Violation, load_name, shortened};

/// A window ends before it covers more time than this.
const WINDOW_MAX_US: u64 = 200_000;

/// A window ends when it has this many values.
const WINDOW_MAX_VALUES: usize = 1 << 20;

/// A window ends when its texts take this much.
const WINDOW_MAX_TEXT: usize = 32 << 20;

/// The checker; see the module.
#[derive(Debug)]
pub struct Unique {
    loads: Vec<String>,
    memory_max: usize,
    hasher: TextHasher,
    integers: Series<u64>,
    texts: Series<TextKey>,
    /// The texts of the open window, end to end, and where each ends: a violation shows the text, not its hash.
    text: String,
    text_ends: Vec<usize>,
    checked: u64,
    findings: Findings,
    /// Distinct values kept when memory ran out.
    full_at: Option<usize>,
}

impl Unique {
    /// A checker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            loads: settings.loads,
            memory_max: settings.memory_max,
            hasher: TextHasher::new(settings.seed),
            integers: Series::new(),
            texts: Series::new(),
            text: String::new(),
            text_ends: Vec::new(),
            checked: 0,
            findings: Findings::default(),
            full_at: None,
        }
    }

    /// Bytes taken by the values kept, compressed, and their windows; the open window comes on top.
    pub fn kept_bytes(&self) -> usize {
        self.integers.bytes() + self.texts.bytes()
    }

    fn take_integers(&mut self, load: u16, response: &ObservedResponse<'_>) {
        if response.integers.is_empty() {
            return;
        }
        if self.integers.must_close_before(response.received_us) {
            self.close_integers();
        }
        self.integers
            .chunk
            .push(response.received_us, load, response.integers.iter().copied());
    }

    fn take_texts(&mut self, load: u16, response: &ObservedResponse<'_>) {
        if response.texts.len() == 0 {
            return;
        }
        if self.texts.must_close_before(response.received_us) || self.text.len() >= WINDOW_MAX_TEXT {
            self.close_texts();
        }
        for text in response.texts.clone() {
            self.text.push_str(text);
            self.text_ends.push(self.text.len());
        }
        let hasher = &self.hasher;
        self.texts.chunk.push(
            response.received_us,
            load,
            response.texts.clone().map(|text| hasher.key(text)),
        );
    }

    fn close_integers(&mut self) {
        let keep = self.has_memory();
        self.integers
            .close(keep, &self.loads, &mut self.findings, |value, _| {
                value.to_string()
            });
    }

    fn close_texts(&mut self) {
        let keep = self.has_memory();
        let (text, ends) = (&self.text, &self.text_ends);
        self.texts
            .close(keep, &self.loads, &mut self.findings, |_, position| {
                let start = position.checked_sub(1).map_or(0, |before| ends[before]);
                shortened(&text[start..ends[position]])
            });
        self.text.clear();
        self.text_ends.clear();
    }

    /// Whether new values may be kept; once they may not, they never may again, as there would be a hole.
    fn has_memory(&mut self) -> bool {
        if self.full_at.is_none() && self.kept_bytes() >= self.memory_max {
            self.full_at = Some(self.integers.runs.len() + self.texts.runs.len());
        }
        self.full_at.is_none()
    }

    fn doubt(&self) -> Option<String> {
        match (self.checked, self.full_at) {
            (0, _) => Some("no value was seen".to_owned()),
            (1, _) => Some("only one value was seen, which can't repeat".to_owned()),
            (_, Some(kept)) => Some(format!(
                "the memory limit of {} MiB was reached at {kept} distinct values; later ones were checked against \
                 those alone: run shorter, or raise the limit",
                self.memory_max >> 20
            )),
            (_, None) => None,
        }
    }
}

impl Invariant for Unique {
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
        for response in batch.responses() {
            self.checked += (response.integers.len() + response.texts.len()) as u64;
            self.take_integers(batch.load, &response);
            self.take_texts(batch.load, &response);
        }
        self.findings.take_reported()
    }

    fn finish(&mut self) -> Outcome {
        self.close_integers();
        self.close_texts();
        self.findings.outcome(self.checked, self.doubt())
    }
}

/// Values of one kind: those of the open window, and those kept.
#[derive(Debug)]
struct Series<K> {
    chunk: Chunk<K>,
    runs: RunSet<K>,
    windows: Vec<Window>,
    /// Used again by each window.
    sorted: Vec<K>,
    hits: Vec<Hit>,
}

impl<K: Key> Series<K> {
    const fn new() -> Self {
        Self {
            chunk: Chunk::new(),
            runs: RunSet::new(),
            windows: Vec::new(),
            sorted: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Bytes taken by what is kept; a window's few loads are an allocation of the least size.
    fn bytes(&self) -> usize {
        self.runs.bytes() + self.windows.len() * (size_of::<Window>() + 32)
    }

    #[inline]
    fn must_close_before(&self, received_us: u64) -> bool {
        self.chunk.values().len() >= WINDOW_MAX_VALUES || self.chunk.span_with_us(received_us) > WINDOW_MAX_US
    }

    /// Ends the window: finds what repeats, in it and before it, then keeps what is new if it may. `show` makes a
    /// value readable from its key and its position in the window.
    fn close(
        &mut self,
        keep: bool,
        loads: &[String],
        findings: &mut Findings,
        show: impl Fn(K, usize) -> String,
    ) {
        let Some(window) = self.chunk.window() else { return };
        self.sorted.clear();
        self.sorted.extend_from_slice(self.chunk.values());
        K::sort(&mut self.sorted);
        let repeated = dedup_repeated(&mut self.sorted);
        self.runs.find(&self.sorted, &mut self.hits);
        findings.count((self.chunk.values().len() - self.sorted.len() + self.hits.len()) as u64);
        self.report(&repeated, loads, findings, show);
        if keep {
            let mut hits = self.hits.iter().map(|hit| hit.index).peekable();
            let mut index = 0;
            self.sorted.retain(|_| {
                index += 1;
                hits.next_if_eq(&(index - 1)).is_none()
            });
            self.runs.insert(&self.sorted, self.windows.len() as u32);
            self.windows.push(window);
        }
        self.chunk.clear();
    }

    /// Spells out as many of the violations as the call has room for: those of values kept before, then those of
    /// values that `repeated` within the window.
    fn report(
        &self,
        repeated: &[K],
        loads: &[String],
        findings: &mut Findings,
        show: impl Fn(K, usize) -> String,
    ) {
        let mut report = |key, position, first: String| {
            let again = self.chunk.sighting(position);
            let text = format!(
                "{} was seen {first}, and again {}",
                show(key, position),
                sighted(again, loads)
            );
            findings.report(Violation {
                text,
                at_us: again.received_us,
            });
            findings.has_room()
        };
        for hit in &self.hits {
            let key = self.sorted[hit.index];
            for position in self.chunk.positions(key) {
                if !report(
                    key,
                    position,
                    sighted_in(&self.windows[hit.window as usize], loads),
                ) {
                    return;
                }
            }
        }
        for &key in repeated {
            if self
                .hits
                .binary_search_by_key(&key, |hit| self.sorted[hit.index])
                .is_ok()
            {
                continue;
            }
            let mut positions = self.chunk.positions(key);
            let Some(first) = positions.next() else { continue };
            for position in positions {
                if !report(key, position, sighted(self.chunk.sighting(first), loads)) {
                    return;
                }
            }
        }
    }
}

/// Leaves each of the sorted keys once and returns the first of those that were there more than once, as many as a
/// call can spell out.
fn dedup_repeated<K: Key>(sorted: &mut Vec<K>) -> Vec<K> {
    let mut repeated: Vec<K> = Vec::new();
    sorted.dedup_by(|key, before| {
        let same = key == before;
        if same && repeated.len() < super::REPORTED_MAX && repeated.last() != Some(key) {
            repeated.push(*key);
        }
        same
    });
    repeated
}

fn sighted(sighting: Sighting, loads: &[String]) -> String {
    let Sighting {
        received_us,
        load,
        place,
        places,
    } = sighting;
    let within = if places > 1 {
        format!(" (value {} of {places})", place + 1)
    } else {
        String::new()
    };
    format!("at {} by {}{within}", Moment(received_us), load_name(loads, load))
}

fn sighted_in(window: &Window, loads: &[String]) -> String {
    let names: Vec<String> = window.loads.iter().map(|&load| load_name(loads, load)).collect();
    let names = names.join(" or ");
    if window.start_us == window.end_us {
        return format!("at {} by {names}", Moment(window.start_us));
    }
    format!(
        "between {} and {} by {names}",
        Moment(window.start_us),
        Moment(window.end_us)
    )
}

/// Hashes texts to keys, once for each part of the key.
#[derive(Debug)]
struct TextHasher {
    head: KeyedHash,
    tail: KeyedHash,
}

impl TextHasher {
    fn new(seed: u64) -> Self {
        Self {
            head: KeyedHash::new(seed, 0),
            tail: KeyedHash::new(seed, 1),
        }
    }

    fn key(&self, text: &str) -> TextKey {
        TextKey::of_hashes(self.head.of(text), self.tail.of(text))
    }
}
