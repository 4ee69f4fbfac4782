use super::*;
use crate::kinds::{Line, Meaning};
use crate::tally::Reached;
use std::collections::BTreeMap;

fn reached(level: Level, hour: usize) -> Reached {
    let mut reached = Reached::default();
    reached.note(level, hour);
    reached
}

/// 1,000 neutral flips, of which one rule is wrong about ten and the other about none; 100 regressions of ×10, found late or
/// soon.
fn tally() -> Tally {
    let mut tally = Tally::default();
    for number in 0..1_000 {
        let level = if number < 10 { Level::Careful } else { Level::Insufficient };
        let said = [reached(level, 1), reached(Level::Insufficient, 1)];
        tally.add(Row::Neutral("the model".to_owned()), &said, &format!("model:{number}"));
    }
    for number in 0..100 {
        let said = [reached(Level::Careful, 20), reached(Level::Auto, if number < 40 { 3 } else { 4 })];
        tally.add(Row::Found(Section::All, 1_000), &said, "x10");
    }
    let found = |begun| Findings { days: 20_000.0, begun, ..Findings::default() };
    tally.add_without_flip(&[found(BTreeMap::from([("plan_regression", 4)])), found(BTreeMap::new())]);
    for number in 0..100 {
        let said = [Repaired::Harmful, Repaired::NoEffect, Repaired::Inconclusive][number.min(2)];
        let said = (number < 50).then_some(said);
        tally.add_repair("the model", &[said, None], "repair");
    }
    tally
}

#[test]
fn all_that_was_counted_is_in_the_tables() {
    let text = all(&tally(), &["first", "second"]);
    for line in [
        "| the model | 1,000 | 1.00 | 1.69 | 0 | 0.299 | 0 | 0.299 |",
        "| **all of the above** | 1,000 | 0 | 0.299 | 0 | 0.299 | 0 | 0.299 |",
        "| regressions | ratio | histories | first | second |",
        "| all regressions | ×10 | 100 | 0 / 100.0 | 40.0 / 100.0 |",
        "| plan_regression | 4 | 2.00 |",
        "| the model | 100 | 50 | 0 | 1 | 1 | 48 | 2.00 | 9.14 |",
        "A report of a change that never was is a neutral flip: 10 of 1,000 of these lead to a finding of the kind plan_regression, \
         at most 1.69 %. With a wrong report for every statement once in 170 days, there is at most 1 such finding in 10,000 \
         statement-days.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn limits_say_how_they_fared() {
    let tally = tally();
    let (first, second) = (gate(&tally, 0, "first"), gate(&tally, 1, "second"));
    assert!(
        first.contains("| neutral flips called careful or above | 0.100 | 10 | 1,000 | 1.69 | **broken** |"),
        "{first}"
    );
    assert!(
        second.contains(
            "| neutral flips called manual or above | 0.0100 | 0 | 1,000 | 0.299 | too few judged to say |"
        ),
        "{second}"
    );
    assert!(
        second.contains(
            "| plan findings per statement-day without a flip | 0.0100 | 0 | 20,000 | 0.0150 | too few"
        ),
        "{second}"
    );
}

#[test]
fn false_alarms_are_named() {
    let tally = tally();
    assert!(examples(&tally, 0, "first").contains("* the model: model:0, model:1,"));
    assert_eq!(examples(&tally, 1, "second"), "");
}

#[test]
fn figures_have_their_digits() {
    assert_eq!([0.0, 0.204, 0.0286, 0.0018, 0.000_05].map(percent), ["0", "20.4", "2.86", "0.180", "0.0050"]);
    assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn steps_are_told_apart_by_what_shifted() {
    let mut tally = Tally::default();
    let step = "regression_without_plan_change";
    tally.add_without_flip(&[Findings {
        days: 10_000.0,
        begun: BTreeMap::from([(step, 8), ("slow_single_plan", 3)]),
        after_shift: BTreeMap::from([((step, Shift::Mixture), 3), ((step, Shift::Time), 1)]),
        of_mixtures: BTreeMap::from([(step, 3)]),
        shifts: BTreeMap::from([(Shift::Mixture, 30)]),
    }]);
    let text = all(&tally, &["ours"]);
    for line in [
        "| regression_without_plan_change | 8 | 8.00 |",
        "| – of a mixture that shifted for good in the 72 hours before | 3 | 3.00 |",
        "| – of time that shifted for good in the 72 hours before, its work not | 1 | 1.00 |",
        "| – of no lasting step, a mixture that wanders: false | 3 | 3.00 |",
        "| – of no lasting step, no mixture: false | 1 | 1.00 |",
        "| slow_single_plan | 3 | 3.00 |",
        "In these days 30 mixtures and the time of 0 statements shifted for good.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn kinds_with_inputs_of_their_own_are_in_tables_of_their_own() {
    let line = |kind, meaning, of, found| Line { kind, what: "test", meaning, of, found };
    let mut tally = tally();
    tally.kinds = vec![
        line("plan_flapping", Meaning::False, 40_000, 2),
        line("plan_flapping", Meaning::FalseOfWrong, 10_000, 7),
        line("statistics_stale", Meaning::FalseOfFlips, 1_000, 20),
        line("statement_vanished", Meaning::True, 100, 90),
    ];
    let text = all(&tally, &["ours"]);
    for line in [
        "| plan_flapping | test | 40,000 | 2 | 0.50 | 1.57 |",
        "| plan_flapping | test | 10,000 | 7 | 7.00 | 13.14 |",
        "| statistics_stale | test | 1,000 | 20 | 2.00 | 2.89 |",
        "| statement_vanished | test | 100 | 90 | 90.0 | 94.5 |",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // 1.69 % of the neutral flips, of which 2.89 %, each once in six days.
    assert!(text.contains("there are at most 0.8150 in 10,000 statement-days."), "{text}");
    assert!(!all(&tally, &["first"]).contains("plan_flapping | test"));
}
