//! Programs of the user's: what `{port}`, other services' names, `{data}` and the environment become.

use squall_model::event::EventKind;
use squall_model::exit::Exit;

use crate::support::{SQUALL, Stage};

#[test]
fn placeholders_become_addresses_folders_and_text() {
    let stage = Stage::alone();
    let script = "echo port=$1 other=$2 host=$3 other-port=$4 data=$5 brace=$6; \
                  echo env=$WHERE greeting=$GREETING fallback=$FALLBACK; exec sleep 600";
    let scenario = stage.write(
        "placeholders.yaml",
        &format!(
            r#"squall: 1
name: placeholders
services:
  shown:
    run: [sh, -c, {script:?}, sh, "{{port}}", "{{ids}}", "{{ids.host}}", "{{ids.port}}", "{{data}}", "{{{{x}}"]
    env: {{ WHERE: "postgres://{{ids}}/{{port}}", GREETING: "${{SQUALL_TEST_GREETING}}", FALLBACK: "${{SQUALL_TEST_NOT_SET:-spare}}" }}
    ready: {{ log: "^env=" }}
  ids: {{ use: id-generator }}
phases: [{{ phase: p, for: 300ms }}]
"#
        ),
    );
    let mut command = stage.run_command(&scenario, &[]);
    command.env("SQUALL_TEST_GREETING", "hello");
    let ended = stage.start(command).wait();
    ended.assert_nothing_left();
    let address = |service: &str| {
        let ready = ended.events().into_iter().find_map(|event| match event.kind {
            EventKind::ServiceReady {
                service: ready,
                address,
            } if ready == service => address,
            _ => None,
        });
        ready.unwrap_or_else(|| panic!("{service} was never ready: {ended}"))
    };
    let (ids, shown) = (address("ids"), address("shown"));
    let ids_port = ids.rsplit(':').next().expect("a port");
    let port = shown.rsplit(':').next().expect("a port");
    let data = std::fs::canonicalize(ended.folder())
        .expect("a folder")
        .join("data/shown");
    let expected = format!(
        "port={port} other={ids} host=127.0.0.1 other-port={ids_port} data={} brace={{x}}\n\
         env=postgres://{ids}/{port} greeting=hello fallback=spare\n",
        data.display()
    );
    assert_eq!(ended.file("logs/shown.log"), expected);
    assert!(data.is_dir());
}

#[test]
fn a_program_of_the_users_is_loaded_like_a_bundled_service() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "own.yaml",
        &format!(
            r#"squall: 1
name: own
services:
  own:
    run: [{SQUALL:?}, serve, id-generator, --listen, "127.0.0.1:{{port.http}}", --admin, "127.0.0.1:{{port.admin}}", --data, "{{data}}"]
    ports: [http, admin]
    ready: {{ http: /id, within: 20s }}
load:
  single: {{ to: own, http: {{ get: /id }}, rate: 200/s, connections: 4 }}
phases: [{{ phase: p, for: 1s }}]
expect: {{ run: ["single.errors == 0%", "single.completed == 200"] }}
"#
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    let load = &ended.record().phases[0].load["single"];
    assert_eq!((load.completed, load.failed), (200, 0));
}

#[test]
fn what_already_runs_is_loaded_and_left_running() {
    let stage = Stage::alone();
    let served = stage.serve("id-generator");
    let scenario = stage.write(
        "there.yaml",
        &format!(
            "squall: 1
name: there
services: {{ ids: {{ at: \"{}\" }} }}
load: {{ single: {{ to: ids, http: {{ get: /id }}, rate: 200/s, connections: 4 }} }}
phases: [{{ phase: p, for: 500ms }}]
expect: {{ run: [\"single.errors == 0%\"] }}
",
            served.listen
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    assert_eq!(ended.record().phases[0].load["single"].completed, 100);
    assert_eq!(served.stop(), Some(0), "it must still be there to be told to end");
}
