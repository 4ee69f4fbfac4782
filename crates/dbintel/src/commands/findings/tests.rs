//! What the command prints.

use dbintel_model::finding::{
    Attribution, Category, Cause, ChartPoint, Effect, PlanFlip, Scripts, Subject, Verdict,
};
use dbintel_model::{FindingId, PlanFingerprint, PlanRung, QueryKey, QueryText, Server, Timestamp};

use super::*;

#[test]
fn a_terminal_obeys_nothing_of_what_somebody_wrote() {
    assert_eq!(plain("a\u{1b}[2Jb\r\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}d");
}

#[test]
fn a_list_ends_with_what_came_of_what_was_done() {
    let mut record = TrackRecord::new(FindingKind::PlanRegression);
    for (verdict, count) in [(Verdict::Confirmed, 3), (Verdict::Harmful, 1), (Verdict::Inconclusive, 2)] {
        record.add(verdict, count);
    }
    let text = success(&[record]);
    let words: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words, ["plan_regression", "50", "%", "of", "6", "3", "0", "1", "2"]);
    assert_eq!(success(&[]), "");
}

#[test]
fn a_chart_is_a_line_with_the_change_in_it() {
    let point = |mean| ChartPoint {
        start: Timestamp::default(),
        end: Timestamp::default(),
        mean,
        p10: None,
        p90: None,
    };
    let chart = Chart {
        name: "time".into(),
        unit: "ms".into(),
        before: vec![point(Some(1.0)), point(None)],
        after: vec![point(Some(8.0)), point(Some(f64::NAN))],
    };
    assert_eq!(sparks(&chart), "time             ▂ |█   1.0 to 8.0 ms");
    let empty = Chart { before: Vec::new(), after: Vec::new(), ..chart };
    assert_eq!(sparks(&empty), "time             |  nothing known");
}

/// A finding with something in every place.
fn full() -> Finding {
    let server = Server {
        receiver: "postgresql/orders".into(),
        system: "postgresql".into(),
        address: "db.example".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let key = QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id: -77,
        toplevel: Some(true),
    };
    let text = QueryText {
        masked: Some("SELECT placed FROM orders WHERE id = ?".into()),
        fingerprint: 1,
        kind: "select",
        operation: Some("SELECT"),
        summary: None,
        truncated: false,
    };
    let subject = Subject {
        object: Some("public.orders".into()),
        ..Subject::of_query(&server, None, &key, Some(&text))
    };
    let at = Timestamp::from_nanos(1_795_236_205_000_000_000);
    let plan = |exact| PlanFingerprint { shape: exact, exact };
    let point = |mean| ChartPoint { start: at, end: at, mean: Some(mean), p10: None, p90: None };
    let lock = |name: &'static str, value, passed, sentence: &'static str| Lock {
        name: name.into(),
        value: Some(value),
        threshold: Some(5.0),
        passed,
        caps_at: None,
        sentence: sentence.into(),
    };
    let decision = Decision::try_new(DecisionAction::Accept, "eve", at, Some("tonight")).unwrap();
    Finding {
        ceiling: Category::Auto,
        summary: "Query -77 takes 60 ms per call instead of 12 ms.".into(),
        flip: Some(PlanFlip { at, rung: PlanRung::Actual, old: plan(1), new: plan(2) }),
        effect: Some(Effect {
            before_ms: Some(12.0),
            after_ms: Some(60.0),
            ratio: Some(5.0),
            ratio_low: Some(4.5),
            ratio_high: None,
            t: Some(90.0),
            degrees_of_freedom: Some(19.5),
            calls_before: Some(54_321.0),
            calls_after: Some(1_234.0),
        }),
        time_lost: Some(TimeLost {
            seconds_per_day: Some(7_200.0),
            low: Some(3_600.0),
            ..TimeLost::default()
        }),
        attribution: Some(Attribution::Attributed),
        locks: vec![
            lock("effect", 10.5, Some(true), "It holds."),
            lock("onset_near", 1.0, None, "Too little was seen."),
            lock("error_bar", 4.25, Some(false), "The statement swings as much by itself."),
        ],
        charts: vec![Chart {
            name: "time_per_call".into(),
            unit: "ms".into(),
            before: vec![point(12.0); 3],
            after: vec![point(60.0); 2],
        }],
        causes: ["Index public.orders_id dropped.", "Statistics of public.orders refreshed."]
            .map(|sentence| Cause {
                kind: "ddl".into(),
                at: Some(at),
                object: None,
                score: Some(0.5),
                sentence: sentence.into(),
            })
            .into(),
        failure_modes: vec!["Other parameters look like another plan.".into()],
        questions: Some(Questions {
            worst_case: "The build waits.".into(),
            survivable: "Yes.".into(),
            worth_it: "Two hours a day.".into(),
            detect_and_recover: "Run the check.".into(),
        }),
        scripts: Scripts {
            forward: Some("CREATE INDEX CONCURRENTLY orders_id ON orders (id);".into()),
            rollback: Some("DROP INDEX CONCURRENTLY orders_id;".into()),
            check: Some("SELECT calls FROM pg_stat_statements;".into()),
        },
        for_review: true,
        decisions: vec![decision],
        ..Finding::new(
            FindingId::from_u128(0xabc),
            FindingKind::PlanRegression,
            Category::Careful,
            subject,
            at,
        )
    }
}

/// At three in the morning it is read from the top: what happened and how sure that is, to which statement, what it costs and since when,
/// what may have caused it, what speaks against it, what can be done and undone, at what risk, and who has decided what.
#[test]
fn a_finding_in_full_is_told_in_the_order_in_which_it_is_needed() {
    let text = card(&full());
    let in_order = [
        "finding 00000000000000000000000000000abc  plan_regression  open\n",
        "Query -77 takes 60 ms per call instead of 12 ms.\n",
        "evidence: careful (t alone would allow auto); waits for review\n",
        "server db.example:5432  database shop  role app  object public.orders\n",
        "query -77  SELECT placed FROM orders WHERE id = ?\n",
        "plan ",
        " (actual); the change is attributed\n",
        "time per call 12.0 ms -> 60.0 ms  (5.00x, from 4.50x to ?x)  t 90.0  executions 54321 -> 1234\n",
        "lost per day: ≥ 60 min\n",
        "time_per_call    ▂▂▂|██  12.0 to 60.0 ms\n",
        "\nprobable causes, the best first\n  1. Index public.orders_id dropped.\n  2. Statistics of public.orders refreshed.\n",
        "\nwhat was asked of the evidence\n  FAILED     error_bar              4.25 against 5.00        The statement swings as much by \
         itself.\n",
        "  not asked  onset_near             1.00 against 5.00        Too little was seen.\n",
        "  passed     effect                 10.5 against 5.00\n",
        "\ndo:\nCREATE INDEX CONCURRENTLY orders_id ON orders (id);\n",
        "\nundo:\nDROP INDEX CONCURRENTLY orders_id;\n",
        "\ncheck:\nSELECT calls FROM pg_stat_statements;\n",
        "\nat worst: The build waits.\ncan it be survived: Yes.\nis it worth it: Two hours a day.\n",
        "how it shows, and the way back: Run the check.\n",
        "\nwrong if\n  1. Other parameters look like another plan.\n",
        "\nopened 2026-11-21T04:43:25",
        " accept by eve: tonight\n",
    ];
    let mut from = 0;
    for part in in_order {
        from +=
            text[from..].find(part).unwrap_or_else(|| panic!("{part:?} in {}", &text[from..])) + part.len();
    }
    assert_eq!(&text[from..], "", "nothing after what was decided");
}

/// What it costs is known of many statements together as well.
#[test]
fn a_finding_without_a_single_effect_says_what_it_costs() {
    let text = card(&Finding { effect: None, ..full() });
    assert!(text.contains("\nlost per day: ≥ 60 min\n") && !text.contains("time per call"), "{text}");
}
