//! The network in which services and loads are.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::choice;

choice! {
    /// The network in which services and loads are.
    pub enum Network {
        /// The machine's own, over its loopback.
        Shared = "shared",
        /// One of their own, in which each is an end, and packets between ends can be dropped.
        Isolated = "isolated",
    }
}

/// What a scenario has that says nothing of it.
impl Default for Network {
    fn default() -> Network {
        Network::Shared
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = [Network::Shared, Network::Isolated];
        let found = known.into_iter().find(|one| one.as_str() == word);
        found.ok_or_else(|| de::Error::unknown_variant(&word, Network::WORDS))
    }
}
