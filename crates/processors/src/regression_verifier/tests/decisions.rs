//! What persons decide reaches the findings, once, and survives what happens to the processor.

use dbintel_model::finding::{Decision, DecisionAction, FindingKind, FindingNews, FindingState};
use dbintel_model::{FindingId, Record, Timestamp};
use dbintel_pipeline::{Command, Context, FindingDecision, Output, Processor as _};

use super::super::MAX_ENDED;
use super::world::World;

impl World {
    /// A regression with its finding.
    fn with_a_finding() -> (Self, FindingId) {
        let mut world = Self::after_a_week("{}");
        world.index("dropped");
        world.flip(7, 5.0, 5.0, &[]);
        world.hours(6);
        let id = world.found[0].finding.id;
        assert_eq!(world.opened(), ["plan_regression careful"]);
        (world, id)
    }

    /// Tells the lane what was decided.
    fn hear(&mut self, decisions: &[FindingDecision]) {
        let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
        let monotonic = dbintel_model::Clock::monotonic(&self.clock);
        let mut cx = Context { now: self.now(), monotonic, random: &mut random };
        self.verifier.command(&mut cx, &Command::Decisions(decisions.into()), &mut out);
        for record in out.take_batches().into_iter().flat_map(|batch| batch.records) {
            let Record::Finding(event) = record else { panic!("{record:?}") };
            self.found.push(*event);
        }
    }

    fn decision(&self, finding: FindingId, action: DecisionAction) -> FindingDecision {
        let decision = Decision::try_new(action, "anna", self.now(), Some("tonight")).unwrap();
        FindingDecision { finding, decision }
    }

    fn decisions(&self, action: &str, result: &str) -> f64 {
        self.count("regression_verifier_decisions_total", &[("action", action), ("result", result)])
    }

    /// Open findings of all categories, as the gauges show them.
    fn shown_open(&self) -> f64 {
        let category = |category| {
            let labels = [("kind", "plan_regression"), ("category", category)];
            self.count("regression_verifier_findings_open", &labels)
        };
        ["careful", "manual", "auto"].into_iter().map(category).sum()
    }
}

#[test]
fn what_is_accepted_is_told_once_and_outlives_the_processor() {
    let (mut world, id) = World::with_a_finding();
    let accept = world.decision(id, DecisionAction::Accept);
    let told = world.found.len();
    for _ in 0..3 {
        world.hear(std::slice::from_ref(&accept));
    }
    assert_eq!(world.found.len(), told + 1, "a decision that was seen does nothing");
    let event = world.found.last().unwrap();
    assert_eq!(event.news, FindingNews::Changed { from: FindingState::Open });
    assert_eq!((event.finding.id, event.finding.state), (id, FindingState::Accepted));
    assert_eq!(event.finding.decisions, std::slice::from_ref(&accept.decision));
    world.interval();
    for replace in [World::kill, World::hand_over] {
        replace(&mut world);
        let held = &world.verifier.findings.get(id).unwrap().finding;
        assert_eq!((held.state, held.decisions.len()), (FindingState::Accepted, 1));
        world.hear(std::slice::from_ref(&accept));
    }
    assert_eq!(world.found.iter().filter(|event| event.finding.state == FindingState::Accepted).count(), 1);
    assert_eq!((world.decisions("accept", "taken"), world.decisions("accept", "late")), (1.0, 0.0));
    world.hours(1);
    assert_eq!(world.shown_open(), 1.0, "what was accepted has not come to its end");
}

#[test]
fn what_is_rejected_ends_and_is_not_repeated_within_its_period() {
    let (mut world, id) = World::with_a_finding();
    world.hours(1);
    assert_eq!(world.shown_open(), 1.0);
    let reject = world.decision(id, DecisionAction::Reject);
    // Of somebody else's finding nothing is known here.
    let other = world.decision(FindingId::from_u128(77), DecisionAction::Reject);
    for _ in 0..2 {
        world.hear(&[other.clone(), reject.clone()]);
    }
    assert_eq!(world.told().last().unwrap(), "plan_regression rejected careful");
    let reason = world.found.last().unwrap().finding.decisions[0].reason.clone();
    assert_eq!(reason.as_deref(), Some("tonight"));
    let told = world.found.len();
    world.interval();
    assert_eq!((world.shown_open(), world.verifier.trials.len()), (0.0, 0));
    world.kill();
    world.hear(&[reject]);
    world.hours(22);
    assert_eq!(world.found.len(), told, "{:?}", world.told());
    assert_eq!((world.decisions("reject", "taken"), world.decisions("reject", "late")), (1.0, 0.0));
}

/// All decisions are told again at a start, those about a former finding with this id too.
#[test]
fn what_was_decided_before_a_finding_was_there_is_not_about_it() {
    let (mut world, id) = World::with_a_finding();
    let opened_at = world.found[0].finding.opened_at;
    let decided = |seconds_before: u64| {
        let at = Timestamp::from_nanos(opened_at.as_nanos() - seconds_before * 1_000_000_000);
        let decision = Decision::try_new(DecisionAction::Reject, "anna", at, Some("tonight")).unwrap();
        FindingDecision { finding: id, decision }
    };
    world.hear(&[decided(86_400), decided(3_601)]);
    assert_eq!(world.verifier.findings.get(id).unwrap().finding.state, FindingState::Open);
    assert_eq!((world.decisions("reject", "taken"), world.decisions("reject", "late")), (0.0, 0.0));
    // A clock that is somewhat behind.
    world.hear(&[decided(3_000)]);
    assert_eq!(world.told().last().unwrap(), "plan_regression rejected careful");
}

/// The regression is still there: what holds it back is that it was told, as with any other end.
#[test]
fn the_same_that_happens_again_after_a_rejection_waits_for_the_cool_down() {
    let (mut world, id) = World::with_a_finding();
    let reject = world.decision(id, DecisionAction::Reject);
    world.hear(&[reject]);
    let told = world.found.len();
    world.flip(7, 25.0, 25.0, &[]);
    world.hours(10);
    assert_eq!(world.found.len(), told, "{:?}", world.told());
    assert!(world.count("regression_verifier_findings_suppressed_total", &[("reason", "cool_down")]) > 0.0);
}

#[test]
fn what_came_to_another_end_before_is_counted_and_stays_as_it_is() {
    let (mut world, id) = World::with_a_finding();
    let accept = world.decision(id, DecisionAction::Accept);
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(20);
    assert_eq!(
        world.of_kind(FindingKind::PlanRegression).last().unwrap().finding.state,
        FindingState::Resolved
    );
    let told = world.found.len();
    for _ in 0..2 {
        world.hear(std::slice::from_ref(&accept));
    }
    assert_eq!((world.found.len(), world.decisions("accept", "late")), (told, 1.0));
    assert_eq!(world.decisions("accept", "taken"), 0.0);
}

#[test]
fn what_was_done_already_stays_done_and_who_accepted_it_is_told() {
    let (mut world, id) = World::with_a_finding();
    world.flip_to(7, 107, &[("setting", "setting random_page_cost: 4 -> 1.1, at 2026")]);
    assert_eq!(world.found.last().unwrap().finding.state, FindingState::Applied);
    let told = world.found.len();
    let accept = world.decision(id, DecisionAction::Accept);
    for _ in 0..2 {
        world.hear(std::slice::from_ref(&accept));
    }
    let held = &world.verifier.findings.get(id).unwrap().finding;
    assert_eq!((held.state, held.decisions.as_slice()), (FindingState::Applied, &[accept.decision][..]));
    assert_eq!((world.found.len(), world.decisions("accept", "late")), (told, 1.0));
}

#[test]
fn ended_findings_are_remembered_up_to_a_bound() {
    use std::time::Duration;

    use dbintel_model::finding::{Category, Subject};
    use dbintel_model::{Finding, Server};

    use super::super::life::{Findings, Kept};

    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let at = Timestamp::from_nanos(1_795_236_205_000_000_000);
    let caps = crate::regression_verifier::CapSettings { per_run: 9_999, per_object: 9_999, per_hour: 9_999 };
    let mut findings = Findings::new(caps, Duration::from_secs(60), Duration::from_secs(60), 1.0);
    let more = 10_u64;
    for n in 0..MAX_ENDED as u64 + more {
        let (id, kind) = (FindingId::from_u128(n.into()), FindingKind::PlanRegression);
        let subject = Subject::of_server(&server, None);
        let finding = Finding::new(id, kind, Category::Careful, subject, at);
        findings.open(Kept { finding, subject: n, cause: None }, at);
        findings.close(id, at).unwrap();
    }
    assert_eq!((findings.take_ended_forgotten(), findings.take_ended_forgotten()), (more, 0));
    assert!(!findings.take_ended(FindingId::from_u128(0)), "the oldest is forgotten");
    let latest = FindingId::from_u128(u128::from(MAX_ENDED as u64 + more - 1));
    assert_eq!((findings.take_ended(latest), findings.take_ended(latest)), (true, false));
}
