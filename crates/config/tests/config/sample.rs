//! Components as a component crate would define them, and a validation as the binary does it.

use std::collections::BTreeMap;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use dbintel_config::schema::ComponentSchema;
use dbintel_config::service::{self, Defined};
use dbintel_config::values::{ByteSize, Duration, Endpoint, Headers, MemoryLimit, Secret};
use dbintel_config::{
    Component, ConfigErrors, Document, Environment, LoadOptions, Loaded, Section, Warnings,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgresql {
    /// The server.
    pub(crate) endpoint: Endpoint,
    /// The role.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// Its password.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// A connection string, under a name that does not give it away.
    #[serde(default)]
    pub(crate) target: Option<Secret>,
    /// The time between two polls.
    #[serde(default = "ten_seconds")]
    pub(crate) collection_interval: Duration,
    /// Databases to look at.
    #[serde(default)]
    pub(crate) databases: Vec<String>,
    /// The slowest queries.
    #[serde(default)]
    pub(crate) top_query_collection: TopQuery,
    /// Encryption.
    #[serde(default)]
    pub(crate) tls: Tls,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TopQuery {
    /// Rows to read.
    pub(crate) max_rows_per_query: u32,
    /// The time between two reads.
    pub(crate) collection_interval: Duration,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// No encryption.
    pub(crate) insecure: bool,
    /// The file with the key.
    pub(crate) key_file: Option<PathBuf>,
    /// The key itself.
    pub(crate) key_pem: Option<Secret>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryLimiter {
    /// How much.
    pub(crate) limit: MemoryLimit,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Otlp {
    /// The server.
    pub(crate) endpoint: Endpoint,
    /// Headers of each request.
    #[serde(default)]
    pub(crate) headers: Headers,
    /// The compression.
    #[serde(default)]
    pub(crate) compression: Compression,
    /// Bytes that wait at most.
    #[serde(default)]
    pub(crate) queue_size: ByteSize,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// Default.
    #[default]
    Gzip,
    /// Better.
    Zstd,
    /// Off.
    None,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Debug {
    /// How much.
    pub(crate) verbosity: String,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// Files and variables that exist only in a test.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) files: BTreeMap<String, String>,
}

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.variables.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read_file(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.files.get(path)).cloned();
        text.map(String::into_bytes).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// What an operator sees of a validation.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) document: Option<Document>,
    pub(crate) errors: ConfigErrors,
    pub(crate) warnings: Warnings,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for error in self.errors.iter() {
            writeln!(f, "{error}")?;
        }
        for warning in self.warnings.iter() {
            writeln!(f, "{warning}")?;
        }
        Ok(())
    }
}

/// Loads and checks a configuration, all of it.
pub(crate) fn validate(options: &LoadOptions, environment: &dyn Environment) -> Report {
    let (Loaded { document, mut warnings }, mut errors) = match Document::load_leniently(options, environment)
    {
        Ok(loaded) => loaded,
        Err(errors) => return Report { document: None, errors, warnings: Warnings::default() },
    };
    for component in document.components() {
        errors.keep(validate_component(component, &mut warnings));
    }
    if let Some(service) = errors.keep(document.service(&mut warnings)) {
        errors.keep(service::check(&document, &service, &Defined::of(&document), &mut warnings));
    }
    Report { document: Some(document), errors: errors.without_consequences(), warnings }
}

fn validate_component(component: &Component, warnings: &mut Warnings) -> Result<(), ConfigErrors> {
    match (component.section(), component.id().kind()) {
        (Section::Receivers, "postgresql") => {
            let settings: Postgresql = component.read_noting(warnings)?;
            if settings.top_query_collection.collection_interval > Duration::from_secs(3600) {
                let field = "top_query_collection.collection_interval";
                return Err(component.problem(field, "must be at most 1h").into());
            }
        }
        (Section::Processors, "memory_limiter") => {
            component.read_noting::<MemoryLimiter>(warnings)?;
        }
        (Section::Exporters, "otlp") => {
            component.read_noting::<Otlp>(warnings)?;
        }
        (Section::Exporters, "debug") => {
            component.read_noting::<Debug>(warnings)?;
        }
        (section, kind) => {
            let message = format!("dbintel has no {} `{kind}`", section.singular());
            return Err(component.problem("", message).into());
        }
    }
    Ok(())
}

pub(crate) fn schemas() -> Vec<ComponentSchema> {
    let of = |section, kind: &str, schema| ComponentSchema { section, kind: kind.to_owned(), schema };
    vec![
        of(Section::Receivers, "postgresql", schemars::schema_for!(Postgresql)),
        of(Section::Processors, "memory_limiter", schemars::schema_for!(MemoryLimiter)),
        of(Section::Exporters, "otlp", schemars::schema_for!(Otlp)),
        of(Section::Exporters, "debug", schemars::schema_for!(Debug)),
    ]
}
