//! The rows of `series.ndjson` in memory, with an index of whose each is.
//!
//! An hour of a large scenario has a million rows. They are read in parts on several threads, and stay in the parts they were read in: to
//! move them into one list would take as long as a chart. Only the order of the rows means something, never where a part ends.

use std::collections::BTreeMap;

use squall_model::series::{LoadRow, SeriesRow, ServiceRow};

/// What happened over time, in the order in which it was written.
#[derive(Clone, Debug, Default)]
pub struct Series {
    parts: Vec<Part>,
}

impl Series {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.rows.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &SeriesRow> {
        self.parts.iter().flat_map(|part| &part.rows)
    }

    /// The rows in order, as the pieces in which they lie in memory.
    pub fn pieces(&self) -> Vec<&[SeriesRow]> {
        self.parts.iter().map(|part| part.rows.as_slice()).collect()
    }

    /// The rows in order.
    pub fn into_rows(self) -> Vec<SeriesRow> {
        self.parts.into_iter().flat_map(|part| part.rows).collect()
    }

    /// Adds what follows. Moves no row.
    pub fn append(&mut self, mut next: Series) {
        self.parts.append(&mut next.parts);
    }

    /// The rows of one load.
    pub(crate) fn of_load<'a>(&'a self, load: &str) -> impl Iterator<Item = &'a LoadRow> + use<'a> {
        let of_parts = self
            .parts
            .iter()
            .filter_map(|part| Some((part, part.loads.get(load)?)))
            .collect::<Vec<_>>();
        let rows = of_parts.into_iter().flat_map(|(part, places)| part.at(places));
        rows.filter_map(|row| match row {
            SeriesRow::Load(row) => Some(row),
            SeriesRow::Service(_) => None,
        })
    }

    /// The rows of all services.
    pub(crate) fn of_services(&self) -> impl Iterator<Item = &ServiceRow> {
        self.iter().filter_map(service)
    }

    /// Each service that has rows, with its rows.
    pub(crate) fn by_service(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &ServiceRow>)> {
        let mut services: BTreeMap<&str, Vec<(&Part, &Vec<u32>)>> = BTreeMap::new();
        for part in &self.parts {
            for (service, places) in &part.services {
                services.entry(service).or_default().push((part, places));
            }
        }
        services.into_iter().map(|(name, of_parts)| {
            let rows = of_parts.into_iter().flat_map(|(part, places)| part.at(places));
            (name, rows.filter_map(service))
        })
    }
}

fn service(row: &SeriesRow) -> Option<&ServiceRow> {
    match row {
        SeriesRow::Service(row) => Some(row),
        SeriesRow::Load(_) => None,
    }
}

impl From<Vec<SeriesRow>> for Series {
    fn from(rows: Vec<SeriesRow>) -> Series {
        Series {
            parts: vec![Part::of(rows)],
        }
    }
}

/// Where a part ends means nothing.
impl PartialEq for Series {
    fn eq(&self, other: &Series) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Rows that lie together.
#[derive(Clone, Debug)]
struct Part {
    rows: Vec<SeriesRow>,
    /// The places of the rows of each load.
    loads: BTreeMap<String, Vec<u32>>,
    /// Likewise of each service.
    services: BTreeMap<String, Vec<u32>>,
}

impl Part {
    fn of(rows: Vec<SeriesRow>) -> Part {
        let mut all: Vec<((bool, &str), Vec<u32>)> = Vec::new();
        let mut last = 0;
        for (at, row) in rows.iter().enumerate() {
            let whose = whose(row);
            // All write in turn, and mostly in the same order.
            let next = if last + 1 < all.len() { last + 1 } else { 0 };
            let known = all.get(next).is_some_and(|(name, _)| *name == whose);
            last = if known {
                next
            } else {
                all.iter()
                    .position(|(name, _)| *name == whose)
                    .unwrap_or_else(|| {
                        all.push((whose, Vec::new()));
                        all.len() - 1
                    })
            };
            all[last].1.push(at as u32);
        }
        let (mut loads, mut services) = (BTreeMap::new(), BTreeMap::new());
        for ((is_load, name), places) in all {
            let of = if is_load { &mut loads } else { &mut services };
            of.insert(name.to_owned(), places);
        }
        Part {
            rows,
            loads,
            services,
        }
    }

    fn at(&self, places: &[u32]) -> impl Iterator<Item = &SeriesRow> {
        places.iter().filter_map(|at| self.rows.get(*at as usize))
    }
}

fn whose(row: &SeriesRow) -> (bool, &str) {
    match row {
        SeriesRow::Load(row) => (true, &row.load),
        SeriesRow::Service(row) => (false, &row.service),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, start_us: u64) -> SeriesRow {
        SeriesRow::Load(LoadRow {
            load: name.to_owned(),
            start_us,
            ..LoadRow::default()
        })
    }

    fn service(name: &str, start_us: u64) -> SeriesRow {
        SeriesRow::Service(ServiceRow {
            service: name.to_owned(),
            start_us,
            ..ServiceRow::default()
        })
    }

    /// Not always in the same order, and a service that has the name of a load.
    fn rows() -> Vec<SeriesRow> {
        vec![
            load("a", 0),
            load("b", 0),
            service("a", 0),
            load("a", 1),
            service("a", 1),
            load("b", 1),
            service("c", 1),
            load("a", 2),
        ]
    }

    #[test]
    fn wherever_the_parts_end_the_series_is_the_same() {
        let whole = Series::from(rows());
        for first in 0..=rows().len() {
            for second in first..=rows().len() {
                let mut series = Series::from(rows()[..first].to_vec());
                series.append(Series::from(rows()[first..second].to_vec()));
                series.append(Series::from(rows()[second..].to_vec()));
                assert_eq!(series, whole);
                assert_eq!((series.len(), series.pieces().concat()), (8, rows()));
                let of = |load| series.of_load(load).map(|row| row.start_us).collect::<Vec<_>>();
                assert_eq!((of("a"), of("b"), of("c")), (vec![0, 1, 2], vec![0, 1], vec![]));
                let by_service = series.by_service();
                let by_service =
                    by_service.map(|(name, rows)| (name, rows.map(|row| row.start_us).collect()));
                assert_eq!(
                    by_service.collect::<Vec<(&str, Vec<u64>)>>(),
                    [("a", vec![0, 1]), ("c", vec![1])]
                );
                assert_eq!(series.of_services().count(), 3);
                assert_eq!(series.into_rows(), rows());
            }
        }
    }

    #[test]
    fn other_rows_or_another_order_are_another_series() {
        let mut turned = rows();
        turned.swap(0, 1);
        assert_ne!(Series::from(turned), Series::from(rows()));
        assert_ne!(Series::from(rows()[1..].to_vec()), Series::from(rows()));
        assert!(Series::default().is_empty());
    }
}
