//! The preload library on disk, and what a service must be started with to load it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::ClockError;
use super::page::ClockPage;
use crate::fault::SpawnNeeds;

/// The library as `build.rs` compiled it.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libsquall_clock.so"));

/// Its name on disk.
const LIBRARY_NAME: &str = "libsquall_clock.so";

/// The variable by which the library finds its page. Children inherit it, and `LD_PRELOAD` with it.
pub const PAGE_VARIABLE: &str = "SQUALL_CLOCK_PAGE";

/// Where the library and one service's page are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledClock {
    /// The library; one for all services.
    pub library: PathBuf,
    /// The service's page, on real time.
    pub page: PathBuf,
}

impl InstalledClock {
    /// What the service must be started with.
    pub fn needs(&self) -> SpawnNeeds {
        SpawnNeeds {
            preload: vec![self.library.clone()],
            env: BTreeMap::from([(PAGE_VARIABLE.to_owned(), self.page.clone().into_os_string())]),
        }
    }
}

/// Writes the library into `dir` and makes a page for a service, each unless it is there already: all faults of a
/// service share its page, and its laws outlive a restart. The folder must exist, be the run's own, allow executing,
/// and have a path that the loader can read from a list: no space, colon or dollar sign.
///
/// `service` becomes part of a file name, and must be one that a scenario may give.
pub fn install(dir: &Path, service: &str) -> Result<InstalledClock, ClockError> {
    let dir = loadable(dir)?;
    let library = dir.join(LIBRARY_NAME);
    write_library(&library).map_err(|source| ClockError::WriteLibrary {
        path: library.clone(),
        source,
    })?;
    let page = page_path(&dir, service);
    match ClockPage::open(&page) {
        Err(ClockError::OpenPage { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            ClockPage::create(&page)?
        }
        opened => opened?,
    };
    Ok(InstalledClock { library, page })
}

/// Where a service's page is, once [`install`] made it.
pub fn page_path(dir: &Path, service: &str) -> PathBuf {
    dir.join(format!("{service}.clock"))
}

/// The folder's absolute path, if a library can be loaded from there.
pub(super) fn loadable(dir: &Path) -> Result<PathBuf, ClockError> {
    let refused = |why: &str| ClockError::UnloadableFolder {
        path: dir.to_owned(),
        why: why.to_owned(),
    };
    let missing = |source| ClockError::WriteLibrary {
        path: dir.to_owned(),
        source,
    };
    let dir = dir.canonicalize().map_err(missing)?;
    if dir
        .as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b':' | b'$'))
    {
        return Err(refused(
            "its path has a space, a colon or a dollar sign, which the loader takes apart",
        ));
    }
    let flags = statvfs(&dir).map_err(|errno| missing(errno.into()))?.f_flag;
    if flags.contains(StatVfsMountFlags::NOEXEC) {
        return Err(refused("its file system is mounted noexec"));
    }
    Ok(dir)
}

/// Under another name first: a process that starts meanwhile finds the whole library or none.
fn write_library(path: &Path) -> io::Result<()> {
    if fs::read(path).is_ok_and(|found| found == LIBRARY) {
        return Ok(());
    }
    let unfinished = path.with_extension(format!("so.{}", std::process::id()));
    let mut file = File::create(&unfinished)?;
    file.write_all(LIBRARY)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::super::{ClockLaw, KernelClock, Laws};
    use super::*;

    #[test]
    fn services_share_the_library_and_have_a_page_each() {
        let dir = tempfile::tempdir().unwrap();
        let ids = install(dir.path(), "ids").unwrap();
        let feed = install(dir.path(), "feed").unwrap();
        assert_eq!(ids.library, feed.library);
        assert_ne!(ids.page, feed.page);
        assert_eq!(fs::read(&ids.library).unwrap(), LIBRARY);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_page_that_is_there_is_kept_with_its_laws() {
        let dir = tempfile::tempdir().unwrap();
        let first = install(dir.path(), "ids").unwrap();
        let page = ClockPage::open(&first.page).unwrap();
        let mut laws = Laws::REST;
        laws.set(
            KernelClock::Tai,
            ClockLaw {
                offset_ns: 7,
                ..ClockLaw::REST
            },
        );
        page.update(|_| Ok::<_, ClockError>(laws)).unwrap();
        assert_eq!(install(dir.path(), "ids").unwrap(), first);
        assert_eq!(page.read(), (2, laws));
        fs::write(dir.path().join("feed.clock"), b"something else").unwrap();
        assert!(matches!(
            install(dir.path(), "feed"),
            Err(ClockError::NotAPage { .. })
        ));
    }

    #[test]
    fn a_damaged_library_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LIBRARY_NAME), b"half").unwrap();
        let installed = install(dir.path(), "ids").unwrap();
        assert_eq!(fs::read(installed.library).unwrap(), LIBRARY);
    }

    #[test]
    fn a_folder_the_loader_cannot_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["with space", "with:colon", "$LIB"] {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            let error = install(&folder, "ids").unwrap_err().to_string();
            assert!(error.contains("which the loader takes apart"), "{error}");
        }
        assert!(matches!(
            install(&dir.path().join("none"), "ids"),
            Err(ClockError::WriteLibrary { .. })
        ));
    }
}
