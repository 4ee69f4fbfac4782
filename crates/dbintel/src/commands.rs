//! Commands that do not run the collector.

mod control;
mod findings;
mod generate;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use dbintel_admin::client::{HealthProbe, health_check};

pub use self::control::{bypass, circuits};
pub use self::findings::{as_json, findings};
pub use self::generate::generate_config;
use crate::assembly::Checked;
use crate::cli::{Health, PlanFunctionScript, Question};
use crate::components::{self, EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};

/// How long the collector may take to answer a probe. Kubernetes' default timeout of a probe is one second.
const PROBE_TIMEOUT: Duration = Duration::from_millis(900);

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// `validate`: warnings on standard error, and a line that says that all is well.
pub fn validate(checked: &Checked) -> anyhow::Result<()> {
    report_warnings(checked)?;
    let (receivers, exporters) = (checked.assembly.lanes.len(), checked.assembly.exporters.len());
    print(&format!("configuration is valid: {receivers} receivers, {exporters} exporters\n"))
}

/// `print-config`.
pub fn print_config(checked: &Checked) -> anyhow::Result<()> {
    report_warnings(checked)?;
    print(&checked.document.to_yaml(&components::schemas()))
}

/// Warnings of a configuration, for a person.
pub fn report_warnings(checked: &Checked) -> anyhow::Result<()> {
    let mut stderr = std::io::stderr().lock();
    for warning in checked.warnings.iter() {
        writeln!(stderr, "{warning}").context("standard error")?;
    }
    Ok(())
}

/// `doctor --plan-function`: the SQL, once for every role the collector connects as.
pub fn plan_function(checked: &Checked, script: PlanFunctionScript) -> anyhow::Result<()> {
    let of_lanes = checked.assembly.lanes.values().map(|lane| lane.receiver.plan_function(script));
    let scripts: BTreeSet<String> = of_lanes.collect();
    print(&scripts.into_iter().collect::<Vec<_>>().join("\n"))
}

/// `components`.
pub fn list_components() -> anyhow::Result<()> {
    let mut text = format!("version: {}\n", env!("CARGO_PKG_VERSION"));
    list("receivers", RECEIVERS, &mut text);
    list("processors", PROCESSORS, &mut text);
    list("exporters", EXPORTERS, &mut text);
    text.push_str("extensions:\n");
    for (kind, description) in EXTENSIONS {
        text.push_str(&format!("  - name: {kind}\n    description: {description}\n"));
    }
    print(&text)
}

fn list<Plan>(section: &str, factories: &[Factory<Plan>], text: &mut String) {
    text.push_str(&format!("{section}:\n"));
    for factory in factories {
        text.push_str(&format!(
            "  - name: {}\n    description: {}\n",
            factory.kind,
            quoted(factory.description)
        ));
        if !factory.aliases.is_empty() {
            text.push_str(&format!("    aliases: [{}]\n", factory.aliases.join(", ")));
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// `schema`.
pub fn schema() -> anyhow::Result<()> {
    let schema = dbintel_config::schema::assemble(&components::schemas());
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

/// `health`: an error is a no, with the collector's reason.
pub fn health(options: &Health) -> anyhow::Result<()> {
    let probe = match options.question {
        Question::Live => HealthProbe::Live,
        Question::Ready => HealthProbe::Ready,
    };
    health_check(options.endpoint, probe, PROBE_TIMEOUT)?;
    Ok(())
}
