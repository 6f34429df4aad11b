//! Fewer points without losing what is seen.
//!
//! Of all points that fall into one column of pixels only the first, the lowest, the highest and the last can be told
//! apart (the M4 aggregation of Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014).

/// The points of one piece, thinned to `columns` columns of a range of `width` in units of x.
pub(crate) fn thinned(points: &[(f64, f64)], width: f64, columns: u32) -> Vec<(f64, f64)> {
    if columns == 0 || !width.is_finite() || width <= 0.0 {
        return points.to_vec();
    }
    let column = |x: f64| (x / width * f64::from(columns)).floor() as i64;
    let mut kept = Vec::new();
    for stretch in points.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let last = stretch.len() - 1;
        let by_y = |a: &usize, b: &usize| stretch[*a].1.total_cmp(&stretch[*b].1);
        let low = (0..=last).min_by(by_y).unwrap_or(0);
        let high = (0..=last).max_by(by_y).unwrap_or(0);
        let mut keep = [0, low, high, last];
        keep.sort_unstable();
        let mut previous = None;
        for at in keep {
            if previous != Some(at) {
                kept.push(stretch[at]);
            }
            previous = Some(at);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive() {
        let mut points: Vec<(f64, f64)> = (0..36_000).map(|x| (f64::from(x), f64::from(x % 7))).collect();
        points[17_003].1 = 900.0;
        points[30_001].1 = -900.0;
        let thin = thinned(&points, 36_000.0, 500);
        assert!(thin.len() <= 4 * 500, "{}", thin.len());
        assert!(thin.contains(&(17_003.0, 900.0)) && thin.contains(&(30_001.0, -900.0)));
        assert_eq!((thin[0], thin[thin.len() - 1]), (points[0], points[35_999]));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(0.0, 1.0), (1.0, 2.0)];
        assert_eq!(thinned(&points, 10.0, 500), points);
        assert_eq!(thinned(&[], 10.0, 500), []);
    }
}
