//! The rows of `series.ndjson` in memory: those of each load and each service lie together.
//!
//! An hour of a large scenario has a million rows, and what is drawn of them is drawn load by load and service by service. They are read in
//! parts on several threads, and stay in the parts they were read in: to move them into one list would take as long as a chart. Where a
//! part ends means nothing.

use std::collections::BTreeMap;

use squall_model::series::{LoadRow, Row, SeriesRow, ServiceRow};

/// What happened over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    parts: Vec<Part>,
    skipped: usize,
}

impl Series {
    /// Reads a whole text.
    pub fn read(text: &str) -> Series {
        let mut series = Series::default();
        series.go_on(text);
        series
    }

    /// Reads more of a text: whole lines, or the last of it. A line that is torn is skipped and counted.
    pub fn go_on(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match SeriesRow::read(line) {
                Some(row) => self.push(row),
                None => self.skipped += 1,
            }
        }
    }

    /// Adds what was read of the part that follows. Moves no row.
    pub fn append(&mut self, mut next: Series) {
        self.parts.append(&mut next.parts);
        self.skipped += next.skipped;
    }

    /// How many lines could not be read.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.order.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.parts.iter().flat_map(|part| {
            let mut loads = part.loads.in_turn();
            let mut services = part.services.in_turn();
            part.order.iter().filter_map(move |whose| match *whose {
                Whose::Load(at) => loads.get_mut(at as usize)?.next().map(Row::Load),
                Whose::Service(at) => services.get_mut(at as usize)?.next().map(Row::Service),
            })
        })
    }

    /// The rows of one load.
    pub(crate) fn of_load<'a>(&'a self, load: &str) -> impl Iterator<Item = &'a LoadRow> + use<'a> {
        let of_parts: Vec<&Rows<LoadRow>> =
            self.parts.iter().filter_map(|part| part.loads.of(load)).collect();
        of_parts.into_iter().flat_map(Rows::iter)
    }

    /// The rows of all services, in the order in which they were written.
    pub(crate) fn of_services(&self) -> impl Iterator<Item = &ServiceRow> {
        self.iter().filter_map(|row| match row {
            Row::Service(row) => Some(row),
            Row::Load(_) => None,
        })
    }

    /// Each service that has rows, with its rows.
    pub(crate) fn by_service(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &ServiceRow>)> {
        let mut services: BTreeMap<&str, Vec<&Rows<ServiceRow>>> = BTreeMap::new();
        for part in &self.parts {
            for (name, at) in &part.services.places {
                services.entry(name).or_default().push(&part.services.rows[*at]);
            }
        }
        let services = services.into_iter();
        services.map(|(name, of_parts)| (name, of_parts.into_iter().flat_map(Rows::iter)))
    }

    fn push(&mut self, row: SeriesRow) {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        let Some(part) = self.parts.last_mut() else { return };
        part.order.push(match row {
            SeriesRow::Load(row) => Whose::Load(part.loads.push(row)),
            SeriesRow::Service(row) => Whose::Service(part.services.push(row)),
        });
    }
}

impl FromIterator<SeriesRow> for Series {
    fn from_iter<I: IntoIterator<Item = SeriesRow>>(rows: I) -> Series {
        let mut series = Series::default();
        rows.into_iter().for_each(|row| series.push(row));
        series
    }
}

/// Where a part ends means nothing.
impl PartialEq for Series {
    fn eq(&self, other: &Series) -> bool {
        self.skipped == other.skipped && self.iter().eq(other.iter())
    }
}

/// Rows that were read by one thread.
#[derive(Clone, Debug, Default)]
struct Part {
    loads: Owners<LoadRow>,
    services: Owners<ServiceRow>,
    order: Vec<Whose>,
}

/// Whose the next row is: a place among the owners.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Load(u32),
    Service(u32),
}

/// Rows by the name of whose they are.
#[derive(Clone, Debug)]
struct Owners<R> {
    /// Where the rows of each are.
    places: BTreeMap<String, usize>,
    /// Those of one owner each, none of them empty.
    rows: Vec<Rows<R>>,
    /// Where the last one went.
    last: usize,
}

impl<R> Default for Owners<R> {
    fn default() -> Owners<R> {
        Owners {
            places: BTreeMap::new(),
            rows: Vec::new(),
            last: 0,
        }
    }
}

impl<R: Owned> Owners<R> {
    fn push(&mut self, row: R) -> u32 {
        // All write in turn, and mostly in the same order.
        let next = if self.last + 1 < self.rows.len() {
            self.last + 1
        } else {
            0
        };
        let known = self.rows.get(next).and_then(|rows| rows.iter().next());
        self.last = if known.is_some_and(|known| known.owner() == row.owner()) {
            next
        } else if let Some(at) = self.places.get(row.owner()) {
            *at
        } else {
            self.places.insert(row.owner().to_owned(), self.rows.len());
            self.rows.push(Rows::default());
            self.rows.len() - 1
        };
        self.rows[self.last].push(row);
        self.last as u32
    }

    fn of(&self, name: &str) -> Option<&Rows<R>> {
        self.rows.get(*self.places.get(name)?)
    }

    fn in_turn(&self) -> Vec<impl Iterator<Item = &R>> {
        self.rows.iter().map(Rows::iter).collect()
    }
}

/// So many rows lie in one piece of memory.
const PIECE: usize = 512;

/// Rows of one owner, in pieces of memory that stay where they are: one list would be copied each time it grows.
#[derive(Clone, Debug)]
struct Rows<R> {
    pieces: Vec<Vec<R>>,
}

impl<R> Default for Rows<R> {
    fn default() -> Rows<R> {
        Rows { pieces: Vec::new() }
    }
}

impl<R> Rows<R> {
    fn push(&mut self, row: R) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(row),
            // The first grows: many owners have only a few rows.
            None => self.pieces.push(vec![row]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(row);
                self.pieces.push(piece);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &R> {
        self.pieces.iter().flatten()
    }
}

/// A row that is somebody's.
trait Owned {
    /// The name of whose it is.
    fn owner(&self) -> &str;
}

impl Owned for LoadRow {
    fn owner(&self) -> &str {
        &self.load
    }
}

impl Owned for ServiceRow {
    fn owner(&self) -> &str {
        &self.service
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, start_us: u64) -> SeriesRow {
        SeriesRow::Load(LoadRow {
            load: name.into(),
            start_us,
            ..LoadRow::default()
        })
    }

    fn service(name: &str, start_us: u64) -> SeriesRow {
        SeriesRow::Service(ServiceRow {
            service: name.into(),
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

    fn series(rows: &[SeriesRow]) -> Series {
        rows.iter().cloned().collect()
    }

    #[test]
    fn wherever_the_parts_end_the_series_is_the_same() {
        let rows = rows();
        let whole = series(&rows);
        for first in 0..=rows.len() {
            for second in first..=rows.len() {
                let mut parts = series(&rows[..first]);
                parts.append(series(&rows[first..second]));
                parts.append(series(&rows[second..]));
                assert_eq!(parts, whole);
                assert_eq!(parts.len(), 8);
                assert_eq!(parts.iter().map(Row::to_owned).collect::<Vec<_>>(), rows);
                let of = |load| parts.of_load(load).map(|row| row.start_us).collect::<Vec<_>>();
                assert_eq!((of("a"), of("b"), of("c")), (vec![0, 1, 2], vec![0, 1], vec![]));
                let by_service = parts.by_service();
                let by_service =
                    by_service.map(|(name, rows)| (name, rows.map(|row| row.start_us).collect()));
                assert_eq!(
                    by_service.collect::<Vec<(&str, Vec<u64>)>>(),
                    [("a", vec![0, 1]), ("c", vec![1])]
                );
                assert_eq!(parts.of_services().count(), 3);
            }
        }
    }

    #[test]
    fn more_rows_than_lie_in_one_piece_of_memory_stay_in_order() {
        let number = 3 * PIECE as u64 + 1;
        let rows: Vec<SeriesRow> = (0..number).map(|at| load("a", at)).collect();
        let series = series(&rows);
        assert!(series.of_load("a").map(|row| row.start_us).eq(0..number));
        assert!(series.iter().map(Row::to_owned).eq(rows));
    }

    #[test]
    fn other_rows_or_another_order_or_a_torn_line_are_another_series() {
        let rows = rows();
        let mut turned = rows.clone();
        turned.swap(0, 1);
        assert_ne!(series(&turned), series(&rows));
        assert_ne!(series(&rows[1..]), series(&rows));
        assert_ne!(Series::read("{"), Series::default());
        assert!(Series::read("{").is_empty() && Series::read("{").skipped() == 1);
    }
}
