//! From how many requests a percentile may be told.
//!
//! Of n requests, n (1 - q) lie above the quantile q. Where only a few do, the quantile is one odd request, not a property of the
//! program. The rule: at least ten must lie above, so n is at least 10 / (1 - q).

/// How many requests must lie above a quantile.
pub const ABOVE: f64 = 10.0;

/// Where a quantile is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From each slice, against the slice of the other arm beside it: drift of the machine meets both.
    Slices,
    /// From all slices of a block merged, since a slice holds too few requests.
    Block,
}

/// Why a quantile is not told.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum QuantileError {
    /// Too few requests.
    #[error("needs {needed} requests in a block, which holds {held}: raise the rate or make blocks longer")]
    TooFew {
        /// How many a block would have to hold.
        needed: u64,
        /// How many it holds.
        held: u64,
    },
    /// Not a quantile between 0 and 1, both left out.
    #[error("{quantile} is not between 0 and 1")]
    NoQuantile {
        /// What was asked for.
        quantile: f64,
    },
}

/// The fewest requests that `quantile` is told from.
pub fn needed(quantile: f64) -> Result<u64, QuantileError> {
    if !(quantile > 0.0 && quantile < 1.0) {
        return Err(QuantileError::NoQuantile { quantile });
    }
    // 1 - 0.99 is a little less than a hundredth: that must not cost a request.
    Ok((ABOVE / (1.0 - quantile) * (1.0 - 1e-9)).ceil() as u64)
}

/// What `quantile` is taken from, where the emptiest slice holds `slice` requests and the emptiest block `block`.
pub fn source(quantile: f64, slice: u64, block: u64) -> Result<Source, QuantileError> {
    let needed = needed(quantile)?;
    if slice >= needed {
        Ok(Source::Slices)
    } else if block >= needed {
        Ok(Source::Block)
    } else {
        Err(QuantileError::TooFew { needed, held: block })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_percentiles_need_round_numbers() {
        let needs = [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999].map(|quantile| needed(quantile).unwrap());
        assert_eq!(needs, [20, 100, 200, 1_000, 10_000, 100_000]);
        assert_eq!(needed(0.3).unwrap(), 15, "14.3 is not enough");
    }

    #[test]
    fn slices_come_before_the_block_and_the_block_before_nothing() {
        assert_eq!(source(0.99, 1_000, 6_000), Ok(Source::Slices));
        assert_eq!(source(0.99, 999, 6_000), Ok(Source::Block));
        assert_eq!(source(0.99, 200, 1_000), Ok(Source::Block));
        let error = source(0.99, 200, 999).unwrap_err();
        assert_eq!(
            error,
            QuantileError::TooFew {
                needed: 1_000,
                held: 999
            }
        );
        assert!(
            error
                .to_string()
                .starts_with("needs 1000 requests in a block, which holds 999")
        );
    }

    #[test]
    fn what_is_no_quantile_is_refused() {
        for quantile in [0.0, 1.0, -0.5, 99.0, f64::NAN] {
            let error = source(quantile, 1, 1).unwrap_err();
            assert!(
                matches!(error, QuantileError::NoQuantile { .. }),
                "{quantile}: {error}"
            );
        }
    }
}
