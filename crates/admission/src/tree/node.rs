//! What stands before one database, and before each query of ours in it.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::{Monotonic, Text};

use super::{Gate, Refused, Request};
use crate::aimd::{Aimd, Baseline, Signal};
use crate::breaker::{Admit, Breaker, Probe, Refusal, Ticket, Transition};
use crate::class::Level;
use crate::config::{Limits, TreeConfig};
use crate::ledger::Ledger;
use crate::limiter::{Rate, RateLimiter};
use crate::timeout::AdaptiveTimeout;
use crate::vocabulary::{CostClass, Purpose};

/// What the caller is told to wait for a place of a statement that is under way.
const IN_FLIGHT_RECHECK: Duration = Duration::from_millis(100);
/// What the caller is told to wait where a table is full.
pub(super) const LIMIT_RECHECK: Duration = Duration::from_secs(60);

/// One database, or all that is asked of the server as a whole.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Tells a node from one of the same name that was removed.
    pub(super) incarnation: u64,
    pub(super) breaker: Breaker,
    pub(super) statements: RateLimiter,
    pub(super) plans: RateLimiter,
    /// EXPLAINs a minute.
    plans_aimd: Aimd,
    pub(super) aimd: Aimd,
    pub(super) ledger: Ledger,
    /// At most [`TreeConfig::max_features`].
    pub(super) features: BTreeMap<Text, Feature>,
    pub(super) in_flight: u32,
    pub(super) admitted: u64,
    pub(super) rate_rejected: u64,
}

/// One query of ours.
#[derive(Clone, Debug)]
pub(super) struct Feature {
    pub(super) breaker: Breaker,
    pub(super) timeout: AdaptiveTimeout,
    pub(super) baseline: Baseline,
}

/// What was taken from a node.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) database: Ticket,
    pub(super) feature: Ticket,
    pub(super) probes_database: bool,
    pub(super) probes_feature: bool,
    pub(super) reserved: Duration,
    pub(super) timeout: Duration,
    pub(super) stretch: f64,
    pub(super) transitions: [Option<(Level, Transition)>; 2],
}

// === impl Node ===

impl Node {
    /// Whether a person's order about it, or about one of its queries, is in force.
    pub(super) fn is_forced(&self, now: Monotonic) -> bool {
        self.breaker.is_forced(now) || self.features.values().any(|feature| feature.breaker.is_forced(now))
    }

    pub(super) fn new(config: &TreeConfig, limits: &Limits, now: Monotonic, incarnation: u64) -> Self {
        let aimd = Aimd::new(config.aimd.clone(), now, limits.statements_per_second);
        let plans = config.aimd.in_parts_of(limits.plans_per_minute);
        Self {
            incarnation,
            breaker: Breaker::new(config.breaker.clone(), now),
            statements: RateLimiter::new(now, Rate::per_second(aimd.rate()), limits.statement_burst),
            plans: RateLimiter::new(now, Rate::per_minute(limits.plans_per_minute), limits.plan_burst),
            plans_aimd: Aimd::new(plans, now, limits.plans_per_minute),
            aimd,
            ledger: Ledger::new(config.ledger, limits.budget, now),
            features: BTreeMap::new(),
            in_flight: 0,
            admitted: 0,
            rate_rejected: 0,
        }
    }

    /// Whether every gate of this node agrees; takes nothing.
    pub(super) fn check(
        &self,
        config: &TreeConfig,
        now: Monotonic,
        request: &Request<'_>,
        probe: Probe,
    ) -> Result<(), Refused> {
        self.breaker.check(now, probe).map_err(|refusal| Refused::breaker(Level::Database, refusal))?;
        match self.features.get(request.feature) {
            Some(feature) => feature.check(now)?,
            None if self.features.len() >= config.max_features.min(TreeConfig::MAX_FEATURES) => {
                return Err(Refused::limit(Level::Feature, "more features than max_features"));
            }
            None => {}
        }
        let rate = |gate| {
            move |wait| Refused { level: Level::Database, gate, class: None, detail: Text::default(), wait }
        };
        self.statements.check(now).map_err(rate(Gate::Rate))?;
        if request.purpose.class() == CostClass::Plans {
            self.plans.check(now).map_err(rate(Gate::PlanRate))?;
        }
        if self.in_flight >= config.max_in_flight {
            return Err(rate(Gate::InFlight)(IN_FLIGHT_RECHECK));
        }
        self.ledger.check(now, request.purpose, request.cheapest).map_err(|over| Refused {
            level: Level::Database,
            gate: Gate::Budget,
            class: None,
            detail: format!("{:.0} % of the budget of this minute", over.ratio * 100.0).into(),
            wait: over.retry_after,
        })
    }

    /// Takes from every gate, after all of them have agreed; `None`, and nothing taken, should one not agree any more.
    pub(super) fn take(
        &mut self,
        config: &TreeConfig,
        now: Monotonic,
        request: &Request<'_>,
        probe: Probe,
    ) -> Option<Taken> {
        self.check(config, now, request, probe).ok()?;
        let feature = match self.features.get_mut(request.feature) {
            Some(feature) => feature,
            None => self
                .features
                .entry(request.feature.to_owned().into())
                .or_insert_with(|| Feature::new(config, now)),
        };
        let (database, probes_database, opened) = ticket(self.breaker.admit(now, probe))?;
        let (feature_ticket, probes_feature, feature_opened) =
            ticket(feature.breaker.admit(now, Probe::Cheapest))?;
        self.statements.try_acquire(now).ok()?;
        if request.purpose.class() == CostClass::Plans {
            self.plans.try_acquire(now).ok()?;
        }
        self.in_flight += 1;
        self.admitted += 1;
        Some(Taken {
            database,
            feature: feature_ticket,
            probes_database,
            probes_feature,
            reserved: self.ledger.reserve(now, request.purpose),
            timeout: feature.timeout.current(),
            stretch: self.ledger.pressure(now).stretch,
            transitions: [
                opened.map(|transition| (Level::Database, transition)),
                feature_opened.map(|transition| (Level::Feature, transition)),
            ],
        })
    }

    /// Other limits from now on.
    pub(super) fn set_limits(&mut self, now: Monotonic, limits: &Limits) {
        let rate = self.aimd.set_ceiling(limits.statements_per_second);
        self.statements.set_rate(now, Rate::per_second(rate), limits.statement_burst);
        let rate = self.plans_aimd.set_ceiling_in_parts(limits.plans_per_minute);
        self.plans.set_rate(now, Rate::per_minute(rate), limits.plan_burst);
        self.ledger.set_budget(limits.budget);
    }

    /// Tells the rate how the database did.
    pub(super) fn observe(&mut self, now: Monotonic, signal: Signal) {
        if let Some(rate) = self.aimd.observe(now, signal) {
            self.statements.set_rate(now, Rate::per_second(rate), self.statements.burst());
        }
        if let Some(rate) = self.plans_aimd.observe(now, signal) {
            self.plans.set_rate(now, Rate::per_minute(rate), self.plans.burst());
        }
    }

    /// A statement ended, or was given up.
    pub(super) fn give_back(&mut self, reserved: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.ledger.release(reserved);
    }

    /// A rejection by a rate, for the metric, which moves no rate; or by the budget, which stretches the cadence.
    pub(super) fn count_rejection(&mut self, gate: Gate, purpose: Purpose) {
        match gate {
            Gate::Rate | Gate::PlanRate => self.rate_rejected += 1,
            Gate::Budget => self.ledger.note_denial(purpose),
            _ => {}
        }
    }
}

// === impl Feature ===

impl Feature {
    pub(super) fn new(config: &TreeConfig, now: Monotonic) -> Self {
        Self {
            breaker: Breaker::new(config.breaker.clone(), now),
            timeout: AdaptiveTimeout::new(config.timeout),
            baseline: Baseline::default(),
        }
    }

    /// Every request of a feature is the same query, so each is its cheapest.
    fn check(&self, now: Monotonic) -> Result<(), Refused> {
        let refused = |refusal| Refused::breaker(Level::Feature, refusal);
        self.breaker.check(now, Probe::Cheapest).map(|_| ()).map_err(refused)
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn breaker(level: Level, (refusal, wait): (Refusal, Duration)) -> Self {
        let (class, detail) = match refusal {
            Refusal::Open(class) => (Some(class), class.as_str().into()),
            Refusal::Forced(reason) => (None, format!("by order: {reason}").into()),
            Refusal::AwaitingProbe | Refusal::ProbeOutstanding => (None, refusal.as_str().into()),
        };
        Self { level, gate: Gate::Breaker, class, detail, wait }
    }

    pub(super) const fn limit(level: Level, detail: &'static str) -> Self {
        Self {
            level,
            gate: Gate::LimitReached,
            class: None,
            detail: Text::Static(detail),
            wait: LIMIT_RECHECK,
        }
    }
}

pub(super) fn ticket(
    (admit, transition): (Admit, Option<Transition>),
) -> Option<(Ticket, bool, Option<Transition>)> {
    match admit {
        Admit::Yes(ticket) => Some((ticket, false, transition)),
        Admit::Probe(ticket) => Some((ticket, true, transition)),
        Admit::No { .. } => None,
    }
}
