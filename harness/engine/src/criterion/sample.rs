//! What a bench program wrote below `CRITERION_HOME`: of each benchmark its name, and how long so many iterations took.
//!
//! Criterion writes `<group>/<function>/<value>/new/{benchmark,sample,...}.json`, with directories that are left out where a benchmark
//! has no such part, and with names made safe for files. The name that counts is in `benchmark.json`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Such files have some kilobytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Group, function and value, each a folder; and what a version of Criterion may put around them.
const DEPTH_MAX: usize = 8;

/// The most benchmarks of a program.
const BENCHMARKS_MAX: usize = 10_000;

/// A file that can't be what Criterion wrote.
#[derive(Debug, thiserror::Error)]
#[error("reading what Criterion wrote, {}: {why}", path.display())]
pub struct SampleError {
    /// Which.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl SampleError {
    fn of(path: &Path, why: impl Into<String>) -> SampleError {
        SampleError {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}

/// What an iteration of each benchmark took that wrote below `home`, microseconds; none where nothing was written.
pub(super) fn read(home: &Path) -> Result<BTreeMap<String, f64>, SampleError> {
    let mut times = BTreeMap::new();
    walk(home, DEPTH_MAX, &mut times)?;
    Ok(times)
}

fn walk(folder: &Path, deep: usize, times: &mut BTreeMap<String, f64>) -> Result<(), SampleError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(SampleError::of(folder, e.to_string())),
    };
    let (name, sample) = (folder.join("new/benchmark.json"), folder.join("new/sample.json"));
    if name.is_file() && times.len() < BENCHMARKS_MAX {
        let name = name_of(&text(&name)?).map_err(|why| SampleError::of(&name, why))?;
        let time = time_of(&text(&sample)?).map_err(|why| SampleError::of(&sample, why))?;
        times.insert(name, time);
    }
    if deep == 0 {
        return Ok(());
    }
    for entry in entries {
        let entry = entry.map_err(|e| SampleError::of(folder, e.to_string()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), deep - 1, times)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, SampleError> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| SampleError::of(path, e.to_string()))?;
    let read = file.take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|e| SampleError::of(path, e.to_string()))?;
    Ok(text)
}

/// `benchmark.json`, so far as it is of interest.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// `sample.json`, so far as it is of interest: the n-th time is that of the n-th count of iterations together, nanoseconds.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

fn name_of(text: &str) -> Result<String, String> {
    let benchmark: Benchmark = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if benchmark.full_id.trim().is_empty() {
        return Err("the benchmark has no name".to_owned());
    }
    Ok(benchmark.full_id)
}

/// What one iteration took, microseconds: the lower quartile of the samples.
///
/// What else happens on a machine only ever makes a sample longer, and often several that follow each other, so a mean, a slope and even
/// a median carry it into the result. The shortest of all would be the least disturbed, but rests on one reading alone. Each sample is of
/// many iterations where those are short, so what only some iterations do is in every one of them.
fn time_of(text: &str) -> Result<f64, String> {
    let Sample { iters, times } = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if iters.is_empty() || iters.len() != times.len() {
        return Err(format!("{} counts and {} times", iters.len(), times.len()));
    }
    let mut each = Vec::with_capacity(iters.len());
    for (iters, time) in iters.into_iter().zip(times) {
        if !(iters > 0.0 && iters.is_finite() && time >= 0.0 && time.is_finite()) {
            return Err(format!("{iters} iterations in {time} ns"));
        }
        each.push(time / iters / 1e3);
    }
    each.sort_by(f64::total_cmp);
    Ok(each[(each.len() - 1) / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Criterion 0.8.2 wrote them.
    const BENCHMARK: &str = include_str!("testdata/benchmark.json");
    const SAMPLE: &str = include_str!("testdata/sample.json");

    fn put(home: &Path, folder: &str, benchmark: &str, sample: &str) {
        let folder = home.join(folder);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("benchmark.json"), benchmark).expect("written");
        fs::write(folder.join("sample.json"), sample).expect("written");
    }

    #[test]
    fn what_criterion_wrote_is_read() {
        assert_eq!(name_of(BENCHMARK).as_deref(), Ok("checksum/bytes/64"));
        // By hand: the quotients, sorted, begin with 43.79, 45.13 and 48.65 ns, and the third of ten is their lower quartile.
        let time = time_of(SAMPLE).expect("a sample");
        assert!((time * 1e3 - 2_901_214.0 / 59_631.0).abs() < 1e-9, "{time}");
    }

    #[test]
    fn benchmarks_are_found_at_any_depth_and_only_the_new_ones() {
        let home = tempfile::tempdir().expect("a folder");
        let named = |name: &str| BENCHMARK.replace("checksum/bytes/64", name);
        put(home.path(), "checksum/bytes/64/new", BENCHMARK, SAMPLE);
        put(home.path(), "checksum/bytes/64/base", &named("old"), SAMPLE);
        put(home.path(), "sort 10k/new", &named("sort 10k"), SAMPLE);
        // A group that is called as Criterion's own folder.
        put(home.path(), "new/base/new", &named("new/base"), SAMPLE);
        let found = read(home.path()).expect("readable");
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["checksum/bytes/64", "new/base", "sort 10k"]);
        assert!(read(&home.path().join("nothing")).expect("nothing").is_empty());
    }

    #[test]
    fn what_is_malformed_names_the_file_and_what_is_wrong() {
        let home = tempfile::tempdir().expect("a folder");
        let refused = |benchmark: &str, sample: &str| {
            put(home.path(), "a/new", benchmark, sample);
            read(home.path()).expect_err("malformed").to_string()
        };
        for (benchmark, sample, why) in [
            ("", SAMPLE, "benchmark.json"),
            ("{}", SAMPLE, "full_id"),
            (r#"{"full_id":" "}"#, SAMPLE, "no name"),
            (BENCHMARK, "{", "sample.json"),
            (BENCHMARK, r#"{"iters":[],"times":[]}"#, "0 counts and 0 times"),
            (
                BENCHMARK,
                r#"{"iters":[1.0,2.0],"times":[1.0]}"#,
                "2 counts and 1 times",
            ),
            (
                BENCHMARK,
                r#"{"iters":[0.0],"times":[1.0]}"#,
                "0 iterations in 1 ns",
            ),
            (
                BENCHMARK,
                r#"{"iters":[1.0],"times":[-1.0]}"#,
                "1 iterations in -1 ns",
            ),
            (BENCHMARK, r#"{"iters":[1.0],"times":[null]}"#, "sample.json"),
        ] {
            let said = refused(benchmark, sample);
            assert!(said.contains(why) && said.contains("a/new/"), "{said}");
        }
        fs::remove_file(home.path().join("a/new/sample.json")).expect("removed");
        fs::write(home.path().join("a/new/benchmark.json"), BENCHMARK).expect("written");
        let said = read(home.path()).expect_err("half of it is missing").to_string();
        assert!(said.contains("sample.json"), "{said}");
    }

    #[test]
    fn a_disturbance_of_most_samples_is_not_the_benchmark_s() {
        let times: Vec<f64> = (0..10)
            .map(|at| if at % 3 == 0 { 100.0 } else { 900.0 })
            .collect();
        let text = format!(r#"{{"iters":{:?},"times":{times:?}}}"#, [1.0; 10]);
        assert!((time_of(&text).expect("a sample") - 0.1).abs() < 1e-12);
    }
}
