//! What a guard shows in self-metrics and in the log.

use std::collections::{BTreeMap, BTreeSet};

use dbintel_admission::{CostSource, FailureClass, NodeTransition, NodeView, State, TreeView};
use dbintel_model::Text;
use dbintel_pipeline::admission::{Outcome, Purpose, StatementError};
use dbintel_pipeline::telemetry::{Counter, Gauge, Registry, SelfMetric, definitions as of_pipeline};

use super::guard::source;
use crate::definitions;

/// Label of what is asked of the server as a whole.
const WHOLE: &str = "";

/// See the module.
#[derive(Debug)]
pub(super) struct Published {
    registry: Registry,
    receiver: Text,
    server: Text,
    /// A handful of entries each: a scan beats a map.
    outcomes: Vec<((Purpose, &'static str), Counter)>,
    times: Vec<((Purpose, &'static str), Gauge)>,
    denials: Vec<((Purpose, &'static str), Counter)>,
    /// At last publication, for the rejection rate: admitted, rejected.
    counted: BTreeMap<Text, (u64, u64)>,
    /// Databases that have series.
    shown: BTreeSet<Text>,
}

impl Published {
    pub(super) fn new(registry: Registry, receiver: Text, server: Text) -> Self {
        let (outcomes, times, denials) = (Vec::new(), Vec::new(), Vec::new());
        let (counted, shown) = (BTreeMap::new(), BTreeSet::new());
        Self { registry, receiver, server, outcomes, times, denials, counted, shown }
    }

    /// A statement that ended, if it was sent.
    pub(super) fn outcome(&mut self, purpose: Purpose, outcome: &Outcome) {
        if outcome.error == Some(StatementError::NotSent) {
            return;
        }
        let result = outcome.error.as_ref().map_or("success", StatementError::as_str);
        let labels = |name, value| labels(&self.receiver, purpose, name, value);
        find_or_insert(&mut self.outcomes, (purpose, result), || {
            self.registry.counter(&of_pipeline::STATEMENTS, labels("outcome", result))
        })
        .increment();
        let (source, time) = match outcome.database {
            Some(time) => (source(CostSource::Statement), time),
            None => (source(CostSource::Wall), outcome.wall),
        };
        find_or_insert(&mut self.times, (purpose, source), || {
            self.registry.gauge(&of_pipeline::DATABASE_TIME, labels("source", source))
        })
        .add(time.as_secs_f64());
    }

    /// A statement that was not admitted.
    pub(super) fn denied(&mut self, purpose: Purpose, gate: &'static str) {
        find_or_insert(&mut self.denials, (purpose, gate), || {
            let labels = labels(&self.receiver, purpose, "gate", gate);
            self.registry.counter(&definitions::ADMISSION_DENIED, labels)
        })
        .increment();
    }

    /// A breaker that changed its state.
    pub(super) fn transition(&mut self, changed: &NodeTransition) {
        let transition = &changed.transition;
        let class = transition.class.map_or("order", FailureClass::as_str);
        let (level, from, to) = (changed.level.as_str(), transition.from.as_str(), transition.to.as_str());
        let database = changed.database.as_deref().unwrap_or(WHOLE);
        self.shown.extend(changed.database.clone());
        let feature = changed.feature.as_deref().unwrap_or_default();
        let wait_s = transition.wait.unwrap_or_default().as_secs();
        let seconds = transition.open_for.unwrap_or_default().as_secs();
        match transition.to {
            State::Open => {
                self.registry.counter(&definitions::BREAKER_TRIPS, self.of(database)).increment();
                tracing::warn!(
                    receiver = %self.receiver, level, database, feature, class, wait_s,
                    "breaker opened: nothing is sent there until a probe succeeds"
                );
            }
            State::HalfOpen => {
                tracing::info!(receiver = %self.receiver, level, database, feature, class, from, to, "breaker probes");
            }
            State::Closed => {
                let gauge = self.registry.gauge(&definitions::BREAKER_RECOVERY, self.of(database));
                gauge.set(transition.open_for.unwrap_or_default().as_secs_f64());
                tracing::info!(receiver = %self.receiver, level, database, feature, seconds, "breaker closed again");
            }
        }
    }

    /// How the tree stands.
    pub(super) fn view(&mut self, view: &TreeView) {
        for node in &view.nodes {
            let state = if node.database.is_none() {
                worse(view.breaker.state, node.breaker.state)
            } else {
                node.breaker.state
            };
            self.node(node, state);
        }
    }

    fn node(&mut self, node: &NodeView, state: State) {
        let name = node.database.clone().unwrap_or(Text::Static(WHOLE));
        self.shown.extend(node.database.clone());
        for possible in [State::Closed, State::HalfOpen, State::Open] {
            let mut labels = self.of(&name);
            labels.push(("state", Text::Static(possible.as_str())));
            let is = f64::from(u8::from(possible == state));
            self.registry.gauge(&definitions::BREAKER_STATE, labels).set(is);
        }
        let gauge = |metric: &'static SelfMetric, value: f64| {
            self.registry.gauge(metric, self.of(&name)).set(value);
        };
        gauge(&definitions::BUDGET_RATIO, node.pressure.ratio);
        gauge(&definitions::CADENCE_STRETCH, node.pressure.stretch);
        for (purpose, source_of_cost, total) in &node.totals {
            let mut labels = self.of(&name);
            labels.push(("purpose", Text::Static(purpose.as_str())));
            labels.push(("source", Text::Static(source(*source_of_cost))));
            self.registry.gauge(&definitions::LEDGER_TIME, labels).set(total.as_secs_f64());
        }
        let (admitted, rejected) = self.counted.get(&name).copied().unwrap_or_default();
        let new = (node.admitted.saturating_sub(admitted), node.rate_rejected.saturating_sub(rejected));
        if new.0 + new.1 > 0 {
            gauge(&definitions::REJECTION_RATE, share(new.1, new.0 + new.1));
            self.counted.insert(name, (node.admitted, node.rate_rejected));
        }
    }

    /// Databases that are gone have no series.
    pub(super) fn retain_databases(&mut self, exists: &dyn Fn(&str) -> bool) {
        self.counted.retain(|name, _| name.is_empty() || exists(name));
        let gone = self.shown.extract_if(.., |name| !exists(name));
        for name in gone.collect::<Vec<_>>() {
            let labels = self.of(&name);
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.registry.forget_all(&labels);
        }
    }

    fn of(&self, database: &str) -> Vec<(&'static str, Text)> {
        vec![
            ("receiver", self.receiver.clone()),
            ("server", self.server.clone()),
            ("database", Text::from(database.to_owned())),
        ]
    }
}

fn labels(
    receiver: &Text,
    purpose: Purpose,
    name: &'static str,
    value: &'static str,
) -> Vec<(&'static str, Text)> {
    vec![("receiver", receiver.clone()), ("purpose", purpose.as_str().into()), (name, value.into())]
}

const fn worse(one: State, other: State) -> State {
    match (one, other) {
        (State::Open, _) | (_, State::Open) => State::Open,
        (State::HalfOpen, _) | (_, State::HalfOpen) => State::HalfOpen,
        (State::Closed, State::Closed) => State::Closed,
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of statements, for a share")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn find_or_insert<K: PartialEq, V: Clone>(entries: &mut Vec<(K, V)>, key: K, make: impl FnOnce() -> V) -> V {
    if let Some((_, value)) = entries.iter().find(|(held, _)| *held == key) {
        return value.clone();
    }
    let value = make();
    entries.push((key, value.clone()));
    value
}
