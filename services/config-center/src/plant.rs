//! Bugs of the server on request, so that whoever checks it can be seen to find them. Never the default.

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// Changes are acknowledged that were not synced to disk, so that a killed server comes back without them.
    AcknowledgeUnwritten,
}

impl Plant {
    /// The words of the setting.
    pub const WORDS: &[&str] = &["none", "acknowledge-unwritten"];

    /// The plant of one of [`Plant::WORDS`].
    pub fn named(word: &str) -> Self {
        match word {
            "acknowledge-unwritten" => Self::AcknowledgeUnwritten,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Plant;

    #[test]
    fn each_word_names_a_plant_of_its_own() {
        let plants: Vec<Plant> = Plant::WORDS.iter().map(|word| Plant::named(word)).collect();
        assert_eq!(plants, [Plant::None, Plant::AcknowledgeUnwritten]);
    }
}
