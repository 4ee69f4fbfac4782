//! Settings of `verification`: serde type and validation.
//!
//! The defaults are wide: with them, a healthy server loses nothing. Only what is configured under `budget` is a limit
//! of cost; without it, bytes and series are measured and nothing else.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use dbintel_config::values::{ByteSize, Duration};
use dbintel_config::{Checks, Complaint, Validated};
use dbintel_model::catalogue::METRICS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cardinality::{EVENT_ATTRIBUTES, VALUES_MAX};
use super::detectors::{Detector, Detectors};
use super::series::SERIES_MAX;

/// The least bytes a text may be cut to: room for the mark and something before it.
pub const TEXT_BYTES_MIN: u64 = 64;
/// The least bytes of a record: with texts cut to a share of it, every record fits.
pub const RECORD_BYTES_MIN: u64 = 8 << 10;
/// Attributes with a limit of their own.
pub const ATTRIBUTES_MAX: usize = 256;
/// The shortest time after which values and series may be forgotten: polls are slower than this.
const FORGET_MIN: StdDuration = StdDuration::from_secs(60);
/// Letters of a currency.
const CURRENCY_BYTES_MAX: usize = 8;

/// `verification` as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerificationSettings {
    /// Distinct values per attribute.
    pub cardinality: CardinalitySettings,
    /// Largest texts and records.
    pub sizes: SizeSettings,
    /// Oldest and newest times.
    pub freshness: FreshnessSettings,
    /// Personal data and secrets in texts.
    pub privacy: PrivacySettings,
    /// Bytes and series.
    pub budget: BudgetSettings,
}

/// Distinct values per attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardinalitySettings {
    /// Distinct values that an attribute may have, in each database of a server. Further ones overflow.
    pub max_values: u32,
    /// The same for single attributes, by name.
    pub attributes: BTreeMap<String, u32>,
    /// After how long a value that is no longer seen gives its place to another.
    pub forget_after: Duration,
}

/// Largest texts and records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SizeSettings {
    /// Longest text of a record. Longer ones are cut and marked.
    pub max_text: ByteSize,
    /// Largest record. The texts of a larger one are cut further.
    pub max_record: ByteSize,
}

/// Oldest and newest times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FreshnessSettings {
    /// Age above which a metric point, statement or session is not sent.
    pub max_age: Duration,
    /// How far in the future a record may be, by the clock it comes from.
    pub max_future: Duration,
    /// What becomes of a record that is too old or from the future. It is counted either way.
    pub action: FreshnessAction,
}

/// What becomes of a record that is too old or from the future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessAction {
    /// It is dropped.
    #[default]
    Drop,
    /// It is only counted.
    Count,
}

/// Personal data and secrets in texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacySettings {
    /// What is looked for and masked. An empty list looks for nothing.
    pub detectors: Vec<Detector>,
}

/// Bytes and series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSettings {
    /// Bytes that may leave in any minute, per server, before compression. Near it sessions are dropped, then texts of
    /// statements; metrics, statements, changes, gaps and findings always leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_minute: Option<ByteSize>,
    /// Active series per server. Points of further ones are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_series: Option<u32>,
    /// How long a series counts as active after its last point.
    pub series_active_for: Duration,
    /// What a GiB costs at your backend, before compression. Shows the cost per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_gib: Option<f64>,
    /// What 1,000 active series cost per month of 365/12 days. Shows the cost per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_1000_series_per_month: Option<f64>,
    /// The currency of the prices, a label of the cost: `EUR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// Validated settings. Two that are equal make the same processor.
#[derive(Clone, Debug, PartialEq)]
pub struct VerificationConfig {
    pub(super) max_values: u32,
    pub(super) max_values_of: BTreeMap<String, u32>,
    pub(super) forget_after: StdDuration,
    pub(super) max_text_bytes: usize,
    pub(super) max_record_bytes: usize,
    pub(super) max_age: StdDuration,
    pub(super) max_future: StdDuration,
    pub(super) drop_untimely: bool,
    pub(super) detectors: Detectors,
    pub(super) max_bytes_per_minute: Option<u64>,
    pub(super) max_series: Option<u32>,
    pub(super) series_active_for: StdDuration,
    pub(super) price_per_gib: Option<f64>,
    pub(super) price_per_1000_series_per_month: Option<f64>,
    pub(super) currency: Option<String>,
}

// === impl settings ===

impl Default for CardinalitySettings {
    fn default() -> Self {
        Self { max_values: 10_000, attributes: BTreeMap::new(), forget_after: Duration::from_secs(3_600) }
    }
}

impl Default for SizeSettings {
    fn default() -> Self {
        Self { max_text: ByteSize::from_kib(16), max_record: ByteSize::from_kib(64) }
    }
}

impl Default for FreshnessSettings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(24 * 3_600),
            max_future: Duration::from_secs(600),
            action: FreshnessAction::Drop,
        }
    }
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self { detectors: Detector::ALL.into() }
    }
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            max_bytes_per_minute: None,
            max_series: None,
            series_active_for: Duration::from_secs(15 * 60),
            price_per_gib: None,
            price_per_1000_series_per_month: None,
            currency: None,
        }
    }
}

impl VerificationSettings {
    /// Checks the settings. Pure.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(self) -> Result<Validated<VerificationConfig>, Vec<Complaint>> {
        let mut checks = Checks::default();
        self.cardinality.check(&mut checks);
        self.sizes.check(&mut checks);
        self.freshness.check(&mut checks);
        if self.privacy.detectors.is_empty() {
            checks.notice(
                "privacy.detectors",
                "no detector is on: what the masker let through leaves as it is",
            );
        }
        self.budget.check(&mut checks);
        checks.finish(Some(VerificationConfig::from_settings(self)))
    }
}

impl CardinalitySettings {
    fn check(&self, checks: &mut Checks) {
        let message = format!("must be 1 to {VALUES_MAX}, the values held for one server");
        let fits =
            |values: u32| values >= 1 && usize::try_from(values).is_ok_and(|values| values <= VALUES_MAX);
        if !fits(self.max_values) {
            checks.error("cardinality.max_values", &*message);
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            checks.error("cardinality.attributes", format!("at most {ATTRIBUTES_MAX} attributes"));
        }
        for (name, values) in &self.attributes {
            let field = format!("cardinality.attributes.{name}");
            if !fits(*values) {
                checks.error(&field, &*message);
            }
            let of_metric = || METRICS.iter().any(|metric| metric.attributes.contains(&name.as_str()));
            if !EVENT_ATTRIBUTES.contains(&name.as_str()) && !of_metric() {
                checks.notice(
                    &field,
                    "no metric of dbintel has this attribute, and it is not limited in events",
                );
            }
        }
        at_least_a_minute("cardinality.forget_after", self.forget_after, checks);
    }
}

impl SizeSettings {
    fn check(&self, checks: &mut Checks) {
        if self.max_text.bytes() < TEXT_BYTES_MIN {
            checks.error("sizes.max_text", format!("must be at least {TEXT_BYTES_MIN} bytes"));
        }
        if self.max_record.bytes() < RECORD_BYTES_MIN {
            checks.error(
                "sizes.max_record",
                "must be at least 8KiB, so that every record fits once its texts are cut",
            );
        }
    }
}

impl FreshnessSettings {
    fn check(&self, checks: &mut Checks) {
        at_least_a_minute("freshness.max_age", self.max_age, checks);
        if self.max_future.is_zero() {
            checks.error("freshness.max_future", "must be above 0: no two clocks agree");
        }
    }
}

impl BudgetSettings {
    fn check(&self, checks: &mut Checks) {
        if self.max_bytes_per_minute.is_some_and(|bytes| bytes.bytes() == 0) {
            checks.error("budget.max_bytes_per_minute", "must be above 0; leave it out for no limit");
        }
        let series_max = u32::try_from(SERIES_MAX).unwrap_or(u32::MAX);
        if self.max_series.is_some_and(|series| !(1..=series_max).contains(&series)) {
            checks.error(
                "budget.max_series",
                format!(
                    "must be 1 to {SERIES_MAX}, the series held for one server; leave it out for no limit"
                ),
            );
        }
        at_least_a_minute("budget.series_active_for", self.series_active_for, checks);
        let prices = [
            ("budget.price_per_gib", self.price_per_gib),
            ("budget.price_per_1000_series_per_month", self.price_per_1000_series_per_month),
        ];
        for (field, price) in prices {
            if price.is_some_and(|price| !price.is_finite() || price < 0.0) {
                checks.error(field, "must be a number of 0 or more");
            }
        }
        if let Some(currency) = &self.currency {
            let letters = currency.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if currency.is_empty() || currency.len() > CURRENCY_BYTES_MAX || !letters {
                checks.error("budget.currency", "must be 1 to 8 letters, such as `EUR`");
            }
            if prices.iter().all(|(_, price)| price.is_none()) {
                checks.notice("budget.currency", "has no effect without a price");
            }
        }
    }
}

fn at_least_a_minute(field: &str, duration: Duration, checks: &mut Checks) {
    if duration.get() < FORGET_MIN {
        checks.error(field, "must be at least 1m: some things are polled no more often");
    }
}

// === impl VerificationConfig ===

impl VerificationConfig {
    fn from_settings(settings: VerificationSettings) -> Self {
        Self {
            max_values: settings.cardinality.max_values,
            max_values_of: settings.cardinality.attributes,
            forget_after: settings.cardinality.forget_after.get(),
            max_text_bytes: settings.sizes.max_text.as_usize(),
            max_record_bytes: settings.sizes.max_record.as_usize(),
            max_age: settings.freshness.max_age.get(),
            max_future: settings.freshness.max_future.get(),
            drop_untimely: settings.freshness.action == FreshnessAction::Drop,
            detectors: Detectors::of(&settings.privacy.detectors),
            max_bytes_per_minute: settings.budget.max_bytes_per_minute.map(ByteSize::bytes),
            max_series: settings.budget.max_series,
            series_active_for: settings.budget.series_active_for.get(),
            price_per_gib: settings.budget.price_per_gib,
            price_per_1000_series_per_month: settings.budget.price_per_1000_series_per_month,
            currency: settings.budget.currency,
        }
    }
}

impl Default for VerificationConfig {
    fn default() -> Self {
        Self::from_settings(VerificationSettings::default())
    }
}

#[cfg(test)]
mod tests;
