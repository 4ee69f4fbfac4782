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

    fn judge_without_flip(&mut self, _: &History, now_hour: usize) -> Option<Vec<&'static str>> {
        Some(match now_hour {
            2 | 3 | 7 => vec!["slower"],
            4 => vec!["slower", "plan_changed"],
            _ => Vec::new(),
        })
    }
}

const SCRIPTED: Entry = Entry { name: "scripted", make: || Box::new(Scripted { even: false }) };

/// 100 histories, of which every tenth cannot be read.
struct Hundred {
    flipped: bool,
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
        let purpose = if self.flipped { Purpose::Flip(rows_of(&history)) } else { Purpose::WithoutFlip };
        Ok(vec![Case { history, looks: (1..=24).collect(), purpose }])
    }
}

#[test]
fn every_history_is_judged_once_whatever_the_threads() {
    let one = judge(&Hundred { flipped: true }, &[SCRIPTED], 1);
    let three = judge(&Hundred { flipped: true }, &[SCRIPTED], 3);
    assert_eq!(one.tally, three.tally);
    assert_eq!(one.problems, three.problems);
    let counts = one.tally.pooled(0);
    assert_eq!((counts.histories, counts.ever, counts.soon), (90, [50, 0, 0], [50, 0, 0]));
    assert_eq!((one.problem_count, one.problems.len()), (10, 10));
}

#[test]
fn a_finding_counts_when_it_begins() {
    let blind = Entry { name: "mean", make: || Box::new(MeanWorse::default()) };
    let judged = judge(&Hundred { flipped: false }, &[SCRIPTED, blind], 2);
    let findings = judged.tally.findings(0);
    assert_eq!(
        (findings.days, findings.begun),
        (90.0, BTreeMap::from([("plan_changed", 90), ("slower", 180)]))
    );
    // A rule that does not look has no days without findings either.
    assert_eq!(judged.tally.findings(1).days, 0.0);
}
