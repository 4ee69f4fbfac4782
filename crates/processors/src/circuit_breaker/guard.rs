//! The guard of one server: the tree of admission behind a lock, with the books of what passed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::{
    CostSource, DistressSignals, GrantId, Level, NodeTransition, Outcome, Override, Request, Scope,
    ServerTree, State, TreeView,
};
use dbintel_model::{Clock, Monotonic, Target, Text};
use dbintel_pipeline::admission::{Admission, Denied, Permit, Purpose, StatementRequest};
use dbintel_pipeline::memory::{Holding, MemoryAccounts};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::telemetry::Registry;
use parking_lot::Mutex;

use super::config::CircuitBreakerConfig;
use super::process::ProcessGate;
use super::published::Published;

/// How often gauges are brought up to date at most.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// When to ask again for what a person has switched off: it can be switched on at any time.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// The gate of a denial by order, as a label.
const BYPASS: &str = "bypass";
/// Changes of state that are kept for people to read; older ones are in the log, and counted by the metrics of trips.
pub(super) const TRANSITIONS_KEPT: usize = 256;
/// Of these, how many a page shows.
pub(super) const TRANSITIONS_SHOWN: usize = 16;

/// Stands before one server. Clones are the same guard.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

/// What a guard needs.
#[derive(Clone, Debug)]
pub struct GuardContext {
    /// The receiver, as a label.
    pub receiver: Text,
    /// The server, as a label.
    pub server: Text,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// What a person has switched off.
    pub overrides: Overrides,
    /// Where it says how many bytes its tables hold.
    pub accounts: MemoryAccounts,
    /// The gate of the process.
    pub process: ProcessGate,
    /// Seed of the jitter of back-offs.
    pub seed: u64,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    process: ProcessGate,
    receiver: Text,
    overrides: Overrides,
    state: Mutex<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    tree: ServerTree,
    random: fastrand::Rng,
    published: Published,
    published_at: Option<Monotonic>,
    /// Brought up to date with the gauges.
    held: Holding,
    /// The latest changes of state, oldest first; at most [`TRANSITIONS_KEPT`].
    transitions: VecDeque<NodeTransition>,
}

// === impl Guard ===

impl Guard {
    /// A guard in which nothing has happened. `statement_timeout` is what the receiver is configured to, the shortest
    /// time-out.
    #[must_use]
    pub fn new(config: &CircuitBreakerConfig, statement_timeout: Duration, cx: GuardContext) -> Self {
        let tree = ServerTree::new(config.tree(statement_timeout), cx.clock.monotonic());
        let receiver = cx.receiver.clone();
        let held = cx.accounts.hold(format!("receiver {} guard", cx.receiver).into());
        held.set(tree.held_bytes());
        let state = Guarded {
            held,
            tree,
            random: fastrand::Rng::with_seed(cx.seed),
            published: Published::new(cx.registry, cx.receiver, cx.server),
            published_at: None,
            transitions: VecDeque::new(),
        };
        let (clock, process, overrides) = (cx.clock, cx.process, cx.overrides);
        Self(Arc::new(Inner { clock, process, receiver, overrides, state: Mutex::new(state) }))
    }

    /// The time it goes by.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        self.0.clock.monotonic()
    }

    /// Brings the gauges up to date.
    pub fn publish(&self) {
        let now = self.0.clock.monotonic();
        self.0.state.lock().publish(now, true);
    }

    /// Carries out what a person ordered.
    ///
    /// # Errors
    /// Why there is no such breaker.
    pub fn order(&self, scope: &Scope, order: Override) -> Result<(), Text> {
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        let transition = state.tree.order(now, scope, order).map_err(|denial| denial.reason)?;
        state.note(transition);
        state.publish(now, true);
        Ok(())
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> TreeView {
        self.0.state.lock().tree.view(self.0.clock.monotonic())
    }

    /// What the breakers did and when, oldest first: the latest changes of state.
    #[must_use]
    pub fn transitions(&self) -> Vec<NodeTransition> {
        self.0.state.lock().transitions.iter().cloned().collect()
    }

    /// How it stands, in lines for a page.
    #[must_use]
    pub fn describe(&self) -> Vec<(Text, Text)> {
        let now = self.0.clock.monotonic();
        let view = self.view();
        let mut lines = vec![
            (Text::Static("process gives up"), Text::Static(self.0.process.level().as_str())),
            (Text::Static("server"), breaker_line(now, &view.breaker)),
        ];
        for node in &view.nodes {
            let name = node.database.as_deref().unwrap_or("(server)");
            let mut text = String::new();
            let _ = write!(
                text,
                "{}; {:.1} of {} ms database time in the last minute ({:.0} %), cadence x{:.1}; {} admitted, {} \
                 rejected by rate",
                breaker_line(now, &node.breaker),
                node.spent.as_secs_f64() * 1e3,
                node.budget.as_millis(),
                node.pressure.ratio * 100.0,
                node.pressure.stretch,
                node.admitted,
                node.rate_rejected,
            );
            for (purpose, spent) in &node.spent_by_purpose {
                let _ = write!(text, "; {} {:.1} ms", purpose.as_str(), spent.as_secs_f64() * 1e3);
            }
            lines.push((format!("database {name}").into(), text.into()));
            let not_closed = node.features.iter().filter(|feature| feature.breaker.state != State::Closed);
            for feature in not_closed {
                let name = format!("{name}: {}", feature.feature);
                lines.push((name.into(), breaker_line(now, &feature.breaker)));
            }
        }
        let done = self.transitions();
        let latest = done.iter().skip(done.len().saturating_sub(TRANSITIONS_SHOWN));
        lines.extend(latest.map(|done| transition_line(now, done)));
        lines
    }

    fn report(&self, id: GrantId, purpose: Purpose, outcome: &Outcome) {
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        let Guarded { tree, random, .. } = &mut *state;
        let transitions = tree.report(now, id, outcome, random);
        state.published.outcome(purpose, outcome);
        for transition in transitions {
            state.note(Some(transition));
        }
        state.publish(now, false);
    }
}

impl Admission for Guard {
    fn admit(&self, request: &StatementRequest<'_>) -> Result<Permit, Denied> {
        let (now, wall) = (self.0.clock.monotonic(), self.0.clock.now());
        let verdict = self.0.process.verdict(now);
        let asked = Request {
            database: request.target.database.as_deref(),
            feature: request.feature,
            purpose: request.purpose,
            cheapest: request.cheapest,
        };
        let bypassed = self.0.overrides.of_feature(&self.0.receiver, request.feature);
        let mut state = self.0.state.lock();
        if let Some((order, left)) = bypassed {
            state.published.denied(request.purpose, BYPASS);
            return Err(switched_off(&order, left));
        }
        let granted = state.tree.admit(now, wall, &asked, verdict);
        let result = match granted {
            Ok(grant) => {
                self.0.process.take(now);
                for transition in grant.transitions {
                    state.note(Some(transition));
                }
                let (guard, purpose, id) = (self.clone(), request.purpose, grant.id);
                Ok(Permit::new(move |outcome| guard.report(id, purpose, outcome)))
            }
            Err(denial) => {
                state.published.denied(request.purpose, denial.gate.as_str());
                let (reason, retry_after, class) = (denial.reason, denial.retry_after, denial.class);
                Err(Denied { reason, retry_after, class })
            }
        };
        state.publish(now, false);
        result
    }

    fn distress(&self, target: &Target, signals: &DistressSignals) {
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        let Guarded { tree, random, .. } = &mut *state;
        let transitions = tree.distress(now, target.database.as_deref(), signals, random);
        for transition in transitions {
            state.note(Some(transition));
        }
    }

    fn abilities_changed(&self, target: &Target) {
        let now = self.0.clock.monotonic();
        self.0.state.lock().tree.abilities_changed(now, target.database.as_deref());
    }

    fn statement_timeout(&self, target: &Target) -> Option<Duration> {
        Some(self.0.state.lock().tree.timeout(target.database.as_deref()))
    }

    fn stretch(&self, target: &Target) -> f64 {
        let now = self.0.clock.monotonic();
        self.0.state.lock().tree.stretch(now, target.database.as_deref())
    }

    fn retain_databases(&self, exists: &dyn Fn(&str) -> bool) {
        let now = self.0.clock.monotonic();
        let mut state = self.0.state.lock();
        let Guarded { tree, published, .. } = &mut *state;
        tree.retain_databases(now, exists);
        published.retain_databases(&|name| exists(name) || tree.knows(name));
    }
}

// === impl Guarded ===

impl Guarded {
    /// Counts and tells a change of state.
    fn note(&mut self, transition: Option<NodeTransition>) {
        if let Some(transition) = transition {
            self.published.transition(&transition);
            if self.transitions.len() >= TRANSITIONS_KEPT {
                self.transitions.pop_front();
            }
            self.transitions.push_back(transition);
        }
    }

    fn publish(&mut self, now: Monotonic, at_once: bool) {
        if at_once || self.published_at.is_none_or(|at| now.since(at) >= PUBLISH_EVERY) {
            self.published_at = Some(now);
            self.published.view(&self.tree.view(now));
            self.held.set(self.tree.held_bytes());
        }
    }
}

fn switched_off(order: &dbintel_pipeline::overrides::Override, left: Duration) -> Denied {
    let seconds = left.as_secs();
    let reason = format!("{} is switched off by order for {seconds} s more: {}", order.order, order.reason);
    Denied { reason: reason.into(), class: None, retry_after: left.min(ASK_AGAIN) }
}

fn breaker_line(now: Monotonic, breaker: &dbintel_admission::BreakerView) -> Text {
    let mut text = format!("{} for {} s", breaker.state.as_str(), now.since(breaker.since).as_secs());
    if let Some(class) = breaker.class {
        let _ = write!(text, ", because of {}", class.as_str());
    }
    if let Some(next) = breaker.next_probe {
        let _ = write!(text, ", next probe in {} s", next.since(now).as_secs());
    }
    if let Some(forced) = &breaker.forced {
        let left = forced.until.since(now).as_secs();
        let _ = write!(text, ", by order for {left} s more: {}", forced.reason);
    }
    text.into()
}

fn transition_line(now: Monotonic, done: &NodeTransition) -> (Text, Text) {
    let transition = &done.transition;
    let ago = now.since(transition.at).as_secs();
    let mut text = format!("{} to {}", transition.from.as_str(), transition.to.as_str());
    let place = match (&done.database, &done.feature) {
        (_, None) if done.level == Level::Server => "server".to_owned(),
        (database, feature) => {
            let database = database.as_deref().unwrap_or("(server)");
            feature
                .as_ref()
                .map_or_else(|| format!("database {database}"), |name| format!("{database}: {name}"))
        }
    };
    if let Some(class) = transition.class {
        let _ = write!(text, ", {}", class.as_str());
    }
    if let Some(wait) = transition.wait {
        let _ = write!(text, ", next probe after {:.1} s", wait.as_secs_f64());
    }
    if let Some(open_for) = transition.open_for {
        let _ = write!(text, ", recovered after {:.1} s", open_for.as_secs_f64());
    }
    (format!("{ago} s ago, {place}").into(), text.into())
}

/// The source of a cost as a label.
pub(super) const fn source(source: CostSource) -> &'static str {
    match source {
        CostSource::Statement => "statement",
        CostSource::Wall => "wall",
    }
}
