//! The component table: every receiver, processor, exporter and extension this program has.
//!
//! A component is prepared from its settings without touching a file or the network; what comes out can be compared and
//! built. A new component gets one entry here and nothing else in this crate but its variant of the plan.

mod exporters;
mod processors;
mod receivers;

use dbintel_config::schema::ComponentSchema;
use dbintel_config::{Complaint, Component, ConfigError, ConfigErrors, Section, Validated, Warnings};
use schemars::Schema;

pub use self::exporters::{EXPORTERS, ExporterPlan};
pub use self::processors::{PROCESSORS, ProcessorPlan, expanded as expanded_processor};
pub use self::receivers::{RECEIVERS, ReceiverPlan};

/// A type of component: its name, and how its settings become a plan.
pub struct Factory<Plan> {
    /// The type, as the part of an id before `/`.
    pub kind: &'static str,
    /// Other names by which OpenTelemetry Collectors know it.
    pub aliases: &'static [&'static str],
    /// What it does, in a sentence.
    pub description: &'static str,
    /// The schema of its settings.
    pub schema: fn() -> Schema,
    /// Checks its settings. Pure.
    pub prepare: fn(&Component, &mut Warnings) -> Result<Plan, ConfigErrors>,
}

/// Extensions are built into the program; these are their types and what they do.
pub const EXTENSIONS: [(&str, &str); 4] = [
    (
        "control",
        "Breakers and overrides for a person, over a Unix socket (`dbintel circuits`, `dbintel bypass`).",
    ),
    ("health_check", "Health, liveness and readiness over HTTP."),
    ("store", "Keeps what processors learn over a restart, in an SQLite file or a PostgreSQL database."),
    ("zpages", "Pages that show what the collector is doing."),
];

impl<Plan> Factory<Plan> {
    /// Whether this is the type of that name.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind || self.aliases.contains(&kind)
    }

    fn schemas(&self, section: Section) -> impl Iterator<Item = ComponentSchema> + '_ {
        let names = std::iter::once(&self.kind).chain(self.aliases);
        names.map(move |kind| ComponentSchema { section, kind: (*kind).to_owned(), schema: (self.schema)() })
    }
}

/// Checks the settings of a component by its type.
///
/// # Errors
/// An unknown type, with the known ones, and whatever the component finds.
pub fn prepare<Plan>(
    factories: &[Factory<Plan>],
    component: &Component,
    warnings: &mut Warnings,
) -> Result<Plan, ConfigErrors> {
    match factories.iter().find(|factory| factory.is(component.id().kind())) {
        Some(factory) => (factory.prepare)(component, warnings),
        None => {
            let known: Vec<&str> = factories.iter().map(|factory| factory.kind).collect();
            let message = format!(
                "there is no {} of type `{}`; there are {}",
                component.section().singular(),
                component.id().kind(),
                known.join(", ")
            );
            Err(ConfigErrors(vec![component.problem("", message)]))
        }
    }
}

/// The schema of every component.
pub fn schemas() -> Vec<ComponentSchema> {
    let receivers = RECEIVERS.iter().flat_map(|factory| factory.schemas(Section::Receivers));
    let processors = PROCESSORS.iter().flat_map(|factory| factory.schemas(Section::Processors));
    let exporters = EXPORTERS.iter().flat_map(|factory| factory.schemas(Section::Exporters));
    let extension =
        |kind: &str, schema| ComponentSchema { section: Section::Extensions, kind: kind.to_owned(), schema };
    let extensions = [
        extension("control", schemars::schema_for!(dbintel_admin::control::ControlSettings)),
        extension("health_check", schemars::schema_for!(dbintel_admin::config::HealthCheckSettings)),
        extension("store", schemars::schema_for!(dbintel_store::StoreSettings)),
        extension("zpages", schemars::schema_for!(dbintel_admin::config::ZpagesSettings)),
    ];
    receivers.chain(processors).chain(exporters).chain(extensions).collect()
}

/// The configuration of a component, its notices as warnings and its complaints as errors with positions.
pub fn settled<Config>(
    component: &Component,
    warnings: &mut Warnings,
    validated: Result<Validated<Config>, Vec<Complaint>>,
) -> Result<Config, ConfigErrors> {
    let validated = validated
        .map_err(|complaints| errors(component, complaints.into_iter().map(|c| (c.field, c.message))))?;
    for notice in validated.notices {
        warnings.push(component.warning(&notice.field, notice.message));
    }
    Ok(validated.config)
}

/// Complaints of a component as errors with positions.
fn errors(component: &Component, complaints: impl IntoIterator<Item = (String, String)>) -> ConfigErrors {
    let error = |(field, message): (String, String)| -> ConfigError { component.problem(&field, message) };
    ConfigErrors(complaints.into_iter().map(error).collect())
}
