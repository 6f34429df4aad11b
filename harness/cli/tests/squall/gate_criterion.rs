//! `squall gate --criterion`, against programs that speak Criterion's command line and write its files by a law: what they tell does not
//! depend on how busy the machine is.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use squall_model::exit::Exit;
use squall_model::gate::{Arm, GateEnd, GateRecord, GateVerdict, MetricKind, MetricRecord};

use crate::support::{Ended, PATIENCE, Stage, eventually, gate_folder, gate_record, git, processes};

/// Dozens of short programs, or a few builds, on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(400);

/// `sh bench.sh PERCENT NAMES DO ...`: each of the benchmarks takes so many hundredths of 100 µs, give or take what its process number says, and what
/// it does before it measures is a command.
const BENCH: &str = r#"
percent=$1 names=$2 act=$3
shift 3
for word in "$@"; do
    if [ "$word" = --list ]; then
        for name in $names; do printf '%s: benchmark\n\n' "$name"; done
        exit
    fi
done
eval "$act"
each=$(( (100000 + $$ % 7 * 100) * percent / 100 ))
for name in $names; do
    folder="$CRITERION_HOME/$name/new"
    mkdir -p "$folder"
    printf '{"group_id":"%s","full_id":"%s"}' "$name" "$name" > "$folder/benchmark.json"
    iters='' times=''
    for n in 1 2 3 4 5 6 7 8 9 10; do
        iters="$iters,$n.0" times="$times,$(( n * each )).0"
    done
    printf '{"sampling_mode":"Linear","iters":[%s],"times":[%s]}' "${iters#,}" "${times#,}" > "$folder/sample.json"
done
"#;

/// A test's folder with the program in it.
struct Benches {
    stage: Stage,
    program: String,
}

impl Benches {
    fn new() -> Benches {
        let stage = Stage::alone();
        let program = stage.write("bench.sh", BENCH);
        Benches { stage, program }
    }

    /// A command line of the program.
    fn program(&self, percent: u32, names: &str, act: &str) -> String {
        format!("sh {} {percent} '{names}' '{act}'", self.program)
    }

    fn command(&self, base: &str, candidate: &str, more: &[&str]) -> Command {
        let mut command = Stage::command(&["gate", "--criterion", "work"]);
        command.args(["--base-cmd", base, "--candidate-cmd", candidate]);
        command.args(more).arg("--out").arg(self.stage.reports());
        command
    }

    fn gate(&self, base: &str, candidate: &str, more: &[&str]) -> Ended {
        let started = self.stage.start(self.command(base, candidate, more));
        started.wait_within(LONG)
    }
}

fn metric<'a>(record: &'a GateRecord, name: &str) -> &'a MetricRecord {
    let found = record.metrics.iter().find(|metric| metric.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", record.metrics))
}

#[test]
fn a_planted_regression_blocks_and_what_only_one_arm_has_is_told() {
    let benches = Benches::new();
    let base = benches.program(100, "sum/8 gone words", "");
    let candidate = benches.program(130, "sum/8 new words", "");
    let ended = benches.gate(&base, &candidate, &["--seed", "5"]);
    ended
        .assert_code(i32::from(Exit::Regression.code()))
        .assert_nothing_left();
    let record = gate_record(&ended);
    assert_eq!(
        (record.verdict, record.end, record.looked_at),
        (GateVerdict::Regressed, GateEnd::Decided, 14),
        "{ended}"
    );
    let names: Vec<&str> = record.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        names,
        ["sum/8", "words"],
        "only what both have is a metric, and nothing else is"
    );
    let sum = metric(&record, "sum/8");
    assert_eq!((sum.kind, sum.of.as_deref()), (MetricKind::Time, Some("sum/8")));
    let found = sum.finding.expect("it was looked at");
    assert!((1.28..1.32).contains(&found.estimate), "{found:?}");
    let typical = sum.typical.clone().expect("measured");
    assert!((99.0..101.0).contains(&typical.base) && (129.0..132.0).contains(&typical.candidate));
    let how = record.benchmarks.as_ref().expect("how they were run");
    assert_eq!(
        (how.unpaired.base.as_slice(), how.unpaired.candidate.as_slice()),
        (["gone".to_owned()].as_slice(), ["new".to_owned()].as_slice())
    );
    for block in &record.blocks {
        for arm in Arm::BOTH {
            assert_eq!(block.arms.of(arm).stretches.len(), how.slices as usize);
        }
    }
    for told in ["The candidate no longer has gone", "New, and so not gated: new"] {
        assert!(
            ended.stdout.contains(told) && ended.stderr.contains(told),
            "{ended}"
        );
    }
    assert!(record.command.contains("--criterion work") && record.command.contains("--seed 5"));
    let page = fs::read_to_string(gate_folder(&ended).join("gate.html")).expect("a page");
    assert!(
        page.contains("sum/8") && !page.contains("equest"),
        "requests are none of its business"
    );
    let kept = fs::read_dir(gate_folder(&ended).join("blocks"))
        .expect("there")
        .count();
    assert_eq!(kept, 0, "nothing that programs wrote stays");
    assert!(!gate_folder(&ended).join("guard").exists() && !gate_folder(&ended).join("trial").exists());
}

#[test]
fn a_regression_within_limits_that_the_command_line_widens_passes() {
    let benches = Benches::new();
    let base = benches.program(100, "sum/8", "");
    let candidate = benches.program(130, "sum/8", "");
    let wider = ["--seed", "5", "--margin", "40%", "--tolerance", "50%"];
    let ended = benches.gate(&base, &candidate, &wider);
    ended.assert_code(0).assert_nothing_left();
    let record = gate_record(&ended);
    assert_eq!(record.verdict, GateVerdict::Pass, "{ended}");
    let sum = metric(&record, "sum/8");
    assert!((sum.margin, sum.tolerance) == (0.4, 0.5), "{sum:?}");
    assert!(
        record.command.contains(" --margin 40% --tolerance 50% "),
        "{}",
        record.command
    );
}

#[test]
fn the_same_program_passes_and_formats_say_so() {
    let benches = Benches::new();
    let program = benches.program(100, "sum/8 words", "");
    let (markdown, junit) = (benches.stage.path("gate.md"), benches.stage.path("gate.xml"));
    let files = [&markdown, &junit].map(|path| path.display().to_string());
    let more = [
        "--json",
        "--keep-blocks",
        "--metric",
        "words",
        "--markdown",
        &files[0],
        "--junit",
        &files[1],
    ];
    let ended = benches.gate(&program, &program, &more);
    ended.assert_code(0);
    let printed: GateRecord = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
    assert_eq!(printed, gate_record(&ended));
    assert_eq!(printed.verdict, GateVerdict::Pass, "{ended}");
    assert!(metric(&printed, "words").decides && !metric(&printed, "sum/8").decides);
    let kept = printed.blocks[0].folder.as_deref().expect("it was kept");
    let slice = gate_folder(&ended)
        .join(kept)
        .join("slice-01/home/words/new/sample.json");
    assert!(slice.is_file(), "{}", slice.display());
    let markdown = fs::read_to_string(markdown).expect("written");
    assert!(markdown.starts_with("<!-- squall-gate -->") && markdown.contains("words"));
    let junit = fs::read_to_string(junit).expect("written");
    assert!(
        junit.contains("name=\"words\"") && junit.contains("sum/8"),
        "{junit}"
    );
}

#[test]
fn what_is_no_program_of_criterion_is_refused() {
    let benches = Benches::new();
    let good = benches.program(100, "sum/8", "");
    let refused = |candidate: &str, more: &[&str], code: Exit, told: &[&str]| {
        let ended = benches.gate(&good, candidate, more);
        ended.assert_code(i32::from(code.code())).assert_nothing_left();
        for told in told {
            assert!(ended.stderr.contains(told), "{told}\n{ended}");
        }
    };
    refused(
        "sh -c 'echo 0 tests, 0 benchmarks'",
        &[],
        Exit::Usage,
        &["the candidate", "harness = false", "0 tests, 0 benchmarks"],
    );
    refused("sh -c 'exit 3'", &[], Exit::ExpectationNotMet, &["exit code 3"]);
    refused("./is-not-there", &[], Exit::MissingCapability, &["is-not-there"]);
    refused(
        &benches.program(100, "sum/8", "exit 0"),
        &[],
        Exit::ExpectationNotMet,
        &["CRITERION_HOME"],
    );
    refused(
        &benches.program(100, "other", ""),
        &[],
        Exit::Usage,
        &["no benchmark is in both arms", "sum/8", "other"],
    );
    let left = benches.stage.reports().join("work");
    assert!(!left.exists(), "gates that did not begin leave no folders");

    // The base: there is nothing to be held against.
    let ended = benches.gate("sh -c 'exit 3'", &good, &[]);
    ended.assert_code(0);
    let none = gate_record(&ended);
    assert_eq!((none.verdict, none.end), (GateVerdict::NoBase, GateEnd::NoBase));
    assert!(none.reasons[0].starts_with("the base: "), "{:?}", none.reasons);
}

#[test]
fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let benches = Benches::new();
    let good = benches.program(100, "sum/8", "");
    let hangs = benches.program(100, "sum/8", "sleep 1000 & sleep 1000");
    let ended = benches.gate(&good, &hangs, &["--budget", "1s"]);
    ended
        .assert_code(i32::from(Exit::ExpectationNotMet.code()))
        .assert_nothing_left();
    assert!(ended.stderr.contains("took longer than 10 s"), "{ended}");

    // Later, in a block: the third time that it measures.
    let count = benches.stage.path("count");
    let later = format!(
        "echo >> {0}; test $(wc -l < {0}) -lt 4 || exit 7",
        count.display()
    );
    let ended = benches.gate(&good, &benches.program(100, "sum/8", &later), &[]);
    ended
        .assert_code(i32::from(Exit::ExpectationNotMet.code()))
        .assert_nothing_left();
    let record = gate_record(&ended);
    assert_eq!(record.end, GateEnd::Broken, "{ended}");
    assert!(
        record.reasons[0].starts_with("candidate: ") && record.reasons[0].contains("exit code 7"),
        "{:?}",
        record.reasons
    );
}

#[test]
fn too_little_time_is_said_before_it_is_spent() {
    let benches = Benches::new();
    let slow = benches.program(100, "sum/8", "sleep 0.3");
    let ended = benches.gate(&slow, &slow, &["--budget", "1s"]);
    ended.assert_code(0);
    assert!(
        ended
            .stderr
            .contains("too few to decide anything: a budget of 1m would do"),
        "{ended}"
    );
    let record = gate_record(&ended);
    assert_eq!(
        (record.verdict, record.end),
        (GateVerdict::Inconclusive, GateEnd::Budget),
        "{ended}"
    );
    assert_eq!(record.benchmarks.expect("how they were run").slices, 1);
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let stage = Stage::shared();
    for arguments in [
        &["shop", "--criterion", "work"][..],
        &[
            "--criterion",
            "work",
            "--base-at",
            "127.0.0.1:1",
            "--candidate-at",
            "127.0.0.1:2",
        ],
        &["--criterion", "work", "--base-set", "a=1"],
        &["--criterion", "work", "--candidate-set", "a=1"],
        &["--criterion", "work", "--set", "a=1"],
        &["--criterion", "work", "--base", "main", "--base-cmd", "x"],
        &["--criterion", "work", "--base-cmd", "x"],
        &[
            "--criterion",
            "work",
            "--base-cmd",
            "x",
            "--candidate-cmd",
            "y",
            "--candidate-cmd",
            "z",
        ],
        &[
            "--criterion",
            "../work",
            "--base-cmd",
            "x",
            "--candidate-cmd",
            "y",
        ],
        &["--criterion", "work", "--margin", "6%"],
        &["--criterion", "work", "--tolerance", "0.1"],
        &["--criterion", "work", "--tolerance", "2%"],
        &["shop", "--margin", "3%"],
        &["shop", "--tolerance", "9%"],
        &["shop", "--package", "a"],
        &["shop", "--filter", "a"],
        &[],
    ] {
        let ended = stage.squall(&[&["gate"], arguments].concat());
        ended.assert_code(i32::from(Exit::Usage.code()));
        assert!(ended.stderr.contains("error: "), "{ended}");
    }
}

#[test]
fn a_gate_that_is_interrupted_or_killed_leaves_nothing_running() {
    let benches = Benches::new();
    let slow = benches.program(100, "sum/8", "sleep 0.3");
    let begun = |block: &str| {
        let gates = fs::read_dir(benches.stage.reports().join("work"));
        let mut gates = gates.into_iter().flatten().flatten();
        gates.any(|gate| gate.path().join("blocks").join(block).join("slice-01").exists())
    };
    let running = benches.stage.start(benches.command(&slow, &slow, &[]));
    eventually("the second block begins", PATIENCE, || begun("002"));
    running.signal(Signal::INT);
    let ended = running.wait();
    ended
        .assert_code(i32::from(Exit::Interrupted.code()))
        .assert_nothing_left();
    let interrupted = gate_record(&ended);
    assert_eq!(
        (interrupted.verdict, interrupted.end),
        (GateVerdict::Inconclusive, GateEnd::Interrupted)
    );
    let left = fs::read_dir(gate_folder(&ended).join("blocks"))
        .expect("there")
        .count();
    assert_eq!(left, 0, "the block that was cut short has gone");

    fs::remove_dir_all(benches.stage.reports()).expect("removed");
    let running = benches.stage.start(benches.command(&slow, &slow, &[]));
    let pid = running.pid();
    eventually("a program measures", PATIENCE, || {
        begun("001")
            && processes::of_run(pid)
                .iter()
                .any(|process| process.command.contains("sleep"))
    });
    running.signal(Signal::KILL);
    let ended = running.wait();
    ended.wait_until_nothing_left(PATIENCE);
    let reports = benches.stage.reports();
    let cleaned = benches
        .stage
        .squall(&["clean".as_ref(), "--out".as_ref(), reports.as_os_str()]);
    cleaned.assert_code(0);
    assert!(
        cleaned.stdout.contains("undone: every process of this run"),
        "{cleaned}"
    );
}

/// A bench target without a crate: the time of its one benchmark stands in it.
const MAIN: &str = r##"
use std::{env, fs, path::Path};
fn main() {
    assert!(Path::new("Cargo.toml").is_file(), "run where cargo bench would run it");
    if env::args().any(|word| word == "--list") {
        println!("sort 10k: benchmark");
        return;
    }
    let folder = Path::new(&env::var_os("CRITERION_HOME").unwrap()).join("sort 10k/new");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("benchmark.json"), r#"{"full_id":"sort 10k"}"#).unwrap();
    let times: Vec<f64> = (1..=10).map(|n| f64::from(n) * EACH).collect();
    let iters: Vec<f64> = (1..=10).map(f64::from).collect();
    fs::write(folder.join("sample.json"), format!("{{\"iters\":{iters:?},\"times\":{times:?}}}")).unwrap();
}
"##;

/// The shortest gate of a scenario.
const SHOP: &str = "squall: 1
name: shop
about: A law, briefly.
services: { law: { use: delay-law } }
load: { ask: { to: law, http: { get: / }, rate: 100/s, timeout: 5s } }
phases: [ { phase: steady, for: 1s, baseline: true } ]
gate: { slice: 500ms, slices: 1, warm_up: 100ms }
";

#[test]
fn a_bench_target_is_built_from_both_revisions_and_a_commit_may_accept_what_it_costs() {
    let stage = Stage::alone();
    let root = stage.path("a project");
    fs::create_dir_all(root.join("inner/benches")).expect("made");
    let put = |name: &str, text: &str| fs::write(root.join(name), text).expect("written");
    let package = "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n";
    put("inner/Cargo.toml", package);
    put("inner/lib.rs", "");
    put(".gitignore", "target\n");
    git(&root, &["init", "-q"]);
    git(&root, &["add", "."]);
    git(&root, &["commit", "-qm", "without benchmarks"]);
    let gate = |base: &str, more: &[&str]| {
        let _ = fs::remove_dir_all(stage.reports());
        let mut command = Stage::command(&["gate", "--criterion", "work", "--base", base]);
        command.args(more).arg("--out").arg(stage.reports());
        // Not in the repository's root, and no cache but the test's own.
        command
            .current_dir(root.join("inner"))
            .env("XDG_CACHE_HOME", stage.path("cache"));
        stage.start(command).wait_within(LONG)
    };
    put(
        "inner/Cargo.toml",
        &format!("{package}[[bench]]\nname = \"work\"\nharness = false\n"),
    );
    put("inner/benches/work.rs", &MAIN.replace("EACH", "1000.0"));
    let ended = gate("HEAD", &[]);
    ended.assert_code(0);
    let none = gate_record(&ended);
    assert_eq!(none.verdict, GateVerdict::NoBase);
    assert!(
        none.reasons[0].contains("the base does not build"),
        "{:?}",
        none.reasons
    );

    git(&root, &["add", "."]);
    git(&root, &["commit", "-qm", "with benchmarks"]);
    git(&root, &["checkout", "-qb", "work"]);
    put("inner/benches/work.rs", &MAIN.replace("EACH", "1300.0"));
    let ended = gate("main", &[]);
    ended.assert_code(i32::from(Exit::Regression.code()));
    let regressed = gate_record(&ended);
    let found = metric(&regressed, "sort 10k").finding.expect("it was looked at");
    assert!((found.estimate - 1.3).abs() < 1e-6, "{found:?}");
    assert!(!regressed.same_binary && regressed.arms.candidate.revision.ends_with("-dirty"));

    let message = "sort in another way\n\nSquall-Accept: sort 10k +40% it is stable now";
    git(&root, &["commit", "-qam", message]);
    let ended = gate("main", &[]);
    ended.assert_code(0);
    let accepted = gate_record(&ended);
    assert!(
        metric(&accepted, "sort 10k").finding.expect("looked at").accepted,
        "{ended}"
    );
    assert!(
        accepted.arms.base.build_us.is_none(),
        "the base is there from before"
    );

    // Of a scenario, a metric has to be named as one.
    git(
        &root,
        &[
            "commit",
            "-q",
            "--amend",
            "-m",
            &message.replace("10k", "10k.time"),
        ],
    );
    put("inner/shop.yaml", SHOP);
    let both = gate("main", &["shop.yaml", "--json", "--budget", "1s"]);
    both.assert_code(0).assert_nothing_left();
    let records: Vec<GateRecord> = serde_json::from_str(&both.stdout).expect("a record for each");
    let gates: Vec<(&str, u32)> = records
        .iter()
        .map(|record| (record.scenario.as_str(), record.gates))
        .collect();
    assert_eq!(
        gates,
        [("shop", 2), ("work", 2)],
        "they share the chance of a false alarm"
    );
}
