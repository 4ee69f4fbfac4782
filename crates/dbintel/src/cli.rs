//! The command line.

use std::path::PathBuf;

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
    pub run: Sources,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector.
    Run(Sources),
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
}

/// Options of `generate-config`.
#[derive(Debug, Args)]
pub struct GenerateConfig {
    /// For which environment.
    pub environment: Environment,
    /// As a plain file, or as a Kubernetes ConfigMap.
    #[arg(long, value_enum, default_value_t = Format::File)]
    pub format: Format,
    /// Write files into this directory instead of to standard output.
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
    fn a_collector_is_started_with_or_without_run() {
        let plain = Cli::parse_from(["dbintel", "--config", "a.yaml", "--config", "b.yaml", "--set", "x=1"]);
        assert!(plain.command.is_none() && plain.run.config.len() == 2 && plain.run.set == ["x=1"]);
        let named = Cli::parse_from(["dbintel", "run", "--config", "a.yaml", "--environment", "production"]);
        let Some(Command::Run(sources)) = named.command else { panic!("run expected") };
        assert_eq!(sources.environment.as_deref(), Some("production"));
    }
}
