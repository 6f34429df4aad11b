//! Cargo projects: two trees that build apart, the second one with the first one's dependencies.

use std::path::Path;
use std::process::Command;

use squall_engine::run::Stop;

use super::super::Built;
use super::{Project, commands, read};

/// A workspace with a member and a crate from elsewhere, whose build script counts its runs in that crate's own repository.
fn workspace() -> Option<(Project, Project)> {
    let library = Project::unborn()?;
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
    let mut project = Project::unborn()?;
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
    Some((project, library))
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
    let Some((project, _library)) = workspace() else {
        return;
    };
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
    let Some((mut project, _library)) = workspace() else {
        return;
    };
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
fn a_command_that_names_one_folder_for_both_arms_is_refused() {
    let Some((project, _library)) = workspace() else {
        return;
    };
    change(&project);
    let (arms, _) = project.prepare_with("HEAD", &Stop::default(), |request| {
        request.build = Some(commands(&[&["cargo", "build", "--target-dir", "/tmp/of-both"]]));
    });
    let error = arms.expect_err("one would be taken for the other").to_string();
    assert!(error.contains("into /tmp/of-both"), "{error}");
}

#[test]
fn the_base_is_built_with_the_candidates_toolchain() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some((mut project, _)) = Project::parted() else {
        return;
    };
    let tools = project.beside("tools");
    std::fs::create_dir(&tools).expect("made");
    // What rustup would choose for the candidate's folder, and for no other.
    project.script(
        "rustc",
        "if [ \"$1\" = -vV ]; then echo rustc 9.9; else echo \"/x/toolchains/of-$(basename \"$PWD\" | tr ' ' -)\"; fi\n",
    );
    std::fs::rename(project.root.join("rustc"), tools.join("rustc")).expect("moved");
    assert!(
        tools
            .join("rustc")
            .metadata()
            .expect("there")
            .permissions()
            .mode()
            & 0o111
            != 0
    );
    project.write("rust-toolchain.toml", "");
    let path = std::env::var("PATH").expect("there is one");
    let path = format!("{}:{path}", tools.display());
    project.environment.push(("PATH".to_owned(), path.into()));
    project
        .environment
        .push(("RUSTUP_TOOLCHAIN".to_owned(), "".into()));
    let (arms, _) = project.prepare_with("main", &Stop::default(), |request| {
        request.build = Some(commands(&[&[
            "sh",
            "-c",
            "echo \"$RUSTUP_TOOLCHAIN\" > toolchain",
        ]]));
    });
    let arms = arms.expect("two arms");
    assert_eq!(read(&arms.base.root.join("toolchain")), "of-a-project\n");
    assert_eq!(
        read(&arms.candidate.root.join("toolchain")),
        "\n",
        "rustup itself decides there"
    );
    let stamp = read(&arms.base.root.with_extension("json"));
    assert!(stamp.contains("rustc 9.9"), "{stamp}");
}

#[test]
fn the_candidates_configuration_of_cargo_is_not_the_bases() {
    let Some((project, _library)) = workspace() else {
        return;
    };
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
    let Some((project, _library)) = workspace() else {
        return;
    };
    project.write(".gitignore", "target\nCargo.lock\n");
    change(&project);
    let arms = project.prepare("HEAD");
    let lock = project.root.join("Cargo.lock");
    assert_eq!(read(&arms.base.path_of(&lock)), read(&lock));
}
