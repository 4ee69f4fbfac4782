//! Configuration of health, self-metrics, zPages and the collector's own telemetry, from `extensions` and
//! `service.telemetry`.
//!
//! All of it is on by default, on loopback. An extension that is defined without being listed in `service.extensions`
//! is used all the same, with a warning: the program has it in any case.

use dbintel_admin::config::{
    AdminConfig, HealthCheckConfig, HealthCheckSettings, Listen, SettingsError, TelemetryConfig, ZPAGES_PORT,
    ZpagesSettings,
};
use dbintel_admin::control::{ControlConfig, ControlSettings};
use dbintel_config::service::ServiceConfig;
use dbintel_config::{Component, ConfigError, ConfigErrors, Document, Problem, Section, Warnings};

use crate::components::EXTENSIONS;

/// Checks everything that configures admin.
///
/// # Errors
/// Everything that is wrong.
pub fn configure(
    document: &Document,
    service: &ServiceConfig,
    warnings: &mut Warnings,
) -> Result<(AdminConfig, TelemetryConfig), ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let (mut health, mut zpages) = (HealthCheckConfig::default(), Listen::loopback(ZPAGES_PORT));
    let mut control = ControlConfig::default();
    for extension in document.section(Section::Extensions) {
        if !service.extensions.contains(extension.id()) {
            let message = "not in service.extensions; it is part of the program and these settings are used";
            warnings.push(extension.warning("", message));
        }
        match extension.id().kind() {
            "health_check" => {
                health = errors.keep(health_check(extension, warnings)).unwrap_or_default();
            }
            "control" => control = errors.keep(control_config(extension, warnings)).unwrap_or_default(),
            "zpages" => zpages = errors.keep(zpages_listen(extension, warnings)).unwrap_or(zpages),
            // See `assembly`.
            "store" => {}
            kind => {
                let known: Vec<&str> = EXTENSIONS.iter().map(|(kind, _)| *kind).collect();
                let message =
                    format!("there is no extension of type `{kind}`; there are {}", known.join(", "));
                errors.push(extension.problem("", message));
            }
        }
    }
    let telemetry = errors.keep(telemetry(document, service)).unwrap_or_default();
    let admin = AdminConfig::try_new(Some(health), telemetry.metrics_listen.clone(), Some(zpages), control);
    match admin {
        Ok(admin) => errors.or((admin, telemetry)),
        Err(error) => {
            errors.push(ConfigError::new(None, "extensions", Problem::Invalid(error.to_string())));
            Err(errors)
        }
    }
}

fn health_check(extension: &Component, warnings: &mut Warnings) -> Result<HealthCheckConfig, ConfigErrors> {
    let settings: HealthCheckSettings = extension.read_noting(warnings)?;
    settings.validate().map_err(|errors| of_component(extension, &errors))
}

fn zpages_listen(extension: &Component, warnings: &mut Warnings) -> Result<Listen, ConfigErrors> {
    let settings: ZpagesSettings = extension.read_noting(warnings)?;
    settings.validate().map_err(|errors| of_component(extension, &errors))
}

fn control_config(extension: &Component, warnings: &mut Warnings) -> Result<ControlConfig, ConfigErrors> {
    let settings: ControlSettings = extension.read_noting(warnings)?;
    settings.validate().map_err(|errors| of_component(extension, &errors))
}

fn of_component(extension: &Component, errors: &[SettingsError]) -> ConfigErrors {
    ConfigErrors(errors.iter().map(|error| extension.problem(&error.path, error.to_string())).collect())
}

/// The path of the collector's own telemetry.
const TELEMETRY: &str = "service.telemetry";

fn telemetry(document: &Document, service: &ServiceConfig) -> Result<TelemetryConfig, ConfigErrors> {
    let node = document.root().at(TELEMETRY);
    let located = |error: &SettingsError| {
        let position = node.map(|node| node.at(&error.path).unwrap_or(node).position().clone());
        let path = format!("{TELEMETRY}.{}", error.path);
        ConfigError::new(position, path, Problem::Invalid(error.to_string()))
    };
    TelemetryConfig::from_settings(&service.telemetry)
        .map_err(|errors| ConfigErrors(errors.iter().map(located).collect()))
}
