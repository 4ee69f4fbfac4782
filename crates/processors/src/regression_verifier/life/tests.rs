use dbintel_model::Server;
use dbintel_model::finding::{Category, Subject};
use proptest::prelude::*;

use super::*;

fn server() -> Server {
    Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    }
}

fn finding(id: u128, kind: FindingKind, at: Timestamp) -> Finding {
    Finding::new(FindingId::from_u128(id), kind, Category::Careful, Subject::of_server(&server(), None), at)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_795_236_205_000_000_000).plus(Duration::from_secs(seconds))
}

proptest! {
    /// Whatever comes, in whatever order: no cap is ever passed, and nothing is told twice within its period.
    #[test]
    fn caps_and_cool_downs_always_hold(
        steps in prop::collection::vec((0..6_u64, 0..3_usize, 0..900_u64, any::<bool>()), 1..300),
        per_run in 1..4_usize, per_object in 1..3_usize, per_hour in 1..6_usize,
    ) {
        let caps = CapSettings { per_run, per_object, per_hour };
        let cool_down = Duration::from_secs(7_200);
        let mut findings = Findings::new(caps, cool_down, Duration::from_secs(100_000), 1.0);
        let (mut now, mut id, mut opened) = (0, 0, 0);
        let mut told: Vec<(FindingKind, u64, u64)> = Vec::new();
        let mut lately: Vec<u64> = Vec::new();
        for (subject, kind, later, is_new_run) in steps {
            now += later;
            opened = if is_new_run { 0 } else { opened };
            let kind = FindingKind::ALL[kind];
            id += 1;
            let candidate = finding(id, kind, at(now));
            let first = findings.iter().next().map(|kept| kept.finding.id);
            if findings.may_open(&candidate, (subject, None), opened, at(now)).is_ok() {
                findings.open(Kept { finding: candidate, subject, cause: None }, at(now));
                opened += 1;
                prop_assert!(opened <= per_run);
                let again = told.iter().any(|(of, about, when)| (*of, *about) == (kind, subject) && now - when < cool_down.as_secs());
                prop_assert!(!again);
                told.push((kind, subject, now));
                lately.push(now);
                prop_assert!(lately.iter().filter(|when| now - **when < 3_600).count() <= per_hour);
                prop_assert!(findings.iter().filter(|kept| kept.subject == subject).count() <= per_object);
            } else if let Some(first) = first.filter(|_| later % 3 == 0) {
                let kept = findings.close(first, at(now)).unwrap();
                told.push((kept.finding.kind, kept.subject, now));
                let same = findings.may_open(&finding(id, kept.finding.kind, at(now)), (kept.subject, None), 0, at(now));
                prop_assert_eq!(same, Err("cool_down"));
            }
        }
    }
}

#[test]
fn both_tables_are_bounded() {
    let caps = CapSettings { per_run: 10_000, per_object: 10_000, per_hour: 10_000 };
    let mut findings = Findings::new(caps, Duration::from_secs(60), Duration::from_secs(1_000), 1.0);
    let mut refused = 0;
    for n in 0..6_000 {
        let candidate = finding(n.into(), FindingKind::PlanRegression, at(n));
        match findings.may_open(&candidate, (n, None), 0, at(n)) {
            Ok(()) => findings.open(Kept { finding: candidate, subject: n, cause: None }, at(n)),
            Err(why) => {
                assert_eq!(why, "open_limit");
                refused += 1;
            }
        }
        findings.restore_told(FindingKind::PlanFlapping, n, at(n));
        assert!(findings.told().len() <= MAX_TOLD && findings.iter().len() <= MAX_OPEN_FINDINGS);
    }
    assert_eq!(refused, 6_000 - MAX_OPEN_FINDINGS);
    assert_eq!(findings.expired(at(1_100)).len(), 101);
}

#[test]
fn acceleration_shortens_the_hour_of_the_cap() {
    let caps = CapSettings { per_run: 10, per_object: 10, per_hour: 1 };
    for (acceleration, expected) in [(1.0, Err("per_hour")), (60.0, Ok(()))] {
        let mut findings =
            Findings::new(caps.clone(), Duration::from_secs(1), Duration::from_secs(1_000), acceleration);
        findings.open(
            Kept { finding: finding(1, FindingKind::PlanRegression, at(0)), subject: 1, cause: None },
            at(0),
        );
        assert_eq!(
            findings.may_open(&finding(2, FindingKind::PlanRegression, at(61)), (2, None), 0, at(61)),
            expected
        );
    }
}
