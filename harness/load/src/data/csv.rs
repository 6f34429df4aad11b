//! CSV files (RFC 4180): the first line names the columns.

use std::sync::Arc;

use squall_model::seed::Seed;

use super::{Column, FeedError, Pick, Rows};

/// A file, read.
#[derive(Clone, Debug)]
pub struct Csv {
    names: Vec<String>,
    columns: Vec<Arc<Column>>,
    rows: usize,
}

impl Csv {
    /// Reads a whole file of at most [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX).
    pub fn parse(text: &[u8]) -> Result<Csv, FeedError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let in_line = |error: csv::Error| in_line(&error, text);
        let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(text);
        let names: Vec<String> = reader
            .headers()
            .map_err(in_line)?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                let problem = format!("two columns are called `{name}`");
                return Err(FeedError::Line { line: 1, problem });
            }
        }
        let mut columns = vec![Column::default(); names.len()];
        let mut record = csv::StringRecord::new();
        let mut rows = 0;
        while reader.read_record(&mut record).map_err(in_line)? {
            for (column, value) in columns.iter_mut().zip(&record) {
                column.push(value.as_bytes());
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(FeedError::Empty(
                "there is no row below the line that names the columns",
            ));
        }
        let columns = columns.into_iter().map(Arc::new).collect();
        Ok(Csv { names, columns, rows })
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// The field of the column called `name`; where there is none, of one that differs in case only.
    pub fn field(&self, name: &str) -> Option<u16> {
        let exact = self.names.iter().position(|one| one == name);
        exact
            .or_else(|| self.names.iter().position(|one| one.eq_ignore_ascii_case(name)))
            .and_then(|at| u16::try_from(at).ok())
    }

    /// The feed.
    pub fn rows(&self, pick: Pick, seed: Seed) -> Rows {
        Rows::new(self.columns.clone(), self.rows, pick, seed)
    }
}

fn in_line(error: &csv::Error, text: &[u8]) -> FeedError {
    // The reader's own count leaves out blank lines, which it skips before a record.
    let start = error.position().map_or(0, |position| position.byte() as usize);
    let blank = text[start.min(text.len())..]
        .iter()
        .take_while(|byte| b"\r\n".contains(byte));
    let before = &text[..(start + blank.count()).min(text.len())];
    let line = 1 + memchr::memchr_iter(b'\n', before).count() as u64;
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields where the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".into(),
        _ => error.to_string(),
    };
    FeedError::Line { line, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Feed as _;

    #[test]
    fn columns_are_found_and_quotes_are_taken_off() {
        let csv =
            Csv::parse("\u{feff}sku, Name \r\na1,\"x, \"\"y\"\"\"\r\n\r\nb2,\"two\nlines\"\n".as_bytes())
                .unwrap();
        assert_eq!(csv.columns(), ["sku", "Name"]);
        assert_eq!(
            (csv.field("sku"), csv.field("name"), csv.field("x")),
            (Some(0), Some(1), None)
        );
        let rows = csv.rows(Pick::InOrder, Seed::new(1));
        let mut out = Vec::new();
        for (row, field) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            rows.write(row, field, &mut out);
            out.push(b'|');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "a1|x, \"y\"|b2|two\nlines|");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let table: [(&[u8], &str); 7] = [
            (b"a,b\n1,2\n3\n", "line 3: 1 fields where the first line has 2"),
            (
                b"a,b\n1,2\n\n3,4,5\n",
                "line 4: 3 fields where the first line has 2",
            ),
            (
                b"\xef\xbb\xbfa,b\r\n\"1\n1\",2\r\n\r\n3\r\n",
                "line 5: 1 fields where the first line has 2",
            ),
            (b"a,b,a\n1,2,3\n", "line 1: two columns are called `a`"),
            (b"a\n1\n\xff\n", "line 3: not UTF-8"),
            (b"a,b\n", "there is no row below the line that names the columns"),
            (b"", "there is no row below the line that names the columns"),
        ];
        for (text, expected) in table {
            assert_eq!(Csv::parse(text).unwrap_err().to_string(), expected);
        }
    }
}
