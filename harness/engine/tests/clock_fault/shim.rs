//! The library's own arithmetic and its lock-free read, tighter than any real program would try them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use squall_engine::fault::clock::{ClockError, ClockLaw, KernelClock, Slope};

use super::target::{SECOND, Setup};

fn shim_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clock_shim.{}", std::process::id()));
        let made = Command::new("cc")
            .args([
                "-O2",
                "-std=gnu11",
                "-pthread",
                "-fno-delete-null-pointer-checks",
                "-o",
            ])
            .arg(&program)
            .arg(engine.join("tests/clock_fault/shim.c"))
            .arg("-I")
            .arg(engine.join("src/fault/clock/preload"))
            .status();
        assert!(made.unwrap().success());
        program
    })
}

/// How many reads were wrong while so many laws were published.
fn wrong_reads(how: &str, laws: &str) -> String {
    let output = Command::new(shim_program()).args([how, laws]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_read_never_mixes_two_laws() {
    assert_eq!(wrong_reads("publish", "5000000"), "0\n");
}

#[test]
fn a_law_published_in_the_middle_of_a_read_counts() {
    assert_eq!(wrong_reads("midway", "1000"), "0\n");
}

#[test]
fn the_library_computes_what_the_law_says() {
    const NOW: i64 = 1_760_000_000 * SECOND;
    let setup = Setup::new();
    let drift = |ppb| Slope::from_ppb(ppb).unwrap();
    let slopes = [
        Slope::NONE,
        Slope::FROZEN,
        drift(1),
        drift(-1),
        drift(123_456_789),
        drift(999_999_999),
        drift(-999_999_999),
    ];
    let mut real: Vec<i64> = vec![0, 1, SECOND - 1, SECOND, SECOND + 1, NOW, NOW - 1, NOW + 1];
    real.extend((0..62).map(|bit| NOW + (1 << bit) / 7));
    for slope in slopes {
        for offset_ns in [0, 1, -1, SECOND, -50_000_000, -2 * NOW, NOW / 3] {
            for origin_ns in [0, NOW, NOW + 12_345] {
                check(
                    &setup,
                    ClockLaw {
                        offset_ns,
                        origin_ns,
                        slope,
                    },
                    &real,
                );
            }
        }
    }
}

fn check(setup: &Setup, law: ClockLaw, real: &[i64]) {
    setup
        .page
        .update(|laws| {
            let mut laws = *laws;
            laws.set(KernelClock::Realtime, law);
            Ok::<_, ClockError>(laws)
        })
        .unwrap();
    let questions = real.iter().fold(String::new(), |mut text, real_ns| {
        writeln!(text, "{real_ns}").unwrap();
        text
    });
    let mut child = Command::new(shim_program())
        .arg("apply")
        .arg(setup.page.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(questions.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{law:?}: {}", output.status);
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), real.len());
    for (answer, real_ns) in answers.lines().zip(real) {
        let (shown, moment) = answer.split_once(' ').unwrap();
        let (shown, moment) = (shown.parse::<i64>().unwrap(), moment.parse::<i64>().unwrap());
        assert_eq!(shown, law.at(*real_ns), "{law:?} at {real_ns}");
        if (1..1 << 62).contains(&moment) {
            keeps_deadline(law, shown, moment);
        }
    }
}

/// The clock shows its deadline at the moment it is due, and not already two nanoseconds before.
fn keeps_deadline(law: ClockLaw, deadline: i64, moment: i64) {
    assert!(
        law.at(moment) >= deadline,
        "{law:?} ends {deadline} early, at {moment}"
    );
    if law.slope != Slope::FROZEN {
        let shortly_before = law.at(moment - 3);
        assert!(
            shortly_before <= deadline,
            "{law:?} ends {deadline} late, at {moment}"
        );
    }
}
