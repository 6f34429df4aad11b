//! Cargo projects: two trees that build apart, the second one with the first one's dependencies.

use std::path::Path;
use std::process::Command;

use super::super::Built;
use super::{Project, read};

/// A workspace with a member and a crate from elsewhere, whose build script counts its runs in that crate's own repository.
fn workspace() -> (Project, Project) {
    let library = Project::unborn();
    library.write(
        "Cargo.toml",
        "[package]\nname = \"re-mote\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    library.write(
        "src/lib.rs",
        "include!(concat!(env!(\"OUT_DIR\"), \"/one.rs\"));\n",
    );
    library.write(
        "build.rs",
        "fn main() {\n    let folder = std::env::var(\"OUT_DIR\").unwrap();\n    \
         std::fs::write(format!(\"{folder}/one.rs\"), \"pub fn one() -> u32 { 1 }\").unwrap();\n    \
         println!(\"cargo::rustc-link-search=native={folder}\");\n    \
         println!(\"cargo::rerun-if-changed=build.rs\");\n}\n",
    );
    library.commit("library");
    let mut project = Project::unborn();
    let remote = format!("{{ git = \"file://{}\" }}", library.root.display()).replace(' ', "%20");
    let remote = remote.replace("{%20git%20=%20", "{ git = ").replace("%20}", " }");
    project.write(
        "Cargo.toml",
        &format!(
            "[workspace]\nmembers = [\"member\"]\n\n[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nmember = {{ path = \"member\" }}\nre-mote = {remote}\n"
        ),
    );
    project.write(
        "src/main.rs",
        "fn main() {\n    println!(\"{} {}\", member::WORD, re_mote::one());\n}\n",
    );
    project.write(
        "member/Cargo.toml",
        "[package]\nname = \"member\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    project.write("member/src/lib.rs", "pub const WORD: &str = \"base\";\n");
    project.write(".gitignore", "target\n");
    let home = project.beside("cargo home");
    project.environment.push(("CARGO_HOME".to_owned(), home.into()));
    // As it is by default, also where this test runs with something else.
    project
        .environment
        .push(("CARGO_TARGET_DIR".to_owned(), "target".into()));
    (project, library)
}

/// Makes the lock file and commits, then changes the member.
fn change(project: &Project) {
    let mut command = Command::new("cargo");
    command
        .args(["generate-lockfile", "--quiet"])
        .current_dir(&project.root);
    let status = command
        .envs(project.environment.iter().cloned())
        .status()
        .expect("cargo runs");
    assert!(status.success());
    project.commit("base");
    project.write("member/src/lib.rs", "pub const WORD: &str = \"candidate\";\n");
}

fn says(program: &Path) -> String {
    let output = Command::new(program)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn each_tree_has_its_own_program_and_the_base_builds_no_dependency_again() {
    let (project, _library) = workspace();
    change(&project);
    let arms = project.prepare("HEAD");
    let program = project.root.join("target/release/app");
    assert_eq!(says(&program), "candidate 1");
    assert_eq!(says(&arms.base.path_of(&program)), "base 1");
    let log = read(&project.beside("logs/build-candidate.log"));
    assert!(log.contains("Compiling re-mote"), "{log}");
    let log = read(&project.beside("logs/build-base.log"));
    assert!(
        log.contains("Compiling member") && !log.contains("Compiling re-mote"),
        "{log}"
    );

    // The same sources make the same bytes in both trees, so no layout of code stands between them.
    project.git(&["checkout", "--quiet", "--", "."]);
    project.write("untracked", "\n");
    let again = project.prepare("HEAD");
    assert_eq!(again.base.built, Built::Cached);
    let bytes = |path: &Path| std::fs::read(path).expect("it is there");
    assert!(
        bytes(&program) == bytes(&again.base.path_of(&program)),
        "the programs differ"
    );
}

#[test]
fn one_target_folder_for_all_projects_does_not_make_the_base_the_candidate() {
    let (mut project, _library) = workspace();
    let everybodys = project.beside("target of all");
    project
        .environment
        .push(("CARGO_TARGET_DIR".to_owned(), everybodys.clone().into()));
    change(&project);
    let arms = project.prepare("HEAD");
    let program = everybodys.join("release/app");
    assert_eq!(says(&arms.candidate.path_of(&program)), "candidate 1");
    assert_eq!(says(&arms.base.path_of(&program)), "base 1");
    assert!(arms.base.path_of(&program).starts_with(&arms.base.root));
}

#[test]
fn the_candidates_configuration_of_cargo_is_not_the_bases() {
    let (project, _library) = workspace();
    project.write(
        "src/main.rs",
        "fn main() {\n    println!(\"{}\", cfg!(chosen));\n}\n",
    );
    change(&project);
    project.write(
        ".cargo/config.toml",
        "[build]\nrustflags = [\"--cfg\", \"chosen\"]\n",
    );
    let arms = project.prepare("HEAD");
    let program = project.root.join("target/release/app");
    assert_eq!(says(&arms.candidate.path_of(&program)), "true");
    assert_eq!(says(&arms.base.path_of(&program)), "false");
}

#[test]
fn without_a_lock_file_of_its_own_the_base_has_the_candidates() {
    let (project, _library) = workspace();
    project.write(".gitignore", "target\nCargo.lock\n");
    change(&project);
    let arms = project.prepare("HEAD");
    let lock = project.root.join("Cargo.lock");
    assert_eq!(read(&arms.base.path_of(&lock)), read(&lock));
}
