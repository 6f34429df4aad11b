//! Bugs of the client on request, so that whoever checks its readers can be seen to find them. Never the default.

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// Version and MD5 are shown some milliseconds before the content that they are of.
    Torn,
    /// Whatever the server says is shown, be it older than what is held.
    TakesOlder,
    /// What is held is not shown while the server is away.
    FailsFast,
    /// Changes are not asked for any more once the connection was lost.
    Deaf,
}

impl Plant {
    /// The words of the setting.
    pub const WORDS: &[&str] = &["none", "torn", "takes-older", "fails-fast", "deaf"];

    /// The plant of one of [`Plant::WORDS`].
    pub fn named(word: &str) -> Self {
        match word {
            "torn" => Self::Torn,
            "takes-older" => Self::TakesOlder,
            "fails-fast" => Self::FailsFast,
            "deaf" => Self::Deaf,
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
        assert_eq!(
            plants,
            [
                Plant::None,
                Plant::Torn,
                Plant::TakesOlder,
                Plant::FailsFast,
                Plant::Deaf
            ]
        );
    }
}
