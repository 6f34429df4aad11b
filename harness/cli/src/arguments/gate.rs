//! The command line of `squall gate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use squall_model::units::{Quantity as _, Ratio};

use super::Allowed;

/// `squall gate`.
#[derive(Debug, Args)]
#[command(after_help = "Example: squall gate checkout --base origin/main\n  \
    squall gate checkout --base-cmd './old --port {port}' --candidate-cmd './new --port {port}'\n  \
    squall gate checkout --candidate-set services.checkout.env.POOL=64\n  \
    squall gate --criterion parse --base origin/main --budget 5m\n\n\
    Exit codes: 0 pass, improved or undecided, 95 something is missing, 96 undecided with --on-inconclusive fail, 97 regression, \
    98 invariant violated, 99 a service did not start or died, 104 scenario wrong, 130 interrupted.")]
pub struct GateArguments {
    /// Scenarios, by path or by the bare name of a file in scenarios/. The candidate's are run, by both arms.
    #[arg(required_unless_present = "criterion")]
    pub scenarios: Vec<String>,
    /// Gate the micro-benchmarks of this bench target, which uses Criterion; may be given again, and beside scenarios.
    #[arg(long, value_name = "BENCH", conflicts_with_all = ["base_at", "candidate_at", "base_set", "candidate_set"])]
    pub criterion: Vec<String>,
    /// The package that has the bench target, where several have one of its name.
    #[arg(long, value_name = "PACKAGE", requires = "criterion", conflicts_with_all = ["base_cmd", "candidate_cmd"])]
    pub package: Option<String>,
    /// Only benchmarks whose names match, as Criterion has it: a regular expression.
    #[arg(long, value_name = "TEXT", requires = "criterion")]
    pub filter: Option<String>,
    /// With --criterion: a change smaller than this is of no interest. A scenario says it under `gate:`. [default: 2%]
    #[arg(long, value_name = "PERCENT", requires = "criterion", value_parser = Ratio::parse)]
    pub margin: Option<Ratio>,
    /// With --criterion: a change larger than this must not stay hidden. [default: 5%]
    #[arg(long, value_name = "PERCENT", requires = "criterion", value_parser = Ratio::parse)]
    pub tolerance: Option<Ratio>,
    /// What the working tree is held against: the merge base of this revision and HEAD. With --criterion alone, HEAD where nothing is said.
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// How the base is started, in place of what the scenario says; a shell's words, of SERVICE where several are started. With
    /// --criterion, its bench program.
    #[arg(long, value_name = "[SERVICE=]COMMAND", conflicts_with = "base")]
    pub base_cmd: Vec<String>,
    /// The same of the candidate.
    #[arg(long, value_name = "[SERVICE=]COMMAND", conflicts_with = "base")]
    pub candidate_cmd: Vec<String>,
    /// Where the base already runs: the service at this address is not started, and blocks begin no process anew.
    #[arg(long, value_name = "[SERVICE=]ADDRESS", conflicts_with_all = ["base", "base_cmd"], requires = "candidate_at")]
    pub base_at: Option<String>,
    /// The same of the candidate.
    #[arg(long, value_name = "[SERVICE=]ADDRESS", requires = "base_at")]
    pub candidate_at: Option<String>,
    /// Change a value of the scenario for the base alone.
    #[arg(long, value_name = "PATH=VALUE")]
    pub base_set: Vec<String>,
    /// Change a value of the scenario for the candidate alone.
    #[arg(long, value_name = "PATH=VALUE")]
    pub candidate_set: Vec<String>,
    /// Change a value of the scenario for both.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub overrides: Vec<String>,
    /// The time that blocks may take, builds not counted; of each scenario.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub budget: String,
    /// Look at this metric only, such as p99 or refresh.p99, or the name of a benchmark; may be given again. The fewer, the smaller the
    /// regressions that are found.
    #[arg(long = "metric", value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// Decide and tell, and exit with 0 also on a regression.
    #[arg(long)]
    pub advise: bool,
    /// What it comes to where nothing could be decided.
    #[arg(long, value_name = "pass|fail", value_enum, default_value_t)]
    pub on_inconclusive: OnInconclusive,
    /// The root seed, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where gates land.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// Also write the Markdown for a pull request there.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write JUnit there.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Tell GitHub's runner: annotations on standard output, and the summary of the step.
    #[arg(long, conflicts_with = "json")]
    pub github: bool,
    /// Keep the records of all blocks, and not just of those that do not count.
    #[arg(long)]
    pub keep_blocks: bool,
    /// Where load may go besides this machine.
    #[command(flatten)]
    pub allowed: Allowed,
    /// Print the gate's record to standard output, and nothing else there; an array for several scenarios.
    #[arg(long)]
    pub json: bool,
    /// Print only the result, and errors.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What an undecided gate comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnInconclusive {
    /// It passes, with a warning.
    #[default]
    Pass,
    /// It fails, with exit code 96.
    Fail,
}
