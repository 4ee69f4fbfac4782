//! The tree of one server: its breaker, a node for each database and one for what is asked of the server as a whole, and a
//! breaker for each query of ours in each of them.
//!
//! Promises:
//! * all gates must agree, and all are asked before anything is taken, so a denied request consumes nothing, not even a
//!   place in a table;
//! * what there is no room to account for is denied with `limit_reached`;
//! * a grant that is never reported is written off after its lifetime: its place and reservation are given back, and its
//!   time-out is booked as its cost;
//! * the report of a grant that is unknown, written off or of a removed database is harmless;
//! * a failure acts on the level of its class, see [`CLASSES`](crate::CLASSES): the levels above learn that the server
//!   answered, those below learn nothing.
//!
//! Bounds: [`TreeConfig::max_databases`], [`TreeConfig::max_features`], [`TreeConfig::max_grants`].

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::{Monotonic, Text, Timestamp};

use crate::breaker::{Breaker, Probe, Ticket, Transition};
use crate::class::{FailureClass, Level};
use crate::config::{Limits, TreeConfig};
use crate::limiter::{Rate, RateLimiter};
use crate::shed::ProcessVerdict;
use crate::vocabulary::Purpose;
use node::{Node, Taken, ticket};

mod node;
mod order;
mod report;
mod view;

pub use order::{Override, Scope};
pub use report::DistressSignals;
pub use view::{FeatureView, NodeView, TreeView};

/// What wants to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The database; `None` for what concerns the whole server.
    pub database: Option<&'a str>,
    /// Our query, by its stable name.
    pub feature: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Whether it is the cheapest there is, fit to probe a database or a server that was given up.
    pub cheapest: bool,
}

/// Names a grant; must come back with the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(u64);

/// Leave to send one statement.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a grant that is not reported is written off at the cost of its time-out"]
pub struct Grant {
    /// To be handed back.
    pub id: GrantId,
    /// Time-out to set on the server, and to keep on our side.
    pub timeout: Duration,
    /// It is the one probe of a breaker of some level.
    pub probe: bool,
    /// What the interval until the next request of the kind is to be multiplied with, 1 to 16.
    pub stretch: f64,
    /// Breakers that half-opened for it.
    pub transitions: Vec<NodeTransition>,
}

/// A change of state somewhere in the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTransition {
    /// Server, database or feature.
    pub level: Level,
    /// The database; `None` at the level of the server, and for what is asked of the server as a whole.
    pub database: Option<Text>,
    /// The feature, at its level.
    pub feature: Option<Text>,
    /// What changed.
    pub transition: Transition,
}

/// A gate that can deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// The process gave up this kind of work.
    Process,
    /// The process-wide rate.
    ProcessRate,
    /// Heavy work outside of its windows.
    Window,
    /// A breaker.
    Breaker,
    /// Statements a second.
    Rate,
    /// EXPLAINs a minute.
    PlanRate,
    /// Statements at the same time.
    InFlight,
    /// The budget of database time.
    Budget,
    /// A table is full: what cannot be accounted for is not sent.
    LimitReached,
}

/// Why nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denial {
    /// The level that denies.
    pub level: Level,
    /// The gate that denies.
    pub gate: Gate,
    /// The class that opened the breaker, if one did.
    pub class: Option<FailureClass>,
    /// In words.
    pub reason: Text,
    /// When to ask again at the earliest.
    pub retry_after: Duration,
}

/// The tree of one server.
#[derive(Clone, Debug)]
pub struct ServerTree {
    config: TreeConfig,
    breaker: Breaker,
    limiter: RateLimiter,
    /// What is asked of the server as a whole.
    whole: Node,
    /// At most [`TreeConfig::max_databases`].
    databases: BTreeMap<Text, Node>,
    /// At most [`TreeConfig::max_grants`].
    grants: BTreeMap<GrantId, Outstanding>,
    /// Grows with every grant and every node.
    next_id: u64,
    limits: Limits,
    /// The window of [`TreeConfig::schedule`] whose limits are in force.
    window: Option<usize>,
}

/// A grant that was not reported yet.
#[derive(Clone, Debug)]
struct Outstanding {
    database: Option<Text>,
    incarnation: u64,
    feature: Text,
    purpose: Purpose,
    granted: Monotonic,
    server: Ticket,
    taken: Taken,
}

/// A denial before it is put in words.
struct Refused {
    level: Level,
    gate: Gate,
    class: Option<FailureClass>,
    detail: Text,
    wait: Duration,
}

// === impl Gate ===

impl Gate {
    /// The gate as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::ProcessRate => "process_rate",
            Self::Window => "window",
            Self::Breaker => "breaker",
            Self::Rate => "rate",
            Self::PlanRate => "plan_rate",
            Self::InFlight => "in_flight",
            Self::Budget => "budget",
            Self::LimitReached => "limit_reached",
        }
    }
}

// === impl ServerTree ===

impl ServerTree {
    /// A tree in which nothing has happened.
    #[must_use]
    pub fn new(config: TreeConfig, now: Monotonic) -> Self {
        let rate = Rate::per_second(config.server_statements_per_second);
        Self {
            breaker: Breaker::new(config.breaker.clone(), now),
            limiter: RateLimiter::new(now, rate, config.server_statement_burst),
            whole: Node::new(&config, &config.limits, now, 0),
            databases: BTreeMap::new(),
            grants: BTreeMap::new(),
            next_id: 1,
            limits: config.limits,
            window: None,
            config,
        }
    }

    /// Asks every gate; if all agree, takes from each of them.
    ///
    /// `wall` is for schedules only.
    ///
    /// # Errors
    /// [`Denial`] by the first gate that does not agree; then nothing was taken from any.
    pub fn admit(
        &mut self,
        now: Monotonic,
        wall: Timestamp,
        request: &Request<'_>,
        process: ProcessVerdict,
    ) -> Result<Grant, Denial> {
        self.follow_schedule(now, wall);
        self.tend(now, request.database);
        let probe = if request.cheapest { Probe::Cheapest } else { Probe::Other };
        let fresh = match self.gates(now, wall, request, process) {
            Ok(fresh) => fresh,
            Err(refused) => return Err(self.denial(request, refused)),
        };
        self.take(now, request, probe, fresh).ok_or_else(|| {
            // Cannot be after a check at the same instant; should it be, nothing is sent.
            let refused = Refused::limit(Level::Server, "the gates disagree with themselves");
            refused.into_denial(request)
        })
    }

    /// What the interval of requests to the database is to be multiplied with, 1 to 16.
    #[must_use]
    pub fn stretch(&self, now: Monotonic, database: Option<&str>) -> f64 {
        self.node(database).map_or(1.0, |node| node.ledger.pressure(now).stretch)
    }

    /// The longest time-out of the database's features: for a transaction that has several of them. Base, if none was
    /// asked for yet.
    #[must_use]
    pub fn timeout(&self, database: Option<&str>) -> Duration {
        let features = self.node(database).into_iter().flat_map(|node| node.features.values());
        let longest = features.map(|feature| feature.timeout.current()).max();
        longest.unwrap_or_else(|| self.config.timeout.base.min(self.config.timeout.max))
    }

    /// Forgets every database but these: the ones that exist. One that a person holds is kept until that is over, since a migration may
    /// take it out of the list for a while.
    pub fn retain_databases(&mut self, now: Monotonic, exists: impl Fn(&str) -> bool) {
        self.databases.retain(|name, node| exists(name) || node.is_forced(now));
    }

    /// Whether anything is remembered of this database.
    #[must_use]
    pub fn knows(&self, database: &str) -> bool {
        self.databases.contains_key(database)
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &TreeConfig {
        &self.config
    }

    /// What time alone does: lost grants are written off, and the budget of the database relaxes.
    fn tend(&mut self, now: Monotonic, database: Option<&str>) {
        self.write_off(now);
        if let Some(node) = self.node_mut(database) {
            node.ledger.update(now);
        }
    }

    /// Every gate in turn, without taking. The node of a database that is asked for first, or `None` if there is one.
    fn gates(
        &self,
        now: Monotonic,
        wall: Timestamp,
        request: &Request<'_>,
        process: ProcessVerdict,
    ) -> Result<Option<Node>, Refused> {
        let probe = if request.cheapest { Probe::Cheapest } else { Probe::Other };
        self.check_process(request, process)?;
        self.check_window(wall, request)?;
        if self.grants.len() >= self.config.max_grants.min(TreeConfig::MAX_GRANTS) {
            return Err(Refused::limit(Level::Server, "more permits out than max_grants"));
        }
        self.breaker.check(now, probe).map_err(|refusal| Refused::breaker(Level::Server, refusal))?;
        self.limiter.check(now).map_err(|wait| Refused {
            level: Level::Server,
            gate: Gate::Rate,
            class: None,
            detail: Text::default(),
            wait,
        })?;
        if let Some(node) = self.node(request.database) {
            return node.check(&self.config, now, request, probe).map(|()| None);
        }
        if self.databases.len() >= self.config.max_databases.min(TreeConfig::MAX_DATABASES) {
            return Err(Refused::limit(Level::Database, "more databases than max_databases"));
        }
        let fresh = Node::new(&self.config, &self.limits, now, self.next_id);
        fresh.check(&self.config, now, request, probe).map(|()| Some(fresh))
    }

    fn check_process(&self, request: &Request<'_>, process: ProcessVerdict) -> Result<(), Refused> {
        let refused = |gate, detail: &'static str, wait| Refused {
            level: Level::Process,
            gate,
            class: None,
            detail: detail.into(),
            wait,
        };
        if process.level.sheds(request.purpose.class()) {
            return Err(refused(Gate::Process, process.level.as_str(), Duration::from_secs(10)));
        }
        process.rate_exhausted.map_or(Ok(()), |wait| Err(refused(Gate::ProcessRate, "", wait)))
    }

    fn check_window(&self, wall: Timestamp, request: &Request<'_>) -> Result<(), Refused> {
        let Some(heavy) = &self.config.heavy_work else { return Ok(()) };
        if !heavy.classes.contains(&request.purpose.class()) || heavy.schedule.active(wall).is_some() {
            return Ok(());
        }
        let wait = heavy.schedule.next_change(wall).map_or(Duration::from_secs(3_600), |at| at.since(wall));
        let detail = "heavy work waits for its window".into();
        Err(Refused { level: Level::Database, gate: Gate::Window, class: None, detail, wait })
    }

    fn take(
        &mut self,
        now: Monotonic,
        request: &Request<'_>,
        probe: Probe,
        fresh: Option<Node>,
    ) -> Option<Grant> {
        let database = request.database.map(|name| Text::from(name.to_owned()));
        if let (Some(fresh), Some(name)) = (fresh, &database) {
            self.databases.insert(name.clone(), fresh);
            self.next_id += 1;
        }
        let node = match request.database {
            None => &mut self.whole,
            Some(name) => self.databases.get_mut(name)?,
        };
        let taken = node.take(&self.config, now, request, probe)?;
        let incarnation = node.incarnation;
        let (server, probes_server, opened) = ticket(self.breaker.admit(now, probe))?;
        self.limiter.try_acquire(now).ok()?;
        let (id, feature) = (GrantId(self.next_id), Text::from(request.feature.to_owned()));
        self.next_id += 1;
        let half_opened = opened.map(|transition| (Level::Server, transition));
        let transitions = half_opened.into_iter().chain(taken.transitions.iter().flatten().cloned());
        let transitions = transitions
            .map(|(level, transition)| NodeTransition::new(level, database.as_ref(), &feature, transition));
        let grant = Grant {
            id,
            timeout: taken.timeout,
            probe: probes_server || taken.probes_database || taken.probes_feature,
            stretch: taken.stretch,
            transitions: transitions.collect(),
        };
        let (purpose, granted) = (request.purpose, now);
        self.grants
            .insert(id, Outstanding { database, incarnation, feature, purpose, granted, server, taken });
        Some(grant)
    }

    fn denial(&mut self, request: &Request<'_>, refused: Refused) -> Denial {
        if refused.level != Level::Process
            && let Some(node) = self.node_mut(request.database)
        {
            node.count_rejection(refused.gate, request.purpose);
        }
        refused.into_denial(request)
    }

    /// Puts the limits of the window in force that the wall clock is in.
    fn follow_schedule(&mut self, now: Monotonic, wall: Timestamp) {
        let Some(schedule) = &self.config.schedule else { return };
        let window = schedule.schedule.active(wall);
        if window == self.window {
            return;
        }
        let limits = window.and_then(|window| schedule.limits.get(window)).unwrap_or(&self.config.limits);
        (self.window, self.limits) = (window, *limits);
        for node in self.databases.values_mut().chain([&mut self.whole]) {
            node.set_limits(now, &self.limits);
        }
    }

    fn node(&self, database: Option<&str>) -> Option<&Node> {
        match database {
            None => Some(&self.whole),
            Some(name) => self.databases.get(name),
        }
    }

    fn node_mut(&mut self, database: Option<&str>) -> Option<&mut Node> {
        match database {
            None => Some(&mut self.whole),
            Some(name) => self.databases.get_mut(name),
        }
    }
}

// === impl NodeTransition ===

impl NodeTransition {
    fn new(level: Level, database: Option<&Text>, feature: &Text, transition: Transition) -> Self {
        Self {
            level,
            database: database.filter(|_| level != Level::Server).cloned(),
            feature: (level == Level::Feature).then(|| feature.clone()),
            transition,
        }
    }
}

// === impl Refused ===

impl Refused {
    fn into_denial(self, request: &Request<'_>) -> Denial {
        let Self { level, gate, class, detail, wait } = self;
        let place = match (level, request.database) {
            (Level::Feature, _) => request.feature,
            (Level::Database, Some(database)) => database,
            (Level::Process | Level::Server | Level::Database, _) => "",
        };
        let space = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
        let colon = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let reason = format!("{}{}, {}{colon}", level.as_str(), space(place), gate.as_str()).into();
        Denial { level, gate, class, reason, retry_after: wait }
    }
}

#[cfg(test)]
mod tests;
