//! Nacos clients that nobody here wrote, against the server: nacos-sdk-python and the `nacos` of npm, where they can be had.
//!
//! Both are looked for in a folder named by an environment variable, else fetched by `pip` and `npm`. Where neither works, the test
//! says so loudly and checks nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::start;
use tempfile::tempdir;

const PYTHON: &str = r#"
import os, sys, threading
sys.path.insert(0, sys.argv[1])
import nacos
folder = sys.argv[3]
client = nacos.NacosClient(sys.argv[2], namespace="")
client.set_options(snapshot_base=folder + "/snapshots", failover_base=folder + "/failover")
assert client.publish_config("py.txt", "G", "h\u00e9llo"), "publish"
assert client.get_config("py.txt", "G") == "h\u00e9llo", "get"
told, contents = threading.Event(), []
def changed(args):
    contents.append(args["content"])
    if args["content"] == "two":
        told.set()
client.add_config_watcher("py.txt", "G", changed)
assert client.publish_config("py.txt", "G", "two"), "publish again"
assert told.wait(30), "the watcher was not told: %s" % contents
assert client.remove_config("py.txt", "G"), "remove"
assert client.get_config("py.txt", "G", no_snapshot=True) is None, "get what is gone"
print("everything agreed", flush=True)
for process in __import__("multiprocessing").active_children():
    process.kill()
os._exit(0)
"#;

const NODE: &str = r"
const { NacosConfigClient } = require(process.argv[1] + '/node_modules/nacos');
const expect = (holds, what) => { if (!holds) { console.error(what); process.exit(1); } };
(async () => {
  const client = new NacosConfigClient({ serverAddr: process.argv[2], namespace: '', requestTimeout: 10000, cacheDir: process.argv[3] });
  await client.ready();
  expect(await client.publishSingle('js.txt', 'G', 'one'), 'publish');
  expect((await client.getConfig('js.txt', 'G')) === 'one', 'get');
  const told = new Promise(resolve => client.subscribe({ dataId: 'js.txt', group: 'G' }, content => content === 'two' && resolve()));
  expect(await client.publishSingle('js.txt', 'G', 'two'), 'publish again');
  await Promise.race([told, new Promise((_, reject) => setTimeout(() => reject(new Error('the subscriber was not told')), 30000))]);
  expect(await client.remove('js.txt', 'G'), 'remove');
  expect((await client.getConfig('js.txt', 'G')) === null, 'get what is gone');
  console.log('everything agreed');
  process.exit(0);
})().catch(error => { console.error(error); process.exit(1); });
";

/// The folder with a client in it, which `fetch` makes where the variable names none. Why it can't be had otherwise.
fn client(variable: &str, folder: &Path, fetch: &mut Command) -> Result<PathBuf, String> {
    if let Some(there) = std::env::var_os(variable) {
        return Ok(there.into());
    }
    let fetched = fetch
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} is not here: {error}", fetch.get_program().display()))?;
    if fetched.status.success() {
        Ok(folder.to_owned())
    } else {
        Err(String::from_utf8_lossy(&fetched.stderr)
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned())
    }
}

/// Runs a client's script with the folder it is in, the server's address and a folder for its own files.
fn agrees(program: &mut Command, client: &Path) {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("server"));
    let output = program
        .arg(client)
        .arg(host.listen().to_string())
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("everything agreed"),
        "{out}{err}"
    );
    let _ = host.stop();
}

/// Written past the test harness, which keeps what a test that passes prints.
fn not_checked(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}: {why}");
}

#[test]
fn the_python_client_works_against_the_server() {
    let folder = tempdir().unwrap();
    let mut fetch = Command::new("python3");
    fetch
        .args(["-m", "pip", "install", "-q", "--no-deps", "--target"])
        .arg(folder.path())
        .arg("nacos-sdk-python==0.1.12");
    match client("SQUALL_NACOS_PYTHON", folder.path(), &mut fetch) {
        Ok(client) => agrees(Command::new("python3").args(["-c", PYTHON]), &client),
        Err(why) => not_checked("nacos-sdk-python", &why),
    }
}

#[test]
fn the_node_client_works_against_the_server() {
    let folder = tempdir().unwrap();
    let mut fetch = Command::new("npm");
    fetch
        .args([
            "install",
            "--silent",
            "--no-fund",
            "--no-audit",
            "nacos@2.6.3",
            "--prefix",
        ])
        .arg(folder.path());
    match client("SQUALL_NACOS_NODE", folder.path(), &mut fetch) {
        Ok(client) => agrees(Command::new("node").args(["-e", NODE]), &client),
        Err(why) => not_checked("the nacos of npm", &why),
    }
}
