//! Settings of `regression_verifier` as written, and the configuration they become.

use dbintel_config::values::Duration;
use dbintel_config::{Checks, Complaint, Validated};
use dbintel_evidence::{Acceleration, Thresholds};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::BlockClock;

/// The most statements of a server whose history can be kept.
pub const MAX_STATEMENTS: usize = 100_000;
/// The most statements of a server that can be under trial.
pub const MAX_TRIALS: usize = 512;
/// The most that time can be accelerated: an hour is then a second.
pub const ACCELERATION_MAX: f64 = 3_600.0;
/// The most findings that a cap can allow.
pub const CAP_MAX: usize = 1_000;
/// The longest cool-down, and the longest a finding can stay open: 90 days.
pub const PERIOD_MAX: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);
/// The least changes of plan a day that can count as instability.
pub const FLAPPING_MIN: u32 = 3;

/// Keeps what every statement does at each hour of the day, and says when a change of plan made one slower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionVerifierSettings {
    /// How many times faster than life time runs, for tests and demonstrations, from 1 to 3600. It divides hours, days, patience and
    /// cool-downs, and no count and no ratio. Every finding is marked with it and is at most `careful`. Default 1.
    pub acceleration: f64,
    /// IANA name of the time zone whose hours of day are compared. Default UTC.
    pub time_zone: String,
    /// Statements of a server whose history is kept, from 1 to 100000, with about 4 KiB each. Beyond it those that took the
    /// least time are forgotten. Default 10000.
    pub max_statements: usize,
    /// Statements of a server that are under trial after a change of plan, from 1 to 512. Beyond it those that lose the
    /// least time are given up. Default 512.
    pub max_trials: usize,
    /// Time lost per day from which on there is a finding. Default 10m.
    pub lost_time_per_day: Duration,
    /// Time lost per day from which on a finding with t between 10 and 100 waits for a person. Default 1h.
    pub review_lost_time_per_day: Duration,
    /// For how long the same is not told again. Default 24h.
    pub cool_down: Duration,
    /// After how long without a decision a finding expires. Default 336h.
    pub expire_after: Duration,
    /// Changes of plan within a day from which on a statement counts as unstable, at least 3. Default 6.
    pub flapping_changes_per_day: u32,
    /// Mean time of an execution from which on a statement that never had another plan counts as slow. Default 1s.
    pub slow_statement: Duration,
    /// How many findings there can be.
    pub caps: CapSettings,
    /// Thresholds of the verdict. Each can only be made stricter than the measured rule.
    pub thresholds: ThresholdSettings,
}

/// How many findings are opened. What is above stays a candidate, is counted, and is looked at again with the next block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapSettings {
    /// Each time blocks are judged. Default 10.
    pub per_run: usize,
    /// Open at the same time about one object: the table that their first cause names, or else the statement. Default 2.
    pub per_object: usize,
    /// Within an hour. Default 20.
    pub per_hour: usize,
}

/// Thresholds that can be made stricter; what is absent is the measured rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdSettings {
    /// t for `careful`, at least 10.
    pub t_careful: Option<f64>,
    /// t for `manual`, at least 50.
    pub t_manual: Option<f64>,
    /// t for `auto`, at least 100.
    pub t_auto: Option<f64>,
    /// Executions after the change, at least 30.
    pub executions_min: Option<f64>,
    /// Statements without a change of plan for more than `careful`, at least 20.
    pub control_statements_min: Option<f64>,
    /// The step in standard errors, at least 5.
    pub block_t_min: Option<f64>,
    /// Standard errors between an estimate and its bounds, at least 3.
    pub z: Option<f64>,
    /// Lower bound of the ratio of times for `careful`, at least 1.2.
    pub effect_careful: Option<f64>,
    /// The same for `manual`, at least 1.3.
    pub effect_manual: Option<f64>,
    /// The same for `auto`, at least 1.5.
    pub effect_auto: Option<f64>,
    /// Ratio of work per call, at least 1.2.
    pub work_ratio_min: Option<f64>,
    /// Change of rows per call, at most 0.25.
    pub rows_change_max: Option<f64>,
    /// Hours after the change for `manual`, at least 12.
    pub patience_manual_hours: Option<f64>,
    /// Hours after the change for `auto`, at least 24.
    pub patience_auto_hours: Option<f64>,
}

/// A configuration that cannot be invalid, and that can be compared.
#[derive(Clone, Debug)]
pub struct RegressionVerifierConfig {
    settings: RegressionVerifierSettings,
    pub(super) thresholds: Thresholds,
    pub(super) clock: BlockClock,
}

// === impl settings ===

impl Default for RegressionVerifierSettings {
    fn default() -> Self {
        Self {
            acceleration: 1.0,
            time_zone: "UTC".to_owned(),
            max_statements: 10_000,
            max_trials: MAX_TRIALS,
            lost_time_per_day: Duration::from_secs(600),
            review_lost_time_per_day: Duration::from_secs(3_600),
            cool_down: Duration::from_secs(86_400),
            expire_after: Duration::from_secs(14 * 86_400),
            flapping_changes_per_day: 6,
            slow_statement: Duration::from_secs(1),
            caps: CapSettings::default(),
            thresholds: ThresholdSettings::default(),
        }
    }
}

impl Default for CapSettings {
    fn default() -> Self {
        Self { per_run: 10, per_object: 2, per_hour: 20 }
    }
}

impl RegressionVerifierSettings {
    /// Checks the settings. Pure.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<Validated<RegressionVerifierConfig>, Vec<Complaint>> {
        let mut checks = Checks::default();
        let acceleration = Acceleration::try_new(self.acceleration)
            .filter(|acceleration| acceleration.factor() <= ACCELERATION_MAX);
        match acceleration {
            None => checks.error("acceleration", format!("must be from 1 to {ACCELERATION_MAX}")),
            Some(acceleration) if acceleration.is_on() => checks.notice(
                "acceleration",
                "is for tests and demonstrations: hours are no hours, and no finding is more than `careful`",
            ),
            Some(_) => {}
        }
        let zone = TimeZone::get(&self.time_zone).map_err(|_| {
            checks.error(
                "time_zone",
                format!("{:?} is no IANA time zone such as Europe/Berlin", self.time_zone),
            );
        });
        for (field, value, max) in [
            ("max_statements", self.max_statements, MAX_STATEMENTS),
            ("max_trials", self.max_trials, MAX_TRIALS),
            ("caps.per_run", self.caps.per_run, CAP_MAX),
            ("caps.per_object", self.caps.per_object, CAP_MAX),
            ("caps.per_hour", self.caps.per_hour, CAP_MAX),
        ] {
            if !(1..=max).contains(&value) {
                checks.error(field, format!("must be from 1 to {max}"));
            }
        }
        for (field, value) in [("cool_down", self.cool_down), ("expire_after", self.expire_after)] {
            if value.is_zero() || value.get() > PERIOD_MAX {
                checks.error(field, "must be above 0 and at most 2160h");
            }
        }
        if self.review_lost_time_per_day < self.lost_time_per_day {
            checks.error("review_lost_time_per_day", "must not be below lost_time_per_day");
        }
        if self.flapping_changes_per_day < FLAPPING_MIN {
            checks.error("flapping_changes_per_day", format!("must be at least {FLAPPING_MIN}"));
        }
        if self.slow_statement.is_zero() {
            checks.error("slow_statement", "must be above 0");
        }
        let thresholds = self.thresholds();
        if let Some((name, least)) = thresholds.laxer_than_measured() {
            let message = format!("can only be stricter than the measured rule, which has {least}");
            checks.error(&format!("thresholds.{name}"), message);
        }
        let clock = zone.ok().zip(acceleration).and_then(|(zone, factor)| BlockClock::try_new(zone, factor));
        checks.finish(clock.map(|clock| RegressionVerifierConfig {
            settings: self.clone(),
            thresholds: thresholds.enforced(),
            clock,
        }))
    }

    fn thresholds(&self) -> Thresholds {
        let (given, rule) = (&self.thresholds, Thresholds::default());
        Thresholds {
            t_careful: given.t_careful.unwrap_or(rule.t_careful),
            t_manual: given.t_manual.unwrap_or(rule.t_manual),
            t_auto: given.t_auto.unwrap_or(rule.t_auto),
            executions_min: given.executions_min.unwrap_or(rule.executions_min),
            control_statements_min: given.control_statements_min.unwrap_or(rule.control_statements_min),
            block_t_min: given.block_t_min.unwrap_or(rule.block_t_min),
            z: given.z.unwrap_or(rule.z),
            effect_careful: given.effect_careful.unwrap_or(rule.effect_careful),
            effect_manual: given.effect_manual.unwrap_or(rule.effect_manual),
            effect_auto: given.effect_auto.unwrap_or(rule.effect_auto),
            work_ratio_min: given.work_ratio_min.unwrap_or(rule.work_ratio_min),
            rows_change_max: given.rows_change_max.unwrap_or(rule.rows_change_max),
            patience_manual_hours: given.patience_manual_hours.unwrap_or(rule.patience_manual_hours),
            patience_auto_hours: given.patience_auto_hours.unwrap_or(rule.patience_auto_hours),
            lost_ms_per_day_min: millis(self.lost_time_per_day),
            review_ms_per_day_min: millis(self.review_lost_time_per_day),
            ..rule
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.get().as_secs_f64() * 1e3
}

// === impl RegressionVerifierConfig ===

impl RegressionVerifierConfig {
    /// The settings it was made of.
    #[must_use]
    pub fn settings(&self) -> &RegressionVerifierSettings {
        &self.settings
    }

    /// Whether time does not run as it is.
    #[must_use]
    pub fn is_accelerated(&self) -> bool {
        self.settings.acceleration > 1.0
    }

    /// A length of time as it is written, shortened by the acceleration.
    pub(super) fn shortened(&self, duration: Duration) -> std::time::Duration {
        duration.get().div_f64(self.settings.acceleration.max(1.0))
    }
}

impl Default for RegressionVerifierConfig {
    fn default() -> Self {
        let settings = RegressionVerifierSettings::default();
        let clock = BlockClock::default();
        Self { thresholds: settings.thresholds().enforced(), settings, clock }
    }
}

/// Everything else follows from the settings.
impl PartialEq for RegressionVerifierConfig {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(yaml: &str) -> Vec<String> {
        let settings: RegressionVerifierSettings = dbintel_config::from_yaml(yaml).unwrap();
        let errors = settings.validate().err().unwrap_or_default();
        errors.into_iter().map(|complaint| complaint.field).collect()
    }

    #[test]
    fn every_field_is_checked() {
        let wrong = "{acceleration: 0.5, time_zone: Nowhere/Town, max_statements: 0, max_trials: 513, cool_down: 0s, \
                     expire_after: 3000h, review_lost_time_per_day: 1m, flapping_changes_per_day: 2, slow_statement: 0s, \
                     caps: {per_run: 0, per_object: 0, per_hour: 0}, thresholds: {t_careful: 9}}";
        let all = [
            "acceleration",
            "time_zone",
            "max_statements",
            "max_trials",
            "caps.per_run",
            "caps.per_object",
            "caps.per_hour",
            "cool_down",
            "expire_after",
            "review_lost_time_per_day",
            "flapping_changes_per_day",
            "slow_statement",
            "thresholds.t_careful",
        ];
        assert_eq!(complaints(wrong), all);
        assert_eq!(complaints("{}"), [""; 0]);
        assert_eq!(complaints("{lost_time_per_day: 0s, review_lost_time_per_day: 0s}"), [""; 0]);
    }

    #[test]
    fn thresholds_get_stricter_and_never_laxer() {
        let laxer = [
            "t_manual: 49",
            "t_auto: 99",
            "executions_min: 29",
            "control_statements_min: 19",
            "block_t_min: 4",
            "z: 2",
            "effect_careful: 1.1",
            "effect_manual: 1.2",
            "effect_auto: 1.4",
            "work_ratio_min: 1.1",
            "rows_change_max: 0.3",
            "patience_manual_hours: 11",
            "patience_auto_hours: 23",
            "z: .nan",
        ];
        for laxer in laxer {
            let name = laxer.split(':').next().unwrap();
            assert_eq!(complaints(&format!("thresholds: {{{laxer}}}")), [format!("thresholds.{name}")]);
        }
        let settings: RegressionVerifierSettings =
            dbintel_config::from_yaml("{thresholds: {effect_careful: 2}, lost_time_per_day: 1s}").unwrap();
        let config = settings.validate().unwrap().config;
        assert_eq!((config.thresholds.effect_careful, config.thresholds.lost_ms_per_day_min), (2.0, 1_000.0));
    }

    #[test]
    fn acceleration_is_worth_a_warning_and_shortens_times_only() {
        let settings: RegressionVerifierSettings = dbintel_config::from_yaml("acceleration: 60").unwrap();
        let validated = settings.validate().unwrap();
        assert_eq!(validated.notices.len(), 1);
        let config = validated.config;
        assert_eq!(config.shortened(settings.cool_down).as_secs(), 1_440);
        assert_eq!(config.thresholds, RegressionVerifierConfig::default().thresholds);
        let plain = RegressionVerifierSettings::default().validate().unwrap();
        assert_eq!((plain.notices.len(), plain.config), (0, RegressionVerifierConfig::default()));
    }
}
