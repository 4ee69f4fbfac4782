//! The name of a pipeline, which says what it carries.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::values::{ComponentId, ValueError, text_serde};

/// The id of a pipeline, `type` or `type/name`. Of the types `metrics`, `logs` and `traces` it carries that
/// signal, of any other type all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId(ComponentId);

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Numbers over time.
    Metrics,
    /// Log records and events, findings among them.
    Logs,
    /// Spans.
    Traces,
}

const EXPECTED: ValueError =
    ValueError::new("the name of a pipeline such as metrics, logs/audit or databases");

// === impl Signal ===

impl Signal {
    /// All signals.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Traces];

    /// The name in pipeline ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl PipelineId ===

impl PipelineId {
    /// The part before `/`.
    pub fn kind(&self) -> &str {
        self.0.kind()
    }

    /// The part after `/`.
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The one signal it carries; `None` when it carries all.
    pub fn signal(&self) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.name() == self.kind())
    }

    /// Whether it carries this signal.
    pub fn carries(&self, signal: Signal) -> bool {
        self.signal().is_none_or(|own| own == signal)
    }
}

impl FromStr for PipelineId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| EXPECTED)
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_serde!(PipelineId);

impl JsonSchema for PipelineId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PipelineId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "metrics, logs or traces, or any other type for all signals; with /name to tell them apart.",
            "pattern": r"^[A-Za-z][A-Za-z0-9_]*(/.+)?$",
            "examples": ["metrics", "logs/audit", "databases"],
        })
    }
}
