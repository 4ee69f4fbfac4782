//! Plans that are another one than before, held until what may have changed them has been read.
//!
//! What changes a plan is seen by other readings than the plan: settings by those of the server, definitions and analyses by
//! those of its database. A plan that was told before them would have no cause. So it waits for a reading of each that
//! began after it was obtained, and therefore shows whatever its planning saw.
//!
//! Promises: plans are let go in the order in which they came; none waits longer than [`MAX_WAIT`]; at most [`MAX_PLANS`]
//! and [`MAX_BYTES`] wait. What is let go without its causes is counted.

use std::collections::VecDeque;
use std::time::Duration;

use dbintel_model::{Monotonic, PlanObservation, QueryKey, Text, Timestamp};

/// The longest wait for the readings. They can be slow, or fail.
pub const MAX_WAIT: Duration = Duration::from_secs(600);
/// Plans that wait.
pub const MAX_PLANS: usize = 256;
/// Bytes of plans that wait.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CausesOf<'a> {
    /// Settings, of the server, of roles and of databases.
    Server,
    /// Definitions and analyses, of this database.
    Database(&'a Text),
}

/// See the module.
#[derive(Debug, Default)]
pub struct HeldPlans {
    held: VecDeque<Held>,
    bytes: usize,
    without_causes: u64,
    /// The latest time of any reading, by the server's clock.
    read_at: Timestamp,
}

#[derive(Debug)]
struct Held {
    plan: PlanObservation,
    since: Monotonic,
    server_was_read: bool,
    database_was_read: bool,
}

impl HeldPlans {
    /// Holds a plan that was obtained before `now`; gives it back if there is no room.
    pub fn hold(&mut self, plan: PlanObservation, now: Monotonic) -> Option<PlanObservation> {
        let bytes = plan.weight_bytes();
        if self.held.len() >= MAX_PLANS || self.bytes + bytes > MAX_BYTES {
            self.without_causes += 1;
            return Some(plan);
        }
        self.bytes += bytes;
        self.held.push_back(Held { plan, since: now, server_was_read: false, database_was_read: false });
        None
    }

    /// Whether a plan of this statement waits: a later one must not pass it.
    #[must_use]
    pub fn has(&self, key: &QueryKey) -> bool {
        self.held.iter().any(|held| held.plan.key == *key)
    }

    /// Something was read and handed over whose reading began at this time, `at` by the server's clock: which plans wait no
    /// longer.
    pub fn read(&mut self, what: CausesOf<'_>, began: Monotonic, at: Timestamp) -> Vec<PlanObservation> {
        self.read_at = self.read_at.max(at);
        for held in self.held.iter_mut().filter(|held| held.since <= began) {
            match what {
                CausesOf::Server => held.server_was_read = true,
                CausesOf::Database(name) if *name == held.plan.key.database => held.database_was_read = true,
                CausesOf::Database(_) => {}
            }
        }
        self.take(|held| held.server_was_read && held.database_was_read)
    }

    /// Which plans have waited too long.
    pub fn overdue(&mut self, now: Monotonic) -> Vec<PlanObservation> {
        let overdue = self.take(|held| now.since(held.since) >= MAX_WAIT);
        self.without_causes += overdue.len() as u64;
        overdue
    }

    /// When, by the server's clock, the last of the causes were read that are told by now.
    #[must_use]
    pub const fn read_at(&self) -> Timestamp {
        self.read_at
    }

    /// Forgets all, when another node answers: it has plans of its own. Gives those that were forgotten.
    pub fn clear(&mut self) -> Vec<PlanObservation> {
        let forgotten = self.take(|_| true);
        *self = Self { without_causes: self.without_causes, ..Self::default() };
        forgotten
    }

    /// How many were let go without their causes since this was last asked.
    pub fn take_without_causes(&mut self) -> u64 {
        std::mem::take(&mut self.without_causes)
    }

    /// Bytes held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes + self.held.len() * size_of::<Held>()
    }

    /// A later plan of a statement never passes an earlier one: readings that free the later free the earlier as well.
    fn take(&mut self, is_free: impl Fn(&Held) -> bool) -> Vec<PlanObservation> {
        let (free, held): (VecDeque<Held>, VecDeque<Held>) = self.held.drain(..).partition(is_free);
        self.held = held;
        self.bytes = self.held.iter().map(|held| held.plan.weight_bytes()).sum();
        free.into_iter().map(|held| held.plan).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dbintel_model::{Clock as _, ManualClock, PlanFormat, PlanIdentity, PlanRung, QueryKey, Timestamp};

    use super::*;

    fn plan(database: &'static str, query_id: i64, bytes: usize) -> PlanObservation {
        let key = QueryKey {
            system: "postgresql",
            database: database.into(),
            database_id: 1,
            user: "web".into(),
            user_id: 10,
            query_id,
            toplevel: None,
        };
        PlanObservation {
            key,
            text: None,
            rung: PlanRung::Generic,
            identity: PlanIdentity::Proven,
            format: PlanFormat::PostgresqlJson,
            raw: vec![0; bytes].into(),
            obtained_at: Timestamp::default(),
            tables: Arc::default(),
        }
    }

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn ids(plans: &[PlanObservation]) -> Vec<i64> {
        plans.iter().map(|plan| plan.key.query_id).collect()
    }

    #[test]
    fn a_plan_waits_for_readings_of_server_and_database_that_began_after_it() {
        let clock = ManualClock::at(Timestamp::default());
        let (mut held, before) = (HeldPlans::default(), clock.monotonic());
        let (app, other): (Text, Text) = ("app".into(), "other".into());
        clock.advance(Duration::from_secs(1));
        let obtained = clock.monotonic();
        for (database, id) in [("app", 1), ("other", 2), ("app", 3)] {
            assert_eq!(held.hold(plan(database, id, 10), obtained), None);
        }
        assert!(held.has(&plan("app", 3, 0).key) && !held.has(&plan("app", 2, 0).key));
        assert_eq!(held.read(CausesOf::Server, before, at(1)), []);
        assert_eq!(held.read(CausesOf::Database(&app), before, at(1)), []);
        assert_eq!(
            held.read(CausesOf::Database(&app), obtained, at(3)),
            [],
            "the server's settings are not read"
        );
        assert_eq!(ids(&held.read(CausesOf::Server, obtained, at(2))), [1, 3]);
        assert_eq!(ids(&held.read(CausesOf::Database(&other), obtained, at(1))), [2]);
        assert_eq!((held.bytes, held.take_without_causes()), (0, 0));
        assert_eq!(held.read_at(), at(3), "the latest reading, in whatever order they were handed over");
    }

    #[test]
    fn no_plan_waits_for_ever_and_what_finds_no_room_goes_on() {
        let clock = ManualClock::at(Timestamp::default());
        let mut held = HeldPlans::default();
        assert_eq!(held.hold(plan("app", 1, MAX_BYTES), clock.monotonic()), None);
        assert!(held.hold(plan("app", 2, 1), clock.monotonic()).is_some());
        assert_eq!(held.overdue(clock.monotonic()), []);
        clock.advance(MAX_WAIT);
        assert_eq!(ids(&held.overdue(clock.monotonic())), [1]);
        assert_eq!((held.take_without_causes(), held.held_bytes()), (2, 0));
        for id in 0..MAX_PLANS as i64 {
            assert_eq!(held.hold(plan("app", id, 1), clock.monotonic()), None);
        }
        assert!(held.hold(plan("app", -1, 1), clock.monotonic()).is_some());
        assert_eq!(held.clear().len(), MAX_PLANS);
        assert_eq!(held.overdue(clock.monotonic().plus(MAX_WAIT)), []);
    }
}
