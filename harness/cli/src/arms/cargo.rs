//! What a Cargo project needs so that two working trees of it build apart, and the second one soon.
//!
//! Two trees must never share a build folder: Cargo names the crates of a workspace by their place below its root and decides by
//! file times what is fresh, so a base built in the candidate's folder *is* the candidate, without a word. What can be
//! shared are the crates of registries and of git, which are the same wherever they are built: they are copied before the base is
//! built. Nothing here ever writes to the candidate's folders.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::lock::{self, Lock, Sharing};
use super::program::{Ended, Surroundings, capture};
use super::settings::Commands;

/// Reading a workspace's manifests takes moments.
const METADATA_WITHIN: Duration = Duration::from_mins(2);

/// Folders inside folders that are copied of what a build script made.
const DEEPEST: usize = 64;

/// Where Cargo builds a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// The workspace's root.
    pub workspace_root: PathBuf,
    /// Where its programs end up.
    pub target_directory: PathBuf,
    /// Where everything between is; absent before Cargo 1.91, where it is the same folder.
    build_directory: Option<PathBuf>,
}

impl Project {
    /// The workspace that `commands` build in `root`; `None` where Cargo knows none.
    pub fn of(root: &Path, commands: &Commands, surroundings: &Surroundings<'_>) -> Option<Project> {
        let manifest = commands
            .iter()
            .filter(|words| is_cargo(words))
            .find_map(|words| option(words, "--manifest-path"));
        let manifest = root.join(manifest.unwrap_or("Cargo.toml"));
        if !manifest.is_file() {
            return None;
        }
        let mut command = surroundings.command("cargo");
        command.args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
        ]);
        command.arg(&manifest).current_dir(root);
        let output = capture(&mut command, METADATA_WITHIN, surroundings.stop).ok()?;
        let is_well = matches!(output.ended, Ended::Exited(status) if status.success());
        is_well
            .then(|| serde_json::from_slice(&output.out).ok())
            .flatten()
    }

    fn build_directory(&self) -> &Path {
        self.build_directory.as_deref().unwrap_or(&self.target_directory)
    }

    /// The variables with which the workspace at `root` is built in folders of its own, also where the user's configuration has one
    /// folder for all workspaces.
    pub fn kept_apart(&self, root: &Path) -> Vec<(String, OsString)> {
        let own = || self.workspace_root.join("target").into_os_string();
        let mut variables = Vec::new();
        if !self.target_directory.starts_with(root) {
            variables.push(("CARGO_TARGET_DIR".to_owned(), own()));
        }
        if !self.build_directory().starts_with(root) {
            variables.push(("CARGO_BUILD_BUILD_DIR".to_owned(), own()));
        }
        variables
    }
}

/// Gives `to`, built in `target`, the lock file of `from` if it has none: without one, the same revision would be built with other
/// crates as time goes by. Says whether it did.
pub fn share_lock_file(from: &Project, to: &Project) -> io::Result<bool> {
    let [own, other] = [to, from].map(|project| project.workspace_root.join("Cargo.lock"));
    if own.exists() || !other.is_file() {
        return Ok(false);
    }
    fs::copy(other, own).map(|_| true)
}

/// Copies what `from` has built of crates from registries and git to where `to` builds, and returns of how many units. A
/// profile that `to` has built already is left alone.
pub fn seed(from: &Project, to: &Project, commands: &Commands) -> io::Result<usize> {
    let crates = foreign_crates(&fs::read_to_string(from.workspace_root.join("Cargo.lock"))?);
    let mut units = 0;
    for profile in profiles(commands) {
        for folder in profile_folders(from.build_directory(), &profile) {
            let source = from.build_directory().join(&folder);
            let target = to.build_directory().join(&folder);
            if target.join(FINGERPRINTS).exists() {
                continue;
            }
            // What somebody is building at this moment may be half written.
            if let Some(_lock) = resting(&source)? {
                units += seed_profile(&source, &target, &crates)?;
            }
        }
    }
    Ok(units)
}

/// Keeps Cargo from building in a profile's folder; `None` where it is.
fn resting(folder: &Path) -> io::Result<Option<Lock>> {
    let path = folder.join(".cargo-lock");
    if !path.exists() {
        return Ok(None);
    }
    lock::try_take(&path, Sharing::Shared)
}

/// Where Cargo keeps what it knows of each unit, in a folder `NAME-HASH`.
const FINGERPRINTS: &str = ".fingerprint";

/// Whether a command is Cargo's.
pub fn is_cargo(words: &[String]) -> bool {
    let program = words.first().map(Path::new).and_then(Path::file_name);
    program == Some(OsStr::new("cargo"))
}

/// A folder outside the arm that a command would build into, which would be that of both arms.
pub fn shared_target(words: &[String]) -> Option<&str> {
    let folder = option(words, "--target-dir").filter(|_| is_cargo(words))?;
    Path::new(folder).is_absolute().then_some(folder)
}

/// The value of an option, as `--name VALUE` or `--name=VALUE`.
fn option<'w>(words: &'w [String], name: &str) -> Option<&'w str> {
    let words = words.iter().take_while(|word| *word != "--");
    let mut words = words.map(String::as_str);
    while let Some(word) = words.next() {
        if word == name {
            return words.next();
        }
        if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value);
        }
    }
    None
}

/// The folders' names of the profiles that commands build.
fn profiles(commands: &Commands) -> BTreeSet<String> {
    let of = |words: &Vec<String>| {
        let command = words.iter().skip(1).find(|word| !word.starts_with(['+', '-']));
        let is_release = words.iter().any(|word| word == "--release" || word == "-r")
            || command.is_some_and(|command| command == "bench");
        match option(words, "--profile") {
            Some("dev" | "test") => "debug".to_owned(),
            Some("bench") => "release".to_owned(),
            Some(name) => name.to_owned(),
            None if is_release => "release".to_owned(),
            None => "debug".to_owned(),
        }
    };
    let is_plain = |name: &String| !name.is_empty() && !name.contains(['/', '.']);
    commands
        .iter()
        .filter(|words| is_cargo(words))
        .map(of)
        .filter(is_plain)
        .collect()
}

/// The folders of a profile in a build folder: the host's, and those below the name of a target.
fn profile_folders(build: &Path, profile: &str) -> Vec<PathBuf> {
    let below = fs::read_dir(build).into_iter().flatten().flatten();
    let names = below.map(|entry| PathBuf::from(entry.file_name()).join(profile));
    let all = std::iter::once(PathBuf::from(profile)).chain(names);
    all.filter(|folder| build.join(folder).join(FINGERPRINTS).is_dir())
        .collect()
}

/// The crates of a lock file that come from elsewhere. One that shares its name with a crate of the workspace is not among them.
fn foreign_crates(lock_file: &str) -> BTreeSet<String> {
    let Ok(top) = DeTable::parse(lock_file) else {
        return BTreeSet::new();
    };
    let mut foreign = BTreeSet::new();
    let mut own = BTreeSet::new();
    let packages = top
        .get_ref()
        .get("package")
        .and_then(|packages| packages.get_ref().as_array());
    for package in packages.into_iter().flat_map(|packages| packages.iter()) {
        let DeValue::Table(package) = package.get_ref() else {
            continue;
        };
        let Some(name) = package.get("name").and_then(|name| name.get_ref().as_str()) else {
            continue;
        };
        let side = if package.contains_key("source") {
            &mut foreign
        } else {
            &mut own
        };
        side.insert(name.to_owned());
    }
    &foreign - &own
}

/// Copies the units of `crates`. A unit's fingerprint comes last: without one, Cargo builds it again.
fn seed_profile(source: &Path, target: &Path, crates: &BTreeSet<String>) -> io::Result<usize> {
    let mut made: HashMap<String, Vec<OsString>> = HashMap::new();
    for entry in fs::read_dir(source.join("deps"))?.flatten() {
        if let Some(hash) = hash_of(&entry.file_name().to_string_lossy()) {
            made.entry(hash.to_owned()).or_default().push(entry.file_name());
        }
    }
    for folder in ["deps", "build", FINGERPRINTS] {
        fs::create_dir_all(target.join(folder))?;
    }
    let mut units = 0;
    for entry in fs::read_dir(source.join(FINGERPRINTS))?.flatten() {
        let unit = entry.file_name();
        let name = unit.to_string_lossy();
        let Some((_, hash)) = name.rsplit_once('-').filter(|(of, _)| crates.contains(*of)) else {
            continue;
        };
        for file in made.get(hash).into_iter().flatten() {
            let below = Path::new("deps").join(file);
            copy(&source.join(&below), &target.join(&below), DEEPEST)?;
        }
        for folder in ["build", FINGERPRINTS] {
            let below = Path::new(folder).join(&unit);
            if source.join(&below).exists() {
                copy(&source.join(&below), &target.join(&below), DEEPEST)?;
            }
        }
        units += 1;
    }
    Ok(units)
}

/// The unit that a file among `deps` is of: `libserde-0123456789abcdef.rlib`.
fn hash_of(name: &str) -> Option<&str> {
    const DIGITS: usize = 16;
    name.match_indices('-').find_map(|(dash, _)| {
        let hash = name.get(dash + 1..dash + 1 + DIGITS)?;
        let ends = name[dash + 1 + DIGITS..].chars().next().is_none_or(|c| c == '.');
        (ends && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
    })
}

/// Whether a file is never written to again, so that two folders may have the same one: libraries, which are most of the bytes and
/// which rustc puts in their place whole. A linker or a build script may write into what it finds.
fn is_final(path: &Path) -> bool {
    let is_beside = path.parent().is_some_and(|folder| folder.ends_with("deps"));
    let ending = path.extension().unwrap_or_default();
    is_beside && (ending == "rlib" || ending == "rmeta")
}

/// Copies a file, link or folder with its times, by which Cargo decides what is fresh.
fn copy(from: &Path, to: &Path, deep: usize) -> io::Result<()> {
    let about = fs::symlink_metadata(from)?;
    if about.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if about.is_dir() {
        if deep == 0 {
            return Err(io::Error::other(format!("{} is nested too deep", from.display())));
        }
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name), deep - 1)?;
        }
        return Ok(());
    }
    if !about.is_file() {
        return Ok(());
    }
    if is_final(from) && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    let times = FileTimes::new()
        .set_modified(about.modified()?)
        .set_accessed(about.accessed()?);
    File::options()
        .write(true)
        .open(to)
        .or_else(|_| File::open(to))?
        .set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &[&str]) -> Commands {
        let words = |text: &&str| text.split(' ').map(str::to_owned).collect();
        text.iter().map(words).collect()
    }

    #[test]
    fn the_profile_is_read_from_the_command() {
        let table: [(&[&str], &[&str]); 8] = [
            (&["cargo +nightly bench --no-run --bench x"], &["release"]),
            (&["cargo build --release"], &["release"]),
            (&["/usr/bin/cargo build -r"], &["release"]),
            (&["cargo build"], &["debug"]),
            (
                &["cargo build --profile=perf", "cargo b --profile bench"],
                &["perf", "release"],
            ),
            (&["cargo run -- --profile x"], &["debug"]),
            (&["cargo build --profile ../x"], &[]),
            (&["make --release"], &[]),
        ];
        for (text, expected) in table {
            let found: Vec<String> = profiles(&commands(text)).into_iter().collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn crates_of_the_workspace_are_never_foreign() {
        let text = r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "twice"
version = "1.0.0"
source = "git+https://example.org/x#1"
[[package]]
name = "twice"
version = "2.0.0"
"#;
        assert_eq!(foreign_crates(text), BTreeSet::from(["serde".to_owned()]));
        assert_eq!(foreign_crates("not = [toml"), BTreeSet::new());
    }

    #[test]
    fn the_hash_of_a_file_is_found_wherever_it_stands() {
        for (name, hash) in [
            ("libserde-0123456789abcdef.rlib", Some("0123456789abcdef")),
            ("md_5-0123456789abcdef.d", Some("0123456789abcdef")),
            (
                "x-0123456789abcdef.x.1234-cgu.0.rcgu.dwo",
                Some("0123456789abcdef"),
            ),
            ("app-0123456789abcdef", Some("0123456789abcdef")),
            ("x-0123456789abcdefa.rlib", None),
            ("plain.rlib", None),
        ] {
            assert_eq!(hash_of(name), hash, "{name}");
        }
    }
}
