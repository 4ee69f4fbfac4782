//! The draw, by itself.

use std::sync::Arc;

use dbintel_model::{Blocking, Server};

use super::*;

fn target(address: &'static str) -> Target {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: address.into(),
        port: 5432,
        resource: Vec::new(),
    };
    Target::server(Arc::new(server))
}

fn identity(sampler: &str, address: &'static str, session: &Session) -> Identity {
    let mut identities = Identities::new(sampler);
    identities.begin(&target(address));
    identities.of(session)
}

fn session(pid: i64) -> Session {
    Session { pid, query_id: Some(1), ..Session::default() }
}

#[test]
fn the_draw_is_the_same_in_every_process() {
    let draws: Vec<String> = (0..3)
        .map(|pid| format!("{:.6}", identity("adaptive_sampler", "db", &session(pid)).draw(TimeBucket(7))))
        .collect();
    // Recorded: a change here makes replicas of two versions disagree during an update.
    assert_eq!(draws, RECORDED);
}

const RECORDED: [&str; 3] = ["0.856908", "0.618506", "0.483189"];

#[test]
fn draws_are_even_and_independent_of_each_other() {
    let count = 20_000_u32;
    let mut identities = Identities::new("adaptive_sampler");
    identities.begin(&target("db"));
    for probability in [0.01, 0.25, 0.9] {
        let deviations = |hits: u32, share: f64| {
            let spread = (f64::from(count) * share * (1.0 - share)).sqrt();
            (f64::from(hits) - f64::from(count) * share).abs() / spread
        };
        let (mut kept, mut kept_twice) = (0, 0);
        for pid in 0..count {
            let identity = identities.of(&session(pid.into()));
            let now = identity.is_kept(TimeBucket(1), probability);
            let next = identity.is_kept(TimeBucket(2), probability);
            kept += u32::from(now);
            kept_twice += u32::from(now && next);
        }
        assert!(deviations(kept, probability) < 5.0, "{probability}: {kept}");
        assert!(deviations(kept_twice, probability * probability) < 5.0, "{probability}: {kept_twice}");
    }
}

#[test]
fn a_higher_probability_keeps_what_a_lower_one_keeps_and_the_ends_are_exact() {
    for pid in 0..1_000 {
        let identity = identity("adaptive_sampler", "db", &session(pid));
        let kept = |probability| identity.is_kept(TimeBucket(3), probability);
        assert!(kept(1.0) && !kept(0.0));
        assert!(!kept(0.1) || kept(0.2));
    }
}

#[test]
fn no_record_is_hidden_for_ever() {
    for pid in 0..1_000 {
        let identity = identity("adaptive_sampler", "db", &session(pid));
        let kept = (0..2_000).filter(|bucket| identity.is_kept(TimeBucket(*bucket), 0.01)).count();
        assert!((1..=60).contains(&kept), "{pid}: kept in {kept} of 2000 time buckets");
    }
}

#[test]
fn identities_differ_where_records_do() {
    let blocked_by = |pids: &[i64]| Some(Box::new(Blocking { pids: pids.to_vec(), ..Blocking::default() }));
    let plain = session(1);
    let sessions = [
        Session { query_start: Some(Timestamp::from_nanos(5)), ..plain.clone() },
        Session { backend_start: Some(Timestamp::from_nanos(5)), ..plain.clone() },
        Session { query_id: None, ..plain.clone() },
        Session { state: Some("active".into()), ..plain.clone() },
        Session { wait_event_type: Some("active".into()), ..plain.clone() },
        Session { wait_event: Some("active".into()), ..plain.clone() },
        Session { blocking: blocked_by(&[]), ..plain.clone() },
        Session { blocking: blocked_by(&[1]), ..plain.clone() },
        Session { blocking: blocked_by(&[1, 2]), ..plain.clone() },
        Session { pid: 2, ..plain.clone() },
        plain.clone(),
    ];
    let mut identities: Vec<u64> = sessions.iter().map(|session| identity("a", "db", session).0).collect();
    identities.push(identity("b", "db", &plain).0);
    identities.push(identity("a", "other", &plain).0);
    let all = identities.len();
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), all);
    // The time it has been running is what samples of one session differ in.
    let later = Session { running_ms: Some(9.0), ..plain.clone() };
    assert_eq!(identity("a", "db", &later), identity("a", "db", &plain));
}
