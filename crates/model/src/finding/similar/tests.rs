use proptest::prelude::*;

use super::super::{Category, Decision, Outcome, Subject, TimeLost, Verdict};
use super::*;
use crate::Server;

const NOW: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);

fn finding(id: u128, text: Option<&str>, object: Option<&str>, causes: &[&str]) -> Finding {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let said = |text: &str| Text::from(text.to_owned());
    let subject =
        Subject { query_text: text.map(said), object: object.map(said), ..Subject::of_server(&server, None) };
    let kind = FindingKind::PlanRegression;
    let mut finding = Finding::new(FindingId::from_u128(id), kind, Category::Careful, subject, NOW);
    let cause = |kind: &&str| Cause {
        kind: said(kind),
        at: None,
        object: None,
        score: None,
        sentence: format!("because of {kind}").into(),
    };
    finding.causes = causes.iter().map(cause).collect();
    finding
}

fn ended(mut finding: Finding, state: FindingState) -> PastCase {
    finding.state = state;
    PastCase::of(&finding).unwrap()
}

const ORDERS: &str = "SELECT id, total FROM orders WHERE customer = ? AND paid = ? ORDER BY id LIMIT ?";

#[test]
fn likeness_is_the_share_of_tokens_in_common() {
    let table = [
        // The same, written otherwise.
        (ORDERS, "select ID, total from orders where paid = $1 and customer = $2 order by id limit $3", 1.0),
        (ORDERS, ORDERS, 1.0),
        // id, total, orders, customer, order, by, limit of these and paid.
        (ORDERS, "SELECT id, total FROM orders WHERE customer = ? ORDER BY id LIMIT ?", 7.0 / 8.0),
        (ORDERS, "INSERT INTO stock VALUES (?)", 0.0),
        // Only words that every statement has.
        ("SELECT a FROM b WHERE c = ?", "SELECT d FROM e WHERE f = ?", 0.0),
        ("", "", 0.0),
    ];
    for (one, other, expected) in table {
        let tokens = [one, other].map(|text| Tokens::of(&finding(1, Some(text), None, &[])));
        let likeness = tokens[0].likeness(&tokens[1]);
        assert!((likeness - expected).abs() < 1e-9, "{one} and {other}: {likeness}");
    }
}

#[test]
fn objects_and_causes_count_and_causes_alone_do_not() {
    let table = [
        (Some("public.orders"), &["ddl"][..], Some("public.orders"), &["ddl"][..], 1.0),
        (Some("public.orders"), &["ddl"], Some("public.orders"), &["analyze"], 1.0 / 3.0),
        (Some("public.orders"), &[], Some("public.stock"), &[], 0.0),
        (None, &["ddl"], None, &["ddl"], 0.0),
    ];
    for (object, causes, other, others, expected) in table {
        let one = Tokens::of(&finding(1, None, object, causes));
        let two = Tokens::of(&finding(2, None, other, others));
        assert!((one.likeness(&two) - expected).abs() < 1e-9, "{object:?} {other:?}");
    }
    // A table is no word, and a word is no table.
    let word = Tokens::of(&finding(1, Some("orders"), None, &[]));
    assert_eq!(word.likeness(&Tokens::of(&finding(2, None, Some("orders"), &[]))), 0.0);
}

#[test]
fn the_most_similar_come_first_then_the_latest_then_the_smaller_id() {
    let case = |id, text: &str, minutes: u64| {
        let mut past = finding(id, Some(text), None, &["ddl"]);
        past.updated_at = NOW.plus(std::time::Duration::from_secs(60 * minutes));
        ended(past, FindingState::Expired)
    };
    let near = "SELECT id, total FROM orders WHERE customer = ? ORDER BY id LIMIT ?";
    let past = [
        case(9, near, 99),
        case(8, ORDERS, 1),
        case(7, ORDERS, 2),
        case(6, "DELETE FROM stock", 3),
        case(5, ORDERS, 2),
        case(4, ORDERS, 2),
        // The finding itself, which ended before it was opened anew.
        case(1, ORDERS, 50),
    ];
    let found = similar_cases(&finding(1, Some(ORDERS), None, &["ddl"]), &past);
    let ids: Vec<u128> = found.iter().map(|case| case.id.as_u128()).collect();
    assert_eq!(ids, [4, 5, 7]);
    assert_eq!(found[0].cause.as_deref(), Some("because of ddl"));
    let found = similar_cases(&finding(1, Some(ORDERS), None, &["ddl"]), &past[..2]);
    assert_eq!(found.iter().map(|case| case.id.as_u128()).collect::<Vec<_>>(), [8, 9]);
    assert!(found[1].likeness < 1.0 && found[1].likeness > SIMILAR_MIN);
}

#[test]
fn how_it_ended_is_said() {
    let outcome = |verdict, seconds_per_day| Outcome {
        verdict,
        at: NOW,
        measured_from: NOW,
        measured_to: NOW,
        ratio: Some(0.2),
        ratio_low: None,
        ratio_high: None,
        time_lost: Some(TimeLost { seconds_per_day, ..TimeLost::default() }),
        sentence: "It was measured.".into(),
    };
    let with = |change: &dyn Fn(&mut Finding), state| {
        let mut finding = finding(1, Some(ORDERS), None, &[]);
        change(&mut finding);
        ended(finding, state).end.to_string()
    };
    let confirmed = |of: &mut Finding| of.outcome = Some(outcome(Verdict::Confirmed, Some(-90.0)));
    assert_eq!(
        with(&confirmed, FindingState::Confirmed),
        "confirmed: It was measured. Gained: 90.0 s per day."
    );
    let harmful = |of: &mut Finding| of.outcome = Some(outcome(Verdict::Harmful, Some(90.0)));
    assert_eq!(with(&harmful, FindingState::Harmful), "harmful: It was measured.");
    let rejected = |of: &mut Finding| {
        of.decisions = vec![
            Decision::try_new(DecisionAction::Reject, "eve", NOW, Some("a copy")).unwrap(),
            Decision::try_new(DecisionAction::Accept, "bob", NOW, None).unwrap(),
        ];
    };
    assert_eq!(with(&rejected, FindingState::Rejected), "rejected by eve: a copy");
    assert_eq!(with(&|_| {}, FindingState::Rejected), "rejected");
    assert_eq!(with(&|_| {}, FindingState::Resolved), "resolved: it went away by itself");
    assert_eq!(with(&|_| {}, FindingState::Expired), "expired: nobody decided or did anything in time");
    for state in [FindingState::Open, FindingState::Accepted, FindingState::Applied] {
        let mut finding = finding(1, Some(ORDERS), None, &[]);
        finding.state = state;
        assert_eq!(PastCase::of(&finding), None);
    }
}

prop_compose! {
    fn any_finding()(
        id in 0..12_u128,
        words in prop::collection::vec("[a-e]{1,2}|\\?|é|[0-9]", 0..20),
        object in prop::option::of("[a-c]"),
        causes in prop::collection::vec("[a-c]", 0..4),
        state in 0..FindingState::ALL.len(),
        minutes in 0..5_u64,
        sentence in "[aé]{0,100}",
    ) -> Finding {
        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
        let mut finding = finding(id, Some(&words.join(" ")), object.as_deref(), &causes);
        finding.state = FindingState::ALL[state];
        finding.updated_at = NOW.plus(std::time::Duration::from_secs(60 * minutes));
        finding.summary = sentence.repeat(5).into();
        finding
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever is past and in whatever order: bounded, the same answer, in order, ended, and never the finding itself.
    #[test]
    fn what_is_similar_is_bounded_and_does_not_depend_on_the_order(
        wanted in any_finding(), past in prop::collection::vec(any_finding(), 0..12), seed in any::<u64>(),
    ) {
        let mut cases: Vec<PastCase> = past.iter().filter_map(PastCase::of).collect();
        cases.sort_by_key(|case| case.id);
        cases.dedup_by_key(|case| case.id);
        let found = similar_cases(&wanted, &cases);
        shuffle(&mut cases, seed);
        prop_assert_eq!(&found, &similar_cases(&wanted, &cases));
        prop_assert!(found.len() <= MAX_SIMILAR);
        for case in &found {
            prop_assert!(case.id != wanted.id && case.state.is_final());
            prop_assert!((SIMILAR_MIN..=1.0).contains(&case.likeness));
            prop_assert!(case.summary.len() <= CASE_SENTENCE_BYTES_MAX);
        }
        prop_assert!(found.is_sorted_by(|a, b| a.likeness >= b.likeness));
        // None that was left out is more similar than the last one that is shown.
        let tokens = Tokens::of(&wanted);
        let least = found.last().filter(|_| found.len() == MAX_SIMILAR).map_or(SIMILAR_MIN, |case| case.likeness);
        let better = cases.iter().filter(|case| case.id != wanted.id && tokens.likeness(&case.tokens) > least);
        prop_assert!(better.count() <= MAX_SIMILAR);
    }

    #[test]
    fn likeness_is_symmetric_and_one_for_the_same(one in any_finding(), other in any_finding()) {
        let (a, b) = (Tokens::of(&one), Tokens::of(&other));
        prop_assert!(a.0.len() <= MAX_CASE_TOKENS);
        prop_assert_eq!(a.likeness(&b).to_bits(), b.likeness(&a).to_bits());
        prop_assert_eq!(a.likeness(&a), if a.0.is_empty() { 0.0 } else { 1.0 });
    }
}

/// Another order, from a seed.
fn shuffle(cases: &mut [PastCase], seed: u64) {
    cases.sort_by_key(|case| hash(&case.id.to_string(), seed));
}

/// Of more tokens than are kept, those that are kept still say how alike two statements are.
#[test]
fn long_statements_are_compared_by_a_part_of_their_words() {
    let text = |from: u32, to: u32| (from..to).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let tokens = |text: &str| Tokens::of(&finding(1, Some(text), None, &[]));
    let long = tokens(&text(0, 1_000));
    assert_eq!(long.0.len(), MAX_CASE_TOKENS);
    assert_eq!(long.likeness(&tokens(&text(0, 1_000))), 1.0);
    assert_eq!(long.likeness(&tokens(&text(2_000, 3_000))), 0.0);
    // A third in common; of 128 words about 43, give or take three deviations of five.
    let third = long.likeness(&tokens(&text(500, 1_500)));
    assert!((0.2..0.46).contains(&third), "{third}");
    // What lies beyond the bytes that are looked at makes no difference.
    let padded = format!("{} {}", "x ".repeat(CASE_TEXT_BYTES_MAX / 2), text(0, 10));
    assert_eq!(tokens(&padded), tokens("x"));
}
