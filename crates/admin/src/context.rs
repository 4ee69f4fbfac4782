//! What the admin thread is given.

use std::sync::Arc;

use dbintel_model::{Clock, Text, Timestamp};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::StatusBoard;
use dbintel_pipeline::telemetry::Registry;

use crate::control::Controls;
use crate::pages::PageSource;
use crate::resources::ResourceMonitor;
use crate::{Heartbeat, SpanStore};

/// What the endpoints show. Everything in it is a handle; nothing waits for the main runtime without a bound.
#[derive(Clone)]
pub struct AdminContext {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// When the process started.
    pub started_at: Timestamp,
    /// Version of the program.
    pub version: Text,
    /// Status of every component.
    pub board: StatusBoard,
    /// Self-metrics.
    pub registry: Registry,
    /// Sign of life of the main runtime.
    pub heartbeat: Heartbeat,
    /// Use and limits of the process.
    pub monitor: ResourceMonitor,
    /// Finished spans of dbintel itself.
    pub spans: SpanStore,
    /// What a person has switched off or holds.
    pub overrides: Overrides,
    /// What else a person can control.
    pub controls: Arc<dyn Controls>,
    /// What pages show about build, configuration and wiring.
    pub pages: Arc<dyn PageSource>,
}

impl std::fmt::Debug for AdminContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminContext").field("version", &self.version).finish_non_exhaustive()
    }
}
