//! Flips that never were, at random moments of recorded histories: whatever a rule says of them is a false alarm under
//! everything that happens to a real server and that no model has.

use std::path::PathBuf;

use crate::files::{self, Problem};
use crate::history::{History, Truth};
use crate::plan::{HOURLY, rows_of};
use crate::rng::{Rng, Stream};
use crate::run::{Case, Purpose, Source};
use crate::tally::{Row, Section};

/// The row of the table.
pub const LABEL: &str = "placebo flips in recorded histories";
/// Ratios of regressions that are put in the same places.
const RATIOS: [f64; 3] = [2.0, 3.0, 10.0];
/// Days before a placebo flip that a rule may see.
const DAYS_MAX: usize = 7;
/// Days before it that there must be.
const DAYS_MIN: usize = 1;

/// Recorded histories, judged as they are or with placebo flips.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Files, in their order.
    pub files: Vec<PathBuf>,
    /// Placebo flips per history; 0: the histories as they are.
    pub placebos: usize,
    /// Where the flips are depends on it.
    pub seed: u64,
    /// Beside simulated histories, whose limits they do not count for: flips in a few histories of one server are not
    /// independent of each other.
    pub apart: bool,
}

impl Source for Recorded {
    fn len(&self) -> u64 {
        self.files.len() as u64
    }

    fn cases(&self, index: u64) -> Result<Vec<Case>, Problem> {
        let Some(file) = self.files.get(index as usize) else { return Ok(Vec::new()) };
        let history = files::read(file)?;
        if self.placebos > 0 {
            let mut rng = Rng::new(self.seed, index, Stream::Placebo);
            let flips = (0..self.placebos).filter_map(|_| flip(&history, &mut rng));
            return Ok(flips.flat_map(|flip| self.placebo(flip)).collect());
        }
        // Without a moment there is nothing to look at; such histories are for placebo flips.
        Ok(if history.hours_after() == 0 { Vec::new() } else { vec![case(history)] })
    }
}

fn case(history: History) -> Case {
    let looks = (1..=history.hours_after().min(HOURLY)).collect();
    let purpose = if history.flipped { Purpose::Flip(rows_of(&history)) } else { Purpose::WithoutFlip };
    Case { history, looks, purpose }
}

impl Recorded {
    /// A flip that never was, and the same as if it had made the statement slower: a rule that says nothing of the one is worth
    /// something only if it speaks of the other.
    fn placebo(&self, flip: History) -> Vec<Case> {
        let row = |label: String| if self.apart { Row::Apart(label) } else { Row::Neutral(label) };
        let mut cases: Vec<Case> =
            RATIOS.iter().map(|ratio| judged(slower(&flip, *ratio), found(*ratio))).collect();
        cases.push(judged(flip, row(LABEL.to_owned())));
        cases
    }
}

fn judged(history: History, row: Row) -> Case {
    Case { purpose: Purpose::Flip(vec![row]), ..case(history) }
}

fn found(ratio: f64) -> Row {
    Row::Found(Section::Recorded, (ratio * 100.0).round() as u32)
}

/// From the flip on, every execution takes `ratio` times the time and touches `ratio` times the blocks.
fn slower(history: &History, ratio: f64) -> History {
    let mut slower = history.clone();
    for block in slower.blocks.iter_mut().skip(history.flip).flatten() {
        block.total_ms *= ratio;
        block.sum_sq = block.sum_sq.map(|sum| sum * ratio * ratio);
        block.touched = block.touched.map(|touched| touched * ratio);
        block.min_ms = block.min_ms.map(|min_ms| min_ms * ratio);
    }
    slower.truth = Truth { ratio, work_exponent: 1.0, ..slower.truth };
    slower
}

/// The history around a random moment, as if a plan had flipped then. A real flip and what followed are left out. `None` if
/// it is too short.
#[must_use]
pub fn flip(history: &History, rng: &mut Rng) -> Option<History> {
    let per_hour = history.blocks_per_hour();
    let end = if history.flipped { history.flip } else { history.blocks.len() };
    let (first, last) = (DAYS_MIN * 24 * per_hour, end.checked_sub(HOURLY * per_hour)?);
    let moments = (last + 1).checked_sub(first).filter(|moments| *moments > 0)?;
    let moment = first + rng.below(moments as u64) as usize;
    let from = moment.saturating_sub(DAYS_MAX * 24 * per_hour);
    let blocks = history.blocks.get(from..moment + HOURLY * per_hour)?.to_vec();
    Some(History {
        name: format!("{}@{moment}", history.name),
        start_s: history.start_of(from),
        block_minutes: history.block_minutes,
        flip: moment - from,
        flipped: true,
        blocks,
        truth: Truth { mixture: history.truth.mixture, ..Truth::neutral(LABEL) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Class, Generator, Shape};

    fn history(shape: Shape) -> History {
        Generator { seed: 4, class: Class::Model, shape, ratio: 10.0, label: "test".into() }.make(1)
    }

    #[test]
    fn a_placebo_is_before_the_real_flip() {
        let history = history(Shape { days_before: 9, ..Shape::WEEK_AND_DAY });
        let mut rng = Rng::new(1, 1, Stream::Placebo);
        for _ in 0..50 {
            let placebo = flip(&history, &mut rng).unwrap();
            let end = placebo.start_of(placebo.blocks.len());
            assert!(end <= history.start_of(history.flip), "{}", placebo.name);
            assert!(placebo.start_s >= history.start_s);
            assert!(placebo.days_before() >= 1.0 && placebo.days_before() <= 7.0);
            assert_eq!((placebo.hours_after(), placebo.truth.ratio), (24, 1.0));
        }
    }

    #[test]
    fn beside_simulated_histories_they_are_in_a_row_apart() {
        let directory = tempfile::tempdir().unwrap();
        let history = History { name: "kept".to_owned(), ..history(Shape::WEEK_AND_DAY) };
        files::keep(&history, directory.path()).unwrap();
        let files = files::list(directory.path()).unwrap();
        let rows = |apart: bool| -> Vec<Vec<Row>> {
            let source = Recorded { files: files.clone(), placebos: 3, seed: 1, apart };
            let purposes = source.cases(0).unwrap().into_iter().map(|case| case.purpose);
            purposes
                .map(|purpose| if let Purpose::Flip(rows) = purpose { rows } else { Vec::new() })
                .collect()
        };
        let expected = |neutral: Row| {
            let found = [200, 300, 1_000].map(|ratio| vec![Row::Found(Section::Recorded, ratio)]);
            let mut one = found.to_vec();
            one.push(vec![neutral]);
            [one.clone(), one.clone(), one].concat()
        };
        assert_eq!(rows(false), expected(Row::Neutral(LABEL.to_owned())));
        assert_eq!(rows(true), expected(Row::Apart(LABEL.to_owned())));
    }

    #[test]
    fn a_regression_is_put_in_from_the_flip_on() {
        let placebo = flip(&history(Shape::WEEK_AND_DAY), &mut Rng::new(1, 1, Stream::Placebo)).unwrap();
        let slower = slower(&placebo, 3.0);
        let blocks = |history: &History, from: usize| history.blocks[from].unwrap();
        assert_eq!(blocks(&slower, placebo.flip - 1), blocks(&placebo, placebo.flip - 1));
        let (was, is) = (blocks(&placebo, placebo.flip), blocks(&slower, placebo.flip));
        assert_eq!((is.calls, is.total_ms, is.rows), (was.calls, was.total_ms * 3.0, was.rows));
        assert_eq!(is.sum_sq, was.sum_sq.map(|sum| sum * 9.0));
        assert_eq!(is.touched, was.touched.map(|touched| touched * 3.0));
        assert!(slower.truth.is_regression() && slower.flip == placebo.flip);
    }

    #[test]
    fn a_short_history_has_none() {
        let history = history(Shape { days_before: 1, ..Shape::WEEK_AND_DAY });
        assert_eq!(flip(&history, &mut Rng::new(1, 1, Stream::Placebo)), None);
    }
}
