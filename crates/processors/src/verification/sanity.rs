//! Required fields, freshness, and values that make sense.
//!
//! A record whose identity, interval or main value is wrong is dropped; a wrong value beside the main one is taken out
//! and the record goes on. Both are counted by reason. Changes, gaps and findings say that something is wrong: they are
//! never dropped.

use std::time::Duration;

use dbintel_model::{Batch, Number, Query, QueryKey, Record, Session, Timestamp};

use super::config::VerificationConfig;
use super::telemetry::{DropReason, Telemetry, ValueReason};

/// The clocks of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// When the batch was read, by the clock of its records.
    read_at: Timestamp,
    /// How long ago that was, by our clock.
    ago: Duration,
}

// === impl Clocks ===

impl Clocks {
    pub(super) fn of(batch: &Batch, now: Timestamp) -> Self {
        let read_at = batch.server_clock.unwrap_or(batch.observed_at);
        Self { read_at, ago: now.since(batch.observed_at) }
    }

    /// Whether a record of this time is too old, or from the future. Only times of one clock are compared.
    fn untimely(&self, time: Timestamp, config: &VerificationConfig) -> Option<DropReason> {
        if self.read_at.since(time).saturating_add(self.ago) > config.max_age {
            Some(DropReason::TooOld)
        } else if time.since(self.read_at) > config.max_future {
            Some(DropReason::FromTheFuture)
        } else {
            None
        }
    }
}

/// How far the server's clock is from ours, where the batch has both.
pub(super) fn skew_seconds(batch: &Batch) -> Option<f64> {
    let server = batch.server_clock?;
    let ahead = server.since(batch.observed_at).as_secs_f64();
    Some(ahead - batch.observed_at.since(server).as_secs_f64())
}

/// Whether a batch says which server it is about.
pub(super) fn has_target(batch: &Batch) -> bool {
    let server = &batch.target.server;
    !server.address.is_empty() && !server.system.is_empty() && !server.receiver.is_empty()
}

/// Takes wrong values out of a record, and says why it must not leave at all, if so.
pub(super) fn check(
    record: &mut Record,
    clocks: &Clocks,
    config: &VerificationConfig,
    telemetry: &Telemetry,
) -> Option<DropReason> {
    let (wrong, time) = match record {
        Record::Metric(point) => {
            let reversed = point.start.is_some_and(|start| start > point.time);
            let wrong =
                if reversed { Some(DropReason::IntervalReversed) } else { number(point.value, point.metric) };
            (wrong, Some(point.time))
        }
        Record::Query(query) => (self::query(query, telemetry), Some(query.interval.end)),
        Record::Session(session) => (self::session(session, telemetry), Some(clocks.read_at)),
        Record::QueryPlan(plan) => (key(&plan.key), Some(plan.obtained_at)),
        Record::PlanSensitivity(sensitivity) => (key(&sensitivity.key), Some(sensitivity.at)),
        Record::Change(_)
        | Record::Gap(_)
        | Record::Plan(_)
        | Record::NoPlan(_)
        | Record::PlanChange(_)
        | Record::Finding(_) => (None, None),
    };
    wrong.or_else(|| {
        let untimely = match time {
            Some(time) if time == Timestamp::default() => return Some(DropReason::MissingTime),
            Some(time) => clocks.untimely(time, config)?,
            None => return None,
        };
        if !config.drop_untimely {
            telemetry.untimely(untimely);
            return None;
        }
        Some(untimely)
    })
}

fn number(value: Number, metric: &dbintel_model::MetricDefinition) -> Option<DropReason> {
    match value {
        Number::Double(value) if !value.is_finite() => Some(DropReason::NotANumber),
        value if metric.is_monotonic() && value.as_f64() < 0.0 => Some(DropReason::NegativeCounter),
        Number::Int(_) | Number::Double(_) => None,
    }
}

fn key(key: &QueryKey) -> Option<DropReason> {
    let is_missing = key.query_id == 0 || (key.database_id == 0 && key.database.is_empty());
    is_missing.then_some(DropReason::MissingIdentity)
}

fn query(query: &mut Query, telemetry: &Telemetry) -> Option<DropReason> {
    let nobody = key(&query.key);
    if nobody.is_some() {
        return nobody;
    }
    if query.interval.start > query.interval.end {
        return Some(DropReason::IntervalReversed);
    }
    if query.calls < 0 {
        return Some(DropReason::NegativeCounter);
    }
    if let Some(reason) = wrong_duration(query.total_time_ms) {
        return Some(match reason {
            ValueReason::NotANumber => DropReason::NotANumber,
            ValueReason::Negative => DropReason::NegativeDuration,
        });
    }
    if let Some(moments) = &mut query.moments {
        if let Some(reason) = moments.variance_ms2.and_then(wrong_duration) {
            moments.variance_ms2 = None;
            telemetry.value_dropped(reason, 1);
        }
        if let Some(reason) = wrong_duration(moments.mean_ms) {
            query.moments = None;
            telemetry.value_dropped(reason, 1);
        }
    }
    // Absent counters are not numbers; infinite ones are wrong.
    let infinite = query.counters.discard(f64::is_infinite);
    let negative = query.counters.discard(|value| value < 0.0);
    telemetry.value_dropped(ValueReason::NotANumber, infinite);
    telemetry.value_dropped(ValueReason::Negative, negative);
    None
}

fn session(session: &mut Session, telemetry: &Telemetry) -> Option<DropReason> {
    if session.pid <= 0 {
        return Some(DropReason::MissingIdentity);
    }
    let waited = session.blocking.as_mut().map(|blocking| &mut blocking.wait_duration_ms);
    for duration in [Some(&mut session.running_ms), waited].into_iter().flatten() {
        if let Some(reason) = duration.and_then(wrong_duration) {
            *duration = None;
            telemetry.value_dropped(reason, 1);
        }
    }
    None
}

fn wrong_duration(value: f64) -> Option<ValueReason> {
    if !value.is_finite() {
        Some(ValueReason::NotANumber)
    } else if value < 0.0 {
        Some(ValueReason::Negative)
    } else {
        None
    }
}
