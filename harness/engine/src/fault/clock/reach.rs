//! Whether the clock library can reach a program, decided before anything starts by looking at its file.
//!
//! The check is there to refuse what would surely fail. What it lets through still has to leave receipts: a wrapper may
//! start something else in the end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use object::read::elf::{ElfFile, FileHeader, NoteIterator, ProgramHeader as _};
use object::{Endianness, Object as _, ReadCache, ReadRef, elf};

/// How many interpreters of interpreters the kernel follows (`BINPRM_MAX_RECURSION` and one).
const SCRIPT_DEPTH: usize = 5;

/// How much of a script's first line the kernel reads (`BINPRM_BUF_SIZE`).
const SHEBANG_BYTES: u64 = 256;

/// Why the clock library can't reach a program, and what would make it work.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// No such program.
    #[error("{} was not found: give its path, or a name that is in PATH", program.display())]
    NotFound {
        /// As it was given.
        program: PathBuf,
    },
    /// The file can't be looked at.
    #[error("{} could not be read: {source}", program.display())]
    Unreadable {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a program.
    #[error(
        "{} is neither an ELF program nor a script with a #! line: give the program that runs it, too",
        program.display()
    )]
    NotAProgram {
        /// The file.
        program: PathBuf,
    },
    /// A script whose interpreter is a script, and so on.
    #[error("{} is a script whose interpreters are scripts, more than {SCRIPT_DEPTH} deep", program.display())]
    ScriptsTooDeep {
        /// The script.
        program: PathBuf,
    },
    /// Built for another machine.
    #[error(
        "{} is built for another kind of processor than squall, whose clock library it can't load: \
         use a {} build of it",
        program.display(),
        std::env::consts::ARCH
    )]
    OtherArchitecture {
        /// The program.
        program: PathBuf,
    },
    /// No loader, so nothing to preload with.
    #[error(
        "{} is statically linked, so no library can be preloaded into it: link it dynamically with glibc",
        program.display()
    )]
    Static {
        /// The program.
        program: PathBuf,
    },
    /// Go reads the clock without the C library.
    #[error(
        "{} is written in Go, which reads the clock without the C library, so a preloaded library is never asked: \
         this version of squall can't shift its clock; aim the fault at another service",
        program.display()
    )]
    Go {
        /// The program.
        program: PathBuf,
    },
    /// The clock library needs glibc.
    #[error("{} is linked with musl and the clock library needs glibc: use a glibc build of it", program.display())]
    Musl {
        /// The program.
        program: PathBuf,
    },
    /// A loader that we don't know.
    #[error(
        "{} is started by {loader}, which isn't glibc's loader, the only one that is known to preload: \
         use a glibc build of it",
        program.display()
    )]
    OtherLoader {
        /// The program.
        program: PathBuf,
        /// What its `PT_INTERP` names.
        loader: String,
    },
    /// The loader drops preloaded libraries.
    #[error(
        "{} gains rights when it starts ({how}), so the loader ignores preloaded libraries: \
         run a copy without them, or squall as the user it runs as",
        program.display()
    )]
    Privileged {
        /// The program.
        program: PathBuf,
        /// Set-user-id, set-group-id or file capabilities.
        how: &'static str,
    },
}

/// Whether the clock of a program can be shifted. A name without a slash is looked up in this process's `PATH`;
/// scripts are followed to their interpreters.
pub fn reachable(program: &Path) -> Result<(), Unreachable> {
    reachable_on(program, std::env::var_os("PATH").as_deref())
}

/// Like [`reachable`], for a service that is started with another `PATH`.
pub fn reachable_on(program: &Path, path: Option<&OsStr>) -> Result<(), Unreachable> {
    let mut file = find(program, path)?;
    for _ in 0..=SCRIPT_DEPTH {
        match shebang(&file)? {
            None => return inspect(&file),
            Some(line) => file = interpreter(&file, &line, path)?,
        }
    }
    Err(Unreachable::ScriptsTooDeep {
        program: program.to_owned(),
    })
}

fn find(program: &Path, path: Option<&OsStr>) -> Result<PathBuf, Unreachable> {
    let missing = || Unreachable::NotFound {
        program: program.to_owned(),
    };
    let runs = |file: &Path| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.as_os_str().as_bytes().contains(&b'/') {
        return runs(program).then(|| program.to_owned()).ok_or_else(missing);
    }
    // What execvp does without PATH.
    let folders = std::env::split_paths(path.unwrap_or(OsStr::new("/bin:/usr/bin")));
    folders
        .map(|folder| folder.join(program))
        .find(|file| runs(file))
        .ok_or_else(missing)
}

/// What follows `#!`, if the file starts so.
fn shebang(file: &Path) -> Result<Option<Vec<u8>>, Unreachable> {
    let unreadable = |source| Unreachable::Unreadable {
        program: file.to_owned(),
        source,
    };
    let mut start = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(SHEBANG_BYTES).read_to_end(&mut start))
        .map_err(unreadable)?;
    let line = start
        .strip_prefix(b"#!")
        .map(|rest| rest.split(|byte| *byte == b'\n').next().unwrap_or(rest));
    Ok(line.map(<[u8]>::to_vec))
}

/// The program that a `#!` line names. `env` is looked through, since it becomes what it is told to find.
fn interpreter(script: &Path, line: &[u8], path: Option<&OsStr>) -> Result<PathBuf, Unreachable> {
    let words: Vec<OsString> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect();
    let Some((first, rest)) = words.split_first() else {
        return Err(Unreachable::NotAProgram {
            program: script.to_owned(),
        });
    };
    let first = Path::new(first);
    if first.file_name() == Some(OsStr::new("env")) {
        let is_name =
            |word: &&OsString| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
        if let Some(name) = rest.iter().find(is_name) {
            return find(Path::new(name), path);
        }
    }
    find(first, path)
}

fn inspect(program: &Path) -> Result<(), Unreachable> {
    let owned = || program.to_owned();
    let unreadable = |source| Unreachable::Unreadable {
        program: owned(),
        source,
    };
    let file = File::open(program).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    let data = ReadCache::new(file);
    let malformed = |_| Unreachable::NotAProgram { program: owned() };
    match object::FileKind::parse(&data).map_err(malformed)? {
        object::FileKind::Elf64 => {}
        object::FileKind::Elf32 => return Err(Unreachable::OtherArchitecture { program: owned() }),
        _ => return Err(Unreachable::NotAProgram { program: owned() }),
    }
    let elf = ElfFile::<elf::FileHeader64<Endianness>, _>::parse(&data).map_err(malformed)?;
    let ours = if cfg!(target_arch = "aarch64") {
        elf::EM_AARCH64
    } else {
        elf::EM_X86_64
    };
    if elf.elf_header().e_machine(elf.endian()) != ours {
        return Err(Unreachable::OtherArchitecture { program: owned() });
    }
    // Before the loader is looked at: most Go programs are static as well, and linking them otherwise wouldn't help.
    if is_go(&elf) {
        return Err(Unreachable::Go { program: owned() });
    }
    inspect_loader(program, &elf)?;
    match gains_rights(program, &meta) {
        Some(how) => Err(Unreachable::Privileged {
            program: owned(),
            how,
        }),
        None => Ok(()),
    }
}

type Elf64<'data, R> = ElfFile<'data, elf::FileHeader64<Endianness>, R>;

fn is_go<'data, R: ReadRef<'data>>(elf: &Elf64<'data, R>) -> bool {
    let section = [".go.buildinfo", ".gopclntab", ".note.go.buildid"];
    // The note is in a segment, and so survives stripping the section table.
    section.iter().any(|name| elf.section_by_name(name).is_some()) || has_go_note(elf)
}

fn has_go_note<'data, R: ReadRef<'data>>(elf: &Elf64<'data, R>) -> bool {
    let endian = elf.endian();
    let notes = elf
        .elf_program_headers()
        .iter()
        .filter_map(|segment| segment.notes(endian, elf.data()).ok()?);
    notes
        .into_iter()
        .any(|notes: NoteIterator<'_, elf::FileHeader64<Endianness>>| {
            notes.map_while(Result::ok).any(|note| note.name() == b"Go")
        })
}

fn inspect_loader<'data, R: ReadRef<'data>>(
    program: &Path,
    elf: &Elf64<'data, R>,
) -> Result<(), Unreachable> {
    let owned = || program.to_owned();
    let endian = elf.endian();
    let mut named = elf
        .elf_program_headers()
        .iter()
        .filter_map(|segment| segment.interpreter(endian, elf.data()).ok()?);
    let Some(loader) = named.next() else {
        return Err(Unreachable::Static { program: owned() });
    };
    let loader = String::from_utf8_lossy(loader).into_owned();
    match loader.rsplit('/').next() {
        Some(name) if name.starts_with("ld-linux-") => Ok(()),
        Some(name) if name.starts_with("ld-musl-") => Err(Unreachable::Musl { program: owned() }),
        _ => Err(Unreachable::OtherLoader {
            program: owned(),
            loader,
        }),
    }
}

/// Whether the kernel would tell the loader to distrust its environment (`AT_SECURE`).
fn gains_rights(program: &Path, meta: &fs::Metadata) -> Option<&'static str> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let mut nothing = [0_u8; 0];
    let capabilities = rustix::fs::getxattr(program, "security.capability", &mut nothing);
    rights(&Rights {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        runner: (user.as_raw(), group.as_raw()),
        capabilities: capabilities.is_ok_and(|size| size > 0),
    })
}

/// What decides over `AT_SECURE`.
struct Rights {
    mode: u32,
    owner: (u32, u32),
    runner: (u32, u32),
    capabilities: bool,
}

fn rights(of: &Rights) -> Option<&'static str> {
    const SET_USER: u32 = 0o4000;
    // Without group execute, the bit once meant mandatory locking.
    const SET_GROUP: u32 = 0o2010;
    if of.mode & SET_USER != 0 && of.owner.0 != of.runner.0 {
        return Some("set-user-id");
    }
    if of.mode & SET_GROUP == SET_GROUP && of.owner.1 != of.runner.1 {
        return Some("set-group-id");
    }
    // For root they are no gain.
    (of.capabilities && of.runner.0 != 0).then_some("file capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rights_that_are_gained_count() {
        let case = |mode, owner, runner, capabilities| {
            rights(&Rights {
                mode,
                owner,
                runner,
                capabilities,
            })
        };
        let me = (1000, 1000);
        assert_eq!(case(0o755, (0, 0), me, false), None);
        assert_eq!(case(0o4755, (0, 0), me, false), Some("set-user-id"));
        assert_eq!(case(0o4755, me, me, false), None);
        assert_eq!(case(0o2755, (0, 7), me, false), Some("set-group-id"));
        assert_eq!(case(0o2745, (0, 7), me, false), None);
        assert_eq!(case(0o755, (0, 0), me, true), Some("file capabilities"));
        assert_eq!(case(0o755, (0, 0), (0, 0), true), None);
    }

    #[test]
    fn env_is_looked_through() {
        let found = |line: &str| interpreter(Path::new("script"), line.as_bytes(), None).unwrap();
        let sh = Path::new("/bin/sh");
        assert_eq!(found("/bin/sh -e"), sh);
        assert_eq!(found(" /usr/bin/env sh"), sh);
        assert_eq!(found("/usr/bin/env -S LANG=C sh -e"), sh);
        assert!(matches!(
            interpreter(Path::new("script"), b"/usr/bin/env no-such-program", None),
            Err(Unreachable::NotFound { .. })
        ));
        assert!(matches!(
            interpreter(Path::new("script"), b"  ", None),
            Err(Unreachable::NotAProgram { .. })
        ));
    }
}
