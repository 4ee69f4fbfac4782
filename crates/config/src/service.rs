//! The `service` section: which components run, how pipelines join them, and the collector's own telemetry.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{ConfigErrors, Warnings};
use crate::node::Entry;
use crate::read::read_noting;
use crate::values::ComponentId;

mod check;
mod foreign;
mod pipeline_id;
pub mod telemetry;
#[cfg(test)]
mod tests;

pub use check::{Defined, check};
pub use pipeline_id::{PipelineId, Signal};
pub use telemetry::TelemetryConfig;

/// What runs.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// The extensions to start, in this order.
    pub extensions: Vec<ComponentId>,
    /// The pipelines by name.
    pub pipelines: BTreeMap<PipelineId, PipelineConfig>,
    /// The collector's own logs, metrics and traces.
    pub telemetry: TelemetryConfig,
}

/// The way of records from receivers through processors to exporters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Where records come from; at least one.
    pub receivers: Vec<ComponentId>,
    /// What changes them, in this order. No key means the default chain, `[]` means none.
    pub processors: Option<Vec<ComponentId>>,
    /// Where they go; at least one.
    pub exporters: Vec<ComponentId>,
}

/// Reads the section, after taking out what only the Collector has.
pub(crate) fn read(section: Option<&Entry>, warnings: &mut Warnings) -> Result<ServiceConfig, ConfigErrors> {
    let Some(entry) = section else {
        return Ok(ServiceConfig::default());
    };
    let node = foreign::without_foreign_settings(entry.value.clone(), warnings);
    read_noting(&node, "service", Some(&entry.key_position), warnings)
}
