//! Reads the log that a service writes: its new lines as they come, and its last ones.
//!
//! The service itself appends to the file, so reading never holds it up and never loses a byte. What isn't UTF-8 is shown
//! with replacement characters; the file keeps the bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most that one look reads, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A longer line is given out in pieces, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Gives out the lines of a growing file, each once, from a place in it onwards.
#[derive(Debug)]
pub struct Tail {
    file: File,
    offset: u64,
    unfinished: Vec<u8>,
}

impl Tail {
    /// Follows `path` from `offset` (in bytes) onwards.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            offset,
            unfinished: Vec::new(),
        })
    }

    /// The lines that were finished since the last call, without their ends; at most 64 KiB a call.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = self.file.read_at(&mut chunk, self.offset)?;
        self.offset += read as u64;
        self.unfinished.extend_from_slice(&chunk[..read]);
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(length) = self.unfinished[start..].iter().position(|byte| *byte == b'\n') {
            lines.push(text(&self.unfinished[start..start + length]));
            start += length + 1;
        }
        self.unfinished.drain(..start);
        while self.unfinished.len() > LINE_BYTES_MAX {
            let rest = self.unfinished.split_off(LINE_BYTES_MAX);
            lines.push(text(&self.unfinished));
            self.unfinished = rest;
        }
        Ok(lines)
    }
}

/// The last `count` lines that were written after `from` (in bytes), from the last 64 KiB of the file. A last line without
/// an end counts.
pub fn last_lines(path: &Path, from: u64, count: usize) -> io::Result<Vec<String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = from.max(length.saturating_sub(CHUNK_BYTES as u64)).min(length);
    let mut bytes = vec![0; (length - start) as usize];
    let read = read_up_to(&file, &mut bytes, start)?;
    bytes.truncate(read);
    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    Ok(lines[lines.len().saturating_sub(count)..]
        .iter()
        .map(|line| text(line))
        .collect())
}

fn read_up_to(file: &File, bytes: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        let read = file.read_at(&mut bytes[filled..], offset)?;
        if read == 0 {
            break;
        }
        filled += read;
        offset += read as u64;
    }
    Ok(filled)
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log() -> (tempfile::NamedTempFile, File) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = file.reopen().expect("opens");
        (file, writer)
    }

    #[test]
    fn each_line_comes_once_and_only_when_it_is_finished() {
        let (file, mut writer) = log();
        writer.write_all(b"old\n").expect("written");
        let mut tail = Tail::open(file.path(), 4).expect("opens");
        assert!(tail.lines().expect("read").is_empty());
        writer.write_all(b"one\r\ntw").expect("written");
        assert_eq!(tail.lines().expect("read"), ["one"]);
        writer.write_all(b"o\n\nfour").expect("written");
        assert_eq!(tail.lines().expect("read"), ["two", ""]);
        assert!(tail.lines().expect("read").is_empty());
    }

    #[test]
    fn a_line_without_end_is_given_out_in_pieces() {
        let (file, mut writer) = log();
        writer
            .write_all(&vec![b'x'; 3 * LINE_BYTES_MAX + 1])
            .expect("written");
        let mut tail = Tail::open(file.path(), 0).expect("opens");
        let lines = tail.lines().expect("read");
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [LINE_BYTES_MAX; 3]
        );
    }

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let (file, mut writer) = log();
        writer.write_all(b"a\nb\nc\xff\nd").expect("written");
        let last = |from, count| last_lines(file.path(), from, count).expect("read");
        assert_eq!(last(0, 2), ["c\u{fffd}", "d"]);
        assert_eq!(last(0, 9), ["a", "b", "c\u{fffd}", "d"]);
        assert_eq!(last(2, 9), ["b", "c\u{fffd}", "d"]);
        assert_eq!(last(99, 9), [""; 0]);
    }

    #[test]
    fn a_huge_log_is_not_read_whole() {
        let (file, mut writer) = log();
        writer.write_all(&b"0123456\n".repeat(20_000)).expect("written");
        let lines = last_lines(file.path(), 0, usize::MAX).expect("read");
        assert_eq!(lines.len(), CHUNK_BYTES / 8);
    }
}
