//! The state machine of a breaker: closed → open → half-open → closed.
//!
//! Promises:
//! * open: nothing passes before the wait is over;
//! * half-open: at most one probe is out, and only a request that the caller calls its cheapest; a probe whose ticket is
//!   lost frees its place after [`BreakerConfig::probe_lifetime`];
//! * a report counts only in the state that issued its ticket: every transition begins a new generation, and a report of
//!   an earlier one changes nothing;
//! * every wait is capped by the rule of its class and every override ends by itself, so the breaker never sticks.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::{Monotonic, Text};

use crate::backoff;
use crate::class::{ClassRule, FailureClass};

/// What a caller that must wait for somebody else's probe is told to wait at least.
const PROBE_RECHECK: Duration = Duration::from_secs(1);

/// Settings of a breaker; thresholds and waits are in the rule of each class.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// Successful probes in a row that close it; 0 is taken as 1. Default 2.
    pub success_threshold: u32,
    /// After this time a probe that was not reported is taken as lost. Default 2 minutes, above every time-out.
    pub probe_lifetime: Duration,
    /// One that opens again this soon after closing continues with the wait it had. Default 5 minutes.
    pub relapse_window: Duration,
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One probe at a time passes.
    HalfOpen,
}

/// What kind of request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The cheapest there is: fit to be a probe.
    Cheapest,
    /// Any other.
    Other,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a ticket must be reported"]
pub enum Admit {
    /// It may pass.
    Yes(Ticket),
    /// It may pass as the one probe.
    Probe(Ticket),
    /// It may not.
    No {
        /// When to ask again at the earliest.
        retry_after: Duration,
        /// Why.
        reason: Refusal,
    },
}

/// Why a breaker refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is open because of this class.
    Open(FailureClass),
    /// A person opened it, for this reason.
    Forced(Text),
    /// A probe is due, and this request is not the cheapest.
    AwaitingProbe,
    /// The probe is out.
    ProbeOutstanding,
}

/// What must be handed back with the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
    /// Number of the probe within its generation; `None` for an ordinary request.
    probe: Option<u64>,
}

/// What an outcome says about this breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It worked.
    Success,
    /// It failed, and this rule says how much that counts.
    Failure(ClassRule),
    /// Nothing: abandoned, or the fault of another level.
    Nothing,
}

/// A change of state, for metrics and logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// The class that opened it, also when it half-opens or closes again; `None` if a person did it.
    pub class: Option<FailureClass>,
    /// When.
    pub at: Monotonic,
    /// The wait before the next probe, when it opens.
    pub wait: Option<Duration>,
    /// Time from the first opening until now, when it closes: the recovery time.
    pub open_for: Option<Duration>,
}

/// What a person ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Forced {
    /// [`State::Open`] or [`State::Closed`].
    pub state: State,
    /// When the order ends by itself.
    pub until: Monotonic,
    /// Why, in the person's words.
    pub reason: Text,
}

/// A breaker as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerView {
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Monotonic,
    /// The class that opened it, while it is not closed.
    pub class: Option<FailureClass>,
    /// A person's order in force.
    pub forced: Option<Forced>,
    /// When the next probe may go, while it is open.
    pub next_probe: Option<Monotonic>,
    /// Consecutive failures by class, while it is closed.
    pub failures: Vec<(FailureClass, u32)>,
    /// When it first opened, while it is not closed.
    pub first_opened: Option<Monotonic>,
}

/// A breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    since: Monotonic,
    /// Grows with every transition.
    generation: u64,
    forced: Option<Forced>,
    /// At most one entry for each class.
    failures: BTreeMap<FailureClass, u32>,
    class: Option<FailureClass>,
    first_opened: Option<Monotonic>,
    next_probe: Monotonic,
    /// The step of the wait, of this or the last opening.
    step: u32,
    /// Whose steps these are, and the longest that the wait could be.
    stepped: Option<(FailureClass, Duration)>,
    last_closed: Option<Monotonic>,
    successes: u32,
    probes: u64,
    /// Number and start of the probe that is out.
    outstanding: Option<(u64, Monotonic)>,
}

// === impl BreakerConfig ===

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            success_threshold: 2,
            probe_lifetime: Duration::from_secs(120),
            relapse_window: Duration::from_secs(300),
        }
    }
}

// === impl State ===

impl State {
    /// The state as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The refusal as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Forced(_) => "forced_open",
            Self::AwaitingProbe => "awaiting_probe",
            Self::ProbeOutstanding => "probe_outstanding",
        }
    }
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig, now: Monotonic) -> Self {
        Self {
            config,
            state: State::Closed,
            since: now,
            generation: 0,
            forced: None,
            failures: BTreeMap::new(),
            class: None,
            first_opened: None,
            next_probe: now,
            step: 0,
            stepped: None,
            last_closed: None,
            successes: 0,
            probes: 0,
            outstanding: None,
        }
    }

    /// What [`Self::admit`] would say, without taking anything: `Ok(true)` for a probe.
    ///
    /// # Errors
    /// The refusal and when to ask again.
    pub fn check(&self, now: Monotonic, probe: Probe) -> Result<bool, (Refusal, Duration)> {
        if let Some(forced) = self.forced_at(now).filter(|forced| forced.state == State::Open) {
            return Err((Refusal::Forced(forced.reason.clone()), forced.until.since(now)));
        }
        if self.state == State::Closed {
            return Ok(false);
        }
        if self.state == State::Open && now < self.next_probe {
            let refusal = self.class.map_or_else(|| Refusal::Forced("opened by hand".into()), Refusal::Open);
            return Err((refusal, self.next_probe.since(now)));
        }
        if self.probe_is_out(now) {
            return Err((Refusal::ProbeOutstanding, PROBE_RECHECK));
        }
        match probe {
            Probe::Cheapest => Ok(true),
            Probe::Other => Err((Refusal::AwaitingProbe, PROBE_RECHECK)),
        }
    }

    /// Asks to pass. The first probe of an open breaker makes it half-open, which is the transition that comes back.
    pub fn admit(&mut self, now: Monotonic, probe: Probe) -> (Admit, Option<Transition>) {
        match self.check(now, probe) {
            Err((reason, retry_after)) => (Admit::No { retry_after, reason }, None),
            Ok(false) => (Admit::Yes(Ticket { generation: self.generation, probe: None }), None),
            Ok(true) => {
                let transition = (self.state == State::Open).then(|| {
                    self.successes = 0;
                    self.change(now, State::HalfOpen, None)
                });
                self.probes += 1;
                self.outstanding = Some((self.probes, now));
                let ticket = Ticket { generation: self.generation, probe: Some(self.probes) };
                (Admit::Probe(ticket), transition)
            }
        }
    }

    /// Learns how a request ended. A ticket of an earlier state, or of a probe that was given up, changes nothing.
    pub fn report(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        verdict: Verdict,
        random: &mut fastrand::Rng,
    ) -> Option<Transition> {
        if ticket.generation != self.generation || self.forced_at(now).is_some() {
            return None;
        }
        match ticket.probe {
            None => self.report_request(now, verdict, random),
            Some(number) if self.outstanding.is_some_and(|(out, _)| out == number) => {
                self.outstanding = None;
                self.report_probe(now, verdict, random)
            }
            Some(_) => None,
        }
    }

    /// Opens at once, whatever the threshold: the database itself shows distress. One that is open stays as it is.
    pub fn trip(
        &mut self,
        now: Monotonic,
        rule: ClassRule,
        random: &mut fastrand::Rng,
    ) -> Option<Transition> {
        match (self.forced_at(now), self.state) {
            (Some(_), _) | (None, State::Open) => None,
            (None, State::Closed | State::HalfOpen) => Some(self.open(now, rule, random)),
        }
    }

    /// Opened by a person until `until`; then a probe is due, unless the breaker had opened by itself and waits longer.
    pub fn force_open(&mut self, now: Monotonic, reason: Text, until: Monotonic) -> Option<Transition> {
        self.forced = Some(Forced { state: State::Open, until, reason });
        if self.state == State::Open {
            // The wait of a breaker that had opened by itself is neither shorter nor longer for it: the order is asked first.
            if self.class.is_none() {
                self.next_probe = until;
            }
            return None;
        }
        self.next_probe = until;
        self.class = None;
        self.first_opened.get_or_insert(now);
        Some(self.change(now, State::Open, Some(until.since(now))))
    }

    /// Closed by a person until `until`; meanwhile no failure opens it, and afterwards it counts anew.
    pub fn force_closed(&mut self, now: Monotonic, reason: Text, until: Monotonic) -> Option<Transition> {
        self.forced = Some(Forced { state: State::Closed, until, reason });
        if self.state == State::Closed {
            // What was counted, and what is under way, does not count after the order.
            self.failures.clear();
            self.generation += 1;
            return None;
        }
        Some(self.close(now))
    }

    /// Ends a person's order early. What was forced open may send a probe at once.
    pub fn release(&mut self, now: Monotonic) {
        if let Some(forced) = self.forced.take()
            && forced.state == State::Open
            && now < forced.until
        {
            self.next_probe = now;
        }
    }

    /// What stood in the way may be gone: one that is open may send its probe at once. The length of the wait after
    /// a probe that fails stays what it would have been, and a person's order stays in force.
    pub fn hasten(&mut self, now: Monotonic) {
        if self.state == State::Open && self.class.is_some() && self.forced_at(now).is_none() {
            self.next_probe = self.next_probe.min(now);
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The class that opened it, while it is not closed.
    #[must_use]
    pub const fn class(&self) -> Option<FailureClass> {
        self.class
    }

    /// How it is shown.
    #[must_use]
    pub fn view(&self, now: Monotonic) -> BreakerView {
        BreakerView {
            state: self.state,
            since: self.since,
            class: self.class,
            forced: self.forced_at(now).cloned(),
            next_probe: (self.state == State::Open).then_some(self.next_probe),
            failures: self.failures.iter().map(|(class, count)| (*class, *count)).collect(),
            first_opened: self.first_opened,
        }
    }

    /// Whether a person's order is in force.
    #[must_use]
    pub fn is_forced(&self, now: Monotonic) -> bool {
        self.forced_at(now).is_some()
    }

    fn forced_at(&self, now: Monotonic) -> Option<&Forced> {
        self.forced.as_ref().filter(|forced| now < forced.until)
    }

    fn probe_is_out(&self, now: Monotonic) -> bool {
        self.outstanding.is_some_and(|(_, started)| now.since(started) < self.config.probe_lifetime)
    }

    fn report_request(
        &mut self,
        now: Monotonic,
        verdict: Verdict,
        random: &mut fastrand::Rng,
    ) -> Option<Transition> {
        match verdict {
            Verdict::Success => self.failures.clear(),
            Verdict::Nothing => {}
            Verdict::Failure(rule) => {
                let count = self.failures.entry(rule.class).or_insert(0);
                *count = count.saturating_add(1);
                if *count >= rule.threshold {
                    return Some(self.open(now, rule, random));
                }
            }
        }
        None
    }

    fn report_probe(
        &mut self,
        now: Monotonic,
        verdict: Verdict,
        random: &mut fastrand::Rng,
    ) -> Option<Transition> {
        match verdict {
            Verdict::Success => {
                self.successes += 1;
                (self.successes >= self.config.success_threshold).then(|| self.close(now))
            }
            // The place is free for a probe that does tell something.
            Verdict::Nothing => None,
            Verdict::Failure(rule) => Some(self.open(now, rule, random)),
        }
    }

    fn open(&mut self, now: Monotonic, rule: ClassRule, random: &mut fastrand::Rng) -> Transition {
        let relapse = self.last_closed.is_some_and(|closed| now.since(closed) < self.config.relapse_window);
        self.step = match (self.state, self.stepped) {
            (State::HalfOpen, Some((class, _))) if class == rule.class => self.step.saturating_add(1),
            (State::HalfOpen, Some((_, longest))) => step_of(&rule, longest.saturating_mul(2)),
            (State::Closed | State::Open, Some((class, _))) if relapse && class == rule.class => self.step,
            (State::Closed | State::Open, Some((_, longest))) if relapse => step_of(&rule, longest),
            _ => 0,
        };
        self.stepped = Some((rule.class, backoff::bounds(rule.base, rule.max, self.step).1));
        let wait = backoff::wait(rule.base, rule.max, self.step, random);
        self.next_probe = now.plus(wait);
        self.class = Some(rule.class);
        self.first_opened.get_or_insert(now);
        self.change(now, State::Open, Some(wait))
    }

    fn close(&mut self, now: Monotonic) -> Transition {
        let transition = self.change(now, State::Closed, None);
        self.last_closed = Some(now);
        self.class = None;
        self.first_opened = None;
        transition
    }

    fn change(&mut self, now: Monotonic, to: State, wait: Option<Duration>) -> Transition {
        let opened = self.first_opened.filter(|_| to == State::Closed);
        let transition = Transition {
            from: self.state,
            to,
            class: self.class,
            at: now,
            wait,
            open_for: opened.map(|opened| now.since(opened)),
        };
        self.state = to;
        self.since = now;
        self.generation += 1;
        self.failures.clear();
        self.outstanding = None;
        transition
    }
}

/// The first step of a class whose wait can be as long as this, where another class had waited so long.
fn step_of(rule: &ClassRule, wait: Duration) -> u32 {
    let wait = wait.min(rule.max);
    let is_enough = |step: &u32| backoff::bounds(rule.base, rule.max, *step).1 >= wait;
    (0..u32::BITS).find(is_enough).unwrap_or(u32::BITS)
}

#[cfg(test)]
mod tests;
