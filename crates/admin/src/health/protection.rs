//! What stands before a server and between it and the exporters: breakers, rates and budgets, the sampler; each as a
//! component of the report, out of the self-metrics.

use std::collections::BTreeMap;

use dbintel_model::Text;
use serde_json::Value;

use super::figures::number;
use super::report::ComponentHealth;
use crate::pages::{PipelineView, Sample, SeriesIndex};

/// The protective components of one lane, by name.
pub(super) fn components(
    lane: &PipelineView,
    series: &SeriesIndex,
) -> impl Iterator<Item = (String, ComponentHealth)> {
    let receiver = lane.receiver.as_str();
    let sampler = |id: &&Text| id.split('/').next() == Some("adaptive_sampler");
    let sampler = lane.processors.iter().find(sampler);
    let named = |name: &str, health| (format!("{name}:{receiver}"), health);
    [
        Some(named("circuit_breaker", circuit_breaker(receiver, series))),
        Some(named("rate_limiter", rate_limiter(receiver, series))),
        sampler.map(|_| named("adaptive_sampler", adaptive_sampler(receiver, series))),
    ]
    .into_iter()
    .flatten()
}

fn circuit_breaker(receiver: &str, series: &SeriesIndex) -> ComponentHealth {
    let of_state = |state: &str| -> Vec<&str> {
        let samples = series.samples("circuit_breaker_state", receiver).iter();
        let matching = samples.filter(|sample| sample.label("state") == Some(state) && sample.value > 0.0);
        matching.map(place).collect()
    };
    let (open, half_open) = (of_state("open"), of_state("half_open"));
    let (closed, trips) = (of_state("closed"), series.sum("circuit_breaker_trips_total", receiver));
    let count = |list: &[&str]| Value::from(list.len());
    let mut metrics = BTreeMap::from([
        ("open", count(&open)),
        ("half_open", count(&half_open)),
        ("closed", count(&closed)),
        ("trips", number(trips.unwrap_or_default())),
    ]);
    let longest = greatest("circuit_breaker_recovery_time_seconds", receiver, series);
    metrics.extend(longest.map(|seconds| ("recovery_time_seconds", number(seconds))));
    let not_closed: Vec<&str> = open.into_iter().chain(half_open).collect();
    let reason = (!not_closed.is_empty()).then(|| format!("not closed: {}", not_closed.join(", ")));
    ComponentHealth::of_figures(metrics, reason)
}

fn rate_limiter(receiver: &str, series: &SeriesIndex) -> ComponentHealth {
    let figures = [
        ("rejection_rate", "rate_limiter_rejection_rate"),
        ("budget_ratio", "collector_database_budget_ratio"),
        ("cadence_stretch", "collector_cadence_stretch_ratio"),
    ];
    let known = figures.map(|(name, metric)| (name, greatest(metric, receiver, series)));
    let stretch = known.iter().find_map(|(name, value)| (*name == "cadence_stretch").then_some(*value)?);
    let reason = stretch.filter(|stretch| *stretch > 1.0).map(|stretch| {
        format!("the budget of database time stretches intervals {stretch:.1} times; pipelinez shows what was spent")
    });
    let metrics = known.into_iter().filter_map(|(name, value)| Some((name, number(value?)))).collect();
    ComponentHealth::of_figures(metrics, reason)
}

fn adaptive_sampler(receiver: &str, series: &SeriesIndex) -> ComponentHealth {
    let figures = [
        ("records_processed", "adaptive_sampler_records_processed_total"),
        ("records_dropped", "adaptive_sampler_records_dropped_total"),
        ("cache_hit_rate", "adaptive_sampler_cache_hit_rate"),
    ];
    let known =
        figures.into_iter().filter_map(|(name, metric)| Some((name, number(series.sum(metric, receiver)?))));
    ComponentHealth::of_figures(known.collect(), None)
}

fn greatest(metric: &str, receiver: &str, series: &SeriesIndex) -> Option<f64> {
    series.samples(metric, receiver).iter().map(|sample| sample.value).reduce(f64::max)
}

/// The database, or the server.
fn place(sample: &Sample) -> &str {
    sample.label("database").filter(|name| !name.is_empty()).unwrap_or("server")
}
