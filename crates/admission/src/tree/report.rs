//! What outcomes and signs of distress do to the tree.

use std::time::Duration;

use dbintel_model::Monotonic;

use super::{GrantId, NodeTransition, Outstanding, ServerTree};
use crate::aimd::Signal;
use crate::breaker::Verdict;
use crate::class::{FailureClass, Level};
use crate::config::TreeConfig;
use crate::ledger::CostSource;
use crate::vocabulary::{Outcome, Purpose, StatementError};

/// Signs that the database itself is in trouble, as far as they could be read; `None` is unknown and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct DistressSignals {
    /// Connection slots that are free for anybody, without those reserved for superusers.
    pub free_connection_slots: Option<u32>,
    /// Statements of ours that wait for a lock.
    pub own_lock_waits: Option<u32>,
    /// On a standby: replay lag rises while a snapshot of ours is open.
    pub replay_lag_rising_while_snapshot_open: Option<bool>,
    /// Time the database planned one of our statements, as it says itself.
    pub planning_time: Option<Duration>,
}

/// What an outcome says to each level.
struct Verdicts {
    server: Verdict,
    database: Verdict,
    feature: Verdict,
    rate: Option<Signal>,
}

impl ServerTree {
    /// Learns how a granted statement ended. A grant that is unknown or was written off changes nothing.
    pub fn report(
        &mut self,
        now: Monotonic,
        id: GrantId,
        outcome: &Outcome,
        random: &mut fastrand::Rng,
    ) -> Vec<NodeTransition> {
        let Some(grant) = self.grants.remove(&id) else { return Vec::new() };
        let mut verdicts = Verdicts::of(&self.config, &grant, outcome);
        let mut transitions = Vec::new();
        let mut add = |level, transition: Option<_>| {
            let with =
                |transition| NodeTransition::new(level, grant.database.as_ref(), &grant.feature, transition);
            transitions.extend(transition.map(with));
        };
        add(Level::Server, self.breaker.report(now, grant.server, verdicts.server, random));
        let node = match &grant.database {
            None => Some(&mut self.whole),
            Some(name) => self.databases.get_mut(name),
        };
        let Some(node) = node.filter(|node| node.incarnation == grant.incarnation) else {
            return transitions;
        };
        node.give_back(grant.taken.reserved);
        let (cost, source) = cost(now, &grant, outcome);
        node.ledger.book(now, grant.purpose, cost, source);
        if let Some(feature) = node.features.get_mut(&grant.feature) {
            match &outcome.error {
                None => {
                    feature.timeout.completed(outcome.wall);
                    let judged =
                        feature.baseline.judge(&self.config.aimd, outcome.database.unwrap_or(outcome.wall));
                    verdicts.rate =
                        verdicts.rate.map(|signal| if judged == Signal::Bad { judged } else { signal });
                }
                Some(error) if is_timeout(grant.purpose, error) => {
                    feature.timeout.timed_out(grant.taken.timeout);
                }
                Some(_) => {}
            }
            add(Level::Feature, feature.breaker.report(now, grant.taken.feature, verdicts.feature, random));
        }
        add(Level::Database, node.breaker.report(now, grant.taken.database, verdicts.database, random));
        if let Some(signal) = verdicts.rate {
            node.observe(now, signal);
        }
        transitions
    }

    /// Opens what the signs of distress say: few slots and replay the server's breaker, locks and planning that of
    /// `database` (`None`: of what is asked of the server as a whole).
    pub fn distress(
        &mut self,
        now: Monotonic,
        database: Option<&str>,
        signals: &DistressSignals,
        random: &mut fastrand::Rng,
    ) -> Vec<NodeTransition> {
        let config = &self.config;
        let signs = [
            (
                FailureClass::DistressSlots,
                signals.free_connection_slots.is_some_and(|free| free < config.free_slots_min),
            ),
            (FailureClass::DistressReplay, signals.replay_lag_rising_while_snapshot_open == Some(true)),
            (
                FailureClass::DistressLocks,
                signals.own_lock_waits.is_some_and(|waits| waits > 0 && waits >= config.own_lock_waits_max),
            ),
            (
                FailureClass::DistressPlanning,
                signals.planning_time.is_some_and(|time| time > config.planning_time_max),
            ),
        ];
        let rules: Vec<_> =
            signs.iter().filter(|(_, shown)| *shown).map(|(class, _)| config.rule(*class)).collect();
        let mut transitions = Vec::new();
        for rule in rules {
            let (level, transition) = match rule.level {
                Level::Server | Level::Process => (Level::Server, self.breaker.trip(now, rule, random)),
                Level::Database | Level::Feature => {
                    let node = self.node_mut(database);
                    (Level::Database, node.and_then(|node| node.breaker.trip(now, rule, random)))
                }
            };
            let database = database.filter(|_| level == Level::Database).map(|name| name.to_owned().into());
            transitions.extend(transition.map(|transition| NodeTransition {
                level,
                database,
                feature: None,
                transition,
            }));
        }
        transitions
    }

    /// What the role may do, what there is, or the role the node is in has changed: queries that were refused for the
    /// lack of it probe at their next request. `database` is where; `None` is everywhere on the server.
    pub fn abilities_changed(&mut self, now: Monotonic, database: Option<&str>) {
        let (whole, databases) = (&mut self.whole, &mut self.databases);
        let named =
            databases.iter_mut().filter(|(name, _)| database.is_none_or(|wanted| name.as_str() == wanted));
        let nodes = named.map(|(_, node)| node).chain(database.is_none().then_some(whole));
        for feature in nodes.flat_map(|node| node.features.values_mut()) {
            if feature.breaker.class().is_some_and(FailureClass::follows_abilities) {
                feature.breaker.hasten(now);
            }
        }
    }

    /// Gives up grants whose report did not come within their lifetime. They may have run, so they cost their time-out.
    pub(super) fn write_off(&mut self, now: Monotonic) {
        let lifetime = self.config.breaker.probe_lifetime;
        let lost = |grant: &Outstanding| now.since(grant.granted) >= lifetime.max(grant.taken.timeout * 2);
        let lost: Vec<_> = self.grants.iter().filter(|(_, grant)| lost(grant)).map(|(id, _)| *id).collect();
        for id in lost {
            let Some(grant) = self.grants.remove(&id) else { continue };
            let node = self.node_mut(grant.database.as_deref());
            if let Some(node) = node.filter(|node| node.incarnation == grant.incarnation) {
                node.give_back(grant.taken.reserved);
                node.ledger.book(now, grant.purpose, grant.taken.timeout, CostSource::Wall);
            }
        }
    }
}

// === impl Verdicts ===

impl Verdicts {
    fn of(config: &TreeConfig, grant: &Outstanding, outcome: &Outcome) -> Self {
        use Verdict::{Failure, Nothing, Success};
        let (purpose, probes_database) = (grant.purpose, grant.taken.probes_database);
        let slow = outcome.database.unwrap_or(outcome.wall) > config.slow_threshold;
        let class = match &outcome.error {
            Some(error) => FailureClass::of(purpose, error),
            None if slow => Some(FailureClass::Slow),
            None => {
                return Self {
                    server: Success,
                    database: Success,
                    feature: Success,
                    rate: Some(Signal::Good),
                };
            }
        };
        let Some(class) = class else {
            return Self { server: Nothing, database: Nothing, feature: Nothing, rate: None };
        };
        let rule = config.rule(class);
        let is_of_database = outcome.error.as_ref().is_some_and(|error| lets_nobody_in(grant, error));
        match if is_of_database { Level::Database } else { rule.level } {
            Level::Process | Level::Server => {
                Self { server: Failure(rule), database: Nothing, feature: Nothing, rate: Some(Signal::Bad) }
            }
            Level::Database => Self {
                // A server that did not answer at all was not seen to be well.
                server: if class == FailureClass::DeadlineExceeded { Nothing } else { Success },
                database: Failure(rule),
                // A query that fails alone, while others succeed and keep the database closed, is given up alone. As
                // the probe of its database it says nothing of its own.
                feature: if probes_database { Nothing } else { Failure(rule) },
                rate: Some(Signal::Bad),
            },
            Level::Feature => Self { server: Success, database: Success, feature: Failure(rule), rate: None },
        }
    }
}

/// Whether the rules of access of one database refuse us, which says nothing of the others. A wrong password is none of these.
fn lets_nobody_in(grant: &Outstanding, error: &StatementError) -> bool {
    const NO_RULE_FOR_US: &str = "28000";
    let is_refused = matches!(error, StatementError::Sqlstate(code) if code.as_str() == NO_RULE_FOR_US);
    is_refused && grant.purpose == Purpose::Connect && grant.database.is_some()
}

/// What the statement cost, and who says so. One that was abandoned, or did not answer in time, ran at least since it was
/// granted, as far as its time-out let it.
fn cost(now: Monotonic, grant: &Outstanding, outcome: &Outcome) -> (Duration, CostSource) {
    match (&outcome.database, &outcome.error) {
        (Some(database), _) => (*database, CostSource::Statement),
        (None, Some(StatementError::Abandoned | StatementError::Deadline)) => {
            let elapsed = now.since(grant.granted).min(grant.taken.timeout);
            (outcome.wall.max(elapsed), CostSource::Wall)
        }
        (None, _) => (outcome.wall, CostSource::Wall),
    }
}

fn is_timeout(purpose: Purpose, error: &StatementError) -> bool {
    match error {
        StatementError::Deadline => true,
        error => FailureClass::of(purpose, error) == Some(FailureClass::StatementTimeout),
    }
}
