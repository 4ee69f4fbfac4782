//! `retry_on_failure`: how often and how long a request is tried again.

use dbintel_config::values::Duration;
use dbintel_pipeline::{Backoff, BackoffError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::otlp::RetryPolicy;
use dbintel_config::Checks;

/// How a request that may succeed later is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Whether it is tried again at all.
    pub enabled: bool,
    /// Wait before the second attempt.
    pub initial_interval: Duration,
    /// Share of each wait by which it may be shorter or longer, from 0 to 1.
    pub randomization_factor: f64,
    /// Factor from one wait to the next, from 1 to 100.
    pub multiplier: f64,
    /// Longest wait.
    pub max_interval: Duration,
    /// Time after which a request is given up and counted as lost; 0 means never.
    pub max_elapsed_time: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
        }
    }
}

/// The policy; `None` if nothing is tried again, or something is wrong.
pub(crate) fn policy(settings: &RetrySettings, checks: &mut Checks) -> Option<RetryPolicy> {
    if !settings.enabled {
        return None;
    }
    let (initial, max) = (settings.initial_interval.get(), settings.max_interval.get());
    let backoff = Backoff::try_new(initial, max, settings.multiplier, settings.randomization_factor);
    let give_up_after = settings.max_elapsed_time.get();
    if !give_up_after.is_zero() && give_up_after < initial {
        checks.error(
            "retry_on_failure.max_elapsed_time",
            "must not be below initial_interval; 0 means to try for ever",
        );
    }
    match backoff {
        Ok(backoff) => {
            Some(RetryPolicy { backoff, give_up_after: (!give_up_after.is_zero()).then_some(give_up_after) })
        }
        Err(error) => {
            let field = match error {
                BackoffError::ZeroInitial => "initial_interval",
                BackoffError::MaxBelowInitial => "max_interval",
                BackoffError::Multiplier => "multiplier",
                BackoffError::Jitter => "randomization_factor",
            };
            checks.error(&format!("retry_on_failure.{field}"), error.to_string());
            None
        }
    }
}
