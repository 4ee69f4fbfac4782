//! Whether another collector watches the same server: by sessions in it that have our name and are not ours.
//!
//! A session counts after [`WATCHED_FOR`] only, and if it was at work in between: a command such as `doctor` is gone by
//! then, and what a collector that was killed has left behind does nothing. Behind a pooler that changes the backend
//! nothing is concluded: a session there is nobody's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Monotonic, Timestamp};
use parking_lot::Mutex;

/// How long a session must have been there, seen at every look.
pub const WATCHED_FOR: Duration = Duration::from_secs(300);
/// At how many looks it must have done something since the one before.
const TIMES_AT_WORK: u32 = 3;
/// Sessions that are followed. A collector has a handful.
const MAX_SESSIONS: usize = 64;

/// Process ids of our backends, one for each connection that is open.
#[derive(Clone, Debug, Default)]
pub struct OwnBackends(Arc<Mutex<Vec<i64>>>);

/// One of them, as long as this is held.
#[derive(Debug)]
pub struct OwnBackend {
    pid: i64,
    all: OwnBackends,
}

/// A session with our name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSession {
    /// Process id of its backend.
    pub pid: i64,
    /// When it last began or ended something.
    pub state_change: Timestamp,
}

/// What was seen of sessions that are not ours.
#[derive(Debug, Default)]
pub struct OtherInstances {
    seen: BTreeMap<i64, Seen>,
    is_pooled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Monotonic,
    state_change: Timestamp,
    times_at_work: u32,
}

// === impl OwnBackends ===

impl OwnBackends {
    /// Adds the backend of a connection that was opened.
    #[must_use]
    pub fn add(&self, pid: i64) -> OwnBackend {
        self.0.lock().push(pid);
        OwnBackend { pid, all: self.clone() }
    }

    fn contains(&self, pid: i64) -> bool {
        self.0.lock().contains(&pid)
    }
}

impl Drop for OwnBackend {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        // Of one node and of another there can be two with the same number.
        if let Some(place) = all.iter().position(|pid| *pid == self.pid) {
            all.swap_remove(place);
        }
    }
}

// === impl OtherInstances ===

impl OtherInstances {
    /// Another backend has answered than the one that was connected to. From now on nothing is concluded.
    pub fn pooled(&mut self) {
        self.is_pooled = true;
        self.seen.clear();
    }

    /// Another node answers, which has other sessions.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// Takes in a look at the sessions. Gives the backends of other collectors.
    pub fn look(&mut self, now: Monotonic, sessions: &[NamedSession], own: &OwnBackends) -> Vec<i64> {
        if self.is_pooled {
            return Vec::new();
        }
        let before = std::mem::take(&mut self.seen);
        let others = sessions.iter().filter(|session| !own.contains(session.pid));
        for NamedSession { pid, state_change } in others.take(MAX_SESSIONS) {
            let new = Seen { since: now, state_change: *state_change, times_at_work: 0 };
            let mut seen = before.get(pid).copied().unwrap_or(new);
            let was_at_work = seen.state_change != *state_change;
            seen.times_at_work = seen.times_at_work.saturating_add(u32::from(was_at_work));
            seen.state_change = *state_change;
            self.seen.insert(*pid, seen);
        }
        let is_watching =
            |seen: &Seen| seen.times_at_work >= TIMES_AT_WORK && now.since(seen.since) >= WATCHED_FOR;
        self.seen.iter().filter(|(_, seen)| is_watching(seen)).map(|(pid, _)| *pid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found at each of the looks, a minute apart, at sessions with these times of work.
    fn found(looks: &[&[(i64, u64)]]) -> Vec<Vec<i64>> {
        let (mut others, own) = (OtherInstances::default(), OwnBackends::default());
        let (_ours, gone) = (own.add(1), own.add(2));
        drop(gone);
        let look = |(minute, sessions): (usize, &&[(i64, u64)])| {
            let now = Monotonic::default().plus(Duration::from_secs(60 * minute as u64));
            let session = |(pid, at): &(i64, u64)| NamedSession {
                pid: *pid,
                state_change: Timestamp::from_micros(*at as i64),
            };
            others.look(now, &sessions.iter().map(session).collect::<Vec<_>>(), &own)
        };
        looks.iter().enumerate().map(look).collect()
    }

    #[test]
    fn a_session_that_works_for_minutes_and_is_not_ours_is_of_another_collector() {
        let looks: [&[(i64, u64)]; 8] = [
            &[(1, 0), (7, 0)],
            &[(1, 1), (7, 1)],
            &[(1, 2), (7, 1)],
            &[(1, 3), (7, 2)],
            &[(1, 4), (7, 3)],
            &[(1, 5), (7, 3)],
            &[(1, 6), (7, 4)],
            &[(1, 7)],
        ];
        let found = found(&looks);
        assert_eq!(found[..5], vec![Vec::<i64>::new(); 5]);
        assert_eq!(found[5..], [vec![7], vec![7], vec![]]);
    }

    #[test]
    fn what_is_idle_short_or_was_ours_is_not() {
        let minutes = || 0..20_u64;
        let idle: Vec<Vec<(i64, u64)>> = minutes().map(|_| vec![(7, 3)]).collect();
        let short: Vec<Vec<(i64, u64)>> =
            minutes().map(|minute| vec![(minute as i64 / 4 + 10, minute)]).collect();
        let now_and_then: Vec<Vec<(i64, u64)>> =
            minutes().map(|minute| if minute % 4 == 0 { vec![] } else { vec![(7, minute)] }).collect();
        for looks in [idle, short, now_and_then] {
            let looks: Vec<&[(i64, u64)]> = looks.iter().map(Vec::as_slice).collect();
            assert_eq!(found(&looks), vec![Vec::<i64>::new(); 20], "{looks:?}");
        }
    }

    #[test]
    fn behind_a_pooler_nothing_is_concluded() {
        let (mut others, own) = (OtherInstances::default(), OwnBackends::default());
        others.pooled();
        for minute in 0..20 {
            let now = Monotonic::default().plus(Duration::from_secs(60 * minute));
            let session = NamedSession { pid: 7, state_change: Timestamp::from_micros(minute as i64) };
            assert!(others.look(now, &[session], &own).is_empty());
        }
    }
}
