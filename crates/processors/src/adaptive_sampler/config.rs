//! Settings of `adaptive_sampler` as written, and the configuration they become.

mod validate;

use std::time::Duration as StdDuration;

use dbintel_config::values::Duration;
use dbintel_config::{Complaint, Validated};
use dbintel_model::Text;
use schemars::JsonSchema;
use serde::Deserialize;

use super::rule::{Literal, Operator, Test};
use super::template::TemplateName;

/// Rules at most.
pub const RULES_MAX: usize = 64;
/// Conditions of one rule at most.
pub const CONDITIONS_MAX: usize = 16;
/// Conditions with `regex` of all rules at most; each holds up to [`super::PATTERN_COMPILED_BYTES_MAX`].
pub const PATTERNS_MAX: usize = 32;
/// Bytes of a rule's name at most. It is a label of self-metrics.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of an attribute name at most.
pub const ATTRIBUTE_BYTES_MAX: usize = 128;
/// Bytes of a condition's value at most.
pub const VALUE_BYTES_MAX: usize = 1_024;
/// The most `max_records_per_second` can be.
pub const RECORDS_PER_SECOND_MAX: u32 = 1_000_000;
/// The most `max_per_minute` can be.
pub const PER_MINUTE_MAX: u32 = 60_000_000;
/// The lowest `min_rate`.
pub const ADAPTIVE_RATE_MIN: f64 = 0.000_1;
/// The longest `burst`.
pub const BURST_MAX: StdDuration = StdDuration::from_secs(60);
/// The longest `time_bucket`.
pub const TIME_BUCKET_MAX: StdDuration = StdDuration::from_secs(3_600);
/// The most `dedup.max_entries` can be; an entry takes about 100 bytes.
pub const DEDUP_ENTRIES_MAX: usize = 1_000_000;

/// Name under which records are counted that no rule matches.
pub(super) const DEFAULT_RULE: &str = "default";

/// Keeps a part of the sampled sessions, by rules, within a budget. What it leaves out does not leave the process, but
/// every processor after it still sees it. Counters of statements, metrics, changes and gaps are never sampled.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveSamplerSettings {
    /// Records kept per second at most, by each receiver's lane, from 1 to 1000000. Default 500.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_records_per_second: u32,
    /// Share of `max_records_per_second` that only critical rules may use, above 0 and below 1. Default 0.2. It has no
    /// effect where no rule is critical.
    pub reserved_share: f64,
    /// How much of the budget may be used at once, as a time, from 1s to 60s: sessions come once per poll. Default 10s.
    pub burst: Duration,
    /// The lowest adaptive rate, from 0.0001. Default 0.01.
    pub min_rate: f64,
    /// The highest adaptive rate, at most 1. Default 1.
    pub max_rate: f64,
    /// How long one decision about a session holds, from 1s to 1h. In the next time bucket it is drawn anew, and the
    /// adaptive rate changes only then. Default 30s.
    pub time_bucket: Duration,
    /// Equal samples of a session.
    pub dedup: DedupSettings,
    /// The rules. Without the key, one of every template.
    pub rules: Option<Vec<RuleSettings>>,
}

/// When samples of a session that differ in nothing are left out: same session, statement, start, state, wait and
/// blockers.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DedupSettings {
    /// How long after a kept one, at most `time_bucket`; 0 switches it off. Default 30s.
    pub window: Duration,
    /// Kept ones that are remembered, from 1 to 1000000. Default 16384.
    pub max_entries: usize,
}

/// A rule. The first one that matches decides: critical rules first, then by priority.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSettings {
    /// Takes everything that is not written from this template.
    pub template: Option<TemplateName>,
    /// Name, a label of self-metrics: letters, digits and `_-./`.
    pub name: Option<String>,
    /// Rules of higher priority are asked first; equal ones in the order written. Default 0.
    pub priority: Option<i32>,
    /// Whether it is asked before all others and may use the reserved share. Default false.
    pub critical: Option<bool>,
    /// Probability with which a record is kept, from 0 to 1. Default: 1 for critical rules, else the adaptive rate.
    pub sample_rate: Option<f64>,
    /// Records kept in any minute at most.
    pub max_per_minute: Option<u32>,
    /// What a record must fulfil, all of it. An empty list matches every record.
    pub conditions: Option<Vec<ConditionSettings>>,
}

/// One condition. An attribute that a record does not have fulfils nothing but `exists: false`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionSettings {
    /// Standard name of an attribute of the event, or of the resource.
    pub attribute: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with: text, a number, true or false. For `exists` true (the default) or false.
    #[serde(default)]
    pub value: Option<Literal>,
}

/// A configuration that cannot be invalid, and that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveSamplerConfig {
    pub(super) records_per_second: u32,
    /// Zero where no rule is critical.
    pub(super) reserved_share: f64,
    pub(super) burst: StdDuration,
    pub(super) min_rate: f64,
    pub(super) max_rate: f64,
    pub(super) time_bucket: StdDuration,
    pub(super) dedup: Option<DedupConfig>,
    /// In the order in which they are asked.
    pub(super) rules: Vec<Rule>,
}

/// The window of deduplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DedupConfig {
    pub(super) window: StdDuration,
    /// How long the count of suppressed duplicates is remembered.
    pub(super) retention: StdDuration,
    pub(super) max_entries: usize,
}

/// A valid rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) name: Text,
    pub(super) critical: bool,
    pub(super) rate: Rate,
    pub(super) max_per_minute: Option<u32>,
    pub(super) conditions: Vec<Condition>,
}

/// A valid condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) attribute: Text,
    pub(super) test: Test,
}

/// With which probability the records of a rule are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    Fixed(f64),
    Adaptive,
}

// === impl AdaptiveSamplerSettings ===

impl Default for AdaptiveSamplerSettings {
    fn default() -> Self {
        Self {
            max_records_per_second: 500,
            reserved_share: 0.2,
            burst: Duration::from_secs(10),
            min_rate: 0.01,
            max_rate: 1.0,
            time_bucket: Duration::from_secs(30),
            dedup: DedupSettings::default(),
            rules: None,
        }
    }
}

impl Default for DedupSettings {
    fn default() -> Self {
        Self { window: Duration::from_secs(30), max_entries: 16_384 }
    }
}

impl AdaptiveSamplerSettings {
    /// Validates, with templates expanded.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn validate(&self) -> Result<Validated<AdaptiveSamplerConfig>, Vec<Complaint>> {
        validate::validate(self)
    }
}

#[cfg(test)]
mod tests;
