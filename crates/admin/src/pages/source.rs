//! What pages know beyond status and self-metrics: build, configuration and wiring, as the binary tells it.

use dbintel_model::Text;

use super::LaneAsker;

/// Tells what was built and wired. Called on the admin thread, so it must not wait for the main runtime: copies of
/// what the wiring has written down, behind a short lock.
pub trait PageSource: Send + Sync {
    /// The process: build, command line, configuration.
    fn service(&self) -> ServiceView;

    /// Every receiver with the lane it feeds.
    fn pipelines(&self) -> Vec<PipelineView>;

    /// Who passes questions on to lanes; without one, processors show nothing of their own.
    fn lanes(&self) -> Option<LaneAsker> {
        None
    }
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceView {
    /// Facts about the build: commit, compiler, target, features.
    pub build: Vec<(Text, Text)>,
    /// The command line, redacted with [`super::redact_command_line`].
    pub command_line: Vec<Text>,
    /// Configuration files, in the order they were merged.
    pub config_files: Vec<Text>,
    /// Name of the environment whose overrides are in force.
    pub environment: Option<Text>,
    /// Warnings of the configuration in force.
    pub warnings: Vec<Text>,
}

/// One receiver with the lane it feeds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineView {
    /// The receiver's id, which is the lane's too.
    pub receiver: Text,
    /// What it watches, for instance `db.example:5432`.
    pub server: Text,
    /// Kind of server, for instance `postgresql`.
    pub system: Text,
    /// Pipelines of the configuration that name it.
    pub pipelines: Vec<Text>,
    /// Processors, in order.
    pub processors: Vec<Text>,
    /// How many times faster than life time runs in its `regression_verifier`; `None` where time is real.
    pub acceleration: Option<f64>,
    /// Exporters.
    pub exporters: Vec<ExporterLink>,
}

/// An exporter as a lane sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterLink {
    /// Its id.
    pub id: Text,
    /// Signals it gets from the lane, for instance `metrics, logs`.
    pub signals: Text,
}
