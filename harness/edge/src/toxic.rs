//! What a toxic is: a rule that decides what becomes of the bytes of one direction of one connection.
//!
//! A rule gives verdicts and nothing else. It owns no timer, no socket and no bytes, reads no clock, and draws only from the
//! stream of random numbers that it was given, so that it can be tested with a made-up clock. A new toxic is a file in `toxic/`,
//! a variant of [`ToxicKind`] and a line in [`TOXICS`].

mod bandwidth;
mod latency;
mod limit_data;
mod reset_peer;
mod slicer;
mod slow_close;
mod timeout;

pub use bandwidth::Bandwidth;
pub use latency::{Distribution, Latency};
pub use limit_data::LimitData;
pub use reset_peer::ResetPeer;
pub use slicer::Slicer;
pub use slow_close::SlowClose;
pub use timeout::Timeout;

use squall_model::seed::Seed;

use crate::error::EdgeError;

/// A type of toxic, for lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToxicType {
    /// What Toxiproxy calls it.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
}

/// Every type of toxic there is.
pub const TOXICS: &[ToxicType] = &[
    bandwidth::TYPE,
    latency::TYPE,
    limit_data::TYPE,
    reset_peer::TYPE,
    slicer::TYPE,
    slow_close::TYPE,
    timeout::TYPE,
];

/// Faults that only datagrams can have.
const DATAGRAMS_ONLY: [&str; 4] = ["loss", "duplicate", "reorder", "corrupt"];

/// The type of toxic called `name`, for a stream. A fault that only datagrams can have is an error of its own.
pub fn toxic_type(proxy: &str, name: &str) -> Result<&'static ToxicType, EdgeError> {
    if let Some(fault) = DATAGRAMS_ONLY.into_iter().find(|one| *one == name) {
        return Err(EdgeError::DatagramsOnly { fault });
    }
    TOXICS
        .iter()
        .find(|one| one.name == name)
        .ok_or_else(|| EdgeError::Unknown {
            proxy: proxy.to_owned(),
            name: format!("toxic of type {name}"),
        })
}

/// What a toxic does, with its attributes. Reads and writes the `type` and `attributes` of Toxiproxy's API; attributes that are
/// left out are zero.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub enum ToxicKind {
    /// Limits the rate.
    Bandwidth(Bandwidth),
    /// Delays.
    Latency(Latency),
    /// Closes after a number of bytes.
    LimitData(LimitData),
    /// Resets.
    ResetPeer(ResetPeer),
    /// Cuts into pieces.
    Slicer(Slicer),
    /// Delays the end.
    SlowClose(SlowClose),
    /// Lets nothing through, then closes.
    Timeout(Timeout),
}

impl ToxicKind {
    /// What Toxiproxy calls its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            ToxicKind::Bandwidth(_) => bandwidth::TYPE.name,
            ToxicKind::Latency(_) => latency::TYPE.name,
            ToxicKind::LimitData(_) => limit_data::TYPE.name,
            ToxicKind::ResetPeer(_) => reset_peer::TYPE.name,
            ToxicKind::Slicer(_) => slicer::TYPE.name,
            ToxicKind::SlowClose(_) => slow_close::TYPE.name,
            ToxicKind::Timeout(_) => timeout::TYPE.name,
        }
    }

    /// The rule for one direction of one connection, in force from `now_ns`. `counted` is what [`Rule::counted`] of the rule in
    /// whose place it comes said, or 0.
    pub fn rule(&self, seed: Seed, now_ns: u64, counted: u64) -> Box<dyn Rule> {
        match *self {
            ToxicKind::Bandwidth(it) => Box::new(bandwidth::Pace::new(it)),
            ToxicKind::Latency(it) => Box::new(latency::Delays::new(it, seed.rng())),
            ToxicKind::LimitData(it) => Box::new(limit_data::Allowance::new(it, counted)),
            ToxicKind::ResetPeer(it) => Box::new(reset_peer::Fuse::new(it)),
            ToxicKind::Slicer(it) => Box::new(slicer::Knife::new(it, seed.rng())),
            ToxicKind::SlowClose(it) => Box::new(it),
            ToxicKind::Timeout(it) => Box::new(timeout::Silence::new(it, now_ns)),
        }
    }
}

/// Bytes that a rule is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many, at least one.
    pub bytes: usize,
    /// When they came to this rule.
    pub came_ns: u64,
}

/// What becomes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on at once.
    Pass,
    /// It goes on at this time, whole.
    Until(u64),
    /// Its first `bytes` (at least one, and not all) go on at `at_ns`; the rest is asked about after that.
    Cut {
        /// How many.
        bytes: usize,
        /// When.
        at_ns: u64,
    },
    /// It stays until the rule is changed or removed, and with it all that comes after.
    Hold,
    /// It is thrown away.
    Discard,
}

/// What becomes of the end of a direction: what its sender has said after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndVerdict {
    /// It goes on at once.
    Pass,
    /// It goes on at this time.
    Until(u64),
    /// It stays until the rule is changed or removed.
    Hold,
}

/// How a rule ends a connection. What went through the rule before is still delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Closes both ends.
    Close,
    /// Resets both ends at once.
    Reset,
}

/// Decides for one direction of one connection. Asked about chunks in their order, one at a time.
pub trait Rule: Send {
    /// What becomes of the chunk that is next. Asked once, and again about the rest after [`Verdict::Cut`].
    fn chunk(&mut self, chunk: Chunk, now_ns: u64) -> Verdict;

    /// What becomes of the end. Asked once, after the last chunk has gone on.
    fn end(&mut self, _now_ns: u64) -> EndVerdict {
        EndVerdict::Pass
    }

    /// When and how it ends the connection, as of now. Looked at when the rule comes into force and after each verdict.
    fn stop(&self) -> Option<(u64, Stop)> {
        None
    }

    /// What a rule of the same type that comes in its place has to know: bytes let through so far.
    fn counted(&self) -> u64 {
        0
    }

    /// Whether the connection has to be closed when the rule is removed, since bytes are missing from it.
    fn closes_when_removed(&self) -> bool {
        false
    }
}

/// Durations as whole milliseconds, as Toxiproxy's attributes have them. What is below zero is zero.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(duration.as_millis().try_into().unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let count = i64::deserialize(from)?;
        Ok(Duration::from_millis(count.max(0).unsigned_abs()))
    }
}

/// Durations as whole microseconds, likewise.
mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(duration.as_micros().try_into().unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let count = i64::deserialize(from)?;
        Ok(Duration::from_micros(count.max(0).unsigned_abs()))
    }
}

/// Counts, likewise.
mod count {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(count: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(*count)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        Ok(i64::deserialize(from)?.max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn attributes_read_and_write_as_toxiproxy_has_them() {
        for (text, kind) in [
            (
                r#"{"type":"latency","attributes":{"latency":100,"jitter":20}}"#,
                ToxicKind::from(Latency {
                    latency: Duration::from_millis(100),
                    jitter: Duration::from_millis(20),
                    ..Latency::default()
                }),
            ),
            (
                r#"{"type":"bandwidth","attributes":{"rate":64}}"#,
                Bandwidth { rate: 64 }.into(),
            ),
            (
                r#"{"type":"slow_close","attributes":{"delay":5}}"#,
                SlowClose {
                    delay: Duration::from_millis(5),
                }
                .into(),
            ),
            (
                r#"{"type":"timeout","attributes":{"timeout":0}}"#,
                Timeout::default().into(),
            ),
            (
                r#"{"type":"reset_peer","attributes":{"timeout":7}}"#,
                ResetPeer {
                    timeout: Duration::from_millis(7),
                }
                .into(),
            ),
            (
                r#"{"type":"slicer","attributes":{"average_size":9,"size_variation":2,"delay":50}}"#,
                Slicer {
                    average_size: 9,
                    size_variation: 2,
                    delay: Duration::from_micros(50),
                }
                .into(),
            ),
            (
                r#"{"type":"limit_data","attributes":{"bytes":1000}}"#,
                LimitData { bytes: 1000 }.into(),
            ),
        ] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), text);
            assert_eq!(serde_json::from_str::<ToxicKind>(text).unwrap(), kind);
            let bare = format!(r#"{{"type":"{}","attributes":{{}}}}"#, kind.type_name());
            let bare: ToxicKind = serde_json::from_str(&bare).unwrap();
            assert_eq!(bare.type_name(), kind.type_name());
        }
    }

    #[test]
    fn what_only_datagrams_can_have_is_refused_for_streams() {
        let refused = toxic_type("feed", "loss").unwrap_err().to_string();
        assert!(refused.contains("a stream can have no loss"), "{refused}");
        assert_eq!(toxic_type("feed", "latency").unwrap().name, "latency");
        assert_eq!(
            toxic_type("feed", "lateness").unwrap_err().to_string(),
            "proxy feed: there is no toxic of type lateness"
        );
    }

    #[test]
    fn types_are_listed_once_and_say_what_they_do() {
        let mut names: Vec<_> = TOXICS.iter().map(|one| one.name).collect();
        names.dedup();
        assert!(names.is_sorted());
        assert_eq!(names.len(), 7);
        assert!(
            TOXICS
                .iter()
                .all(|one| !one.about.is_empty() && !one.about.contains('\n'))
        );
    }
}
