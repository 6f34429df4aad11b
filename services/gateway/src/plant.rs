//! Bugs on request, so that whoever checks the gateway can be seen to find them. Never the default.

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// Weights are not looked at: requests go to the clusters of a weighted choice in turn.
    IgnoresWeights,
    /// A user's bucket is drawn anew with each request.
    ForgetsBuckets,
    /// Requests that are being routed while a plug-in is swapped are answered with 503.
    FailsOnSwap,
    /// A request is sent again until it succeeds, without a budget.
    RetriesForever,
    /// An endpoint that is down is ejected besides, so that requests are let in when that is over though its checks fail.
    EjectsDown,
}

impl Plant {
    /// The words of the setting.
    pub const WORDS: &[&str] = &[
        "none",
        "ignores-weights",
        "forgets-buckets",
        "fails-on-swap",
        "retries-forever",
        "ejects-down",
    ];

    /// The plant of one of [`Plant::WORDS`].
    pub fn named(word: &str) -> Self {
        match word {
            "ignores-weights" => Self::IgnoresWeights,
            "forgets-buckets" => Self::ForgetsBuckets,
            "fails-on-swap" => Self::FailsOnSwap,
            "retries-forever" => Self::RetriesForever,
            "ejects-down" => Self::EjectsDown,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Plant;

    #[test]
    fn each_word_names_a_plant_of_its_own() {
        let mut plants: Vec<Plant> = Plant::WORDS.iter().map(|word| Plant::named(word)).collect();
        assert_eq!(plants[0], Plant::None);
        plants.dedup();
        assert_eq!(plants.len(), Plant::WORDS.len());
    }
}
