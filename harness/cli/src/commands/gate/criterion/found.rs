//! The two programs of a gate of micro-benchmarks: a bench target of two revisions, both built, or two commands.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use squall_engine::criterion::Program;
use squall_engine::record::revision;
use squall_model::gate::{AcceptedRecord, Arm, ArmAbout, Both, MetricKind};
use squall_report::gate::metric::MetricId;

use super::super::places::revisions;
use super::super::rounds::Course;
use super::NotGated;
use crate::arms::{self, Arms, Request};

/// The base where none is named: what is not committed yet is held against what is.
const BASE: &str = "HEAD";

/// Both programs, found or built.
pub struct Found {
    /// How each is started.
    pub programs: Both<Program>,
    /// What each arm is called.
    pub about: Both<ArmAbout>,
    /// Regressions of benchmarks that commits accept.
    pub accepted: Vec<AcceptedRecord>,
    /// Keeps the base from being cleared away.
    pub arms: Option<Arms>,
}

impl Found {
    /// Finds and builds them.
    pub fn of(course: &Course<'_>, bench: &str, here: &Path, folder: &Path) -> Result<Found, NotGated> {
        let arguments = course.arguments;
        if let ([base], [candidate]) = (arguments.base_cmd.as_slice(), arguments.candidate_cmd.as_slice()) {
            return Ok(Found::commands(base, candidate, here)?);
        }
        let base = arguments.base.as_deref().unwrap_or(BASE);
        let command = arms::bench::command(bench, arguments.package.as_deref(), here);
        let request = Request {
            scenario_folder: here,
            base,
            build: Some(vec![command.clone()]),
            logs: folder,
            of_benchmarks: true,
            within: None,
            stop: &course.stop,
            environment: Vec::new(),
        };
        let (arms, about) = revisions(course, &request)?;
        let built = arms::bench::find(&arms, &command, bench, folder, &course.stop)?;
        let program = |arm: Arm| {
            let built = built.of(arm);
            Program {
                words: vec![built.executable.clone().into()],
                directory: Some(built.package.clone()),
                // As `cargo bench` does.
                env: vec![("CARGO_MANIFEST_DIR".into(), built.package.clone().into())],
            }
        };
        Ok(Found {
            programs: Both::from_fn(program),
            about,
            accepted: of_benchmarks(&arms.accepted),
            arms: Some(arms),
        })
    }

    fn commands(base: &str, candidate: &str, here: &Path) -> anyhow::Result<Found> {
        let program = |flag: &str, command: &str| {
            let words =
                shlex::split(command).with_context(|| format!("{flag} {command}: a quote is not closed"))?;
            ensure!(!words.is_empty(), "{flag}: it is empty");
            Ok(Program {
                words: words.into_iter().map(OsString::from).collect(),
                ..Program::default()
            })
        };
        let about = |command: &str| ArmAbout {
            about: command.to_owned(),
            revision: revision(here),
            build_us: None,
        };
        Ok(Found {
            programs: Both {
                base: program("--base-cmd", base)?,
                candidate: program("--candidate-cmd", candidate)?,
            },
            about: Both {
                base: about(base),
                candidate: about(candidate),
            },
            accepted: Vec::new(),
            arms: None,
        })
    }
}

/// What commits accept of benchmarks: what is named as a metric of a scenario is of some scenario.
fn of_benchmarks(accepted: &[AcceptedRecord]) -> Vec<AcceptedRecord> {
    let of_scenarios = |name: &str| MetricId::parse(name).is_some_and(|id| id.kind != MetricKind::Time);
    let all = accepted.iter().filter(|one| !of_scenarios(&one.metric));
    all.cloned().collect()
}

/// Whether both are surely the same program: of a script its bytes say nothing.
pub fn is_same(programs: &Both<Program>) -> bool {
    let bytes = |program: &Program| {
        let bytes = fs::read(Path::new(program.words.first()?)).ok()?;
        bytes.starts_with(b"\x7fELF").then_some(bytes)
    };
    let base = bytes(&programs.base);
    base.is_some() && base == bytes(&programs.candidate)
}
