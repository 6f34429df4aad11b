//! The command line.

mod baseline;
mod gate;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use baseline::{
    BaselineArguments, BaselineCommand, BaselineListArguments, BaselineSaveArguments, BaselineShowArguments,
};
pub use gate::{GateArguments, OnInconclusive};

/// A configuration-driven benchmark and chaos harness.
///
/// One YAML scenario starts services, drives load, injects faults on a timeline, proves that each took effect and is
/// gone, checks invariants and writes one report.
#[derive(Debug, Parser)]
#[command(name = "squall", version, max_term_width = 100)]
pub struct Arguments {
    /// When to use colours; `auto` is on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into a file.
    Always,
    /// Not at all.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios and write their reports.
    Run(RunArguments),
    /// Find every error in scenarios, all at once.
    Check(CheckArguments),
    /// Show what a scenario would do: processes, timeline, checks, needs.
    Plan(PlanArguments),
    /// List scenarios, services, faults, protocols, pacers and invariants.
    List(ListArguments),
    /// Say of each fault in which ways it works on this machine, or what is missing.
    Faults(FaultsArguments),
    /// Make the report of a run again, whole or interrupted.
    Report(ReportArguments),
    /// Hold runs against each other: what changed, with intervals where there are repeats.
    Compare(CompareArguments),
    /// List all runs of a folder on one page, with P99 over time and where it changed.
    Index(IndexArguments),
    /// Store what runs measured on this machine, and show how it went over time; advisory.
    Baseline(BaselineArguments),
    /// Merge the records of several runs without loss.
    Merge(MergeArguments),
    /// Put load on one URL.
    Load(LoadArguments),
    /// Find the highest rate at which a scenario's load meets its objectives.
    Capacity(CapacityArguments),
    /// Hold a candidate against its base, and fail on a real regression.
    Gate(GateArguments),
    /// Run one reference service in the foreground.
    Serve(ServeArguments),
    /// Run fault proxies in the foreground, told what to do by Toxiproxy's API.
    Proxy(ProxyArguments),
    /// Print the JSON Schema of scenarios, for editors.
    #[command(after_help = "Example: squall schema > scenario.schema.json")]
    Schema,
    /// Print shell completions.
    Completions(CompletionsArguments),
    /// Finish what interrupted runs have left.
    Clean(CleanArguments),
    /// Keep the processes of a run; started by squall itself.
    #[command(hide = true)]
    Guard,
}

/// Where load may go besides this machine, for every command that puts some somewhere.
#[derive(Clone, Debug, Args)]
pub struct Allowed {
    /// Put load on this host, though it is not this machine; may be given again.
    #[arg(long = "allow-host", value_name = "HOST")]
    pub hosts: Vec<String>,
}

/// `squall run`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall run id-generator-clock-rollback --seed 9\n\n\
    Exit codes: 0 pass, 96 invalid, 98 invariant violated, 99 expectation not met, 104 scenario wrong, 130 interrupted.")]
pub struct RunArguments {
    /// Scenarios, by path or by the bare name of a file in scenarios/.
    #[arg(required_unless_present = "tag")]
    pub scenarios: Vec<String>,
    /// Print the run record to standard output, and nothing else there; an array for several runs.
    #[arg(long)]
    pub json: bool,
    /// The root seed, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where runs land.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// Change a value of the scenario, such as load.refresh.rate=1k/s.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub overrides: Vec<String>,
    /// Run every scenario of scenarios/ that has this tag.
    #[arg(long)]
    pub tag: Option<String>,
    /// How often to run each scenario.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Scale long phases down to two seconds; the report says so.
    #[arg(long)]
    pub quick: bool,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
    /// Serve OpenMetrics at this address while the run goes on; port 0 draws one, and standard error says which.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Push metrics to the OpenTelemetry collector there, such as <http://127.0.0.1:4318>.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "ENDPOINT")]
    pub otlp: Option<String>,
    /// Let others than this machine reach --metrics.
    #[arg(long, requires = "metrics")]
    pub metrics_public: bool,
    /// Print only how each run ended, and errors.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `squall faults`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall faults --json")]
pub struct FaultsArguments {
    /// Print them as JSON.
    #[arg(long)]
    pub json: bool,
    /// Where runs would land.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
}

/// `squall check`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall check scenarios/*.yaml")]
pub struct CheckArguments {
    /// Scenarios, by path or by name.
    #[arg(required = true)]
    pub scenarios: Vec<String>,
    /// Where runs land; stored baselines are looked for in its folder baselines.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
    /// Print what is wrong as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `squall plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall plan id-generator-clock-rollback")]
pub struct PlanArguments {
    /// A scenario, by path or by name.
    pub scenario: String,
    /// Change a value of the scenario, such as load.refresh.rate=1k/s.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub overrides: Vec<String>,
    /// Scale long phases down to two seconds.
    #[arg(long)]
    pub quick: bool,
    /// Where runs land; stored baselines are looked for in its folder baselines.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
}

/// `squall list`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall list --json")]
pub struct ListArguments {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `squall report`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall report reports/id-generator-clock-rollback/latest")]
pub struct ReportArguments {
    /// A run's folder.
    pub folder: PathBuf,
    /// Show it in the browser that xdg-open chooses.
    #[arg(long)]
    pub open: bool,
    /// A section of the report, such as latency, or one of its charts; an unknown name lists all.
    #[arg(long, value_name = "NAME", requires = "picture")]
    pub chart: Option<String>,
    /// What to write instead of the report.
    #[command(flatten)]
    pub export: Export,
}

/// One other format of a run; the report is left as it is.
#[derive(Debug, Args)]
#[group(multiple = false, conflicts_with = "open")]
pub struct Export {
    /// Write what happened over time as CSV, `-` for standard output, and leave the report as it is.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Likewise as OpenMetrics with timestamps, a sample a second, for a time series database.
    #[arg(long, value_name = "FILE")]
    pub openmetrics: Option<PathBuf>,
    /// Write the chart named by --chart as SVG, `-` for standard output.
    #[arg(long, value_name = "FILE", requires = "chart", group = "picture")]
    pub svg: Option<PathBuf>,
    /// Write the chart named by --chart as PNG, 1920 pixels wide; needs a build with `--features png`.
    #[arg(long, value_name = "FILE", requires = "chart", group = "picture")]
    pub png: Option<PathBuf>,
}

/// `squall compare`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall compare base/* candidate/*\n\n\
    RUN is a run's folder or its run.json, or a folder of runs. A folder is one side: of each scenario its newest run that is \
    not invalid, and the runs in it that repeat that one. Runs named one by one are sides by the folders they lie in, where \
    these are several and one has several of them; else each is a side. The first side is what the others are held against.\n\n\
    Without --out the page lands in reports/compare/. It informs and decides nothing: exit 0 once written, 2 where there is \
    nothing to compare.")]
pub struct CompareArguments {
    /// Runs or folders of runs, two or more.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Where it goes.
    #[command(flatten)]
    pub page: PageArguments,
}

/// Where a page that tells of several runs goes, and in which form it is printed.
#[derive(Debug, Args)]
pub struct PageArguments {
    /// The page to write.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print all of it as JSON, and nothing else; writes no page unless --out.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print the summary as Markdown, and nothing else; writes no page unless --out.
    #[arg(long)]
    pub markdown: bool,
}

/// `squall index`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall index\n\n\
    DIR is a folder of scenarios with runs, as reports is, or one of runs. Runs that are invalid, cut off or can't be read are listed with \
    the reason, and are in no trend.\n\n\
    Without --out the page is index.html in DIR. It informs and decides nothing: exit 0 once written, 2 where DIR holds no run.")]
pub struct IndexArguments {
    /// The folder to look for runs in.
    #[arg(value_name = "DIR", default_value = "reports")]
    pub folder: PathBuf,
    /// Where it goes.
    #[command(flatten)]
    pub page: PageArguments,
}

/// `squall merge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: squall merge reports/shop/20261122T1* --out reports/shop/merged\n\n\
    Repeats are runs of the same timeline: counts add up, rates stay. Shares are parts of one load that ran at the \
    same time: rates add up, too. The merged folder is one of a run: `squall report` reads it."
)]
pub struct MergeArguments {
    /// Folders of runs, two or more.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The folder to make; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What the runs are to each other.
    #[arg(long = "as", value_name = "WHAT", default_value = "repeats")]
    pub how: MergeHow,
}

/// What merged runs are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MergeHow {
    /// The same timeline, run again and again.
    Repeats,
    /// Parts of one load that ran at the same time.
    Shares,
}

/// `squall load`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall load localhost:8080/ -r 1k/s -d 10s -c 32\n\n\
    Example: squall load :8080/orders -H 'content-type: application/json' -b @order.json\n\n\
    With -r the load is open loop: requests are sent when they are due, and waiting counts. Without it, closed loop.\n\n\
    Exit codes: 0 measured, 2 wrong command line, 96 the numbers can't be trusted or every request failed, 130 interrupted.")]
pub struct LoadArguments {
    /// Where to, such as <http://127.0.0.1:8080/path>, <https://localhost>, :8080/path or <unix:/run/app.sock:/path>.
    pub url: String,
    /// Connections; without a rate also the users.
    #[arg(short, long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// For how long, such as 30s or 5m.
    #[arg(short, long, default_value = "10s", conflicts_with = "requests")]
    pub duration: String,
    /// For as long as this many requests take; needs -r.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Requests per second, such as 2k/s or 2000; open loop.
    #[arg(short, long)]
    pub rate: Option<String>,
    /// A header, as NAME: VALUE; may be given again.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// The method; GET, or POST where there is a body.
    #[arg(short, long)]
    pub method: Option<String>,
    /// The body; @FILE reads it from a file, - from standard input.
    #[arg(short, long)]
    pub body: Option<String>,
    /// Ask over HTTP/2: a connection carries up to 100 requests at once.
    #[arg(long)]
    pub http2: bool,
    /// With https, a PEM file with the certificates of the authorities to trust, instead of this machine's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// With https, take any certificate.
    #[arg(long)]
    pub insecure: bool,
    /// How long an answer may take.
    #[arg(long, default_value = "30s")]
    pub timeout: String,
    /// Generator threads; by default a quarter of the cores, at least one.
    #[arg(short, long)]
    pub threads: Option<u32>,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
    /// Keep this load as a scenario.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Let --save replace a file.
    #[arg(long, requires = "save")]
    pub force: bool,
    /// Write a run's folder with its report below DIR.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the run record to standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Print the result in one line, and errors.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `squall capacity`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: squall capacity id-generator-throughput --load paced --slo \"p99 < 5ms\" --step-for 5s\n\n\
    Each probe is a run of one phase of the scenario at another rate. The rate doubles until a probe fails, then halves\n\
    the gap. What is found must hold again in every confirmation run.\n\n\
    Exit codes: 0 found, 96 the generator or the machine was the limit, 99 no rate holds, 104 scenario wrong,\n\
    130 interrupted."
)]
pub struct CapacityArguments {
    /// A scenario, by path or by the bare name of a file in scenarios/.
    pub scenario: String,
    /// The load whose rate is searched; open loop.
    #[arg(long)]
    pub load: String,
    /// An objective, such as "p99 < 45ms"; a bare metric is the load's. May be given again. Where none is given on them,
    /// "achieved >= 99%" and "errors < 1%" are objectives as well.
    #[arg(long = "slo", value_name = "EXPECTATION", required = true)]
    pub slos: Vec<String>,
    /// The phase to run; by default the baseline, else the first that is measured.
    #[arg(long)]
    pub phase: Option<String>,
    /// Where to start, and the lowest rate to try; by default the load's own rate, and a hundredth of it.
    #[arg(long, value_name = "RATE")]
    pub from: Option<String>,
    /// The highest rate to try.
    #[arg(long, value_name = "RATE")]
    pub to: Option<String>,
    /// How close the rates that hold and fail must come.
    #[arg(long, value_name = "RATIO", default_value = "5%")]
    pub precision: String,
    /// Runs that must hold at the rate that was found.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub confirm: u32,
    /// How long a probe measures; a fifth of that, at most 2 s, warms up before.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub step_for: String,
    /// The root seed, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where runs land.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// Change a value of the scenario, such as services.ids.with.node=7.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub overrides: Vec<String>,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
    /// Print one JSON object to standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Print only the result, and errors.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `squall serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: squall serve id-generator --listen 127.0.0.1:8080 --set node=7\n\n\
    `squall serve NAME --settings` shows what can be set."
)]
pub struct ServeArguments {
    /// The service.
    pub service: String,
    /// Where it serves.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where its admin endpoint is.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub admin: SocketAddr,
    /// The folder that it may keep things in.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Who plays a role, as ROLE=ADDRESS.
    #[arg(long = "peer", value_name = "ROLE=ADDRESS")]
    pub peers: Vec<String>,
    /// A setting, as KEY=VALUE.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Show what can be set, and end.
    #[arg(long = "settings")]
    pub show_settings: bool,
}

/// `squall proxy`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall proxy --config proxies.json --seed 9\n\n\
    Then, as with Toxiproxy: curl -d '{\"type\":\"latency\",\"attributes\":{\"latency\":100}}' \
    localhost:8474/proxies/redis/toxics\n\n\
    The file is a list: [{\"name\": \"redis\", \"listen\": \"127.0.0.1:26379\", \"upstream\": \"127.0.0.1:6379\"}]\n\n\
    Exit codes: 2 wrong command line or file, 130 interrupted, 143 terminated.")]
pub struct ProxyArguments {
    /// Where the API listens; port 0 draws one, and standard error says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8474")]
    pub listen: SocketAddr,
    /// Proxies to begin with, as JSON.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Refuse what nobody knows in requests and the file, instead of ignoring it with a warning.
    #[arg(long)]
    pub strict: bool,
    /// What jitter and toxicity are drawn from; drawn itself where it is not given.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Ask requests for this token, as `authorization: Bearer TOKEN`; @FILE reads it from a file. Needed to listen elsewhere than
    /// on loopback.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Let proxies listen on this host, or lead to it, which is not loopback; may be given again.
    #[arg(long = "allow-host", value_name = "HOST")]
    pub allow_hosts: Vec<String>,
}

/// `squall completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: squall completions bash > ~/.local/share/bash-completion/completions/squall"
)]
pub struct CompletionsArguments {
    /// For which shell.
    pub shell: clap_complete::Shell,
}

/// `squall clean`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall clean")]
pub struct CleanArguments {
    /// Where runs land.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
}
