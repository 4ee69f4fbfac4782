//! The blocking tree: who waits for whom, and who is at the root.
//!
//! Edges come from `pg_blocking_pids` of the waiting sessions. A parallel worker stands for its leader. Process id 0 is
//! a prepared transaction. A cycle (a deadlock not yet resolved) is cut where it closes.

use std::collections::{BTreeMap, BTreeSet};

use dbintel_model::Session;

/// Edges followed from one session to the root.
const MAX_DEPTH: i64 = 64;

/// Completes `root_pid`, `depth` and `blocked_sessions` of every session, and gives blockers that do not wait an entry
/// of their own, so that the whole tree can be read from the sessions.
pub fn complete(sessions: &mut [Session]) {
    let edges: BTreeMap<i64, Vec<i64>> = sessions
        .iter()
        .filter_map(|session| session.blocking.as_ref().map(|blocking| (session.pid, blocking.pids.clone())))
        .filter(|(_, pids)| !pids.is_empty())
        .collect();
    if edges.is_empty() {
        return;
    }
    let waiters = waiters(&edges);
    let starts: BTreeMap<i64, _> =
        sessions.iter().map(|session| (session.pid, session.transaction_start)).collect();
    for session in sessions {
        let blocked = waiters.get(&session.pid).map_or(0, BTreeSet::len);
        if let Some((root, depth)) = root(&edges, session.pid) {
            let blocking = session.blocking.get_or_insert_default();
            blocking.root_pid = Some(root);
            blocking.depth = depth;
            blocking.blocker_transaction_start =
                blocking.pids.first().and_then(|pid| starts.get(pid).copied().flatten());
        }
        if blocked > 0 {
            session.blocking.get_or_insert_default().blocked_sessions =
                i64::try_from(blocked).unwrap_or(i64::MAX);
        }
    }
}

/// The root above a waiting session, and the number of edges to it.
fn root(edges: &BTreeMap<i64, Vec<i64>>, pid: i64) -> Option<(i64, i64)> {
    let (mut at, mut depth, mut seen) = (pid, 0, BTreeSet::from([pid]));
    while let Some(next) = edges.get(&at).and_then(|pids| pids.first()) {
        if depth >= MAX_DEPTH || !seen.insert(*next) {
            break;
        }
        at = *next;
        depth += 1;
    }
    (depth > 0).then_some((at, depth))
}

/// For every blocker, the sessions that wait for it, directly or not.
fn waiters(edges: &BTreeMap<i64, Vec<i64>>) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut waiters: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for waiter in edges.keys() {
        let mut open: Vec<i64> = vec![*waiter];
        let mut seen = BTreeSet::from([*waiter]);
        while let Some(pid) = open.pop() {
            for blocker in edges.get(&pid).into_iter().flatten() {
                if seen.insert(*blocker) {
                    waiters.entry(*blocker).or_default().insert(*waiter);
                    open.push(*blocker);
                }
            }
        }
    }
    waiters
}

#[cfg(test)]
mod tests {
    use dbintel_model::Blocking;
    use proptest::prelude::*;

    use super::*;

    fn session(pid: i64, blocked_by: &[i64]) -> Session {
        let blocking = Blocking { pids: blocked_by.to_vec(), ..Blocking::default() };
        Session { pid, blocking: (!blocked_by.is_empty()).then(|| Box::new(blocking)), ..Session::default() }
    }

    /// Root, depth and number of waiters per session.
    fn check(sessions: &[(i64, &[i64])], expected: &[(Option<i64>, i64, i64)]) {
        let mut sessions: Vec<_> = sessions.iter().map(|(pid, by)| session(*pid, by)).collect();
        complete(&mut sessions);
        let found: Vec<_> = sessions
            .iter()
            .map(|session| {
                let blocking = session.blocking.clone().unwrap_or_default();
                (blocking.root_pid, blocking.depth, blocking.blocked_sessions)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_chain_leads_to_its_root() {
        check(
            &[(1, &[]), (2, &[1]), (3, &[2]), (4, &[2]), (5, &[])],
            &[(None, 0, 3), (Some(1), 1, 2), (Some(1), 2, 0), (Some(1), 2, 0), (None, 0, 0)],
        );
    }

    #[test]
    fn a_cycle_is_cut_and_a_prepared_transaction_can_be_the_root() {
        check(&[(1, &[2]), (2, &[1])], &[(Some(2), 1, 1), (Some(1), 1, 1)]);
        check(&[(1, &[0])], &[(Some(0), 1, 0)]);
    }

    proptest! {
        #[test]
        fn any_graph_ends(edges in prop::collection::vec((0i64..30, prop::collection::vec(0i64..30, 0..4)), 0..40)) {
            let mut sessions: Vec<_> = edges.iter().map(|(pid, by)| session(*pid, by)).collect();
            complete(&mut sessions);
            for session in &sessions {
                if let Some(blocking) = &session.blocking {
                    prop_assert!(blocking.depth <= MAX_DEPTH && blocking.blocked_sessions <= 30);
                }
            }
        }
    }
}
