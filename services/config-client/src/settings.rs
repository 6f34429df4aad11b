//! How a client behaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Plant;
use crate::listening::KEYS_MAX;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server, as `host:port`.
    pub server: String,
    /// The folder of its snapshots, which is for this server and this client alone.
    pub snapshots: PathBuf,
    /// The most configurations in memory, at most [`KEYS_MAX`]; beyond, the one that was not read for longest goes, unless it is watched.
    pub entries_max: usize,
    /// How often the server is asked whether it is there.
    pub heartbeat: Duration,
    /// How long it may take to answer anything but a long poll.
    pub request_timeout: Duration,
    /// How long a long poll may hang.
    pub poll: Duration,
    /// The first wait before a new attempt; each is twice as long as the one before.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// A bug to plant.
    pub plant: Plant,
}

/// Settings that no client can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Something that would never come, or come without end.
    #[error("{0} is 0; it must be more")]
    Zero(&'static str),
    /// The longest wait is shorter than the first.
    #[error("backoff_max is shorter than backoff_min; make it at least as long")]
    Backoff,
    /// More configurations in memory than one poll may ask for.
    #[error("entries_max is {0}; a server takes polls for {KEYS_MAX} at most, make it no more")]
    Entries(usize),
}

impl Settings {
    /// The usual ones.
    pub fn new(server: &str, snapshots: impl AsRef<Path>) -> Self {
        Self {
            server: server.to_owned(),
            snapshots: snapshots.as_ref().to_owned(),
            entries_max: 1_024,
            heartbeat: Duration::from_secs(5),
            request_timeout: Duration::from_secs(3),
            poll: Duration::from_secs(30),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            plant: Plant::None,
        }
    }

    /// Whether a client can work so.
    pub fn check(&self) -> Result<(), SettingsError> {
        let lengths = [
            ("heartbeat", self.heartbeat),
            ("request_timeout", self.request_timeout),
            ("backoff_min", self.backoff_min),
        ];
        if let Some((name, _)) = lengths.iter().find(|(_, length)| length.is_zero()) {
            return Err(SettingsError::Zero(name));
        }
        if self.backoff_max < self.backoff_min {
            return Err(SettingsError::Backoff);
        }
        if self.entries_max == 0 {
            return Err(SettingsError::Zero("entries_max"));
        }
        if self.entries_max > KEYS_MAX {
            return Err(SettingsError::Entries(self.entries_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KEYS_MAX, Settings, SettingsError};
    use crate::Client;

    #[test]
    fn what_would_never_end_or_never_come_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let usual = || Settings::new("127.0.0.1:1", folder.path());
        let most = Settings {
            entries_max: KEYS_MAX,
            ..usual()
        };
        assert_eq!((usual().check(), most.check()), (Ok(()), Ok(())));
        let zero = Duration::ZERO;
        let cases = [
            (
                Settings {
                    heartbeat: zero,
                    ..usual()
                },
                SettingsError::Zero("heartbeat"),
            ),
            (
                Settings {
                    request_timeout: zero,
                    ..usual()
                },
                SettingsError::Zero("request_timeout"),
            ),
            (
                Settings {
                    backoff_min: zero,
                    ..usual()
                },
                SettingsError::Zero("backoff_min"),
            ),
            (
                Settings {
                    backoff_max: zero,
                    ..usual()
                },
                SettingsError::Backoff,
            ),
            (
                Settings {
                    entries_max: 0,
                    ..usual()
                },
                SettingsError::Zero("entries_max"),
            ),
            (
                Settings {
                    entries_max: KEYS_MAX + 1,
                    ..usual()
                },
                SettingsError::Entries(KEYS_MAX + 1),
            ),
        ];
        for (settings, wanted) in cases {
            let error = Client::start(settings).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), wanted.to_string());
        }
    }
}
