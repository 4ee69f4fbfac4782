//! `dbintel`, the database intelligence collector: command line, component table and wiring.

#![allow(unreachable_pub, reason = "a program has no outside: `pub` says what a module offers to the others")]

mod admin;
mod allocator;
mod assembly;
mod cli;
mod commands;
mod components;
mod control;
mod logging;
mod pages;
mod resource;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use dbintel_config::{ConfigErrors, ProcessEnvironment};

use crate::assembly::Checked;
use crate::cli::{Cli, Command, Doctor, Run, Sources};

/// Exit code for a configuration that is wrong; nothing was connected to then.
const EXIT_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<ConfigErrors>() { EXIT_CONFIGURATION } else { 1 };
            // Standard error may be closed; the exit code says it all the same.
            let _ = writeln!(std::io::stderr(), "dbintel: {error:#}");
            ExitCode::from(code)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => run_collector(&cli.run),
        Some(Command::Run(options)) => run_collector(&options),
        Some(Command::Validate(sources)) => commands::validate(&load(&sources)?),
        Some(Command::PrintConfig(sources)) => commands::print_config(&load(&sources)?),
        Some(Command::Doctor(options)) => examine(&options),
        Some(Command::Components) => commands::list_components(),
        Some(Command::Schema) => commands::schema(),
        Some(Command::GenerateConfig(options)) => commands::generate_config(&options),
        Some(Command::Health(options)) => commands::health(&options),
        Some(Command::Circuits(options)) => commands::circuits(options),
        Some(Command::Bypass(options)) => commands::bypass(options),
        Some(Command::Findings(options)) => {
            let checked = load(options.action.sources())?;
            choose_tls_provider();
            commands::findings(&checked, options.action)
        }
        Some(Command::Replay(options)) => {
            let Sources { config, set, .. } = &options.sources;
            let is_configured = !config.is_empty() || !set.is_empty();
            let checked = is_configured.then(|| load(&options.sources)).transpose()?;
            run::replay(checked.as_ref(), &options.files)
        }
    }
}

fn run_collector(options: &Run) -> anyhow::Result<()> {
    let checked = load(&options.sources)?;
    choose_tls_provider();
    run::run(checked, options)
}

fn examine(options: &Doctor) -> anyhow::Result<()> {
    let checked = load(&options.sources)?;
    if let Some(script) = options.plan_function {
        return commands::plan_function(&checked, script);
    }
    choose_tls_provider();
    run::doctor(checked, options.statements)
}

/// One provider for every TLS connection of the process. It can only be set once, and nothing else sets it.
fn choose_tls_provider() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

fn load(sources: &Sources) -> Result<Checked, ConfigErrors> {
    assembly::load(
        sources.config.clone(),
        sources.set.clone(),
        sources.environment.clone(),
        &ProcessEnvironment,
    )
}
