//! The heartbeat of the main runtime, and what liveness makes of it.
//!
//! The binary beats once a second from a task of the main runtime. The admin thread, which is not part of that runtime,
//! sees when it stops. A process that was frozen (`SIGSTOP`, a control group freezer) looks dead for up to one beat
//! after it goes on; probes that act on the third failure in a row do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dbintel_model::{Monotonic, Text};
use dbintel_pipeline::status::StatusBoard;

/// How often the binary beats.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A heart that has not beaten for longer has stopped: the main runtime makes no progress.
pub const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(30);
/// A component that has been at one piece of work for longer is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// A sign of life. Cloning it gives another handle to the same heart.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<AtomicU64>);

// === impl Heartbeat ===

impl Heartbeat {
    /// A heart that has just beaten.
    #[must_use]
    pub fn new(now: Monotonic) -> Self {
        Self(Arc::new(AtomicU64::new(nanos(now))))
    }

    /// Gives a sign of life.
    pub fn beat(&self, now: Monotonic) {
        self.0.store(nanos(now), Ordering::Relaxed);
    }

    /// How long ago the last beat was.
    #[must_use]
    pub fn age(&self, now: Monotonic) -> Duration {
        let beat = Monotonic::default().plus(Duration::from_nanos(self.0.load(Ordering::Relaxed)));
        now.since(beat)
    }
}

fn nanos(time: Monotonic) -> u64 {
    let since_origin = time.since(Monotonic::default());
    u64::try_from(since_origin.as_nanos()).unwrap_or(u64::MAX)
}

/// Why the process makes no progress; `None` while it does. Databases and backends have no part in it.
pub(crate) fn not_alive(heartbeat: &Heartbeat, board: &StatusBoard, now: Monotonic) -> Option<Text> {
    let age = heartbeat.age(now);
    if age > HEARTBEAT_AGE_MAX {
        return Some(format!("the main runtime has not run for {} s", age.as_secs()).into());
    }
    board.stuck(now, STUCK_AFTER).map(|component| {
        let seconds = STUCK_AFTER.as_secs();
        format!("{component} has been at one piece of work for more than {seconds} s").into()
    })
}

#[cfg(test)]
mod tests {
    use dbintel_model::Timestamp;
    use dbintel_pipeline::status::ComponentKind;

    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_heart_that_stops_is_noticed_and_one_that_beats_again_too() {
        let (heart, board) = (Heartbeat::new(at(100)), StatusBoard::default());
        assert_eq!(not_alive(&heart, &board, at(130)), None);
        assert!(not_alive(&heart, &board, at(131)).unwrap().contains("31 s"));
        heart.beat(at(131));
        assert_eq!(not_alive(&heart, &board, at(131)), None);
        assert_eq!(heart.age(at(90)), Duration::ZERO);
    }

    #[test]
    fn a_component_that_is_stuck_is_noticed_although_the_heart_beats() {
        let (heart, board) = (Heartbeat::new(at(161)), StatusBoard::default());
        let lane = board.register(ComponentKind::Lane, "postgresql".into(), Timestamp::default());
        lane.working(at(100));
        assert_eq!(not_alive(&heart, &board, at(160)), None);
        assert!(not_alive(&heart, &board, at(161)).unwrap().contains("postgresql"));
        lane.idle(Timestamp::default());
        assert_eq!(not_alive(&heart, &board, at(161)), None);
    }
}
