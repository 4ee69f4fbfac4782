//! What must hold for the product's rule.
//!
//! A limit holds if the probability is below it 19 times out of 20, by the exact upper bound. It is broken if the probability
//! is above it 19 times out of 20. In between, too few histories were judged: in a full run that is a failure as well.

use crate::bounds::{lower, upper};
use crate::kinds::Meaning;
use crate::plan::{NEUTRAL_MIN, REPAIRS_MIN};
use crate::tally::{Counts, Row, Tally};

/// `careful` or above on neutral flips.
const CAREFUL_MAX: f64 = 0.001;
/// `manual` or above on neutral flips.
const MANUAL_MAX: f64 = 0.000_1;
/// Findings of a changed plan per statement-day without a flip.
pub const PLAN_FINDINGS_MAX: f64 = 0.000_1;
/// Repairs without effect that come out as if they had one.
const REPAIRS_WRONG_MAX: f64 = 0.01;
/// How the kinds of such findings begin.
const PLAN_KIND: &str = "plan_";

/// How a limit fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Holds,
    /// Too little was judged to say.
    NotShown,
    /// It does not hold.
    Broken,
}

/// A limit, and what was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// In words.
    pub what: String,
    /// The most that is allowed.
    pub limit: f64,
    /// What was seen.
    pub events: u64,
    /// In how many.
    pub trials: u64,
}

// === impl Check ===

impl Check {
    /// How it fared.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if upper(self.events, self.trials) <= self.limit {
            Standing::Holds
        } else if lower(self.events, self.trials) > self.limit {
            Standing::Broken
        } else {
            Standing::NotShown
        }
    }
}

/// The limits of one rule. One about which nothing was judged is not shown.
#[must_use]
pub fn checks(tally: &Tally, rule: usize) -> Vec<Check> {
    let Counts { histories: trials, ever: [careful, manual, _], .. } = tally.pooled(rule);
    let check = |what: &str, limit, events, trials| Check { what: what.to_owned(), limit, events, trials };
    let plan = |kind: &&str| kind.starts_with(PLAN_KIND);
    let found = tally.findings(rule);
    let findings = found.begun.iter().filter(|(kind, _)| plan(kind)).map(|(_, count)| count).sum();
    let repairs = tally.all_repairs(rule);
    let mut checks = vec![
        check("neutral flips called careful or above", CAREFUL_MAX, careful, trials),
        check("neutral flips called manual or above", MANUAL_MAX, manual, trials),
        check(
            "plan findings per statement-day without a flip",
            PLAN_FINDINGS_MAX,
            findings,
            found.days as u64,
        ),
        check(
            "repairs without effect called confirmed or harmful",
            REPAIRS_WRONG_MAX,
            repairs.wrong(),
            repairs.made(),
        ),
    ];
    checks.extend(tally.kinds.iter().filter(|line| line.meaning == Meaning::False && plan(&line.kind)).map(
        |line| {
            let what = format!("{} per statement-day, {}", line.kind, line.what);
            Check { what, limit: PLAN_FINDINGS_MAX, events: line.found, trials: line.of }
        },
    ));
    checks
}

/// What was judged less often than the requirement wants of the rule: classes of neutral flips, repairs without effect.
#[must_use]
pub fn too_few(tally: &Tally, rule: usize) -> Vec<String> {
    let few = |(row, counts): (&Row, &Counts)| match row {
        Row::Neutral(class) if counts.histories < NEUTRAL_MIN => {
            Some(format!("{class}: {} of {NEUTRAL_MIN} neutral flips", counts.histories))
        }
        _ => None,
    };
    let repairs = tally.all_repairs(rule).made();
    let few_repairs =
        (repairs < REPAIRS_MIN).then(|| format!("{repairs} of {REPAIRS_MIN} repairs without effect"));
    tally.rows(rule).filter_map(few).chain(few_repairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Line;
    use crate::rule::{Level, Repaired};
    use crate::tally::{Findings, Reached};
    use std::collections::BTreeMap;

    fn tally(neutral: u64, careful: u64) -> Tally {
        let mut tally = Tally::default();
        for number in 0..neutral {
            let mut reached = Reached::default();
            reached.note(if number < careful { Level::Careful } else { Level::Insufficient }, 1);
            tally.add(Row::Neutral("test".to_owned()), &[reached], "");
            // What is printed apart does not count.
            let mut apart = Reached::default();
            apart.note(Level::Auto, 1);
            tally.add(Row::Apart("apart".to_owned()), &[apart], "");
        }
        tally
    }

    fn standings(tally: &Tally) -> Vec<Standing> {
        checks(tally, 0).iter().map(Check::standing).collect()
    }

    #[test]
    fn limits_are_held_by_their_upper_bound() {
        assert_eq!(standings(&tally(40_000, 0))[..2], [Standing::Holds, Standing::Holds]);
        // 20,000 without any are too few for 0.01 %.
        assert_eq!(standings(&tally(20_000, 0))[..2], [Standing::Holds, Standing::NotShown]);
        assert_eq!(standings(&tally(40_000, 40))[0], Standing::NotShown);
        assert_eq!(standings(&tally(40_000, 100))[0], Standing::Broken);
    }

    #[test]
    fn only_findings_about_plans_have_a_limit() {
        let mut tally = Tally::default();
        // Nobody looked.
        assert_eq!(standings(&tally)[2], Standing::NotShown);
        tally.add_without_flip(&[Findings {
            days: 100_000.0,
            begun: BTreeMap::from([("slower", 5_000)]),
            ..Findings::default()
        }]);
        assert_eq!(standings(&tally)[2], Standing::Holds);
        tally.add_without_flip(&[Findings {
            days: 0.0,
            begun: BTreeMap::from([("plan_regression", 30)]),
            ..Findings::default()
        }]);
        assert_eq!(standings(&tally)[2], Standing::Broken);
    }

    #[test]
    fn kinds_with_inputs_of_their_own_have_the_same_limit() {
        let mut tally = tally(0, 0);
        let line = |kind, meaning, found| Line { kind, what: "test", meaning, of: 40_000, found };
        tally.kinds = vec![
            line("plan_flapping", Meaning::False, 0),
            line("plan_flapping", Meaning::False, 20),
            line("plan_flapping", Meaning::FalseOfWrong, 20),
            line("statement_vanished", Meaning::False, 20),
        ];
        assert_eq!(standings(&tally)[4..], [Standing::Holds, Standing::Broken]);
    }

    #[test]
    fn classes_with_too_few_histories_are_named() {
        let mut tally = tally(10, 0);
        assert_eq!(
            too_few(&tally, 0),
            ["test: 10 of 37000 neutral flips", "0 of 10000 repairs without effect"]
        );
        for _ in 0..10_000 {
            tally.add_repair("test", &[Some(Repaired::NoEffect)], "");
        }
        assert_eq!(too_few(&tally, 0), ["test: 10 of 37000 neutral flips"]);
    }

    #[test]
    fn repairs_without_effect_have_a_limit() {
        let mut tally = Tally::default();
        assert_eq!(standings(&tally)[3], Standing::NotShown);
        for number in 0..1_000 {
            let said = if number < 2 { Repaired::Confirmed } else { Repaired::Inconclusive };
            // Without a finding there was no repair.
            tally.add_repair("test", &[Some(said)], "");
            tally.add_repair("test", &[None], "");
        }
        assert_eq!(standings(&tally)[3], Standing::Holds);
        for _ in 0..30 {
            tally.add_repair("test", &[Some(Repaired::Harmful)], "");
        }
        assert_eq!(standings(&tally)[3], Standing::Broken);
    }
}
