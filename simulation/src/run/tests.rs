use std::collections::BTreeMap;

use super::*;
use crate::history::{Block, Truth};
use crate::plan::rows_of;
use crate::rule::Level;
use crate::rules::naive::MeanWorse;

/// Says `careful` from the second hour on of histories with an even number, and has findings that come and go.
struct Scripted {
    even: bool,
}

impl Rule for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn start(&mut self, case: &History) {
        self.even = case.start_s % 2 == 0;
    }

    fn judge(&mut self, _: &History, now_hour: usize) -> Level {
        if self.even && now_hour >= 2 { Level::Careful } else { Level::Insufficient }
    }

    fn kinds_without_flip(&self) -> &'static [&'static str] {
        &["slower", "never"]
    }

    fn judge_without_flip(&mut self, _: &History, now_hour: usize) -> Option<Vec<&'static str>> {
        Some(match now_hour {
            2 | 3 | 7 => vec!["slower"],
            4 => vec!["slower", "plan_changed"],
            _ => Vec::new(),
        })
    }

    fn judge_repair(&mut self, _: &History, delay_hours: usize) -> Option<Repaired> {
        self.even.then_some(if delay_hours > 3 { Repaired::NoEffect } else { Repaired::Harmful })
    }
}

const SCRIPTED: Entry = Entry { name: "scripted", make: || Box::new(Scripted { even: false }) };

/// 100 histories, of which every tenth cannot be read.
struct Hundred {
    flipped: bool,
    repaired: bool,
}

impl Source for Hundred {
    fn len(&self) -> u64 {
        100
    }

    fn cases(&self, index: u64) -> Result<Vec<Case>, Problem> {
        if index % 10 == 5 {
            return Err(Problem { file: "test".into(), line: index as usize, what: "broken".to_owned() });
        }
        let history = History {
            name: index.to_string(),
            start_s: index as i64,
            block_minutes: 60,
            flip: 0,
            flipped: self.flipped,
            blocks: vec![Some(Block::default()); 24],
            truth: Truth::neutral("test"),
        };
        let purpose = match (self.repaired, self.flipped) {
            (true, _) => Purpose::Repair { delay_hours: index as usize % 5 },
            (_, true) => Purpose::Flip(rows_of(&history)),
            _ => Purpose::WithoutFlip,
        };
        Ok(vec![Case { history, looks: (1..=24).collect(), purpose }])
    }
}

#[test]
fn every_history_is_judged_once_whatever_the_threads() {
    let one = judge(&Hundred { flipped: true, repaired: false }, &[SCRIPTED], 1);
    let three = judge(&Hundred { flipped: true, repaired: false }, &[SCRIPTED], 3);
    assert_eq!(one.tally, three.tally);
    assert_eq!(one.problems, three.problems);
    let counts = one.tally.pooled(0);
    assert_eq!((counts.histories, counts.ever, counts.soon), (90, [50, 0, 0], [50, 0, 0]));
    assert_eq!((one.problem_count, one.problems.len()), (10, 10));
}

#[test]
fn a_finding_counts_when_it_begins() {
    let blind = Entry { name: "mean", make: || Box::new(MeanWorse::default()) };
    let judged = judge(&Hundred { flipped: false, repaired: false }, &[SCRIPTED, blind], 2);
    let findings = judged.tally.findings(0);
    assert_eq!(
        (findings.days, findings.begun),
        (90.0, BTreeMap::from([("never", 0), ("plan_changed", 90), ("slower", 180)]))
    );
    // A rule that does not look has no days without findings either.
    assert_eq!(judged.tally.findings(1).days, 0.0);
}

#[test]
fn repairs_are_counted_where_a_finding_was_open() {
    let judged = judge(&Hundred { flipped: true, repaired: true }, &[SCRIPTED], 2);
    let repairs = judged.tally.all_repairs(0);
    // Of the even ones, those with a delay of 4 are every fifth.
    assert_eq!((repairs.histories, repairs.made(), repairs.wrong()), (90, 50, 40));
    assert_eq!(judged.tally.pooled(0).histories, 0);
}

/// One statement whose finding begins in hours 2 and 7, of which something shifted for good at these hours.
fn shifted(mixture: Option<f64>, time: Option<f64>) -> Findings {
    let truth = Truth {
        mixture_shift_hours: mixture,
        mixture: true,
        time_shift_hours: time,
        ..Truth::neutral("test")
    };
    let history = History {
        name: String::new(),
        start_s: 0,
        block_minutes: 60,
        flip: 0,
        flipped: false,
        blocks: vec![Some(Block::default()); 24],
        truth,
    };
    findings(&mut Scripted { even: false }, &history, 1.0).unwrap()
}

#[test]
fn a_finding_is_of_what_shifted_in_the_three_days_before() {
    let after = |found: &Findings, shift| found.after_shift.get(&("slower", shift)).copied();
    let early = shifted(Some(-60.0), None);
    assert_eq!((early.begun["slower"], after(&early, Shift::Mixture)), (2, Some(2)));
    // It shifted before anybody looked.
    assert_eq!(early.shifts, BTreeMap::new());
    let between = shifted(None, Some(5.0));
    assert_eq!((after(&between, Shift::Time), after(&between, Shift::Mixture)), (Some(1), None));
    assert_eq!(between.shifts, BTreeMap::from([(Shift::Time, 1)]));
    assert_eq!(after(&shifted(Some(-69.5), None), Shift::Mixture), Some(1));
    let none = shifted(Some(-75.0), Some(20.0));
    assert_eq!((none.after_shift, none.of_mixtures["slower"]), (BTreeMap::new(), 2));
    assert_eq!(between.of_mixtures["slower"], 1);
}
