//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watches databases without hurting them.
#[derive(Debug, Parser)]
#[command(name = "dbintel", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without it, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`.
    #[command(flatten)]
    pub run: Run,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector.
    Run(Run),
    /// Check a configuration and connect to nothing.
    Validate(Sources),
    /// Print the configuration as it would be used: merged, substituted, secrets redacted.
    PrintConfig(Sources),
    /// Connect as the collector would, poll once, and say what works, what is missing and the SQL to get it.
    Doctor(Doctor),
    /// List the components this program has.
    Components,
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Print a ready configuration for an environment; secrets are references, never values.
    GenerateConfig(GenerateConfig),
    /// Ask a running collector on this machine how it is; for exec probes. Exit code 0 means yes.
    Health(Health),
    /// Look at the breakers of a running collector, or hold one open or closed for a while.
    Circuits(Circuits),
    /// Switch a part of a running collector off for a while, or look at what is off.
    Bypass(BypassOptions),
    /// Read what was found, and decide about it.
    Findings(Findings),
    /// Send what files of OTLP/JSON lines hold through the processors, on the clock of the records, and print what is found, a
    /// line of JSON each time it is opened or changes. Nothing is connected to and nothing is stored.
    Replay(Replay),
}

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Whose processors; without it, the default ones with their defaults, and `regression_verifier`.
    #[command(flatten)]
    pub sources: Sources,
    /// Files in the order of time, plain or compressed (gzip, zstd); `-` is standard input. Of rotated ones the oldest first.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `findings`. The configuration says where the store is; a collector need not run.
#[derive(Debug, Args)]
pub struct Findings {
    /// What to do.
    #[command(subcommand)]
    pub action: FindingAction,
}

/// What to do with findings.
#[derive(Debug, Subcommand)]
pub enum FindingAction {
    /// List those that are not closed, the latest change first.
    List(ListFindings),
    /// Show one with all its evidence.
    Show(ShowFinding),
    /// Note that it shall be done. The collector does nothing: it watches for the repair, and measures it.
    Accept(Choice),
    /// Note that it shall not be done, and why.
    Reject(Choice),
}

/// Which finding to show.
#[derive(Debug, Args)]
pub struct ShowFinding {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: Sources,
    /// Its id, or the first digits of it.
    pub id: String,
    /// As a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which findings to list.
#[derive(Debug, Args)]
pub struct ListFindings {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: Sources,
    /// Closed ones too.
    #[arg(long)]
    pub all: bool,
    /// Of this kind only, for instance `plan_regression`.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// In this state only, for instance `accepted`.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u32>,
    /// A line of JSON for each.
    #[arg(long)]
    pub json: bool,
}

impl FindingAction {
    /// Where the configuration comes from.
    pub const fn sources(&self) -> &Sources {
        match self {
            Self::List(options) => &options.sources,
            Self::Show(options) => &options.sources,
            Self::Accept(choice) | Self::Reject(choice) => &choice.sources,
        }
    }
}

/// A decision of a person.
#[derive(Debug, Args)]
pub struct Choice {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: Sources,
    /// The id of the finding, or the first digits of it.
    pub id: String,
    /// Why; a rejection needs a reason.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who decides; otherwise `USER` says.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Options of `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: Sources,
    /// Start with this switched off, before anything is connected: `system`, `receivers/ID`, `processors/ID`,
    /// `exporters/ID` or `receivers/ID:QUERY`. Otherwise `DBINTEL_BYPASS` says, several separated by commas.
    #[arg(long, value_name = "WHAT", requires = "bypass_reason")]
    pub bypass: Vec<String>,
    /// Why; otherwise `DBINTEL_BYPASS_REASON` says.
    #[arg(long, value_name = "TEXT")]
    pub bypass_reason: Option<String>,
    /// For how long after the start.
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    pub bypass_for: Duration,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct Sources {
    /// A configuration file; several are merged in order, later ones over earlier ones.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// One value over all files, for instance `receivers.postgresql.collection_interval=30s`.
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Which `environment_overrides` apply; otherwise `DBINTEL_ENVIRONMENT` says.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: Sources,
    /// Print every statement the collector can send to the server instead.
    #[arg(long)]
    pub statements: bool,
    /// Print SQL instead, and connect to nothing: of a function that gives plans of statements that the collector's role
    /// may not run, or of its removal.
    #[arg(
        long,
        value_enum,
        value_name = "SCRIPT",
        num_args = 0..=1,
        default_missing_value = "create",
        conflicts_with = "statements"
    )]
    pub plan_function: Option<PlanFunctionScript>,
}

/// What to do with the function that gives plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFunctionScript {
    /// Install it, or replace it by that of this version.
    Create,
    /// Remove it.
    Drop,
}

/// Options of `generate-config`.
#[derive(Debug, Args)]
pub struct GenerateConfig {
    /// For which environment.
    pub environment: Environment,
    /// As a plain file, or as a Kubernetes ConfigMap.
    #[arg(long, value_enum, default_value_t = Format::File)]
    pub format: Format,
    /// Write files into this directory instead of to standard output; older ones of the same names are replaced.
    #[arg(long, value_name = "DIRECTORY")]
    pub output: Option<PathBuf>,
}

/// An environment a configuration can be generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// Long intervals, verified TLS, everything within tight limits.
    Production,
    /// As production, with a shorter memory and more samples.
    Staging,
    /// On a laptop: short intervals, a database without TLS, output to read.
    Development,
    /// All three.
    All,
}

/// The form of a generated configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A YAML file.
    File,
    /// A Kubernetes ConfigMap that holds the YAML file.
    Configmap,
}

/// Options of `health`.
#[derive(Debug, Args)]
pub struct Health {
    /// What to ask.
    pub question: Question,
    /// Where the collector's health check listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:13133")]
    pub endpoint: std::net::SocketAddr,
}

/// How to reach the collector.
#[derive(Debug, Args)]
pub struct Reach {
    /// Unix socket of the collector; without it and `--endpoint`, the default one.
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "endpoint")]
    pub socket: Option<PathBuf>,
    /// Where the collector's control listens over TCP; `DBINTEL_CONTROL_TOKEN` has the token.
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub endpoint: Option<std::net::SocketAddr>,
}

/// Why an override is set, and for how long.
#[derive(Debug, Args)]
pub struct Why {
    /// Why, for the next one to look.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// How long until it ends by itself, for instance `30m`; at most 7 days.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub lasts: Duration,
}

/// `circuits`.
#[derive(Debug, Args)]
pub struct Circuits {
    /// How to reach the collector.
    #[command(flatten)]
    pub reach: Reach,
    /// What to do.
    #[command(subcommand)]
    pub action: CircuitAction,
}

/// What to do with breakers.
#[derive(Debug, Subcommand)]
pub enum CircuitAction {
    /// List all, those that are not closed or are held first.
    List,
    /// Hold one open: nothing is sent.
    Open {
        /// Which.
        #[command(flatten)]
        scope: CircuitScope,
        /// Why and how long.
        #[command(flatten)]
        why: Why,
    },
    /// Hold one closed: failures do not open it. Rates, budgets and time-outs stay in force.
    Close {
        /// Which.
        #[command(flatten)]
        scope: CircuitScope,
        /// Why and how long.
        #[command(flatten)]
        why: Why,
    },
    /// End a hold.
    Release {
        /// Which.
        #[command(flatten)]
        scope: CircuitScope,
    },
}

/// Which breaker.
#[derive(Debug, Args)]
pub struct CircuitScope {
    /// Id of the receiver before whose server it stands.
    pub receiver: String,
    /// The breaker of this database; without it and `--whole`, that of the server.
    #[arg(long, value_name = "NAME", conflicts_with = "whole")]
    pub database: Option<String>,
    /// The breaker of what is asked of the server as a whole.
    #[arg(long)]
    pub whole: bool,
    /// Only that of one query, by the name in `circuits list`; needs `--database` or `--whole`.
    #[arg(long, value_name = "NAME")]
    pub query: Option<String>,
}

/// `bypass`.
#[derive(Debug, Args)]
pub struct BypassOptions {
    /// How to reach the collector.
    #[command(flatten)]
    pub reach: Reach,
    /// What to do.
    #[command(subcommand)]
    pub action: BypassAction,
}

/// What to do with overrides.
#[derive(Debug, Subcommand)]
pub enum BypassAction {
    /// List all overrides in force, held breakers among them.
    List,
    /// Switch something off.
    Set {
        /// `system`, `receivers/ID`, `processors/ID`, `exporters/ID` or `receivers/ID:QUERY`.
        what: String,
        /// Why and how long.
        #[command(flatten)]
        why: Why,
    },
    /// Switch it on again.
    Clear {
        /// As it was set.
        what: String,
    },
}

/// `30m`, as in the configuration.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: Result<dbintel_config::values::Duration, _> = text.parse();
    duration.map(dbintel_config::values::Duration::get).map_err(|error| error.to_string())
}

/// What a probe wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Does the process make progress?
    Live,
    /// Is the configuration valid and everything started?
    Ready,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_plan_function_is_installed_or_removed() {
        let script = |arguments: &[&str]| {
            let all = ["dbintel", "doctor"].iter().chain(arguments);
            let Some(Command::Doctor(doctor)) = Cli::parse_from(all).command else {
                panic!("doctor expected")
            };
            assert_eq!(doctor.sources.config.len(), 1);
            doctor.plan_function
        };
        assert_eq!(script(&["--config", "a.yaml"]), None);
        assert_eq!(script(&["--plan-function", "--config", "a.yaml"]), Some(PlanFunctionScript::Create));
        assert_eq!(
            script(&["--plan-function", "drop", "--config", "a.yaml"]),
            Some(PlanFunctionScript::Drop)
        );
    }

    #[test]
    fn a_collector_is_started_with_or_without_run() {
        let plain = Cli::parse_from(["dbintel", "--config", "a.yaml", "--config", "b.yaml", "--set", "x=1"]);
        assert!(
            plain.command.is_none()
                && plain.run.sources.config.len() == 2
                && plain.run.sources.set == ["x=1"]
        );
        let named = Cli::parse_from(["dbintel", "run", "--config", "a.yaml", "--environment", "production"]);
        let Some(Command::Run(run)) = named.command else { panic!("run expected") };
        assert_eq!(run.sources.environment.as_deref(), Some("production"));
    }
}
