//! Bugs on request, so that whoever checks the service can be seen to find them. Never the default.

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// A breaker closes as soon as the recovery timeout is over, without a probe.
    SkipsHalfOpen,
    /// A breaker counts no good probe, so it never closes again.
    NeverRecloses,
    /// A limit of calls per second admits half as many again.
    AdmitsMore,
    /// Rules that come after the first are not put in force.
    DeafToRules,
    /// Time is taken from the wall clock.
    WallClock,
}

impl Plant {
    /// The words of the setting.
    pub const WORDS: &[&str] = &[
        "none",
        "skips-half-open",
        "never-recloses",
        "admits-more",
        "deaf-to-rules",
        "wall-clock",
    ];

    /// The plant of one of [`Plant::WORDS`].
    pub fn named(word: &str) -> Self {
        match word {
            "skips-half-open" => Self::SkipsHalfOpen,
            "never-recloses" => Self::NeverRecloses,
            "admits-more" => Self::AdmitsMore,
            "deaf-to-rules" => Self::DeafToRules,
            "wall-clock" => Self::WallClock,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Plant;

    #[test]
    fn each_word_names_a_plant_of_its_own() {
        let mut plants = Vec::new();
        for word in Plant::WORDS {
            let plant = Plant::named(word);
            assert!(!plants.contains(&plant), "{word}");
            plants.push(plant);
        }
    }
}
