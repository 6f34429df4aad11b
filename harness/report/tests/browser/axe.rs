//! Accessibility by the rules of axe-core, which comes from npm when the tests run and is no part of this repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::chromium::{chromium, not_checked};
use crate::page;
use crate::tab::{SCREEN, Screen, Tab, text};

const PACKAGE: &str = "axe-core@4.10.3";

/// axe-core as text: named by `SQUALL_AXE`, or kept from before, or fetched. Why it can't be had otherwise.
fn axe() -> Result<String, String> {
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    if let Some(named) = std::env::var_os("SQUALL_AXE") {
        return read(Path::new(&named));
    }
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let script = kept.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        fetch(&kept)?;
    }
    read(&script)
}

/// Fetches it beside where it is kept, so that what is cut off is never taken for whole.
fn fetch(kept: &Path) -> Result<(), String> {
    let parent = kept.parent().expect("it has a parent");
    let folder = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
    let fetched = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-fund",
            "--no-audit",
            "--ignore-scripts",
            PACKAGE,
            "--prefix",
        ])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm is not here: {error}"))?;
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr);
        return Err(said.lines().last().unwrap_or("npm failed").to_owned());
    }
    // Another test process may have been first; then what it fetched is as good.
    let _ = std::fs::rename(folder.keep(), kept);
    Ok(())
}

#[test]
fn accessibility_rules_find_nothing_serious_at_two_widths_in_both_themes() {
    let Some(browser) = chromium() else { return };
    let axe = match axe() {
        Ok(axe) => axe,
        Err(why) => return not_checked("the rules of axe-core", &why),
    };
    let screens = [(1280, false), (1280, true), (360, false), (360, true)];
    let pages = [
        page(),
        crate::comparing::two_scenarios(),
        crate::index::page(),
        crate::gate::page(),
    ];
    for (page, (width, dark)) in pages.iter().flat_map(|page| screens.map(|screen| (page, screen))) {
        let screen = Screen {
            width,
            dark,
            ..SCREEN
        };
        let mut tab = Tab::open(&browser, screen, page, "#t=20-30");
        tab.eval::<Value>(&format!("{axe}; null"));
        let found: Value = tab.eval(
            "axe.run(document, { resultTypes: ['violations'] }).then(({ violations, passes }) => ({ passes: passes.length, violations:
               violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.slice(0, 3).map(node => node.html.slice(0, 200) + node.failureSummary) })) }))",
        );
        assert!(
            found["passes"].as_u64() > Some(15),
            "too few rules were run: {}",
            found["passes"]
        );
        let violations = found["violations"].as_array().expect("a list");
        let grave: Vec<&Value> = violations
            .iter()
            .filter(|one| ["serious", "critical"].contains(&text(&one["impact"]).as_str()))
            .collect();
        assert!(grave.is_empty(), "at {width}, dark {dark}: {grave:#?}");
    }
}
