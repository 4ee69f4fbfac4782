//! Settings of `file`, with the Collector's keys.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use dbintel_config::values::Duration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::Unsupported;
use dbintel_config::{Checks, Complaint, Validated};

const FLUSH_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const FLUSH_INTERVAL_MAX: StdDuration = StdDuration::from_secs(3_600);
const MEGABYTES_DEFAULT: u64 = 100;
const MEGABYTES_MAX: u64 = 100_000;
const BACKUPS_DEFAULT: u32 = 10;
const BACKUPS_MAX: u32 = 1_000;

/// Writes everything to a file, one OTLP/JSON request per line.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file. Backups are beside it: `path.1` is the newest.
    pub path: PathBuf,
    /// How large the file may become, and how many backups are kept.
    #[serde(default)]
    pub rotation: RotationSettings,
    /// `json`.
    #[serde(default)]
    pub format: FileFormat,
    /// How long records wait for others before they are written. Default 1s.
    #[serde(default = "default_flush_interval")]
    pub flush_interval: Duration,
    /// Whether a file that is there is continued; otherwise it is emptied at the start.
    #[serde(default = "default_true")]
    pub append: bool,
    /// Whether missing directories are made.
    #[serde(default)]
    pub create_directory: bool,
    /// Not supported: lines are not compressed.
    #[serde(default)]
    pub compression: Option<Unsupported>,
    /// Not supported: lines are OTLP/JSON.
    #[serde(default)]
    pub encoding: Option<Unsupported>,
    /// Not supported: there is one file.
    #[serde(default)]
    pub group_by: Option<Unsupported>,
    /// Not supported: set the mode of the directory yourself.
    #[serde(default)]
    pub directory_permissions: Option<Unsupported>,
}

/// How large the file may become, and how many backups are kept. It is always rotated: an unbounded file fills the
/// disk of the database's machine one day.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotationSettings {
    /// Millions of bytes after which a new file is begun.
    pub max_megabytes: u64,
    /// Old files that are kept.
    pub max_backups: u32,
    /// Not supported: the number of backups bounds what is kept.
    pub max_days: Option<Unsupported>,
    /// Without effect: backups are numbered.
    pub localtime: Option<Unsupported>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// OTLP/JSON, one request per line.
    #[default]
    Json,
    /// Not supported.
    Proto,
}

/// A configuration that cannot be invalid, and that can be compared: equal values need no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) max_backups: u32,
    pub(super) flush_interval: StdDuration,
    pub(super) append: bool,
    pub(super) create_directory: bool,
}

const fn default_flush_interval() -> Duration {
    FLUSH_INTERVAL_DEFAULT
}

const fn default_true() -> bool {
    true
}

impl Default for RotationSettings {
    fn default() -> Self {
        Self {
            max_megabytes: MEGABYTES_DEFAULT,
            max_backups: BACKUPS_DEFAULT,
            max_days: None,
            localtime: None,
        }
    }
}

/// Validates.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(settings: &Settings) -> Result<Validated<Config>, Vec<Complaint>> {
    let mut checks = Checks::default();
    if settings.path.file_name().is_none() {
        checks.error("path", "must name a file");
    }
    if settings.format == FileFormat::Proto {
        checks.error("format", "not supported: write json");
    }
    for (field, value, message) in [
        ("compression", settings.compression, "compress the backups, or use otlphttp"),
        ("encoding", settings.encoding, "lines are OTLP/JSON"),
        ("group_by", settings.group_by, "there is one file; define several exporters"),
        ("directory_permissions", settings.directory_permissions, "make the directory yourself"),
        ("rotation.max_days", settings.rotation.max_days, "max_backups bounds what is kept"),
    ] {
        checks.unsupported(field, value.as_ref(), message);
    }
    checks.ignored("rotation.localtime", settings.rotation.localtime.as_ref(), "backups are numbered");
    rotation(&settings.rotation, &mut checks);
    let flush_interval = settings.flush_interval.get();
    if flush_interval.is_zero() || flush_interval > FLUSH_INTERVAL_MAX {
        checks.error("flush_interval", "must be above 0 and at most 1h");
    }
    let config = Config {
        path: settings.path.clone(),
        max_bytes: settings.rotation.max_megabytes.saturating_mul(1_000_000),
        max_backups: settings.rotation.max_backups,
        flush_interval,
        append: settings.append,
        create_directory: settings.create_directory,
    };
    checks.finish(Some(config))
}

fn rotation(rotation: &RotationSettings, checks: &mut Checks) {
    if rotation.max_megabytes == 0 || rotation.max_megabytes > MEGABYTES_MAX {
        checks.error("rotation.max_megabytes", format!("must be from 1 to {MEGABYTES_MAX}"));
    }
    if rotation.max_backups > BACKUPS_MAX {
        checks.error("rotation.max_backups", format!("must be at most {BACKUPS_MAX}"));
    }
}
