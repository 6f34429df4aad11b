//! What a bench program prints when it is asked for its benchmarks.

/// The benchmarks that `--list` printed, in its order and without repeats; none where the program is none of Criterion's.
///
/// Criterion prints `NAME: benchmark` for each, and before its version 0.5 `NAME: bench`; between them are empty lines. The harness of
/// the standard library prints its own in the same way, and ends with how many there are.
pub(super) fn parse(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if is_count(line) {
            return Vec::new();
        }
        let name = line
            .strip_suffix(": benchmark")
            .or_else(|| line.strip_suffix(": bench"));
        if let Some(name) = name.filter(|name| !name.is_empty())
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// `3 tests, 1 benchmark`: the last line of the standard library's harness.
fn is_count(line: &str) -> bool {
    let Some((tests, benchmarks)) = line.split_once(", ") else {
        return false;
    };
    let counts = |text: &str, what: &[&str]| {
        let number = what.iter().find_map(|what| text.strip_suffix(what));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    counts(tests, &[" tests", " test"]) && counts(benchmarks, &[" benchmarks", " benchmark"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Criterion 0.8 prints it.
    #[test]
    fn names_are_read_whatever_they_are() {
        let text = "checksum/bytes/64: benchmark\nchecksum/bytes/4096: benchmark\n\nsort 10k: benchmark\n\na: b: benchmark\nold: bench\n";
        let names = [
            "checksum/bytes/64",
            "checksum/bytes/4096",
            "sort 10k",
            "a: b",
            "old",
        ];
        assert_eq!(parse(text), names);
        assert_eq!(parse("a: benchmark\na: benchmark\n"), ["a"]);
    }

    #[test]
    fn what_is_no_list_of_criterion_s_has_no_benchmarks() {
        for text in [
            "",
            "hello\n",
            ": benchmark\n",
            "0 tests, 0 benchmarks\n",
            "tests::a: test\nb: benchmark\n\n1 test, 1 benchmark\n",
        ] {
            assert_eq!(parse(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(
            parse("many tests, 1 benchmark: benchmark\n").len(),
            1,
            "a name that only looks like it"
        );
    }
}
