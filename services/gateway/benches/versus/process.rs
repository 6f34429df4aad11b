//! The processes of the benchmark: each is ended when its value is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use squall_service_kit::{Launch, Settings};
use tempfile::TempDir;

/// A process that listens.
pub(crate) struct Running {
    child: Child,
    pub(crate) listens: SocketAddr,
    /// Its files, kept as long as it is.
    _folder: Option<TempDir>,
}

/// The gateway, alone in its process, until it is ended. Its ready line says where it listens.
pub(crate) fn gateway(document: &str) {
    let service = &squall_gateway::SERVICE;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let folder = PathBuf::from(document)
        .parent()
        .map(PathBuf::from)
        .expect("a file is in a folder");
    (service.run)(Launch {
        listen: any,
        admin: any,
        data: folder.join("data"),
        peers: BTreeMap::new(),
        settings: Settings::parse(service.settings, [format!("routes={document}")]).expect("valid settings"),
    })
    .expect("the gateway runs");
}

impl Running {
    /// This program in another role, once it has said where it listens.
    fn role(words: &[&str], folder: Option<TempDir>) -> Result<Running, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        let piped = command
            .arg("role")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = piped.spawn().map_err(|error| error.to_string())?;
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        let read = BufReader::new(out).read_line(&mut line);
        // The server says its address; the gateway `ready listen=ADDRESS admin=ADDRESS`.
        let address = line.split_whitespace().find_map(|word| {
            let address = word.strip_prefix("listen=").unwrap_or(word);
            address.parse().ok()
        });
        match address {
            Some(listens) if read.is_ok() => Ok(Running {
                child,
                listens,
                _folder: folder,
            }),
            _ => {
                end(&mut child);
                Err(format!("{words:?} ended"))
            }
        }
    }

    pub(crate) fn server() -> Running {
        Running::role(&["server"], None).expect("the server starts")
    }

    pub(crate) fn gateway(upstream: SocketAddr) -> Result<Running, String> {
        let document =
            format!(r#"{{"clusters": {{"app": {{"endpoints": ["{upstream}"]}}}}, "default": "app"}}"#);
        let (folder, path) = file("gateway.json", &document)?;
        Running::role(&["gateway", &path.to_string_lossy()], Some(folder))
    }

    /// nginx with as many workers as the gateway has, and connections to the server kept.
    pub(crate) fn nginx(upstream: SocketAddr) -> Result<Running, String> {
        let (folder, listens) = (TempDir::new().map_err(|error| error.to_string())?, free_address());
        let (at, workers) = (folder.path().display(), workers());
        let config = format!(
            "worker_processes {workers}; daemon off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n\
               access_log off; keepalive_requests 1000000000; keepalive_timeout 60s;\n\
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
               upstream app {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
               server {{ listen {listens};\n\
                 location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
                   proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}\n\
             }}\n"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).map_err(|error| error.to_string())?;
        let mut command = Command::new("nginx");
        command
            .arg("-c")
            .arg(&path)
            .arg("-e")
            .arg(folder.path().join("error.log"));
        start(&mut command, listens, "apt-get install nginx", folder)
    }

    /// `HAProxy` in HTTP mode with as many threads as the gateway has.
    pub(crate) fn haproxy(upstream: SocketAddr) -> Result<Running, String> {
        let (listens, threads) = (free_address(), workers());
        let config = format!(
            "global\n  nbthread {threads}\n  maxconn 4096\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n  option forwardfor\n\
             \x20 http-reuse always\n\
             listen bench\n  bind {listens} backlog 4096\n  server callee {upstream}\n"
        );
        let (folder, path) = file("haproxy.cfg", &config)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        start(&mut command, listens, "apt-get install haproxy", folder)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A file alone in its folder.
fn file(name: &str, text: &str) -> Result<(TempDir, PathBuf), String> {
    let folder = TempDir::new().map_err(|error| error.to_string())?;
    let path = folder.path().join(name);
    std::fs::write(&path, text).map_err(|error| error.to_string())?;
    Ok((folder, path))
}

/// Asks it to end, as nginx needs to end its workers, and then makes it.
fn end(child: &mut Child) {
    if let Some(pid) = rustix::process::Pid::from_raw(child.id() as i32) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// Starts a program that is not ours, and waits until it listens.
fn start(
    command: &mut Command,
    listens: SocketAddr,
    install: &str,
    folder: TempDir,
) -> Result<Running, String> {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = quiet
        .spawn()
        .map_err(|error| format!("{error}; to have it: {install}"))?;
    let mut running = Running {
        child,
        listens,
        _folder: Some(folder),
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(listens).is_err() {
        if Instant::now() > deadline || running.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Err("it does not listen".to_owned());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(running)
}
