//! Reading a row in the one form in which squall writes it: keys in the order of the fields, no space, no escape.
//!
//! An hour of a large scenario has a million rows, and a reader of any JSON spends most of its time on finding out which key comes
//! next. Here that is known. Whatever differs in a single byte is left to `serde_json`: this module must never take a line that
//! `serde_json` refuses, nor read another row from it.

#![expect(
    clippy::option_option,
    reason = "the outer one says whether the line goes on as expected, the inner one is the field's"
)]

use super::{ByKind, LoadRow, RowLatency, RowPauses, SeriesRow, ServiceRow};

/// The row that `line` holds; nothing where it is not written as squall does it.
pub(super) fn row(line: &str) -> Option<SeriesRow> {
    let mut rest = Rest(line);
    let row = if rest.skip(r#"{"row":"load","start_us":"#) {
        SeriesRow::Load(rest.load()?)
    } else {
        rest.expect(r#"{"row":"service","start_us":"#)?;
        SeriesRow::Service(rest.service()?)
    };
    rest.0.is_empty().then_some(row)
}

/// What is left of a line.
struct Rest<'l>(&'l str);

impl<'l> Rest<'l> {
    /// Goes past `text`, where the line goes on with it.
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.skip(text).then_some(())
    }

    /// A load from the value of its first field on.
    fn load(&mut self) -> Option<LoadRow> {
        let row = LoadRow {
            start_us: self.number()?,
            end_us: self.number_of(r#","end_us":"#)?,
            load: self.text_of(r#","load":"#)?.into(),
            intended: self.number_of(r#","intended":"#)?,
            sent: self.number_of(r#","sent":"#)?,
            completed: self.number_of(r#","completed":"#)?,
            failed: self.number_of(r#","failed":"#)?,
            dropped: self.number_of(r#","dropped":"#)?,
            errors: self.map_where(r#","errors":"#, Rest::number)?,
            response: self.latency_of(r#","response":"#)?,
            service: self.latency_of(r#","service":"#)?,
        };
        self.expect("}")?;
        Some(row)
    }

    /// A service from the value of its first field on.
    fn service(&mut self) -> Option<ServiceRow> {
        let row = ServiceRow {
            start_us: self.number()?,
            end_us: self.number_of(r#","end_us":"#)?,
            service: self.text_of(r#","service":"#)?.into(),
            cpu_us: self.number_or_null_of(r#","cpu_us":"#)?,
            rss: self.number_or_null_of(r#","rss":"#)?,
            threads: self.number_where(r#","threads":"#)?,
            descriptors: self.number_where(r#","descriptors":"#)?,
            voluntary_switches: self.number_where(r#","voluntary_switches":"#)?,
            involuntary_switches: self.number_where(r#","involuntary_switches":"#)?,
            run_queue: self.number_where(r#","run_queue":"#)?,
            pause_max: self.number_or_null_of(r#","pause_max":"#)?,
            pause_total: self.number_or_null_of(r#","pause_total":"#)?,
            pause_kinds: self.map_where(r#","pause_kinds":"#, Rest::pauses)?,
        };
        self.expect("}")?;
        Some(row)
    }

    fn latency_of(&mut self, key: &str) -> Option<RowLatency> {
        self.expect(key)?;
        Some(RowLatency {
            max: self.number_or_null_of(r#"{"max":"#)?,
            p50: self.number_where(r#","p50":"#)?,
            p90: self.number_where(r#","p90":"#)?,
            p99: self.number_where(r#","p99":"#)?,
            p999: self.number_where(r#","p999":"#)?,
        })
        .filter(|_| self.skip("}"))
    }

    fn pauses(&mut self) -> Option<RowPauses> {
        Some(RowPauses {
            max: self.number_of(r#"{"max":"#)?,
            total: self.number_of(r#","total":"#)?,
        })
        .filter(|_| self.skip("}"))
    }

    /// The values by name after `key`; none where the line goes on without it. A name that comes twice is no concern of this reader.
    fn map_where<T>(&mut self, key: &str, value: fn(&mut Rest<'l>) -> Option<T>) -> Option<ByKind<T>> {
        if !self.skip(key) {
            return Some(ByKind::new_vec());
        }
        self.expect("{")?;
        let mut map = ByKind::with_capacity(1);
        loop {
            let name = self.text()?;
            self.expect(":")?;
            if map.insert(name.into(), value(self)?).is_some() {
                return None;
            }
            if self.skip("}") {
                return Some(map);
            }
            self.expect(",")?;
        }
    }

    /// A number after `key`; none where the line goes on without it.
    fn number_where(&mut self, key: &str) -> Option<Option<u64>> {
        if self.skip(key) {
            self.number().map(Some)
        } else {
            Some(None)
        }
    }

    fn number_or_null_of(&mut self, key: &str) -> Option<Option<u64>> {
        self.expect(key)?;
        if self.skip("null") {
            Some(None)
        } else {
            self.number().map(Some)
        }
    }

    fn number_of(&mut self, key: &str) -> Option<u64> {
        self.expect(key)?;
        self.number()
    }

    /// Digits, without a zero before others. What follows is looked at by whoever expects it.
    fn number(&mut self) -> Option<u64> {
        let bytes = self.0.as_bytes();
        let mut number = 0_u64;
        let mut length = 0;
        while let Some(digit @ b'0'..=b'9') = bytes.get(length) {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            length += 1;
        }
        if length == 0 || (length > 1 && bytes[0] == b'0') {
            return None;
        }
        self.0 = &self.0[length..];
        Some(number)
    }

    fn text_of(&mut self, key: &str) -> Option<&'l str> {
        self.expect(key)?;
        self.text()
    }

    /// What stands between quotes, without anything that is escaped or should be.
    fn text(&mut self) -> Option<&'l str> {
        self.expect("\"")?;
        let length = self
            .0
            .bytes()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        self.expect("\"")?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::option::weighted;
    use proptest::prelude::*;
    use smol_str::SmolStr;

    use super::*;

    /// What `serde_json` alone makes of a line.
    fn reference(line: &str) -> Option<SeriesRow> {
        serde_json::from_str(line).ok()
    }

    fn written(row: &SeriesRow) -> String {
        serde_json::to_string(row).unwrap()
    }

    fn name() -> impl Strategy<Value = SmolStr> {
        prop_oneof![4 => "[a-z0-9_-]{0,12}", 1 => any::<String>()].prop_map(SmolStr::from)
    }

    fn by_kind<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = ByKind<T>> {
        prop::collection::vec((name(), of), 0..4).prop_map(|kinds| kinds.into_iter().collect())
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..10, 0_u64..1_000_000, any::<u64>(), Just(u64::MAX)]
    }

    fn maybe() -> impl Strategy<Value = Option<u64>> {
        weighted(0.7, number())
    }

    fn latency() -> impl Strategy<Value = RowLatency> {
        (maybe(), maybe(), maybe(), maybe(), maybe()).prop_map(|(max, p50, p90, p99, p999)| RowLatency {
            max,
            p50,
            p90,
            p99,
            p999,
        })
    }

    fn load() -> impl Strategy<Value = SeriesRow> {
        let errors = by_kind(number());
        let numbers = prop::array::uniform7(number());
        (name(), numbers, errors, latency(), latency()).prop_map(
            |(
                load,
                [start_us, end_us, intended, sent, completed, failed, dropped],
                errors,
                response,
                service,
            )| {
                SeriesRow::Load(LoadRow {
                    start_us,
                    end_us,
                    load,
                    intended,
                    sent,
                    completed,
                    failed,
                    dropped,
                    errors,
                    response,
                    service,
                })
            },
        )
    }

    fn service() -> impl Strategy<Value = SeriesRow> {
        let pauses = (number(), number()).prop_map(|(max, total)| RowPauses { max, total });
        let kinds = by_kind(pauses);
        let numbers: [_; 9] = std::array::from_fn(|_| maybe());
        (name(), number(), number(), numbers, kinds).prop_map(
            |(service, start_us, end_us, numbers, pause_kinds)| {
                let [
                    cpu_us,
                    rss,
                    threads,
                    descriptors,
                    voluntary_switches,
                    involuntary_switches,
                    run_queue,
                    pause_max,
                    pause_total,
                ] = numbers;
                SeriesRow::Service(ServiceRow {
                    start_us,
                    end_us,
                    service,
                    cpu_us,
                    rss,
                    threads,
                    descriptors,
                    voluntary_switches,
                    involuntary_switches,
                    run_queue,
                    pause_max,
                    pause_total,
                    pause_kinds,
                })
            },
        )
    }

    fn any_row() -> impl Strategy<Value = SeriesRow> {
        prop_oneof![load(), service()]
    }

    proptest! {
        #[test]
        fn every_row_that_was_written_is_read(written_row in any_row()) {
            let line = written(&written_row);
            prop_assert_eq!(SeriesRow::read(&line), Some(written_row.clone()));
            let plain = |name: &str| !name.chars().any(|c| matches!(c, '"' | '\\') || c.is_control());
            let (of, names): (_, Vec<&SmolStr>) = match &written_row {
                SeriesRow::Load(row) => (&row.load, row.errors.keys().collect()),
                SeriesRow::Service(row) => (&row.service, row.pause_kinds.keys().collect()),
            };
            if plain(of) && names.into_iter().all(|name| plain(name)) {
                prop_assert_eq!(row(&line), Some(written_row), "nothing in it needs another reader");
            }
        }

        #[test]
        fn a_damaged_line_is_read_as_any_reader_of_json_reads_it(
            written_row in any_row(),
            at in any::<prop::sample::Index>(),
            damage in prop_oneof![r#"0|-|\.|e1| |"|\\|,|\}|\x01"#, ".?"],
            replaces in 0_usize..3,
        ) {
            let line = written(&written_row);
            let from = line.floor_char_boundary(at.index(line.len() + 1));
            let until = line.ceil_char_boundary((from + replaces).min(line.len()));
            let damaged = [&line[..from], &damage, &line[until..]].concat();
            prop_assert_eq!(SeriesRow::read(&damaged), reference(&damaged), "{}", damaged);
            let cut = &line[..from];
            prop_assert_eq!(SeriesRow::read(cut), reference(cut), "{}", cut);
        }
    }

    #[test]
    fn numbers_that_json_does_not_know_are_refused() {
        let line = written(&SeriesRow::Service(ServiceRow::default()));
        for number in [
            "00",
            "01",
            "+1",
            "-0",
            "18446744073709551616",
            "1.0",
            "1e3",
            "",
            "null",
        ] {
            let odd = line.replace("\"start_us\":0", &format!("\"start_us\":{number}"));
            assert_ne!(odd, line);
            assert_eq!(row(&odd), None, "{number}");
            assert_eq!(SeriesRow::read(&odd), reference(&odd), "{number}");
        }
    }

    #[test]
    fn an_empty_map_and_a_name_that_comes_twice_are_left_to_serde_json() {
        let line = written(&SeriesRow::Load(LoadRow::default()));
        for errors in ["{}", r#"{"timeout":1,"timeout":2}"#] {
            let odd = line.replace(",\"response\"", &format!(",\"errors\":{errors},\"response\""));
            assert_eq!(row(&odd), None, "{errors}");
            assert!(
                SeriesRow::read(&odd).is_some() && SeriesRow::read(&odd) == reference(&odd),
                "{errors}"
            );
        }
    }
}
