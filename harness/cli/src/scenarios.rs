//! Finding scenarios and reading them into plans.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use squall_engine::plan::{self, Plan, Settings};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::gate::Arm;
use squall_model::node::Limits;
use squall_model::scenario::{self, Scenario};
use squall_model::span::Sources;
use squall_model::units::human;

use crate::{baseline_files, catalogue};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// The folder in which bare names are looked up.
const FOLDER: &str = "scenarios";

/// A scenario as read.
pub struct Read {
    /// As the user gave it.
    pub name: String,
    /// The plan, if nothing is wrong.
    pub plan: Option<Plan>,
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
    /// Its tags; unknown where it could not be read.
    pub tags: Option<Vec<String>>,
    /// Values that must not be shown.
    secrets: Vec<String>,
}

impl Read {
    /// `text` without the secrets.
    pub fn redacted(&self, text: String) -> String {
        redacted(text, &self.secrets)
    }
}

/// How scenarios are to be read.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The seed to use instead of the scenario's.
    pub seed: Option<u64>,
    /// Scale phases down.
    pub quick: bool,
    /// Values to change.
    pub overrides: Vec<String>,
    /// Hosts besides this machine on which load may be put.
    pub allow_hosts: Vec<String>,
    /// What `{arm}` stands for.
    pub arm: Arm,
    /// Where runs land, for what is stored there of earlier ones; nothing where no expectation will be judged.
    pub reports: Option<PathBuf>,
    /// The folder that the scenario's paths are relative to, where it is not the scenario's own.
    pub base: Option<PathBuf>,
}

/// The file that `name` means: a path, or the bare name of a file in `scenarios/`.
pub fn find(name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    let is_bare = !name.contains('/') && path.extension().is_none();
    if is_bare && !path.exists() {
        Path::new(FOLDER).join(format!("{name}.yaml"))
    } else {
        path
    }
}

/// Every scenario file in `scenarios/`, by name; none if the folder isn't there.
pub fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        })
        .collect();
    paths.sort();
    paths
}

/// Reads and plans one scenario. An `Err` is about Squall itself; everything about the scenario is a diagnostic.
pub fn read(name: &str, how: &How) -> anyhow::Result<Read> {
    let path = find(name);
    let shown = path.display().to_string();
    let text = match read_bounded(&path) {
        Ok(text) => text,
        Err(why) => return Ok(unreadable(shown, name, &path, &why)),
    };
    let environment = |variable: &str| std::env::var(variable).ok();
    let (scenario, mut diagnostics, sources) =
        scenario::parse_with(&shown, &text, &how.overrides, &environment);
    let Some(scenario) = scenario else {
        return Ok(Read {
            name: shown,
            plan: None,
            diagnostics,
            sources,
            tags: None,
            secrets: Vec::new(),
        });
    };
    let base = how.base.as_deref().unwrap_or_else(|| folder_of(&path));
    let secrets = secrets(&scenario);
    let settings = Settings {
        secrets: secrets.clone(),
        seed: how.seed,
        drawn: draw_seed()?,
        quick: how.quick,
        base: std::fs::canonicalize(base)?,
        allow_hosts: how.allow_hosts.clone(),
        arm: how.arm,
        stored: how
            .reports
            .as_deref()
            .and_then(|reports| baseline_files::stored(reports, &scenario, &how.overrides)),
        source: secrets
            .iter()
            .fold(text, |text, value| text.replace(value, REDACTED)),
    };
    let plan = plan::compile(&scenario, &catalogue::catalogue()?, settings, &mut diagnostics);
    for value in &secrets {
        diagnostics.redact(value, REDACTED);
    }
    let tags = scenario.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    Ok(Read {
        name: shown,
        plan,
        diagnostics,
        sources,
        tags: Some(tags),
        secrets,
    })
}

/// The folder of a scenario, which its paths are relative to.
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A text that is far too large is read only so far that its size is noticed.
fn read_bounded(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if file.metadata().map_err(|e| e.to_string())?.is_dir() {
        return Err("it is a folder".to_owned());
    }
    let (size, limit) = (
        file.metadata().map_or(0, |meta| meta.len()),
        Limits::SCENARIO.bytes as u64,
    );
    if size > limit {
        return Err(format!(
            "it is too large: it has {}, and at most {} are read",
            human::bytes(size),
            human::bytes(limit)
        ));
    }
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8: {e}"))
}

fn unreadable(shown: String, name: &str, path: &Path, why: &str) -> Read {
    let mut diagnostics = Diagnostics::new();
    let mut sources = Sources::new();
    let id = sources.add(shown.clone(), "");
    let span = squall_model::span::Span::new(id, 0..0);
    let known: Vec<String> = all()
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    let wanted = Path::new(name)
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let help = squall_model::diagnostic::suggest(&wanted, known.iter().map(String::as_str));
    let error = Diagnostic::error(
        span,
        format!("the scenario {} can't be read: {why}", path.display()),
    );
    diagnostics.push(error.help_if(help));
    Read {
        name: shown,
        plan: None,
        diagnostics,
        sources,
        tags: None,
        secrets: Vec::new(),
    }
}

/// The values of the environment variables that a scenario calls secret.
fn secrets(scenario: &Scenario) -> Vec<String> {
    let values = scenario
        .secrets
        .iter()
        .filter_map(|name| std::env::var(name.as_str()).ok());
    values.filter(|value| !value.is_empty()).collect()
}

fn redacted(text: String, secrets: &[String]) -> String {
    secrets
        .iter()
        .fold(text, |text, value| text.replace(value, REDACTED))
}

/// A seed where none is given. Short enough to be typed again.
pub fn draw_seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}
