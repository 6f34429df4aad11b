//! Writing a page where a command was told to.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use squall_engine::record::write_whole;

/// Writes the page, and makes the folder that it lies in.
///
/// # Errors
///
/// That `file` is a folder, or can't be written.
pub fn write(file: &Path, page: &str) -> anyhow::Result<()> {
    if file.is_dir() {
        bail!(
            "writing {}: it is a folder; --out names the page to write",
            file.display()
        );
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    write_whole(file, page.as_bytes()).with_context(|| format!("writing {}", file.display()))
}
