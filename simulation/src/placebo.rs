//! Flips that never were, at random moments of recorded histories: whatever a rule says of them is a false alarm under
//! everything that happens to a real server and that no model has.

use std::path::PathBuf;

use crate::files::{self, Problem};
use crate::history::{History, Truth};
use crate::plan::{HOURLY, rows_of};
use crate::rng::{Rng, Stream};
use crate::run::{Case, Purpose, Source};

/// The row of the table.
pub const LABEL: &str = "placebo flips in recorded histories";
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
            return Ok((0..self.placebos).filter_map(|_| flip(&history, &mut rng)).map(case).collect());
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
    fn a_short_history_has_none() {
        let history = history(Shape { days_before: 1, ..Shape::WEEK_AND_DAY });
        assert_eq!(flip(&history, &mut Rng::new(1, 1, Stream::Placebo)), None);
    }
}
