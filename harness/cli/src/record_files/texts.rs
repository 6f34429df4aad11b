//! Reading the texts of a run's folder on every processor.
//!
//! An hour of a large scenario has a quarter of a gigabyte of rows, and reading them takes most of the time that a report takes. What is
//! read must not depend on how many processors there are.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use squall_model::hlog;
use squall_report::{Events, Series, Texts};

use crate::every_processor::{each, processors};

/// How much of the series is read at a time: more than nearly every line, less than a processor's cache.
const BLOCK: usize = 256 * 1024;

/// How long a part of the series is at least.
const WORTH_A_PART: u64 = 1024 * 1024;

/// So many parts for each processor: whoever is done first takes another, and none waits long for the last.
const PARTS: u64 = 4;

/// What the files in `folder` hold, but for `run.json`.
pub(super) fn read(folder: &Path) -> anyhow::Result<Texts> {
    let events = read_events(folder)?.events;
    let logs = each(&logs(folder)?, |(load, path)| {
        Ok((load.clone(), hlog::parse(&text_of(path)?)))
    });
    Ok(Texts {
        events,
        // A run that was cut off early has none.
        series: series(folder).unwrap_or_default(),
        logs: logs.into_iter().collect::<anyhow::Result<_>>()?,
    })
}

/// What tells of a run's result and timeline, without what happened over time.
pub(super) fn read_events(folder: &Path) -> anyhow::Result<Texts> {
    let events = text_of(&folder.join("events.ndjson"));
    let events = events.with_context(|| format!("{} is not the folder of a run", folder.display()))?;
    Ok(Texts {
        events: Events::read(&events),
        ..Texts::default()
    })
}

/// A text file. A cut can fall inside a character.
pub(super) fn text_of(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// The interval logs by load.
fn logs(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let logs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "hlog"));
    let named = logs.filter_map(|path| Some((path.file_stem()?.to_string_lossy().into_owned(), path)));
    Ok(named.collect())
}

fn series(folder: &Path) -> io::Result<Series> {
    let file = File::open(folder.join("series.ndjson"))?;
    let parts = (file.metadata()?.len() / WORTH_A_PART).clamp(1, PARTS * processors() as u64);
    rows(&file, parts)
}

/// The rows of a file that is read in so many parts at once.
fn rows(file: &File, parts: u64) -> io::Result<Series> {
    let length = file.metadata()?.len();
    let mut starts = vec![0];
    for part in 1..parts {
        starts.push(next_line(file, length * part / parts..length)?);
    }
    starts.push(length);
    let parts: Vec<Range<u64>> = starts.windows(2).map(|ends| ends[0]..ends[1]).collect();
    let read = each(&parts, |part| part_of(file, part.clone()));
    let mut all = Series::default();
    for part in read {
        all.append(part?);
    }
    Ok(all)
}

/// Where the first line begins that begins in `range` after its start; its end where none does.
fn next_line(file: &File, range: Range<u64>) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut at = range.start;
    while at < range.end {
        let length = file.read_at(&mut block, at)?;
        if length == 0 {
            break;
        }
        if let Some(found) = block[..length].iter().position(|byte| *byte == b'\n') {
            return Ok((at + found as u64 + 1).min(range.end));
        }
        at += length as u64;
    }
    Ok(range.end)
}

/// The lines in a part of the file, block by block in the same memory. No part of a character lies across the end of a line, so a block
/// that ends with one holds the same text alone as among others.
fn part_of(file: &File, part: Range<u64>) -> io::Result<Series> {
    let mut rows = Series::default();
    let mut at = part.start;
    let mut block = Vec::with_capacity(BLOCK);
    while at < part.end {
        let known = block.len();
        let more = (BLOCK as u64).min(part.end - at) as usize;
        block.resize(known + more, 0);
        let length = file.read_at(&mut block[known..], at)?;
        block.truncate(known + length);
        // Somebody made the file shorter.
        if length == 0 {
            break;
        }
        at += length as u64;
        if let Some(end) = block[known..].iter().rposition(|byte| *byte == b'\n') {
            let whole = known + end + 1;
            rows.go_on(&lossy(&block[..whole]));
            block.drain(..whole);
        }
    }
    rows.go_on(&lossy(&block));
    Ok(rows)
}

/// Bytes as a text. To look for what is no text takes several times as long as to see that there is nothing.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read_in_parts(bytes: &[u8], parts: u64) -> Series {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        rows(&file, parts).unwrap()
    }

    fn at_once(bytes: &[u8]) -> Series {
        Series::read(&String::from_utf8_lossy(bytes))
    }

    fn row(load: &str) -> Vec<u8> {
        let latency = r#"{"max":3417,"p50":515,"p90":739}"#;
        let numbers = r#""intended":120,"sent":120,"completed":120,"failed":0,"dropped":0"#;
        format!(
            "{{\"row\":\"load\",\"start_us\":0,\"end_us\":100000,\"load\":\"{load}\",{numbers},\"response\":{latency},\"service\":{latency}}}\n"
        )
        .into_bytes()
    }

    /// Lines as a torn disk may leave them, each row with a name of its own.
    fn damaged() -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..400 {
            let mut line = row(&format!("load-{number}"));
            match number % 8 {
                1 => line.truncate(line.len() / 2),
                2 => line.insert(30, 0xe2),
                3 => line.splice(line.len() - 1.., *b"\r\n\r\n \t\n").for_each(drop),
                4 => line[8] = 0,
                5 => line.splice(..0, *b"\n\n").for_each(drop),
                6 => line = row(&format!("load-{number}-\u{2603}\u{10348}")),
                _ => {}
            }
            bytes.extend(line);
        }
        bytes
    }

    #[test]
    fn a_file_read_in_parts_is_the_file_read_at_once_whatever_is_damaged_in_it() {
        let damaged = damaged();
        for end in [damaged.len(), damaged.len() - 1, damaged.len() - 40, 1, 0] {
            let bytes = &damaged[..end];
            let whole = at_once(bytes);
            for parts in [1, 2, 3, 7, 64, 1_000] {
                assert_eq!(read_in_parts(bytes, parts), whole, "{end} bytes in {parts} parts");
            }
        }
        let whole = read_in_parts(&damaged, 1);
        // A line that is cut in half takes the next one with it.
        assert_eq!((whole.len(), whole.skipped()), (250, 100));
    }

    #[test]
    fn lines_across_blocks_and_longer_than_one_are_whole() {
        let mut bytes = Vec::new();
        while bytes.len() < 2 * BLOCK {
            bytes.extend(row("read"));
        }
        bytes.extend(row(&"x".repeat(3 * BLOCK)));
        bytes.extend(row("\u{2603}").repeat(3_000));
        let whole = at_once(&bytes);
        assert_eq!(whole.skipped(), 0);
        for parts in [1, 2, 5] {
            assert!(read_in_parts(&bytes, parts) == whole, "in {parts} parts");
        }
    }
}
