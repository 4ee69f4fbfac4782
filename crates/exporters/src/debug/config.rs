//! Settings of `debug`, with the Collector's keys.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::Unsupported;
use dbintel_config::{Checks, Complaint, Validated};

const LINES_DEFAULT: u32 = 100;
const LINES_MAX: u32 = 10_000;

/// Shows what passes, in the log.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `basic`: a line per batch. `normal`: a line per record. `detailed`: a line per record with its attributes.
    pub verbosity: Verbosity,
    /// Lines per second at most, from 1 to 10000. (dbintel only)
    pub lines_per_second: u32,
    /// Without effect: `lines_per_second` bounds the output.
    pub sampling_initial: Option<Unsupported>,
    /// Without effect: `lines_per_second` bounds the output.
    pub sampling_thereafter: Option<Unsupported>,
    /// Without effect: it always writes through the log.
    pub use_internal_logger: Option<Unsupported>,
    /// Not supported: it writes through the log.
    pub output_paths: Option<Unsupported>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// A line per batch.
    #[default]
    Basic,
    /// A line per record.
    Normal,
    /// A line per record, with its attributes.
    Detailed,
}

/// A configuration that cannot be invalid, and that can be compared: equal values need no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) verbosity: Verbosity,
    pub(super) lines_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::default(),
            lines_per_second: LINES_DEFAULT,
            sampling_initial: None,
            sampling_thereafter: None,
            use_internal_logger: None,
            output_paths: None,
        }
    }
}

/// Validates.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(settings: &Settings) -> Result<Validated<Config>, Vec<Complaint>> {
    let mut checks = Checks::default();
    if settings.lines_per_second == 0 || settings.lines_per_second > LINES_MAX {
        checks.error("lines_per_second", format!("must be from 1 to {LINES_MAX}"));
    }
    let sampling = "lines_per_second bounds the output";
    checks.ignored("sampling_initial", settings.sampling_initial.as_ref(), sampling);
    checks.ignored("sampling_thereafter", settings.sampling_thereafter.as_ref(), sampling);
    let logger = settings.use_internal_logger.as_ref();
    checks.ignored("use_internal_logger", logger, "it always writes through the log");
    checks.unsupported(
        "output_paths",
        settings.output_paths.as_ref(),
        "it writes through the log; use the file exporter",
    );
    checks.finish(Some(Config { verbosity: settings.verbosity, lines_per_second: settings.lines_per_second }))
}
