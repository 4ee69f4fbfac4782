//! Settings of the guard.

use std::time::Duration as StdDuration;

use dbintel_admission::{
    Budget, CostClass, Days, HeavyWork, LimitSchedule, Limits, Schedule, TimeOfDay, TreeConfig, Window,
};
use dbintel_config::values::Duration;
use dbintel_config::{Checks, Complaint, Validated};
use schemars::JsonSchema;
use serde::Deserialize;

/// A budget above this is none: ten seconds of each minute.
const BUDGET_MAX: StdDuration = StdDuration::from_secs(60);
/// Below this the ordinary planning of an ordinary server would count as distress.
const PLANNING_TIME_MIN: StdDuration = StdDuration::from_millis(10);
const BACKOFF_MIN: StdDuration = StdDuration::from_secs(1);
const RATE_MAX: f64 = 10_000.0;
/// The longest `max_timeout`, written or not.
const TIMEOUT_MAX: StdDuration = StdDuration::from_secs(60);
/// Time-outs follow the measured 99th percentile up to so many times the receiver's `timeout`.
const TIMEOUT_FACTOR: u32 = 3;

/// What may be sent to each database of a server.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Database time we may cost one database in a minute, as the database measures it.
    pub budget: Duration,
    /// Statements a second, at most; the rate falls when the database is slow or fails, and rises again.
    pub statements_per_second: f64,
    /// Statements at once.
    pub burst: u32,
    /// EXPLAINs a minute.
    pub plans_per_minute: f64,
}

/// Other limits at some times of the week.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSettings {
    /// IANA name of the time zone, for instance `Europe/Berlin`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The windows; the first that holds the time decides.
    pub windows: Vec<WindowSettings>,
}

/// A window of the week, and the limits in it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSettings {
    /// Days on which it begins; all, if there are none.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it begins, `HH:MM`.
    pub from: String,
    /// When it ends, `HH:MM`, not included; at or before `from` it is on the next day. `24:00` is midnight.
    pub to: String,
    /// The limits; those that are left out are those of `limits`.
    #[serde(default)]
    pub limits: Option<WindowLimitSettings>,
}

/// The limits of a window that are other ones than `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WindowLimitSettings {
    /// Database time we may cost one database in a minute, as the database measures it.
    pub budget: Option<Duration>,
    /// Statements a second, at most.
    pub statements_per_second: Option<f64>,
    /// Statements at once.
    pub burst: Option<u32>,
    /// EXPLAINs a minute.
    pub plans_per_minute: Option<f64>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "days of the week")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Work that waits for its windows.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeavyWorkSettings {
    /// IANA name of the time zone.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// When it may run.
    pub windows: Vec<WindowSettings>,
    /// What waits.
    #[serde(default = "heavy_classes")]
    pub classes: Vec<HeavyClass>,
}

/// A kind of work that can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeavyClass {
    /// EXPLAIN.
    Plans,
    /// Sessions.
    Sessions,
    /// Sizes and objects.
    Sizes,
}

/// Settings as written.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreakerSettings {
    /// What may be sent to each database.
    pub limits: LimitSettings,
    /// Successful probes in a row that close a breaker.
    pub success_threshold: u32,
    /// A statement of ours that took longer counts as a failure.
    pub slow_threshold: Duration,
    /// The longest time-out of a statement; time-outs follow what a query usually takes, from the receiver's `timeout` up
    /// to this. By default three times the receiver's `timeout`, 60s at most.
    pub max_timeout: Option<Duration>,
    /// The longest wait before a breaker tries again. By default each kind of failure has its own, up to an hour.
    pub max_backoff: Option<Duration>,
    /// With fewer free connection slots for the database's own clients nothing is sent.
    pub free_slots_min: u32,
    /// When the server says that it plans one of our statements longer than this, the database is left alone for a while.
    /// It is asked about a statement that took long twice in a row before its execution began.
    pub planning_time_max: Duration,
    /// Other limits at other times.
    pub schedule: Option<ScheduleSettings>,
    /// Work that waits for maintenance windows.
    pub heavy_work: Option<HeavyWorkSettings>,
}

/// Validated settings. Two that are equal make the same guard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CircuitBreakerConfig {
    tree: TreeConfig,
    max_timeout: Option<StdDuration>,
}

// === impl CircuitBreakerConfig ===

impl CircuitBreakerConfig {
    /// Settings of the tree before a server whose receiver has this `timeout`.
    pub(super) fn tree(&self, statement_timeout: StdDuration) -> TreeConfig {
        let mut tree = self.tree.clone();
        tree.timeout.base = statement_timeout;
        let by_default = (statement_timeout * TIMEOUT_FACTOR).min(TIMEOUT_MAX);
        tree.timeout.max = self.max_timeout.unwrap_or(by_default).max(statement_timeout);
        tree.slow_threshold = tree.slow_threshold.max(statement_timeout);
        tree
    }
}

impl WindowLimitSettings {
    fn instead_of(self, ordinary: &LimitSettings) -> LimitSettings {
        LimitSettings {
            budget: self.budget.unwrap_or(ordinary.budget),
            statements_per_second: self.statements_per_second.unwrap_or(ordinary.statements_per_second),
            burst: self.burst.unwrap_or(ordinary.burst),
            plans_per_minute: self.plans_per_minute.unwrap_or(ordinary.plans_per_minute),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            budget: limits.budget.per_minute.into(),
            statements_per_second: limits.statements_per_second,
            burst: limits.statement_burst,
            plans_per_minute: limits.plans_per_minute,
        }
    }
}

impl Default for CircuitBreakerSettings {
    fn default() -> Self {
        let tree = TreeConfig::default();
        Self {
            limits: LimitSettings::default(),
            success_threshold: tree.breaker.success_threshold,
            slow_threshold: tree.slow_threshold.into(),
            max_timeout: None,
            max_backoff: None,
            free_slots_min: tree.free_slots_min,
            planning_time_max: tree.planning_time_max.into(),
            schedule: None,
            heavy_work: None,
        }
    }
}

/// Validates.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(
    settings: &CircuitBreakerSettings,
) -> Result<Validated<CircuitBreakerConfig>, Vec<Complaint>> {
    let mut checks = Checks::default();
    let mut tree =
        TreeConfig { limits: limits(&mut checks, "limits", &settings.limits), ..TreeConfig::default() };
    if !(1..=100).contains(&settings.success_threshold) {
        checks.error("success_threshold", "expected a number from 1 to 100");
    }
    tree.breaker.success_threshold = settings.success_threshold;
    tree.slow_threshold = settings.slow_threshold.get();
    tree.free_slots_min = settings.free_slots_min;
    tree.planning_time_max = settings.planning_time_max.get();
    if tree.planning_time_max < PLANNING_TIME_MIN {
        checks.error("planning_time_max", "expected a duration of at least 10ms");
    }
    if let Some(max) = settings.max_backoff.map(Duration::get) {
        if max < BACKOFF_MIN {
            checks.error("max_backoff", "expected a duration of at least 1s");
        }
        for rule in &mut tree.classes {
            (rule.base, rule.max) = (rule.base.min(max), rule.max.min(max));
        }
    }
    let max_timeout = settings.max_timeout.map(Duration::get);
    if max_timeout.is_some_and(|max| max.is_zero() || max > TIMEOUT_MAX) {
        checks.error("max_timeout", "expected a duration above 0 and at most 60s");
    }
    if let Some(written) = &settings.schedule {
        let schedule = schedule(&mut checks, "schedule", &written.time_zone, &written.windows);
        let of_windows = written.windows.iter().enumerate().map(|(index, window)| {
            let field = format!("schedule.windows.{index}.limits");
            window.limits.map_or(tree.limits, |of_window| {
                limits(&mut checks, &field, &of_window.instead_of(&settings.limits))
            })
        });
        let limits = of_windows.collect();
        tree.schedule = schedule.map(|schedule| LimitSchedule { schedule, limits });
    }
    if let Some(written) = &settings.heavy_work {
        let schedule = schedule(&mut checks, "heavy_work", &written.time_zone, &written.windows);
        if written.windows.iter().any(|window| window.limits.is_some()) {
            checks.error("heavy_work.windows", "limits belong to `schedule`; here is only when work may run");
        }
        if written.classes.is_empty() {
            checks.error(
                "heavy_work.classes",
                "expected `plans`, `sessions` or `sizes`; of none, nothing would wait",
            );
        }
        let classes = written.classes.iter().map(|class| match class {
            HeavyClass::Plans => CostClass::Plans,
            HeavyClass::Sessions => CostClass::Sessions,
            HeavyClass::Sizes => CostClass::Sizes,
        });
        let classes = classes.collect();
        tree.heavy_work = schedule.map(|schedule| HeavyWork { schedule, classes });
    }
    checks.finish(Some(CircuitBreakerConfig { tree, max_timeout }))
}

fn limits(checks: &mut Checks, field: &str, settings: &LimitSettings) -> Limits {
    let budget = settings.budget.get();
    if budget.is_zero() || budget > BUDGET_MAX {
        checks.error(
            &format!("{field}.budget"),
            "expected a duration above 0 and at most 60s: database time a minute",
        );
    }
    for (name, rate) in [
        ("statements_per_second", settings.statements_per_second),
        ("plans_per_minute", settings.plans_per_minute),
    ] {
        if !(rate > 0.0 && rate <= RATE_MAX) {
            checks.error(&format!("{field}.{name}"), "expected a number above 0 and at most 10000");
        }
    }
    if !(1..=10_000).contains(&settings.burst) {
        checks.error(&format!("{field}.burst"), "expected a number from 1 to 10000");
    }
    Limits {
        statements_per_second: settings.statements_per_second,
        statement_burst: settings.burst,
        plans_per_minute: settings.plans_per_minute,
        budget: Budget { per_minute: budget },
        ..Limits::default()
    }
}

fn schedule(checks: &mut Checks, field: &str, zone: &str, windows: &[WindowSettings]) -> Option<Schedule> {
    let mut parsed = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        let mut time = |name: &str, text: &str| {
            TimeOfDay::try_parse(text)
                .map_err(|error| checks.error(&format!("{field}.windows.{index}.{name}"), error.to_string()))
                .ok()
        };
        let times = (time("from", &window.from), time("to", &window.to));
        let (Some(from), Some(to)) = times else { continue };
        parsed.push(Window { days: days(&window.days), from, to });
    }
    if parsed.len() < windows.len() {
        return None;
    }
    Schedule::try_new(zone, parsed).map_err(|error| checks.error(field, error.to_string())).ok()
}

fn days(days: &[Day]) -> Days {
    if days.is_empty() {
        return Days::ALL;
    }
    days.iter().fold(Days::default(), |days, day| days.with(*day as u8))
}

fn utc() -> String {
    "UTC".to_owned()
}

fn heavy_classes() -> Vec<HeavyClass> {
    vec![HeavyClass::Plans, HeavyClass::Sizes]
}
