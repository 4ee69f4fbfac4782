use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::catalogue::EventDefinition;
use crate::{Node, QueryKey, QueryText, Server, ValueRef};

const NOW: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);

fn server() -> Server {
    Server {
        receiver: "postgresql/orders".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    }
}

fn node() -> Node {
    Node { system_identifier: Some(7_412_345_678_901_234_567), timeline: Some(3), ..Node::default() }
}

fn key() -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "orders".into(),
        database_id: 16_384,
        user: "app".into(),
        user_id: 10,
        query_id: -9_007_199_254_740_993,
        toplevel: Some(true),
    }
}

fn text() -> QueryText {
    QueryText {
        masked: Some("SELECT * FROM o WHERE id = ?".into()),
        fingerprint: u64::MAX - 1,
        kind: "select",
        operation: Some("SELECT"),
        summary: Some("SELECT o".into()),
        truncated: false,
    }
}

fn subject() -> Subject {
    Subject::of_query(&server(), Some(&node()), &key(), Some(&text()))
}

/// A finding in which every field has a value.
fn full() -> Finding {
    let identity = Identity { kind: FindingKind::PlanRegression, subject: &subject(), plan: Some(7) };
    let plan = |seed| PlanFingerprint { shape: seed, exact: u128::MAX - seed };
    let point = |at: u64| ChartPoint {
        start: Timestamp::from_nanos(at),
        end: Timestamp::from_nanos(at + 1),
        mean: Some(4.1),
        p10: Some(3.0),
        p90: Some(5.0),
    };
    let lost = TimeLost {
        seconds_per_day: Some(4_300.5),
        low: Some(4_000.0),
        high: Some(5_000.0),
        confidence: Some(0.95),
    };
    Finding {
        state: FindingState::Confirmed,
        ceiling: Category::Auto,
        summary: "4.1 ms became 19.8 ms".into(),
        flip: Some(PlanFlip { at: NOW, rung: PlanRung::GenericNulls, old: plan(1), new: plan(2) }),
        effect: Some(Effect {
            before_ms: Some(4.1),
            after_ms: Some(19.8),
            ratio: Some(4.8),
            ratio_low: Some(3.6),
            ratio_high: Some(6.0),
            t: Some(212.0),
            degrees_of_freedom: Some(40.5),
            calls_before: Some(1e6),
            calls_after: Some(1e5),
        }),
        time_lost: Some(lost),
        attribution: Some(Attribution::Coincident),
        evidence: vec![
            Evidence::new("t", Some(212.0), "1", Source::Computed, "Welch"),
            Evidence::new("cpu_per_call", Some(f64::NAN), "ms", Source::Measured, "no extension counts it"),
        ],
        locks: vec![Lock {
            name: "work".into(),
            value: Some(14.8),
            threshold: Some(1.2),
            passed: Some(false),
            caps_at: Some(Category::Careful),
            sentence: "no more work per call".into(),
        }],
        charts: vec![Chart {
            name: "time per call".into(),
            unit: "ms".into(),
            before: vec![point(1)],
            after: vec![point(5)],
        }],
        causes: vec![Cause {
            kind: "analyze".into(),
            at: Some(NOW),
            object: Some("public.orders".into()),
            score: Some(0.5),
            sentence: "analysed a minute before".into(),
        }],
        failure_modes: vec!["a deploy changed the parameters".into()],
        left_out: 3,
        questions: Some(Questions {
            worst_case: "a".into(),
            survivable: "b".into(),
            worth_it: "c".into(),
            detect_and_recover: "d".into(),
        }),
        scripts: Scripts {
            forward: Some("ANALYZE o".into()),
            rollback: Some("-- none".into()),
            check: Some("SELECT 1".into()),
        },
        for_review: true,
        decisions: vec![Decision::try_new(DecisionAction::Accept, "eve", NOW, Some("seen it too")).unwrap()],
        applied: Some(Applied { at: NOW, how: "analysed at 14:02".into() }),
        rolled_back_at: Some(NOW),
        outcome: Some(Outcome {
            verdict: Verdict::Confirmed,
            at: NOW,
            measured_from: NOW,
            measured_to: NOW,
            ratio: Some(0.2),
            ratio_low: Some(0.1),
            ratio_high: Some(0.3),
            time_lost: Some(TimeLost { seconds_per_day: Some(-1.0), ..lost }),
            sentence: "five times as fast".into(),
        }),
        ..Finding::new(identity.at(NOW).id, FindingKind::PlanRegression, Category::Manual, subject(), NOW)
    }
}

// === the record ===

#[test]
fn a_finding_is_the_same_after_json() {
    let finding = full();
    let json = serde_json::to_string(&finding).unwrap();
    assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
    let bare = Finding::new(finding.id, FindingKind::StatisticsStale, Category::Careful, subject(), NOW);
    let json = serde_json::to_string(&bare).unwrap();
    assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), bare);
}

#[test]
fn a_number_that_is_none_is_read_back_as_unknown() {
    let mut finding = full();
    finding.effect = Some(Effect { t: Some(f64::INFINITY), ratio: Some(f64::NAN), ..Effect::default() });
    let json = serde_json::to_string(&finding).unwrap();
    let read: Finding = serde_json::from_str(&json).unwrap();
    assert_eq!(read.effect, Some(Effect::default()));
}

#[test]
fn what_another_version_adds_or_leaves_out_is_no_error() {
    let mut json = serde_json::to_value(full()).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.insert("of_a_later_version".into(), serde_json::json!({"a": [1]}));
    for name in ["left_out", "scripts", "for_review", "evidence", "charts", "effect"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    let read: Finding = serde_json::from_value(json).unwrap();
    assert_eq!((read.id, read.left_out, read.scripts.forward), (full().id, 0, None));
}

#[test]
fn numbers_that_json_cannot_hold_are_strings() {
    let json = serde_json::to_value(full()).unwrap();
    assert_eq!(json["id"], full().id.to_string());
    assert_eq!(json["subject"]["query_id"], "-9007199254740993");
    assert_eq!(json["subject"]["fingerprint"], "fffffffffffffffe");
    assert_eq!(json["flip"]["new"]["shape"], "00000000000000000000000000000002");
}

#[test]
fn lists_are_cut_to_their_maximum_and_what_is_cut_is_counted() {
    let mut finding = full();
    let evidence = finding.evidence[0].clone();
    finding.evidence = vec![evidence; MAX_EVIDENCE + 2];
    let point = finding.charts[0].before[0];
    finding.charts[0].before = (0..MAX_CHART_POINTS as u64 + 5)
        .map(|n| ChartPoint { start: Timestamp::from_nanos(n), ..point })
        .collect();
    assert_eq!(finding.trim(), 7);
    assert_eq!(finding.left_out, 3 + 7);
    assert_eq!(finding.evidence.len(), MAX_EVIDENCE);
    // The points next to the change stay.
    assert_eq!(finding.charts[0].before[0].start, Timestamp::from_nanos(5));
    assert_eq!(finding.trim(), 0);
}

#[test]
fn closed_sets_have_the_same_names_in_json() {
    for kind in FindingKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(FindingKind::from_name(kind.as_str()), Some(*kind));
    }
    for state in FindingState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        assert_eq!(FindingState::from_name(state.as_str()), Some(*state));
    }
    for rung in PlanRung::ALL {
        assert_eq!(serde_json::to_value(rung).unwrap(), rung.as_str());
    }
    assert_eq!(FindingKind::from_name("no such kind"), None);
    assert_eq!(Category::Auto.min(Category::Careful), Category::Careful);
}

#[test]
fn a_rejection_needs_a_reason_and_every_decision_a_person() {
    let decide = |action, by, reason| Decision::try_new(action, by, NOW, reason).map(|_| ());
    assert_eq!(decide(DecisionAction::Reject, "eve", Some(" ")), Err(DecisionError::ReasonMissing));
    assert_eq!(decide(DecisionAction::Accept, " ", None), Err(DecisionError::NobodyDecided));
    let long = "x".repeat(MAX_REASON_BYTES + 1);
    assert_eq!(decide(DecisionAction::Reject, "eve", Some(&long)), Err(DecisionError::ReasonTooLong));
    assert_eq!(decide(DecisionAction::Accept, "eve", None), Ok(()));
}

/// Type and name of every field of every message of the protobuf.
fn messages() -> BTreeMap<&'static str, Vec<(&'static str, &'static str)>> {
    let mut messages = BTreeMap::<_, Vec<_>>::new();
    let mut message = "";
    for line in include_str!("../../../../proto/dbintel/v1/finding.proto").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["message", name, "{"] => message = name,
            ["repeated" | "optional", kind, name, "=", _] | [kind, name, "=", _] if *kind != "syntax" => {
                messages.entry(message).or_default().push((*kind, *name));
            }
            _ => {}
        }
    }
    messages
}

fn assert_same_fields(json: &serde_json::Value, message: &str) {
    if let Some(items) = json.as_array() {
        return items.iter().for_each(|item| assert_same_fields(item, message));
    }
    let messages = messages();
    let Some(fields) = messages.get(message) else { return };
    let object = json.as_object().unwrap_or_else(|| panic!("{message}: {json}"));
    let held: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(held, fields.iter().map(|(_, name)| *name).collect(), "{message}");
    for (kind, name) in fields {
        assert_same_fields(&object[*name], kind);
    }
}

#[test]
fn the_protobuf_has_the_same_fields() {
    let mut finding = full();
    finding.subject.object = Some("public.o".into());
    assert_same_fields(&serde_json::to_value(finding).unwrap(), "Finding");
}

// === the state machine ===

fn steps() -> impl Strategy<Value = Step> {
    prop::sample::select(&Step::ALL[..])
}

proptest! {
    #[test]
    fn any_history_ends_within_three_steps_and_final_states_stay(history in prop::collection::vec(steps(), 0..40)) {
        let (mut state, mut taken) = (FindingState::Open, 0);
        for step in history {
            match state.transition(step) {
                Ok(next) => {
                    prop_assert!(!state.is_final() && next != state);
                    state = next;
                    taken += 1;
                }
                Err(error) => prop_assert_eq!((error.state, error.step), (state, step)),
            }
        }
        prop_assert!(taken <= 3);
    }

    #[test]
    fn a_step_that_fails_changes_nothing(step in steps(), state in prop::sample::select(FindingState::ALL)) {
        let mut finding = Finding { state, ..full() };
        let before = finding.clone();
        let later = NOW.plus(std::time::Duration::from_secs(1));
        let done = match step {
            Step::Accept => finding.decide(Decision::try_new(DecisionAction::Accept, "eve", later, None).unwrap()),
            Step::Reject => finding.decide(Decision::try_new(DecisionAction::Reject, "eve", later, Some("no")).unwrap()),
            Step::Expire => finding.expire(later),
            Step::Resolve => finding.resolve(later),
            Step::Apply => finding.apply(Applied { at: NOW, how: "seen".into() }, later),
            Step::Measure(verdict) => {
                let outcome = Outcome { verdict, at: later, ..before.outcome.clone().unwrap() };
                finding.measure(outcome)
            }
        };
        match (state.transition(step), done) {
            (Ok(next), Ok(from)) => prop_assert_eq!((finding.state, from, finding.updated_at), (next, state, later)),
            (Err(_), Err(_)) => prop_assert_eq!(finding, before),
            different => prop_assert!(false, "{:?}", different),
        }
    }
}

#[test]
fn every_state_can_be_reached_and_every_state_that_is_not_final_can_be_left_for_a_final_one() {
    let next =
        |state: FindingState| Step::ALL.into_iter().filter_map(move |step| state.transition(step).ok());
    let mut reached = vec![FindingState::Open];
    let mut at = 0;
    while let Some(state) = reached.get(at).copied() {
        for state in next(state) {
            if !reached.contains(&state) {
                reached.push(state);
            }
        }
        at += 1;
    }
    for state in FindingState::ALL {
        assert!(reached.contains(state), "{state} is never reached");
        assert_eq!(next(*state).next().is_none(), state.is_final(), "{state}");
        assert!(state.is_final() || next(*state).any(FindingState::is_final), "{state} is a dead end");
    }
}

#[test]
fn an_illegal_step_says_what_is_possible() {
    let error = FindingState::Rejected.transition(Step::Accept).unwrap_err();
    assert_eq!(error.to_string(), "a finding that is rejected cannot be accepted; this is its final state");
    let error = FindingState::Accepted.transition(Step::Accept).unwrap_err();
    let expected =
        "a finding that is accepted cannot be accepted; it can be rejected, expired, resolved, applied";
    assert_eq!(error.to_string(), expected);
}

// === identity ===

fn ids(kind: FindingKind, subject: &Subject, plan: Option<u128>, at: Timestamp) -> FindingIds {
    Identity { kind, subject, plan }.at(at)
}

#[test]
fn what_is_told_again_within_its_span_has_ids_of_its_own() {
    let first = FindingId::from_u128(7);
    let (second, third) = (first.again(), first.again().again());
    assert!(first != second && second != third && first != third);
    assert_eq!(second, FindingId::from_u128(7).again());
}

#[test]
fn the_definition_of_the_id_has_not_changed() {
    // Stores of an older version know their findings by these.
    let id = ids(FindingKind::PlanRegression, &subject(), Some(7), NOW).id;
    assert_eq!(id.to_string(), PINNED_ID);
    assert_eq!(PINNED_ID.parse(), Ok(id));
    assert_eq!("ABC".parse::<FindingId>(), Err(ParseFindingIdError));
    assert_eq!("ABCDEF01ABCDEF01ABCDEF01ABCDEF01".parse::<FindingId>(), Err(ParseFindingIdError));
}

#[test]
fn everything_that_a_finding_is_about_is_in_its_id() {
    let (kind, about) = (FindingKind::PlanRegression, subject());
    let mut all = vec![ids(kind, &about, Some(7), NOW).id, ids(kind, &about, None, NOW).id];
    all.push(ids(kind, &about, Some(8), NOW).id);
    all.push(ids(FindingKind::PlanFlapping, &about, Some(7), NOW).id);
    let another: [fn(&mut Subject); 7] = [
        |subject| subject.server = Text::from("endpoint:x:1").into(),
        |subject| subject.database = Some("other".into()),
        |subject| subject.database = None,
        |subject| subject.role = Some("other".into()),
        |subject| subject.fingerprint = Some(1),
        |subject| subject.fingerprint = None,
        |subject| subject.object = Some("public.o".into()),
    ];
    for change in another {
        let mut subject = about.clone();
        change(&mut subject);
        all.push(ids(kind, &subject, Some(7), NOW).id);
    }
    all.push(ids(kind, &about, Some(7), NOW.plus(IDENTITY_BUCKET)).id);
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn what_two_collectors_need_not_share_is_not_in_the_id() {
    let about = subject();
    let id = ids(FindingKind::PlanRegression, &about, Some(7), NOW).id;
    // Another name for the same server, an identifier of another major version, a role that was created anew.
    let other = Server { address: "10.0.0.1".into(), port: 6432, ..server() };
    let key = QueryKey { query_id: 1, user_id: 99, ..key() };
    let same = Subject::of_query(&other, Some(&node()), &key, Some(&text()));
    assert_eq!(ids(FindingKind::PlanRegression, &same, Some(7), NOW).id, id);
}

#[test]
fn a_server_is_known_by_its_identifier_where_that_can_be_read() {
    let of = |node: Option<Node>| ServerIdentity::of(&server(), node.as_ref()).to_string();
    assert_eq!(of(None), "endpoint:db:5432");
    assert_eq!(of(Some(Node::default())), "endpoint:db:5432");
    assert_eq!(of(Some(node())), "id:7412345678901234567/3");
    let standby = Node { in_recovery: true, address: Some("10.0.0.2:5432".into()), ..node() };
    assert_eq!(of(Some(standby)), "id:7412345678901234567/3/standby@10.0.0.2:5432");
}

proptest! {
    #[test]
    fn two_collectors_agree_on_an_id(seconds in 1_700_000_000..1_900_000_000_u64, apart in 0..3_600_u64, plan: u128) {
        let first = Timestamp::from_nanos(seconds * 1_000_000_000);
        let second = first.plus(std::time::Duration::from_secs(apart));
        let [first, second] = [first, second].map(|at| ids(FindingKind::PlanRegression, &subject(), Some(plan), at));
        // The same id, or each finds the other's beside its own.
        prop_assert!(first.iter().any(|id| id == second.id));
        prop_assert!(second.iter().any(|id| id == first.id));
    }
}

#[test]
fn borders_of_the_day_are_spread_over_subjects() {
    let midnight = Timestamp::from_nanos(1_795_219_200_000_000_000);
    let at_a_border = (0..1_000_u128).filter(|plan| {
        ids(FindingKind::PlanRegression, &subject(), Some(*plan), midnight).neighbour.is_some()
    });
    // Two hours of twenty-four have one: 83 of 1,000 are expected.
    let count = at_a_border.count();
    assert!((40..140).contains(&count), "{count}");
}

// === the event ===

fn attributes(event: &FindingEvent) -> Vec<String> {
    let mut names = Vec::new();
    event.for_each_attribute(&mut |name, value| {
        assert!(!matches!(value, ValueRef::Double(double) if !double.is_finite()), "{name}");
        names.push(name.to_owned());
    });
    names
}

fn documented(event: &EventDefinition) -> Vec<&'static str> {
    event.attributes.iter().map(|(name, _)| *name).collect()
}

#[test]
fn every_attribute_of_the_catalogue_is_written_in_its_order() {
    let changed = FindingNews::Changed { from: FindingState::Applied };
    for news in [FindingNews::Opened, changed] {
        let mut finding = full();
        finding.subject.object = Some("public.o".into());
        let event = FindingEvent { news, finding };
        assert_eq!(attributes(&event), documented(event.event()));
    }
}

#[test]
fn of_a_finding_without_evidence_only_what_is_known_is_written() {
    let finding = Finding::new(full().id, FindingKind::SlowSinglePlan, Category::Careful, subject(), NOW);
    let event = FindingEvent { news: FindingNews::Opened, finding };
    let names = attributes(&event);
    assert!(names.iter().all(|name| documented(event.event()).contains(&name.as_str())));
    assert!(
        !names.iter().any(|name| name.contains("ratio") || name.contains("locks") || name.contains("script"))
    );
}

#[test]
fn severity_follows_the_category_and_harm() {
    let severity = |news, category, state| {
        let finding = Finding { category, state, ..full() };
        FindingEvent { news, finding }.severity()
    };
    let opened = |category| severity(FindingNews::Opened, category, FindingState::Open);
    let severities: Vec<u8> = Category::ALL.iter().map(|category| opened(*category)).collect();
    assert_eq!(severities, [9, 13, 17, 18]);
    let changed = FindingNews::Changed { from: FindingState::Applied };
    assert_eq!(severity(changed, Category::Auto, FindingState::Confirmed), 9);
    assert_eq!(severity(changed, Category::Careful, FindingState::Harmful), 18);
}

#[test]
fn scripts_and_names_are_no_free_texts() {
    let mut finding = full();
    finding.for_each_text(&mut |text| *text = "masked".into());
    assert_eq!(finding.scripts, full().scripts);
    assert_eq!(finding.subject.database, full().subject.database);
    let texts = [&finding.summary, &finding.locks[0].sentence, &finding.causes[0].sentence];
    assert!(texts.iter().all(|text| text.as_str() == "masked"));
    assert_eq!(finding.subject.query_text.as_deref(), Some("masked"));
    assert_eq!(finding.decisions[0].reason.as_deref(), Some("masked"));
}

#[test]
fn weight_grows_with_every_text() {
    let finding = full();
    let weight = finding.weight_bytes();
    let mut longer = finding;
    longer.for_each_text(&mut |text| *text = format!("{text}0123456789").into());
    let mut texts = 0;
    longer.for_each_text(&mut |_| texts += 1);
    assert_eq!(longer.weight_bytes(), weight + 10 * texts);
}

const PINNED_ID: &str = "aca96c8a69d73e7907e1707db6723d87";
