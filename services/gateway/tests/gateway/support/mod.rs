//! A gateway in this process, a client that writes bytes, and waiting.

pub(crate) mod client;
pub(crate) mod upstream;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use squall_gateway::config::ConfigError;
use squall_gateway::plugin::PluginError;
use squall_gateway::report::Report;
use squall_gateway::service::{GatewayError, Running, start};
use squall_service_kit::{Launch, Settings, Telemetry};
use tempfile::TempDir;

use client::{Client, Reply};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that serves.
pub(crate) struct Rig {
    pub(crate) running: Running,
    telemetry: Telemetry,
    _folder: TempDir,
}

impl Rig {
    /// A gateway with one worker, so that all connections share its pools, and this document.
    pub(crate) fn new(document: &Value) -> Self {
        Self::with(document, &[])
    }

    pub(crate) fn with(document: &Value, settings: &[&str]) -> Self {
        Self::try_start(document, settings, BTreeMap::new()).unwrap()
    }

    /// The same with these roles, or why it does not start.
    pub(crate) fn try_start(
        document: &Value,
        settings: &[&str],
        peers: BTreeMap<String, String>,
    ) -> Result<Self, GatewayError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("gateway.json");
        std::fs::write(&path, document.to_string()).unwrap();
        let mut pairs = vec![format!("routes={}", path.display())];
        if !settings.iter().any(|pair| pair.starts_with("workers=")) {
            pairs.push("workers=1".to_owned());
        }
        pairs.extend(settings.iter().map(ToString::to_string));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let launch = Launch {
            listen: any,
            admin: any,
            data: folder.path().join("data"),
            peers,
            settings: Settings::parse(squall_gateway::SERVICE.settings, pairs).unwrap(),
        };
        let mut telemetry = Telemetry::new();
        let report = Arc::new(Report::new(&mut telemetry));
        let listener = TcpListener::bind(any).unwrap();
        Ok(Self {
            running: start(&launch, listener, report)?,
            telemetry,
            _folder: folder,
        })
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.running.listen())
    }

    /// A GET on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.client().get(path)
    }

    /// Puts a document in force.
    pub(crate) fn push(&self, document: &str) -> Result<(), ConfigError> {
        let push = self.running.push();
        push.runtime().block_on(push.document(document))
    }

    /// Puts a plug-in in force.
    pub(crate) fn push_plugin(&self, source: Vec<u8>) -> Result<(), PluginError> {
        let push = self.running.push();
        push.runtime().block_on(push.plugin(source))
    }

    /// The value of a counter or gauge without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.telemetry.encode().unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }
}

/// A document with one cluster, `app`, of these endpoints, with more of its policy.
pub(crate) fn one(endpoints: &[SocketAddr], policy: &Value) -> Value {
    let mut cluster = policy.clone();
    let names: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    cluster["endpoints"] = json!(names);
    json!({ "clusters": { "app": cluster }, "default": "app" })
}

/// Waits until `what` is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
