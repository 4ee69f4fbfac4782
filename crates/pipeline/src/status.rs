//! Component status: what health endpoints and pages show.
//!
//! A component's state is fed by what really happened to it: its last success, its last error, what it is missing.
//! Everything here is bounded by the number of components and by [`MAX_MISSING_PER_COMPONENT`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbintel_model::{Monotonic, Text, Timestamp};
use parking_lot::Mutex;

/// Missing parts that are listed per component. A receiver with more of them shows the first ones.
pub const MAX_MISSING_PER_COMPONENT: usize = 256;

/// What kind of component it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentKind {
    /// Polls a server.
    Receiver,
    /// A chain of processors.
    Lane,
    /// Ships records.
    Exporter,
    /// Health, metrics, pages.
    Extension,
}

/// How a component is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Being built; it has not run yet.
    Starting,
    /// It works.
    Ok,
    /// It runs, and something it needs does not: the reason.
    Degraded(Text),
    /// It is being restarted after a panic or an error: the reason.
    Failed(Text),
    /// It has ended, as asked.
    Stopped,
}

/// A part that a component cannot deliver at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why, from a closed list.
    pub reason: &'static str,
    /// What happened and what to do.
    pub detail: Text,
    /// Since when.
    pub since: Timestamp,
}

/// One component as seen from outside.
#[derive(Clone, Debug)]
pub struct ComponentStatus {
    /// What kind.
    pub kind: ComponentKind,
    /// Its id in the configuration.
    pub id: Text,
    /// How it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When it last did what it is for.
    pub last_success: Option<Timestamp>,
    /// What it cannot deliver at present, by part.
    pub missing: BTreeMap<Text, Missing>,
    /// Since when it has been at work on one piece, without a break; `None` between pieces.
    pub working_since: Option<Monotonic>,
}

/// The status of every component of the process.
#[derive(Clone, Debug, Default)]
pub struct StatusBoard {
    components: Arc<Mutex<BTreeMap<(ComponentKind, Text), ComponentStatus>>>,
    shutting_down: Arc<AtomicBool>,
}

/// A component's own entry on the board.
#[derive(Clone, Debug)]
pub struct StatusHandle {
    board: StatusBoard,
    key: (ComponentKind, Text),
}

// === impl ComponentKind ===

impl ComponentKind {
    /// The kind as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Lane => "lane",
            Self::Exporter => "exporter",
            Self::Extension => "extension",
        }
    }
}

// === impl State ===

impl State {
    /// The state as a label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Degraded(_) => "degraded",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Why, where something is wrong.
    #[must_use]
    pub const fn reason(&self) -> Option<&Text> {
        match self {
            Self::Degraded(reason) | Self::Failed(reason) => Some(reason),
            Self::Starting | Self::Ok | Self::Stopped => None,
        }
    }
}

// === impl StatusBoard ===

impl StatusBoard {
    /// Puts a component on the board, as starting.
    #[must_use]
    pub fn register(&self, kind: ComponentKind, id: Text, now: Timestamp) -> StatusHandle {
        let key = (kind, id.clone());
        let status = ComponentStatus {
            kind,
            id,
            state: State::Starting,
            since: now,
            last_success: None,
            missing: BTreeMap::new(),
            working_since: None,
        };
        self.components.lock().insert(key.clone(), status);
        StatusHandle { board: self.clone(), key }
    }

    /// Every component, receivers first.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentStatus> {
        self.components.lock().values().cloned().collect()
    }

    /// Whether every lane and exporter has been started and the process is not shutting down. A database or a backend
    /// that is down does not change it, and extensions alone do not make a process ready: they start first.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let components = self.components.lock();
        let started = components.values().all(|component| component.state != State::Starting);
        let has_work = components.values().any(|component| component.kind != ComponentKind::Extension);
        has_work && started && !self.is_shutting_down()
    }

    /// A component that has been at one piece of work for longer than `limit`: the process makes no progress there.
    #[must_use]
    pub fn stuck(&self, now: Monotonic, limit: Duration) -> Option<Text> {
        let components = self.components.lock();
        let stuck = components
            .values()
            .find(|component| component.working_since.is_some_and(|since| now.since(since) > limit));
        stuck.map(|component| component.id.clone())
    }

    /// Says that shutdown has begun.
    pub fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// Whether shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Relaxed)
    }
}

// === impl StatusHandle ===

impl StatusHandle {
    /// Sets the state. Says whether it is another than before, so that only changes are logged.
    pub fn set(&self, state: State, now: Timestamp) -> bool {
        self.update(|status| {
            let changed = status.state != state;
            if changed {
                status.state = state;
                status.since = now;
            }
            changed
        })
    }

    /// Notes that the component just did what it is for. Says whether its state changed by that.
    pub fn succeeded(&self, now: Timestamp) -> bool {
        self.update(|status| status.last_success = Some(now));
        self.set(State::Ok, now)
    }

    /// Notes a part that cannot be delivered. Says whether this is news: a new part, or another reason. One that finds no room on the list
    /// is none, or it would be with every poll.
    pub fn missing(&self, part: &Text, reason: &'static str, detail: &Text, now: Timestamp) -> bool {
        self.update(|status| {
            if let Some(held) = status.missing.get_mut(part) {
                let changed = held.reason != reason;
                held.reason = reason;
                held.detail = detail.clone();
                return changed;
            }
            let has_room = status.missing.len() < MAX_MISSING_PER_COMPONENT;
            if has_room {
                status.missing.insert(part.clone(), Missing { reason, detail: detail.clone(), since: now });
            }
            has_room
        })
    }

    /// Notes that a part is delivered again. Says whether it was missing.
    pub fn delivered(&self, part: &str) -> bool {
        self.update(|status| status.missing.remove(part).is_some())
    }

    /// Notes that a piece of work begins that nothing can interrupt.
    pub fn working(&self, now: Monotonic) {
        self.update(|status| status.working_since = Some(now));
    }

    /// Notes that a piece of work is done that delivers nothing.
    pub fn rests(&self) {
        self.update(|status| status.working_since = None);
    }

    /// Notes that the piece of work is done.
    pub fn idle(&self, now: Timestamp) {
        self.update(|status| {
            status.working_since = None;
            status.last_success = Some(now);
        });
    }

    /// The present status.
    #[must_use]
    pub fn status(&self) -> Option<ComponentStatus> {
        self.board.components.lock().get(&self.key).cloned()
    }

    /// Takes the component off the board.
    pub fn remove(&self) {
        self.board.components.lock().remove(&self.key);
    }

    fn update<T: Default>(&self, change: impl FnOnce(&mut ComponentStatus) -> T) -> T {
        self.board.components.lock().get_mut(&self.key).map(change).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_started_and_not_shutting_down_whatever_the_database_does() {
        let (board, now) = (StatusBoard::default(), Timestamp::default());
        assert!(!board.is_ready());
        let receiver = board.register(ComponentKind::Receiver, "postgresql".into(), now);
        assert!(!board.is_ready());
        assert!(receiver.set(State::Degraded("connection refused".into()), now));
        assert!(!receiver.set(State::Degraded("connection refused".into()), now));
        assert!(board.is_ready());
        board.begin_shutdown();
        assert!(!board.is_ready());
    }

    #[test]
    fn missing_parts_are_news_once() {
        let (board, now) = (StatusBoard::default(), Timestamp::default());
        let receiver = board.register(ComponentKind::Receiver, "postgresql".into(), now);
        let part = Text::from("sizes");
        assert!(receiver.missing(&part, "lock_timeout", &"waited".into(), now));
        assert!(!receiver.missing(&part, "lock_timeout", &"waited".into(), now));
        assert!(receiver.missing(&part, "statement_timeout", &"slow".into(), now));
        assert!(receiver.delivered("sizes") && !receiver.delivered("sizes"));
    }

    /// A server with hundreds of databases that nobody may connect to.
    #[test]
    fn a_part_that_finds_no_room_on_the_list_is_no_news_with_every_poll() {
        let (board, now) = (StatusBoard::default(), Timestamp::default());
        let receiver = board.register(ComponentKind::Receiver, "postgresql".into(), now);
        let missing = |number: usize| {
            let part = format!("{number}: database").into();
            receiver.missing(&part, "insufficient_privilege", &"GRANT CONNECT".into(), now)
        };
        assert!((0..MAX_MISSING_PER_COMPONENT).all(missing));
        assert!(!missing(MAX_MISSING_PER_COMPONENT) && !missing(MAX_MISSING_PER_COMPONENT));
        // There is room once another one is delivered.
        assert!(receiver.delivered("7: database"));
        assert!(missing(MAX_MISSING_PER_COMPONENT) && !missing(MAX_MISSING_PER_COMPONENT));
    }
}
