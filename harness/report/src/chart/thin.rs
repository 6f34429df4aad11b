//! Fewer points without losing what is seen.
//!
//! Of all points that fall into one column of pixels only the first, the lowest, the highest and the last can be told
//! apart (the M4 aggregation of Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014).

/// The points of one piece, from left to right, thinned to `columns` columns of a range from zero to `width` in units of x.
pub(crate) fn thinned(points: impl Iterator<Item = (f64, f64)>, width: f64, columns: u32) -> Vec<(f64, f64)> {
    if columns == 0 || !width.is_finite() || width <= 0.0 {
        return points.collect();
    }
    let mut kept = Vec::new();
    let mut open: Option<(u64, Stretch)> = None;
    for (at, point) in points.enumerate() {
        let column = (point.0 / width * f64::from(columns)) as u64;
        match &mut open {
            Some((known, stretch)) if *known == column => stretch.take(at, point),
            _ => {
                let next = (column, Stretch::of(at, point));
                kept.extend(open.replace(next).into_iter().flat_map(|(_, done)| done.seen()));
            }
        }
    }
    kept.extend(open.into_iter().flat_map(|(_, last)| last.seen()));
    kept
}

/// What is seen of the points in one column, each with its number.
struct Stretch {
    first: (usize, (f64, f64)),
    low: (usize, (f64, f64)),
    high: (usize, (f64, f64)),
    last: (usize, (f64, f64)),
}

impl Stretch {
    fn of(at: usize, point: (f64, f64)) -> Stretch {
        let only = (at, point);
        Stretch {
            first: only,
            low: only,
            high: only,
            last: only,
        }
    }

    fn take(&mut self, at: usize, point: (f64, f64)) {
        self.last = (at, point);
        if point.1 < self.low.1.1 {
            self.low = self.last;
        }
        if point.1 >= self.high.1.1 {
            self.high = self.last;
        }
    }

    /// Each point once, in order.
    fn seen(self) -> impl Iterator<Item = (f64, f64)> {
        let mut all = [self.first, self.low, self.high, self.last];
        all.sort_unstable_by_key(|(at, _)| *at);
        let mut previous = None;
        let all = all
            .into_iter()
            .filter(move |(at, _)| previous.replace(*at) != Some(*at));
        all.map(|(_, point)| point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive() {
        let mut points: Vec<(f64, f64)> = (0..36_000).map(|x| (f64::from(x), f64::from(x % 7))).collect();
        points[17_003].1 = 900.0;
        points[30_001].1 = -900.0;
        let thin = thinned(points.iter().copied(), 36_000.0, 500);
        assert!(thin.len() <= 4 * 500, "{}", thin.len());
        assert!(thin.contains(&(17_003.0, 900.0)) && thin.contains(&(30_001.0, -900.0)));
        assert_eq!((thin[0], thin[thin.len() - 1]), (points[0], points[35_999]));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(0.0, 1.0), (1.0, 2.0)];
        assert_eq!(thinned(points.into_iter(), 10.0, 500), points);
        assert_eq!(thinned([].into_iter(), 10.0, 500), []);
    }
}
