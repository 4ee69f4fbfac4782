//! Settings of `plan_extractor` as written, and the configuration they become.

use dbintel_config::values::ByteSize;
use dbintel_config::{Checks, Complaint, Validated};
use dbintel_plan::MAX_PLAN_BYTES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most statements whose plans can be followed, for each server.
pub const MAX_TRACKED_STATEMENTS: usize = 100_000;
/// The least that `tracked.max_bytes` and `cache.max_bytes` can be.
pub const BYTES_MIN: u64 = 1 << 20;
/// The most that `tracked.max_bytes` and `cache.max_bytes` can be.
pub const BYTES_MAX: u64 = 4 << 30;
/// The least `max_plan_bytes`.
pub const PLAN_BYTES_MIN: u64 = 4 << 10;
/// The least and the most `max_event_plan_bytes`: a record above 1 MiB has no place in a request.
pub const EVENT_PLAN_BYTES_MIN: u64 = 1 << 10;
/// See [`EVENT_PLAN_BYTES_MIN`].
pub const EVENT_PLAN_BYTES_MAX: u64 = 1 << 20;
/// The least `max_parse_steps`.
pub const PARSE_STEPS_MIN: u64 = 1_000;
/// The most `max_parse_steps`: some seconds of work.
pub const PARSE_STEPS_MAX: u64 = 100_000_000;

/// Makes of the plans a receiver obtains what may leave, and says when the plan of a statement changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanExtractorSettings {
    /// Plans that were read, by their bytes. All servers share it.
    pub cache: CacheSettings,
    /// Statements whose plans are followed, for each server.
    pub tracked: TrackedSettings,
    /// Largest plan that is read, as the server gave it, from 4KiB to 16MiB. Default 4MiB.
    pub max_plan_bytes: ByteSize,
    /// Steps that reading one plan may take, about one for each word of it, from 1000 to 100000000. A step takes in the
    /// order of 20 ns. Default 1000000.
    pub max_parse_steps: u64,
    /// Largest redacted plan in an event, from 1KiB to 1MiB; of a larger one the last nodes are left out. Default 32KiB.
    pub max_event_plan_bytes: ByteSize,
}

/// Plans that were read, by their bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Bytes it may hold, from 1MiB to 4GiB; 0 switches it off. Default 32MiB.
    pub max_bytes: ByteSize,
}

/// Statements whose plans are followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackedSettings {
    /// Statements at most, from 1 to 100000. Beyond it the one whose plan was seen least recently is forgotten, and its
    /// next plan is a first one. Default 5000.
    pub max_statements: usize,
    /// Bytes of their plans at most, compressed, from 1MiB to 4GiB. Default 64MiB.
    pub max_bytes: ByteSize,
}

/// A configuration that cannot be invalid, and that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanExtractorConfig {
    pub(super) cache_bytes: usize,
    pub(super) tracked_statements: usize,
    pub(super) tracked_bytes: usize,
    pub(super) max_plan_bytes: usize,
    pub(super) max_parse_steps: u64,
    pub(super) max_event_plan_bytes: usize,
}

// === impl settings ===

impl Default for PlanExtractorSettings {
    fn default() -> Self {
        Self {
            cache: CacheSettings::default(),
            tracked: TrackedSettings::default(),
            max_plan_bytes: ByteSize::from_mib(4),
            max_parse_steps: 1_000_000,
            max_event_plan_bytes: ByteSize::from_kib(32),
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { max_bytes: ByteSize::from_mib(32) }
    }
}

impl Default for TrackedSettings {
    fn default() -> Self {
        Self { max_statements: 5_000, max_bytes: ByteSize::from_mib(64) }
    }
}

impl PlanExtractorSettings {
    /// Checks the settings. Pure.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<Validated<PlanExtractorConfig>, Vec<Complaint>> {
        let mut checks = Checks::default();
        let cache = self.cache.max_bytes.bytes();
        if cache == 0 {
            checks.notice("cache.max_bytes", "the cache is off: every plan is read each time it is seen");
        } else if !(BYTES_MIN..=BYTES_MAX).contains(&cache) {
            checks.error("cache.max_bytes", "must be from 1MiB to 4GiB, or 0 for no cache");
        }
        if !(1..=MAX_TRACKED_STATEMENTS).contains(&self.tracked.max_statements) {
            checks.error("tracked.max_statements", format!("must be from 1 to {MAX_TRACKED_STATEMENTS}"));
        }
        if !(BYTES_MIN..=BYTES_MAX).contains(&self.tracked.max_bytes.bytes()) {
            checks.error("tracked.max_bytes", "must be from 1MiB to 4GiB");
        }
        if !(PLAN_BYTES_MIN..=MAX_PLAN_BYTES as u64).contains(&self.max_plan_bytes.bytes()) {
            checks.error("max_plan_bytes", "must be from 4KiB to 16MiB");
        }
        if !(PARSE_STEPS_MIN..=PARSE_STEPS_MAX).contains(&self.max_parse_steps) {
            checks.error("max_parse_steps", format!("must be from {PARSE_STEPS_MIN} to {PARSE_STEPS_MAX}"));
        }
        if !(EVENT_PLAN_BYTES_MIN..=EVENT_PLAN_BYTES_MAX).contains(&self.max_event_plan_bytes.bytes()) {
            checks.error("max_event_plan_bytes", "must be from 1KiB to 1MiB");
        }
        checks.finish(Some(PlanExtractorConfig::from_settings(self)))
    }
}

// === impl PlanExtractorConfig ===

impl PlanExtractorConfig {
    fn from_settings(settings: &PlanExtractorSettings) -> Self {
        Self {
            cache_bytes: settings.cache.max_bytes.as_usize(),
            tracked_statements: settings.tracked.max_statements,
            tracked_bytes: settings.tracked.max_bytes.as_usize(),
            max_plan_bytes: settings.max_plan_bytes.as_usize(),
            max_parse_steps: settings.max_parse_steps,
            max_event_plan_bytes: settings.max_event_plan_bytes.as_usize(),
        }
    }
}

impl Default for PlanExtractorConfig {
    fn default() -> Self {
        Self::from_settings(&PlanExtractorSettings::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(yaml: &str) -> Vec<String> {
        let settings: PlanExtractorSettings = dbintel_config::from_yaml(yaml).unwrap();
        let errors = settings.validate().err().unwrap_or_default();
        errors.into_iter().map(|complaint| complaint.field).collect()
    }

    #[test]
    fn every_field_is_checked() {
        let wrong = "{cache: {max_bytes: 1KiB}, tracked: {max_statements: 0, max_bytes: 1KiB}, max_plan_bytes: 17MiB, \
                     max_parse_steps: 1, max_event_plan_bytes: 10}";
        let all = [
            "cache.max_bytes",
            "tracked.max_statements",
            "tracked.max_bytes",
            "max_plan_bytes",
            "max_parse_steps",
            "max_event_plan_bytes",
        ];
        assert_eq!(complaints(wrong), all);
        assert_eq!(complaints("{}"), [""; 0]);
    }

    #[test]
    fn a_cache_that_is_off_is_worth_a_warning() {
        let settings: PlanExtractorSettings = dbintel_config::from_yaml("cache: {max_bytes: 0}").unwrap();
        assert_eq!(settings.validate().unwrap().notices.len(), 1);
        assert_eq!(PlanExtractorSettings::default().validate().unwrap().notices.len(), 0);
    }
}
