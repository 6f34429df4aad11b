//! The command line of `squall baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `squall baseline`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall baseline save checkout\n\n\
    A stored baseline is one file for each scenario and machine, small enough for git. It is advisory: `refresh.p99 < baseline * 1.3` in a \
    scenario holds a run to it, and says how weak that is; `squall gate` decides.")]
pub struct BaselineArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// What is done with baselines.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Store runs as one entry: their medians.
    Save(BaselineSaveArguments),
    /// List what is stored.
    List(BaselineListArguments),
    /// Show the newest values of a scenario, and their trend.
    Show(BaselineShowArguments),
}

/// `squall baseline save`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall baseline save reports/checkout/20261122T1*\n\n\
    RUN is a run's folder or its run.json, or the name of a scenario, which is its newest run in reports/. Several are one entry: they must be \
    of one scenario, machine and revision. Runs that are invalid are refused, but for those that only lacked a baseline.\n\n\
    Exit codes: 0 stored, 2 refused.")]
pub struct BaselineSaveArguments {
    /// Runs of one scenario.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
    /// Store it though expectations of the run failed.
    #[arg(long)]
    pub force: bool,
    /// Where baselines lie.
    #[arg(long, value_name = "DIR", default_value = "reports/baselines")]
    pub dir: PathBuf,
}

/// `squall baseline list`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall baseline list --json")]
pub struct BaselineListArguments {
    /// Where baselines lie.
    #[arg(long, value_name = "DIR", default_value = "reports/baselines")]
    pub dir: PathBuf,
    /// Print them as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `squall baseline show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: squall baseline show checkout --metric refresh.p99 --html trend.html\n\n\
    Exit codes: 0 shown, 2 there is none, or it can't be read."
)]
pub struct BaselineShowArguments {
    /// The scenario's name.
    pub scenario: String,
    /// Of this machine, as `squall baseline list` names it, instead of the one that this is.
    #[arg(long, value_name = "FINGERPRINT")]
    pub machine: Option<String>,
    /// Only this metric, such as refresh.p99, or p99 of whatever has one.
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// Where baselines lie.
    #[arg(long, value_name = "DIR", default_value = "reports/baselines")]
    pub dir: PathBuf,
    /// Write a page with charts there.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print all of it as JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print the summary as Markdown.
    #[arg(long)]
    pub markdown: bool,
}
