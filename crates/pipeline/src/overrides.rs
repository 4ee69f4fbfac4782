//! Overrides that a person can use at night: parts of the collector switched off, and breakers held, each with a reason
//! and an end.
//!
//! Promises:
//! * every override ends by itself, by the monotonic clock, whatever the wall clock does meanwhile;
//! * an override only ever takes something away: what is bypassed sends, transforms or ships nothing. A breaker held closed
//!   leaves rates, budgets and time-outs in force;
//! * asking whether something is bypassed costs one atomic load while there is no override.
//!
//! Bounds: [`MAX_OVERRIDES`], [`MAX_REASON_BYTES`], [`MAX_OVERRIDE_DURATION`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use dbintel_admission::Scope;
use dbintel_model::{Clock, Monotonic, Text, Timestamp};
use parking_lot::RwLock;

/// Overrides in force at once.
pub const MAX_OVERRIDES: usize = 64;
/// Bytes of a reason.
pub const MAX_REASON_BYTES: usize = 500;
/// How long an override can be set for. Whoever needs longer changes the configuration.
pub const MAX_OVERRIDE_DURATION: Duration = Duration::from_hours(7 * 24);

/// The overrides of the process. Clones are the same.
#[derive(Clone)]
pub struct Overrides(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    held: RwLock<BTreeMap<Order, Held>>,
    /// As many as are held, so that the hot path asks no lock while there are none.
    count: AtomicUsize,
}

struct Held {
    entry: Override,
    until: Monotonic,
}

/// An override in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What was ordered.
    pub order: Order,
    /// Ordered with the start of the process, before anything was connected.
    pub startup: bool,
    /// Why, in the person's words.
    pub reason: Text,
    /// When it was ordered.
    pub set_at: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// What can be ordered. There is one override at most for the same order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Part of the collector is switched off.
    Bypass(Bypass),
    /// A breaker is held.
    Hold(Circuit),
}

/// A part of the collector that can be switched off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bypass {
    /// Everything that asks a database.
    System,
    /// One receiver: nothing is sent to its server.
    Receiver(Text),
    /// One processor, in every lane: batches pass it by.
    Processor(Text),
    /// One exporter: it is handed nothing.
    Exporter(Text),
    /// One query of a receiver, in every database.
    Feature {
        /// The receiver.
        receiver: Text,
        /// The query, by its stable name.
        feature: Text,
    },
}

/// A breaker and where it is held. Two positions of one breaker replace each other.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// The receiver before whose server it stands.
    pub receiver: Text,
    /// Which of its breakers.
    pub scope: Scope,
    /// Held there.
    pub position: Position,
}

/// Where a breaker is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Nothing is sent.
    Open,
    /// Failures do not open it.
    Closed,
}

/// Why an override was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// No reason.
    #[error("say why: the next one to look will want to know")]
    NoReason,
    /// A reason beyond [`MAX_REASON_BYTES`].
    #[error("the reason has {0} bytes; {MAX_REASON_BYTES} are the most")]
    LongReason(usize),
    /// A time that is not from one second to [`MAX_OVERRIDE_DURATION`].
    #[error("an override lasts from 1 second to 7 days; for longer, change the configuration")]
    Duration,
    /// More than [`MAX_OVERRIDES`].
    #[error("{MAX_OVERRIDES} overrides are in force, which is the most; clear one")]
    TooMany,
}

/// A text that names nothing that can be bypassed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing that can be bypassed: write system, receivers/ID, processors/ID, exporters/ID, or \
     receivers/ID:FEATURE"
)]
pub struct UnknownBypass(pub String);

// === impl Overrides ===

impl Overrides {
    /// None in force.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (held, count) = (RwLock::new(BTreeMap::new()), AtomicUsize::new(0));
        Self(Arc::new(Inner { clock, held, count }))
    }

    /// Puts an override in force, in place of the one for the same order.
    ///
    /// # Errors
    /// [`OverrideError`]; nothing has changed then.
    pub fn set(
        &self,
        order: Order,
        reason: &str,
        lasts: Duration,
        startup: bool,
    ) -> Result<Override, OverrideError> {
        let reason = reason.trim();
        match reason.len() {
            0 => return Err(OverrideError::NoReason),
            1..=MAX_REASON_BYTES => {}
            bytes => return Err(OverrideError::LongReason(bytes)),
        }
        if lasts < Duration::from_secs(1) || lasts > MAX_OVERRIDE_DURATION {
            return Err(OverrideError::Duration);
        }
        let set_at = self.0.clock.now();
        let reason = Text::from(reason.to_owned());
        let entry = Override { order, startup, reason, set_at, until: set_at.plus(lasts) };
        self.hold(entry.clone(), lasts)?;
        Ok(entry)
    }

    /// Takes over what was in force before a restart, and is still, by the wall clock. Says how many found no room.
    pub fn restore(&self, entries: impl IntoIterator<Item = Override>) -> usize {
        let now = self.0.clock.now();
        let left = |entry: &Override| entry.until.since(now).min(MAX_OVERRIDE_DURATION);
        let in_force = entries.into_iter().filter(|entry| entry.until > now);
        in_force.filter(|entry| self.hold(entry.clone(), left(entry)).is_err()).count()
    }

    /// Ends an override. `None` if it was not in force. The position of a hold does not matter.
    pub fn clear(&self, order: &Order) -> Option<Override> {
        let mut held = self.0.held.write();
        let cleared = held.remove(order);
        self.0.count.store(held.len(), Ordering::Release);
        cleared.map(|held| held.entry)
    }

    /// Ends the overrides whose time is over; returns them.
    pub fn expire(&self) -> Vec<Override> {
        if self.is_empty() {
            return Vec::new();
        }
        let now = self.0.clock.monotonic();
        let mut held = self.0.held.write();
        let over: Vec<_> =
            held.values().filter(|held| held.until <= now).map(|held| held.entry.clone()).collect();
        held.retain(|_, held| held.until > now);
        self.0.count.store(held.len(), Ordering::Release);
        over
    }

    /// All in force, with the time each has left.
    #[must_use]
    pub fn list(&self) -> Vec<(Override, Duration)> {
        let now = self.0.clock.monotonic();
        let held = self.0.held.read();
        let in_force = held.values().filter(|held| held.until > now);
        in_force.map(|held| (held.entry.clone(), held.until.since(now))).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// What stands against a query of a receiver, and how long for.
    #[must_use]
    pub fn of_feature(&self, receiver: &Text, feature: &str) -> Option<(Override, Duration)> {
        if self.is_empty() {
            return None;
        }
        let named = Bypass::Feature { receiver: receiver.clone(), feature: feature.to_owned().into() };
        [Bypass::System, Bypass::Receiver(receiver.clone()), named]
            .into_iter()
            .find_map(|bypass| self.in_force(bypass))
    }

    /// Whether batches pass this processor by.
    #[must_use]
    pub fn is_processor_off(&self, id: &Text) -> bool {
        !self.is_empty() && self.in_force(Bypass::Processor(id.clone())).is_some()
    }

    /// Whether this exporter is handed nothing.
    #[must_use]
    pub fn is_exporter_off(&self, id: &Text) -> bool {
        !self.is_empty() && self.in_force(Bypass::Exporter(id.clone())).is_some()
    }

    fn in_force(&self, bypass: Bypass) -> Option<(Override, Duration)> {
        let now = self.0.clock.monotonic();
        let held = self.0.held.read();
        let held = held.get(&Order::Bypass(bypass)).filter(|held| held.until > now)?;
        Some((held.entry.clone(), held.until.since(now)))
    }

    fn hold(&self, entry: Override, lasts: Duration) -> Result<(), OverrideError> {
        self.expire();
        let until = self.0.clock.monotonic().plus(lasts);
        let mut held = self.0.held.write();
        if held.len() >= MAX_OVERRIDES && !held.contains_key(&entry.order) {
            return Err(OverrideError::TooMany);
        }
        // The key would keep the old position of a breaker.
        held.remove(&entry.order);
        held.insert(entry.order.clone(), Held { entry, until });
        self.0.count.store(held.len(), Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

// === impl Override ===

impl Override {
    /// How far it reaches: `feature`, `component`, `system`, `startup`, or `circuit` for a breaker that is held.
    #[must_use]
    pub const fn level(&self) -> &'static str {
        match &self.order {
            Order::Hold(_) => "circuit",
            Order::Bypass(_) if self.startup => "startup",
            Order::Bypass(bypass) => bypass.level(),
        }
    }
}

// === impl Order ===

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bypass(bypass) => bypass.fmt(f),
            Self::Hold(circuit) => circuit.fmt(f),
        }
    }
}

// === impl Bypass ===

impl Bypass {
    /// How far it reaches.
    #[must_use]
    pub const fn level(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Receiver(_) | Self::Processor(_) | Self::Exporter(_) => "component",
            Self::Feature { .. } => "feature",
        }
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Receiver(id) => write!(f, "receivers/{id}"),
            Self::Processor(id) => write!(f, "processors/{id}"),
            Self::Exporter(id) => write!(f, "exporters/{id}"),
            Self::Feature { receiver, feature } => write!(f, "receivers/{receiver}:{feature}"),
        }
    }
}

impl FromStr for Bypass {
    type Err = UnknownBypass;

    fn from_str(text: &str) -> Result<Self, UnknownBypass> {
        let unknown = || UnknownBypass(text.to_owned());
        if text == "system" {
            return Ok(Self::System);
        }
        let (section, id) = text.split_once('/').filter(|(_, id)| !id.is_empty()).ok_or_else(unknown)?;
        let owned = |id: &str| Text::from(id.to_owned());
        match (section, id.split_once(':')) {
            ("receivers", None) => Ok(Self::Receiver(owned(id))),
            ("receivers", Some((receiver, feature))) if !receiver.is_empty() && !feature.is_empty() => {
                Ok(Self::Feature { receiver: owned(receiver), feature: owned(feature) })
            }
            ("processors", None) => Ok(Self::Processor(owned(id))),
            ("exporters", None) => Ok(Self::Exporter(owned(id))),
            _ => Err(unknown()),
        }
    }
}

// === impl Circuit ===

impl Circuit {
    const fn identity(&self) -> (&Text, &Scope) {
        (&self.receiver, &self.scope)
    }
}

impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Circuit {}

impl PartialOrd for Circuit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Circuit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} before receivers/{}: ", self.position.as_str(), self.receiver)?;
        let database = |database: &Option<Text>| match database {
            Some(name) => format!("database {name}"),
            None => "what is asked of the server as a whole".to_owned(),
        };
        match &self.scope {
            Scope::Server => f.write_str("server"),
            Scope::Database(name) => f.write_str(&database(name)),
            Scope::Feature(name, feature) => write!(f, "{feature} in {}", database(name)),
        }
    }
}

// === impl Position ===

impl Position {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests;
